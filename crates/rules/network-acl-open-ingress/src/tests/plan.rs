//! What is planned for an ACL: no call is needed for that.

use std::net::{IpAddr, Ipv4Addr};

use super::*;

/// An inbound entry, from text such as `100 allow tcp 22-22 0.0.0.0/0` or `90 deny all ::/0`.
pub(super) fn entry(text: &str) -> Entry {
    let words: Vec<_> = text.split(' ').collect();
    let [number, action, protocol, .., source] = words[..] else { panic!("{text}") };
    let action = if action == "allow" { Action::Allow } else { Action::Deny };
    let part = match &words[..] {
        [_, _, _, ports, _] => {
            let (from, to) = ports.split_once('-').unwrap();
            from.parse().unwrap()..=to.parse().unwrap()
        }
        _ => 0..=u16::MAX,
    };
    let protocol = match protocol {
        "all" => Protocol::All,
        "icmp" => Protocol::Some(1, part),
        "tcp" => Protocol::Some(6, part),
        "udp" => Protocol::Some(17, part),
        "gre" => Protocol::Some(47, part),
        other => panic!("{other}"),
    };
    Entry { number: number.parse().unwrap(), action, protocol, source: source.parse().unwrap() }
}

/// A default ACL with these inbound entries and the catch-all denies.
pub(super) fn acl(entries: &[&str]) -> Acl {
    let inbound = entries.iter().chain(&["32767 deny all 0.0.0.0/0", "32768 deny all ::/0"]).map(|text| entry(text));
    let inbound = inbound.collect();
    Acl { id: ACL.into(), is_default: true, subnets: SUBNETS.map(Into::into).into(), inbound, tags: Tags::new() }
}

fn plan_for(acl: Acl, which: &[Which], settings: Settings) -> Proposal<Change> {
    let seen = Seen::now(resource(), acl);
    let controls: Vec<_> = which.iter().map(|which| Control { which: *which }).collect();
    NetworkAclOpenIngress::plan(&seen, &controls.iter().collect::<Vec<_>>(), &settings)
}

fn plan(acl: Acl) -> Proposal<Change> {
    plan_for(acl, &[Which::Default], Settings::default())
}

/// The numbers of the entries that go.
fn gone(proposal: &Proposal<Change>) -> Vec<i32> {
    proposal.changes.iter().map(|change| change.number).collect()
}

/// What is held where these entries let everything of the family in.
fn open_by(family: &str, numbers: &str) -> String {
    let (by, what_to_do) = match numbers.contains(',') {
        true => (format!("entries {numbers} together"), "some of them"),
        false => (format!("entry {numbers}"), "it"),
    };
    format!(
        "acl-0123456789abcdef0 lets in all TCP and UDP traffic from every public {family} address, by the inbound {by}. \
         Narrow or delete {what_to_do}: a person has to decide what the subnets need"
    )
}

const TCP: &str = "100 allow tcp 0-65535 0.0.0.0/0";
const UDP: &str = "110 allow udp 0-65535 0.0.0.0/0";

#[test]
fn an_entry_that_lets_everything_in_goes_whatever_is_denied_before() {
    for (entries, numbers) in [
        (&["100 allow all 0.0.0.0/0"][..], &[100][..]),
        (&["100 allow all 0.0.0.0/0", "101 allow all ::/0", "32766 allow all 0.0.0.0/0"], &[100, 101, 32766]),
        (&["90 deny tcp 22-22 0.0.0.0/0", "100 allow all 0.0.0.0/0"], &[100]),
        (&["90 deny all 0.0.0.0/0", "100 allow all 0.0.0.0/0"], &[100]),
        (&["100 allow all 0.0.0.0/0", "110 allow tcp 443-443 0.0.0.0/0", "120 allow all 10.0.0.0/8"], &[100]),
    ] {
        let proposal = plan(acl(entries));
        assert_eq!((gone(&proposal).as_slice(), proposal.held.len()), (numbers, 0), "{entries:?}");
    }
    assert_eq!(plan(acl(&["101 allow all ::/0"])).changes, [deletion(101, Family::Ipv6)]);
}

