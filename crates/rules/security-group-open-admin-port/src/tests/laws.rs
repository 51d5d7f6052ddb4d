//! What holds for every group and every plan: a group in memory that counts its rules, and is looked at after each call.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rule_testing::{World, hold};

use super::*;
use crate::change::{Modify, Steps};
use crate::narrow;

/// A group's rules for everyone, each with its ID.
#[derive(Debug, Clone)]
struct Memory {
    rules: Vec<(IngressRule, String)>,
    made: usize,
    most: usize,
    /// So many calls are let through.
    calls: usize,
}

/// What a look at the group after each call asks of it.
type Check<'a> = &'a dyn Fn(&[IngressRule]);

impl Memory {
    fn of(rules: &[IngressRule]) -> Self {
        let rules: Vec<_> = rules.iter().cloned().enumerate().map(|(n, rule)| (rule, format!("sgr-{n}"))).collect();
        Self { made: rules.len(), most: rules.len(), rules, calls: usize::MAX }
    }

    fn seen(&self) -> Seen<State> {
        let mut everyone = self.rules.clone();
        everyone.sort();
        seen(Inbound { everyone, partial: Vec::new() })
    }

    fn now(&self) -> Vec<IngressRule> {
        let mut rules: Vec<_> = self.rules.iter().map(|(rule, _)| rule.clone()).collect();
        rules.sort();
        rules
    }

    /// Writes a change, as far as calls are let through.
    fn write(&mut self, change: &Change, check: Check<'_>) {
        let Some(Steps { add, modify, revoke }) = change.steps(&self.rules).unwrap() else { return };
        for rule in add {
            self.call(check, |memory| {
                assert!(!memory.rules.iter().any(|(other, _)| other.is_same_as(&rule)), "{rule} twice");
                memory.rules.push((rule, format!("sgr-{}", memory.made)));
                memory.made += 1;
            });
        }
        if let Some(Modify { id, becomes }) = modify {
            self.call(check, |memory| {
                assert!(!memory.rules.iter().any(|(other, _)| other.is_same_as(&becomes)), "{becomes} twice");
                let (rule, _) = memory.rules.iter_mut().find(|(_, of)| *of == id).unwrap();
                // Its tags stay.
                *rule = IngressRule { tags: rule.tags.clone(), ..becomes };
            });
        }
        for id in revoke {
            self.call(check, |memory| memory.rules.retain(|(_, of)| *of != id));
        }
    }

    fn call(&mut self, check: Check<'_>, write: impl FnOnce(&mut Self)) {
        if self.calls == 0 {
            return;
        }
        self.calls -= 1;
        write(self);
        self.most = self.most.max(self.rules.len());
        check(&self.now());
    }
}

fn any_protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![
        Protocol::All,
        Protocol::Tcp,
        Protocol::Tcp,
        Protocol::Udp,
        Protocol::Icmp,
        Protocol::Icmpv6,
    ])
}

/// Any rule for everyone that EC2 can have.
fn any_rule() -> impl Strategy<Value = IngressRule> {
    let from = prop::sample::select(vec![Everyone::Ipv4, Everyone::Ipv6]);
    // Ports around those that matter come up more often than all the others, so that rules share what they need.
    let edge = || prop::sample::select(vec![0, 21, 22, 23, 3388, 3389, 3390, 65535]);
    let port = || prop_oneof![1 => 0..=65535i32, 4 => edge()];
    let tags = prop::collection::btree_map("[a-z]{1,4}", "[a-z]{0,4}", 0..3);
    let description = prop::option::of("[a-z ]{1,8}");
    (any_protocol(), port(), port(), from, description, tags).prop_map(
        |(protocol, one, two, from, description, tags)| {
            let (from_port, to_port) = match protocol {
                Protocol::Tcp | Protocol::Udp => (one.min(two), one.max(two)),
                _ => (-1, -1),
            };
            IngressRule { protocol, from_port, to_port, from, description, tags }
        },
    )
}

/// The rules of any group: each once.
fn any_rules() -> impl Strategy<Value = Vec<IngressRule>> {
    prop::collection::vec(any_rule(), 0..9).prop_map(|rules| {
        rules.into_iter().fold(Vec::new(), |mut group: Vec<IngressRule>, rule| {
            if !rule.is_in(&group) {
                group.push(rule);
            }
            group
        })
    })
}

