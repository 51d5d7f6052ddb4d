//! The laws of the rule's thinking, over ACLs of all kinds.

use std::collections::BTreeSet;

use rule_testing::{World, hold};

use super::plan::{PRIVATE, PUBLIC, Packet, entries, packets};
use super::*;

impl World for NetworkAclOpenIngress {
    fn write(acl: &mut Acl, change: &Change) {
        let standing = acl.inbound.iter().position(|entry| entry.number == change.number);
        match (change.write, standing) {
            (Write::Delete, Some(place)) if change.is_about(&acl.inbound[place]) => drop(acl.inbound.remove(place)),
            (Write::Create, None) => {
                let (number, source) = (change.number, change.source.everywhere().parse().unwrap());
                acl.inbound.push(Entry { number, action: Action::Allow, protocol: Protocol::All, source });
                acl.inbound.sort_by_key(|entry| entry.number);
            }
            _ => {}
        }
    }

    fn open(acl: &Acl) -> BTreeSet<String> {
        let mut packets = packets(&[&PUBLIC[..], &[PRIVATE]].concat(), &[1, 6, 17, 47]);
        // The entries are of IPv4 alone, but for those that let all of IPv6 in.
        packets
            .extend(packets.clone().into_iter().map(|packet| Packet { source: "2600::1".parse().unwrap(), ..packet }));
        packets.iter().filter(|packet| packet.gets_in(&acl.inbound)).map(|packet| format!("{packet:?}")).collect()
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let guard = prop::sample::select(vec![Guard::Off, Guard::Warn, Guard::Hold]);
    (any::<bool>(), guard).prop_map(|(ipv6, guard_last_allow)| Settings { ipv6, guard_last_allow })
}

fn controls() -> impl Strategy<Value = Vec<Control>> {
    let (default, subnet) = (Control { which: Which::Default }, Control { which: Which::Subnet });
    prop::sample::select(vec![vec![default], vec![subnet], vec![default, subnet], vec![subnet, default]])
}

/// Any ACL: default or not, with subnets or without, open to IPv6 or not.
fn acls() -> impl Strategy<Value = Acl> {
    let open_to_ipv6 = prop::option::of(1..200i32);
    (entries(), open_to_ipv6, any::<bool>(), 0..3usize).prop_map(|(mut inbound, open_to_ipv6, is_default, subnets)| {
        // The numbers of the others end with a zero.
        inbound.extend(open_to_ipv6.map(|number| plan::entry(&format!("{} allow all ::/0", number * 10 + 1))));
        inbound.sort_by_key(|entry| entry.number);
        let subnets = SUBNETS.iter().take(subnets).map(ToString::to_string).collect();
        Acl { inbound, is_default, subnets, ..plan::acl(&[]) }
    })
}

proptest! {
    #[test]
    fn the_laws_hold(acl in acls(), controls in controls(), settings in settings()) {
        hold::<NetworkAclOpenIngress>(&resource(), &acl, &controls, &settings);
    }

    #[test]
    fn both_controls_together_change_what_each_of_them_changes(acl in acls(), settings in settings()) {
        let seen = Seen::now(resource(), acl);
        let [default, subnet] = [Which::Default, Which::Subnet].map(|which| Control { which });
        let plan = |controls: &[&Control]| NetworkAclOpenIngress::plan(&seen, controls, &settings);
        let both = plan(&[&default, &subnet]);
        for alone in [plan(&[&default]), plan(&[&subnet])] {
            prop_assert!(alone.changes.is_empty() || alone.changes == both.changes, "{alone:?} {both:?}");
            prop_assert!(alone.held.is_empty() || alone.held == both.held, "{alone:?} {both:?}");
        }
    }

    #[test]
    fn what_was_held_still_is_when_the_changes_are_written(acl in acls(), controls in controls()) {
        let (controls, settings): (Vec<_>, _) = (controls.iter().collect(), Settings::default());
        let mut seen = Seen::now(resource(), acl);
        let proposal = NetworkAclOpenIngress::plan(&seen, &controls, &settings);
        proposal.changes.iter().for_each(|change| NetworkAclOpenIngress::write(&mut seen.state, change));
        prop_assert_eq!(NetworkAclOpenIngress::plan(&seen, &controls, &settings).held, proposal.held);
    }
}

#[test]
fn another_entry_under_the_number_is_neither_side() {
    let change = deletion(100, Family::Ipv4);
    let undo = NetworkAclOpenIngress::undo(&change);
    for (entry, side, of_undo) in [
        ("100 allow all 0.0.0.0/0", Side::Before, Side::After),
        ("101 allow all 0.0.0.0/0", Side::After, Side::Before),
        ("100 allow all ::/0", Side::Neither, Side::Neither),
        ("100 deny all 0.0.0.0/0", Side::Neither, Side::Neither),
        ("100 allow tcp 0-65535 0.0.0.0/0", Side::Neither, Side::Neither),
        ("100 allow all 0.0.0.0/1", Side::Neither, Side::Neither),
    ] {
        let acl = plan::acl(&[entry]);
        let sides = (NetworkAclOpenIngress::side(&change, &acl), NetworkAclOpenIngress::side(&undo, &acl));
        assert_eq!(sides, (side, of_undo), "{entry}");
    }
}