#[test]
fn what_several_entries_let_in_together_is_held() {
    for (entries, numbers) in [
        (&[TCP, UDP][..], "100, 110"),
        (&["100 allow tcp 1-65535 0.0.0.0/0", UDP], "100, 110"),
        (&["90 allow icmp 0.0.0.0/0", TCP, UDP], "100, 110"),
        (&["100 allow tcp 0-1023 0.0.0.0/0", "105 allow tcp 1024-65535 0.0.0.0/0", UDP], "100, 105, 110"),
        (&["100 allow tcp 0-40000 0.0.0.0/0", "105 allow tcp 30000-65535 0.0.0.0/0", UDP], "100, 105, 110"),
        (&["100 allow all 0.0.0.0/1", "110 allow all 128.0.0.0/1"], "100, 110"),
        (&["100 allow all 128.0.0.0/1", "110 allow all 0.0.0.0/1", "120 allow tcp 443-443 0.0.0.0/0"], "100, 110"),
        (&["100 allow all 0.0.0.0/2", "110 allow all 64.0.0.0/2", "120 allow all 128.0.0.0/1"], "100, 110, 120"),
        (
            &[
                "100 allow tcp 0-65535 0.0.0.0/1",
                "101 allow tcp 0-65535 128.0.0.0/1",
                "110 allow udp 0-65535 0.0.0.0/0",
            ],
            "100, 101, 110",
        ),
        // Half by protocol, half by address.
        (&["100 allow all 0.0.0.0/1", "110 allow tcp 0-65535 128.0.0.0/1", UDP_LATER], "100, 110, 120"),
        // Some of it is denied, as it may be before an entry that lets everything in by itself.
        (&["90 deny tcp 22-22 0.0.0.0/0", TCP, UDP], "100, 110"),
        (&["90 deny all 1.2.3.4/32", "100 allow all 0.0.0.0/1", "110 allow all 128.0.0.0/1"], "100, 110"),
        // Of another family, or too late.
        (&["90 deny all ::/0", TCP, UDP], "100, 110"),
        (&[TCP, UDP, "120 deny all 0.0.0.0/0"], "100, 110"),
    ] {
        let proposal = plan(acl(entries));
        assert_eq!((gone(&proposal).len(), &proposal.held), (0, &vec![open_by("IPv4", numbers)]), "{entries:?}");
        assert!(!proposal.complies(), "{entries:?}");
    }
}

const UDP_LATER: &str = "120 allow udp 0-65535 0.0.0.0/0";

#[test]
fn what_lets_in_less_than_everything_complies() {
    for entries in [
        &[][..],
        &[TCP],
        &[UDP],
        &["100 allow icmp 0.0.0.0/0", "110 allow gre 0.0.0.0/0"],
        &["100 allow tcp 0-21 0.0.0.0/0", "105 allow tcp 23-65535 0.0.0.0/0", UDP],
        &["100 allow tcp 0-65534 0.0.0.0/0", UDP],
        &["100 allow all 0.0.0.0/1"],
        &["100 allow all 0.0.0.0/1", "110 allow all 128.0.0.0/2"],
        &["100 allow all 10.0.0.0/8", "110 allow all fd00::/8"],
        &["100 allow tcp 0-65535 0.0.0.0/0", "110 allow udp 0-65535 ::/0"],
        // Dead: all of it is denied before.
        &["90 deny all 0.0.0.0/0", TCP, UDP],
        &["90 deny udp 0-65535 0.0.0.0/0", TCP, UDP],
        &["80 deny udp 0-65535 0.0.0.0/1", "90 deny udp 0-65535 128.0.0.0/1", TCP, UDP],
        &["80 deny udp 0-1023 0.0.0.0/0", "90 deny udp 1024-65535 0.0.0.0/0", TCP, UDP],
        &["90 deny all 0.0.0.0/1", "100 allow all 0.0.0.0/1", "110 allow all 128.0.0.0/1"],
    ] {
        let proposal = plan(acl(entries));
        assert_eq!(proposal, Proposal::default(), "{entries:?}");
    }
}