fn any_controls() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::select(vec![vec![SSH], vec![RDP], vec![SSH, RDP], vec![RDP, SSH]])
}

/// What a packet can be: a protocol, its port, and the version of IP.
type Packet = (Protocol, i32, Everyone);

/// One packet on each side of every border that there is.
fn packets(rules: &[IngressRule]) -> Vec<Packet> {
    let ends = rules.iter().flat_map(|rule| [rule.from_port, rule.to_port]).chain(ADMIN_PORTS);
    let mut ports: Vec<_> = ends.flat_map(|port| [port - 1, port, port + 1]).chain([0, 65535]).collect();
    ports.retain(|port| (0..=65535).contains(port));
    ports.sort_unstable();
    ports.dedup();
    let with_ports = |protocol| ports.iter().map(move |port| (protocol, *port));
    let all = with_ports(Protocol::Tcp).chain(with_ports(Protocol::Udp));
    let all = all.chain([(Protocol::Icmp, -1), (Protocol::Icmpv6, -1)]);
    let of = |everyone| all.clone().map(move |(protocol, port)| (protocol, port, everyone));
    of(Everyone::Ipv4).chain(of(Everyone::Ipv6)).collect()
}

fn is_open(rules: &[IngressRule], (protocol, port, from): Packet) -> bool {
    rules.iter().any(|rule| {
        let is_protocol = rule.protocol == protocol && (rule.from_port..=rule.to_port).contains(&port);
        rule.from == from && (rule.protocol == Protocol::All || is_protocol)
    })
}

/// Whether a control is about such packets.
fn is_admins(controls: &[usize], (protocol, port, _): Packet) -> bool {
    controls.iter().map(|control| admin_port(*control)).any(|of| of.port == port && of.protocols.contains(&protocol))
}

/// ICMP of the other version of IP: a rule for all traffic lets it in, and none of those that narrow it does.
fn is_stray((protocol, _, from): Packet) -> bool {
    matches!((protocol, from), (Protocol::Icmp, Everyone::Ipv6) | (Protocol::Icmpv6, Everyone::Ipv4))
}

/// Any group: also with rules for somebody in particular, and where the runbook works.
fn any_state() -> impl Strategy<Value = State> {
    let peers =
        vec!["tcp 22-22 10.0.0.0/8", "tcp 0-100 0.0.0.0/1", "-1 - 128.0.0.0/1", "udp 3389-3389 ::/1", "-1 - pl-1"];
    let partial = prop::sample::subsequence(peers, 0..=5);
    let entries = prop::sample::select(vec![Ok("10.0.0.0/8"), Ok("0.0.0.0/0"), Err("told so")]);
    (any_rules(), partial, entries, any::<bool>()).prop_map(|(rules, partial, entries, is_runbooks)| {
        let mut state = seen(inbound(&partial)).state;
        state.everyone = rules;
        state.everyone.sort();
        let entries = entries.map(|range| vec![range.parse().unwrap()]).map_err(str::to_owned);
        state.lists.values_mut().for_each(|of| of.clone_from(&entries));
        State { is_runbooks, ..state }
    })
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let wide_rules =
        prop::sample::select(vec![WideRules::Narrow, WideRules::Narrow, WideRules::Revoke, WideRules::Hold]);
    let guard_in_use = prop::sample::select(vec![Guard::Off, Guard::Warn, Guard::Hold]);
    (any::<bool>(), wide_rules, guard_in_use).prop_map(|(ipv6, wide_rules, guard_in_use)| Settings {
        ipv6,
        wide_rules,
        guard_in_use,
    })
}

impl World for SecurityGroupOpenAdminPort {
    fn write(state: &mut State, change: &Change) {
        let mut everyone: Vec<_> = state.everyone.drain(..).map(|rule| (rule.clone(), rule.to_string())).collect();
        if let Some(Steps { add, modify, revoke }) = change.steps(&everyone).unwrap() {
            if let Some(Modify { id, becomes }) = modify {
                let (rule, _) = everyone.iter_mut().find(|(_, of)| *of == id).unwrap();
                *rule = IngressRule { tags: rule.tags.clone(), ..becomes };
            }
            everyone.retain(|(_, id)| !revoke.contains(id));
            everyone.extend(add.into_iter().map(|rule| (rule, "added".into())));
        }
        state.everyone.extend(everyone.into_iter().map(|(rule, _)| rule));
        state.everyone.sort();
    }