#[test]
fn the_internet_is_everywhere_also_without_the_addresses_that_nobody_has() {
    let public = [
        "0.0.0.0/5",
        "8.0.0.0/7",
        "11.0.0.0/8",
        "12.0.0.0/6",
        "16.0.0.0/4",
        "32.0.0.0/3",
        "64.0.0.0/2",
        "128.0.0.0/3",
        "160.0.0.0/5",
        "168.0.0.0/6",
        "172.0.0.0/12",
        "172.32.0.0/11",
        "172.64.0.0/10",
        "172.128.0.0/9",
        "173.0.0.0/8",
        "174.0.0.0/7",
        "176.0.0.0/4",
        "192.0.0.0/9",
        "192.128.0.0/11",
        "192.160.0.0/13",
        "192.169.0.0/16",
        "192.170.0.0/15",
        "192.172.0.0/14",
        "192.176.0.0/12",
        "192.192.0.0/10",
        "193.0.0.0/8",
        "194.0.0.0/7",
        "196.0.0.0/6",
        "200.0.0.0/5",
        "208.0.0.0/4",
    ];
    let entries: Vec<_> = (1..).zip(public).map(|(number, source)| format!("{number} allow all {source}")).collect();
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    assert_eq!(plan(acl(&entries)).held.len(), 1);
    for missing in 0..entries.len() {
        let left = [&entries[..missing], &entries[missing + 1..]].concat();
        assert_eq!(plan(acl(&left)), Proposal::default(), "without {}", entries[missing]);
    }
}

#[test]
fn ipv6_is_looked_at_apart_unless_the_settings_say_otherwise() {
    let settings = Settings { ipv6: false, ..Settings::default() };
    for (entries, numbers) in [
        (&["100 allow all 2000::/4", "110 allow all 3000::/4"][..], "100, 110"),
        // In the other half, IPv6 has given nothing out.
        (&["100 allow all ::/1", "110 allow all 8000::/1"], "100"),
        (&["100 allow all 2000::/3"], "100"),
        (&["100 allow tcp 0-65535 ::/0", "110 allow udp 0-65535 2000::/3"], "100, 110"),
    ] {
        assert_eq!(plan(acl(entries)).held, [open_by("IPv6", numbers)], "{entries:?}");
        assert_eq!(plan_for(acl(entries), &[Which::Default], settings), Proposal::default(), "{entries:?}");
    }
    assert!(plan(acl(&["100 allow all 2000::/4"])).complies());
    let both = [TCP, UDP, "120 allow all 2000::/4", "130 allow all 3000::/4"];
    assert_eq!(plan(acl(&both)).held, [open_by("IPv4", "100, 110"), open_by("IPv6", "120, 130")]);
    let proposal = plan_for(acl(&["101 allow all ::/0"]), &[Which::Default], settings);
    assert!(proposal.complies());
    assert_eq!(
        proposal.notes,
        ["inbound entry 101, allow all from ::/0 is not changed, because the setting `ipv6` is false"]
    );
}

#[test]
fn what_is_open_in_pieces_under_an_entry_that_goes_is_held_as_well() {
    let proposal = plan(acl(&["90 allow all 0.0.0.0/0", TCP, UDP]));
    assert_eq!((gone(&proposal), proposal.held), (vec![90], vec![open_by("IPv4", "100, 110")]));
}

#[test]
fn who_receives_what_afterwards_is_noted() {
    let who = "subnets subnet-00000000000000001, subnet-00000000000000002";
    let open = ["100 allow all 0.0.0.0/0", "101 allow all ::/0"];
    let left = |family, entries| {
        format!(
            "{who} then receive only the {family} traffic that the inbound entries {entries} allow, return traffic \
             included"
        )
    };
    let lets_nothing_in = |entry| {
        format!("{entry} lets nothing in, because lower-numbered entries deny all of it: deleting it cuts nothing off")
    };
    for (more, notes) in [
        // The guard tells of the last allow.
        (&[][..], vec![]),
        (&["110 allow tcp 443-443 0.0.0.0/0"], vec![left("IPv4", "110")]),
        (
            &["110 allow tcp 443-443 0.0.0.0/0", "120 allow all 10.0.0.0/8", "130 allow udp 53-53 fd00::/8"],
            vec![left("IPv4", "110, 120"), left("IPv6", "130")],
        ),
        // What lets nothing in saves nobody.
        (&["105 deny tcp 0-1023 0.0.0.0/0", "110 allow tcp 443-443 0.0.0.0/0"], vec![]),
        (&["90 deny all 0.0.0.0/0"], vec![lets_nothing_in("inbound entry 100, allow all from 0.0.0.0/0")]),
    ] {
        let proposal = plan(acl(&[&open[..], more].concat()));
        assert_eq!((gone(&proposal), proposal.notes), (vec![100, 101], notes), "{more:?}");
    }
    let unused = Acl { subnets: vec![], ..acl(&["100 allow all 0.0.0.0/0"]) };
    assert_eq!(plan(unused).notes, ["no subnet uses it, so none is cut off"]);
}

#[test]
fn what_is_lost_is_what_lives() {
    let loss = |entries: &[&str], gone: i32| losses(&acl(entries), |entry| entry.number == gone);
    let open = "100 allow all 0.0.0.0/0";
    for (entries, expected) in [
        (&[open][..], vec![Loss::All]),
        (&[open, "110 allow tcp 443-443 ::/0"], vec![Loss::OfFamily(Family::Ipv4)]),
        (&[open, "110 allow tcp 443-443 0.0.0.0/0"], vec![Loss::AllBut(Family::Ipv4, vec![110])]),
        // Dead, whether it goes or stays.
        (&["90 deny all 0.0.0.0/0", open], vec![]),
        (&["80 deny all 0.0.0.0/1", "90 deny all 128.0.0.0/1", open], vec![]),
        (&[open, "105 deny all 0.0.0.0/0", "110 allow tcp 443-443 0.0.0.0/0"], vec![Loss::All]),
        (&["90 deny tcp 443-443 0.0.0.0/0", open, "110 allow tcp 443-443 10.0.0.0/8"], vec![Loss::All]),
        (&["90 deny icmp 0.0.0.0/0", open, "110 allow icmp 0.0.0.0/0"], vec![Loss::All]),
        // Alive, if only in part.
        (&["90 deny all 0.0.0.0/1", open], vec![Loss::All]),
        (&[open, "105 deny all 10.0.0.0/9", "110 allow all 10.0.0.0/8"], vec![Loss::AllBut(Family::Ipv4, vec![110])]),
        (
            &[open, "105 deny tcp 0-442 0.0.0.0/0", "110 allow tcp 0-443 0.0.0.0/0"],
            vec![Loss::AllBut(Family::Ipv4, vec![110])],
        ),
        (
            &[open, "105 deny tcp 0-65535 0.0.0.0/0", "110 allow all 10.0.0.0/8"],
            vec![Loss::AllBut(Family::Ipv4, vec![110])],
        ),
    ] {
        assert_eq!(loss(entries, 100), expected, "{entries:?}");
    }
}

#[test]
fn each_control_is_about_its_own_acls() {
    let open = || acl(&["100 allow all 0.0.0.0/0"]);
    let custom = Acl { is_default: false, ..open() };
    let unused = Acl { subnets: vec![], ..open() };
    let neither = Acl { is_default: false, ..unused.clone() };
    let not_default = "acl-0123456789abcdef0 is not the default network ACL of its VPC";
    let not_used = "no subnet is associated with acl-0123456789abcdef0";
    let both = &[Which::Default, Which::Subnet][..];
    for (which, acl, says) in [
        (&[Which::Default][..], open(), None),
        (&[Which::Subnet], open(), None),
        (&[Which::Subnet], custom.clone(), None),
        (&[Which::Default], unused.clone(), None),
        (both, custom.clone(), None),
        (both, unused.clone(), None),
        (&[Which::Default], custom, Some(vec![not_default])),
        (&[Which::Subnet], unused, Some(vec![not_used])),
        (both, neither, Some(vec![not_default, not_used])),
    ] {
        let proposal = plan_for(acl, which, Settings::default());
        assert_eq!(proposal.complies(), says.is_some(), "{which:?}: {proposal:?}");
        assert!(says.is_none_or(|says| proposal.notes == says), "{proposal:?}");
    }
}