    fn open(state: &State) -> BTreeSet<String> {
        let rules = &state.everyone;
        let all_traffic = rules.iter().filter(|rule| rule.protocol == Protocol::All).map(ToString::to_string);
        let open = packets(&[]).into_iter().filter(|packet| is_open(rules, *packet));
        open.map(|packet| format!("{packet:?}")).chain(all_traffic).collect()
    }
}

proptest! {
    #[test]
    fn narrowing_closes_the_ports_and_nothing_else_at_no_moment(before in any_rules(), controls in any_controls()) {
        let mut memory = Memory::of(&before);
        let plan = plan_of(&memory.seen(), &controls, &Settings::default());
        let packets = packets(&before);
        let check = |now: &[IngressRule]| {
            for packet in packets.iter().copied().filter(|packet| !is_stray(*packet)) {
                let (was, is) = (is_open(&before, packet), is_open(now, packet));
                assert!(was || !is, "{packet:?} is open: {now:?}");
                assert!(is || !was || is_admins(&controls, packet), "{packet:?} is closed: {now:?}");
            }
        };
        for change in &plan.changes {
            memory.write(change, &check);
        }
        let after = memory.now();
        prop_assert!(packets.iter().all(|packet| !is_admins(&controls, *packet) || !is_open(&after, *packet)));
        prop_assert!(plan_of(&memory.seen(), &controls, &Settings::default()).complies());
        prop_assert_eq!(memory.most, before.len().max(after.len()), "more rules than before or after");
        // Whoever writes the plan again writes nothing.
        for change in &plan.changes {
            memory.write(change, &|now| panic!("{change}: {now:?}"));
        }

        memory.most = after.len();
        for change in plan.changes.iter().rev() {
            let undo = SecurityGroupOpenAdminPort::undo(change);
            memory.write(&undo, &|now| assert!(packets.iter().all(|packet| is_open(&before, *packet) || !is_open(now, *packet))));
        }
        let sorted = { let mut before = before.clone(); before.sort(); before };
        prop_assert_eq!(memory.now(), sorted);
        prop_assert_eq!(memory.most, before.len().max(after.len()));
    }

    #[test]
    fn what_was_cut_anywhere_is_planned_again_and_ends_the_same(before in any_rules(), controls in any_controls(), calls in 0..12usize) {
        let mut memory = Memory { calls, ..Memory::of(&before) };
        for change in &plan_of(&memory.seen(), &controls, &Settings::default()).changes {
            memory.write(change, &|_| {});
        }
        memory.calls = usize::MAX;
        for change in &plan_of(&memory.seen(), &controls, &Settings::default()).changes {
            memory.write(change, &|_| {});
        }
        let after = memory.now();
        for packet in packets(&before).into_iter().filter(|packet| !is_stray(*packet)) {
            let expected = is_open(&before, packet) && !is_admins(&controls, packet);
            prop_assert_eq!(is_open(&after, packet), expected, "{:?}: {:?}", packet, after);
        }
    }

    #[test]
    fn revoking_and_holding_open_nothing(before in any_rules(), controls in any_controls(), hold: bool) {
        let wide_rules = if hold { WideRules::Hold } else { WideRules::Revoke };
        let settings = Settings { wide_rules, ..Settings::default() };
        let mut memory = Memory::of(&before);
        let plan = plan_of(&memory.seen(), &controls, &settings);
        for change in &plan.changes {
            prop_assert!(change.give.is_empty());
            memory.write(change, &|_| {});
        }
        let left = plan_of(&memory.seen(), &controls, &settings);
        prop_assert_eq!((left.changes.len(), left.held.len()), (0, plan.held.len()));
        for change in plan.changes.iter().rev() {
            memory.write(&change.undo(), &|_| {});
        }
        let sorted = { let mut before = before; before.sort(); before };
        prop_assert_eq!(memory.now(), sorted);
    }

    #[test]
    fn each_wide_rule_has_one_place_and_gives_only_what_is_missing(before in any_rules(), controls in any_controls()) {
        let ports: Vec<_> = controls.iter().map(|control| admin_port(*control)).collect();
        let ports: Vec<_> = ports.iter().collect();
        let ports = AdminPorts(&ports);
        let wide: Vec<_> = before.iter().filter(|rule| ports.are_opened_by(rule)).cloned().collect();
        let narrowed = narrow::narrow(&wide, &before, ports);
        prop_assert_eq!(narrowed.len(), wide.len());
        let given: Vec<_> = narrowed.iter().flat_map(|of| &of.give).collect();
        for (place, rule) in given.iter().enumerate() {
            prop_assert!(!rule.is_in(&before) && !ports.are_opened_by(rule), "{rule}");
            prop_assert!(given.iter().skip(place + 1).all(|other| !other.is_same_as(rule)), "{rule} twice");
        }
        for of in &narrowed {
            let texts = |of: &IngressRule| (of.description.clone(), of.tags.clone());
            prop_assert!(of.give.iter().all(|rule| texts(rule) == texts(&of.wide)));
        }
    }

    #[test]
    fn the_laws_hold(state in any_state(), controls in any_controls(), settings in any_settings()) {
        let controls: Vec<_> = controls.into_iter().map(admin_port).collect();
        hold::<SecurityGroupOpenAdminPort>(&resource(), &state, &controls, &settings);
    }

    #[test]
    fn planned_together_no_more_stays_open_than_by_each_control_alone(state in any_state(), settings in any_settings()) {
        let seen = Seen::now(resource(), state);
        let open_after = |controls: &[usize]| {
            let mut state = seen.state.clone();
            for change in &plan_of(&seen, controls, &settings).changes {
                SecurityGroupOpenAdminPort::write(&mut state, change);
            }
            SecurityGroupOpenAdminPort::open(&state)
        };
        let together = open_after(&[SSH, RDP]);
        for alone in [SSH, RDP] {
            let alone = open_after(&[alone]);
            prop_assert!(together.is_subset(&alone), "{:?}", together.difference(&alone));
        }
    }

    #[test]
    fn no_two_changes_take_or_give_the_same_rule(state in any_state(), controls in any_controls(), settings in any_settings()) {
        let changes = plan_of(&Seen::now(resource(), state), &controls, &settings).changes;
        for rules in [changes.iter().flat_map(|of| &of.take).collect::<Vec<_>>(), changes.iter().flat_map(|of| &of.give).collect()] {
            for (place, rule) in rules.iter().enumerate() {
                prop_assert!(rules.iter().skip(place + 1).all(|other| !other.is_same_as(rule)), "{rule} twice: {changes:?}");
            }
        }
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String, rest in "[a-zA-Z0-9:/é*-]{0,70}") {
        let arn = format!("arn:aws:ec2:us-east-1:{OURS}:{rest}");
        for resource in [resource, arn, format!("sg-{rest}"), rest] {
            let _ = named::parse(&finding(SSH, &resource));
        }
    }

    #[test]
    fn ranges_are_everyone_only_where_they_hold_every_address(cuts in prop::collection::vec(any::<bool>(), 1..20), missing: prop::sample::Index) {
        // The world, cut again and again in one of its pieces.
        let mut pieces = vec![ipnet::Ipv4Net::default()];
        for first in cuts {
            let piece = if first { pieces.remove(0) } else { pieces.pop().unwrap() };
            pieces.extend(piece.subnets(piece.prefix_len() + 1).unwrap());
        }
        let texts: Vec<_> = pieces.iter().map(|piece| format!("tcp 22-22 {piece}")).collect();
        let mut texts: Vec<_> = texts.iter().map(String::as_str).collect();
        prop_assert_eq!(plan(SSH, Settings::default(), &texts).held.len(), 1);
        let gone = pieces[missing.index(pieces.len())];
        texts.remove(missing.index(pieces.len()));
        // Of addresses that are not the internet's nobody takes notice.
        let is_used = [1u8, 8, 64, 128, 200].iter().any(|first| gone.contains(&std::net::Ipv4Addr::new(*first, 1, 1, 1)));
        prop_assert!(!is_used || plan(SSH, Settings::default(), &texts).complies(), "{:?}", texts);
    }
}