/// The sources of the random entries, and an address in each part into which they divide the public ones.
const SOURCES: [&str; 6] = ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "8.0.0.0/7", "8.8.8.0/24", "10.0.0.0/8"];
pub(super) const PUBLIC: [Ipv4Addr; 4] =
    [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(200, 1, 1, 1)];
pub(super) const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 1);
const PORTS: [&str; 5] = ["0-65535", "1-65535", "0-1023", "1024-65535", "22-22"];
const OF_PORTS: [u16; 4] = [1, 22, 1023, 1024];

pub(super) fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let one = (
        prop::bool::weighted(0.7),
        prop::sample::select(vec!["all", "tcp", "udp", "icmp"]),
        prop::sample::select(PORTS.to_vec()),
        prop::sample::select(SOURCES.to_vec()),
    );
    prop::collection::vec(one, 0..12).prop_map(|all| {
        let text = |(number, (allows, protocol, ports, source)): (usize, (bool, &str, &str, &str))| {
            let action = if allows { "allow" } else { "deny" };
            let part = if matches!(protocol, "tcp" | "udp") { format!("{protocol} {ports}") } else { protocol.into() };
            entry(&format!("{} {action} {part} {source}", number * 10 + 10))
        };
        all.into_iter().enumerate().map(text).collect()
    })
}

/// A packet; to no port where the protocol has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    pub(super) protocol: u8,
    pub(super) port: u16,
    pub(super) source: IpAddr,
}

impl Packet {
    fn is_of(self, entry: &Entry) -> bool {
        let of_protocol = match &entry.protocol {
            Protocol::All => true,
            Protocol::Some(protocol, ports) => *protocol == self.protocol && ports.contains(&self.port),
        };
        of_protocol && entry.source.contains(&self.source)
    }

    /// Whether it gets in: the first entry that is about it decides.
    pub(super) fn gets_in(self, entries: &[Entry]) -> bool {
        entries.iter().find(|entry| self.is_of(entry)).is_some_and(Entry::allows)
    }
}

/// One packet for each kind that the random entries tell apart.
pub(super) fn packets(sources: &[Ipv4Addr], protocols: &[u8]) -> Vec<Packet> {
    let of = |source: &Ipv4Addr| {
        let source = IpAddr::from(*source);
        protocols.iter().flat_map(move |protocol| OF_PORTS.map(|port| Packet { protocol: *protocol, port, source }))
    };
    sources.iter().flat_map(of).collect()
}

proptest! {
    /// Packet by packet: what EC2 would let in is never said to comply where it is everything.
    #[test]
    fn an_acl_that_lets_everything_in_never_complies(inbound in entries()) {
        let lets_in_all = packets(&PUBLIC, &[6, 17]).iter().all(|packet| packet.gets_in(&inbound));
        let proposal = plan(Acl { inbound, ..acl(&[]) });
        prop_assert!(!lets_in_all || !proposal.complies(), "{:?}", proposal);
    }

    /// Packet by packet: an entry is dead where no packet that it is about gets to it, past the denies.
    #[test]
    fn an_entry_is_dead_where_no_packet_gets_past_the_denies_to_it(inbound in entries()) {
        let everything = packets(&[&PUBLIC[..], &[PRIVATE]].concat(), &[1, 6, 17, 47]);
        for (place, entry) in inbound.iter().enumerate().filter(|(_, entry)| entry.allows()) {
            let denied = |packet: &Packet| inbound[..place].iter().any(|of| !of.allows() && packet.is_of(of));
            let reached = everything.iter().any(|packet| packet.is_of(entry) && !denied(packet));
            // Nothing listens on port 0, and yet a packet to it may get in.
            let to_port_0 = Packet { protocol: 6, port: 0, source: entry.source.network() };
            let only_port_0 = [6, 17].map(|protocol| Packet { protocol, ..to_port_0 });
            let only_port_0 = only_port_0.iter().any(|packet| packet.is_of(entry) && !denied(packet));
            prop_assert_eq!(traffic::is_dead(entry, &inbound), !reached && !only_port_0, "{}", entry);
        }
    }
}
