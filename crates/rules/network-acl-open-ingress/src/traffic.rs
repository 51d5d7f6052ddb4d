//! What entries let in, together and in the order of their numbers.
//!
//! EC2 holds a packet against the entries from the lowest number up, and the first that is about it decides. So an allow
//! all of whose traffic is denied by entries of lower numbers lets nothing in: it is dead. What several live allows let
//! in together can be everything although none of them says so: TCP and UDP, each with all ports; half of the addresses
//! and the other half.
//!
//! That is worked out kind by kind. A [`Kind`] is traffic that no entry tells apart: of one protocol, the ports between
//! two at which some entry begins or ends. Of each kind, only addresses are left to be reckoned with.

use ec2::{IPV6_INTERNET, NOT_OF_THE_INTERNET};
use ipnet::IpNet;

use crate::acl::{Entry, Family, Protocol, TCP, UDP};

/// Some addresses of one family, as ranges in any order.
#[derive(Debug, Clone, Default)]
struct Addresses(Vec<(u128, u128)>);

/// Traffic that no entry tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// None: one that no entry names.
    protocol: Option<u8>,
    /// The first of the ports.
    port: u16,
}

/// The entry lets nothing in: the entries of lower numbers, out of `entries`, deny all that it allows.
pub(crate) fn is_dead(entry: &Entry, entries: &[Entry]) -> bool {
    let denies = |of: &&Entry| !of.allows() && of.number < entry.number && of.family() == entry.family();
    let denying: Vec<&Entry> = entries.iter().filter(denies).collect();
    kinds(entries).into_iter().filter(|kind| kind.is_of(entry)).all(|kind| {
        let denied = Addresses::of(denying.iter().copied().filter(|of| kind.is_of(of)));
        Addresses::of([entry]).without(&denied).0.is_empty()
    })
}

/// The fewest of `allowing`, allows of one family, that together let in all TCP and all UDP from the whole internet;
/// none where all of them do not. ICMP and other protocols do not matter: an ACL without them is as good as open.
pub(crate) fn all_let_in_by<'a>(allowing: &[&'a Entry], family: Family) -> Option<Vec<&'a Entry>> {
    if ![TCP, UDP].into_iter().all(|protocol| let_in_all(protocol, allowing, family)) {
        return None;
    }
    let mut needed = allowing.to_vec();
    for entry in allowing {
        let without: Vec<_> = needed.iter().copied().filter(|of| of.number != entry.number).collect();
        if [TCP, UDP].into_iter().all(|protocol| let_in_all(protocol, &without, family)) {
            needed = without;
        }
    }
    Some(needed)
}

/// Whether every port of the protocol is reached from the whole internet. Nothing listens on port 0.
fn let_in_all(protocol: u8, allowing: &[&Entry], family: Family) -> bool {
    let kinds = kinds(allowing.iter().copied()).into_iter().filter(|kind| kind.protocol == Some(protocol));
    let mut ports = kinds.filter(|kind| kind.port > 0).peekable();
    ports.peek().is_some()
        && ports.all(|kind| {
            let allowed = Addresses::of(allowing.iter().copied().filter(|of| kind.is_of(of)));
            Addresses::internet(family).without(&allowed).0.is_empty()
        })
}

/// Every kind of traffic that these entries tell apart; of TCP and UDP at least port 0 and the others.
fn kinds<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Kind> {
    let mut kinds = vec![Kind { protocol: None, port: 0 }];
    kinds.extend([TCP, UDP].into_iter().flat_map(|of| [0, 1].map(|port| Kind { protocol: Some(of), port })));
    for entry in entries {
        if let Protocol::Some(protocol, ports) = &entry.protocol {
            let starts = [Some(0), Some(*ports.start()), ports.end().checked_add(1)];
            kinds.extend(starts.into_iter().flatten().map(|port| Kind { protocol: Some(*protocol), port }));
        }
    }
    kinds
}

impl Kind {
    fn is_of(self, entry: &Entry) -> bool {
        match &entry.protocol {
            Protocol::All => true,
            Protocol::Some(protocol, ports) => self.protocol == Some(*protocol) && ports.contains(&self.port),
        }
    }
}

impl Addresses {
    /// The sources of the entries.
    fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        Self(entries.into_iter().map(|entry| range(entry.source)).collect())
    }

    fn internet(family: Family) -> Self {
        match family {
            Family::Ipv4 => {
                let reserved = NOT_OF_THE_INTERNET.iter().map(|net| range((*net).into())).collect();
                Self(vec![(0, u32::MAX.into())]).without(&Self(reserved))
            }
            Family::Ipv6 => Self(vec![range(IPV6_INTERNET.into())]),
        }
    }

    fn without(self, others: &Self) -> Self {
        others.0.iter().fold(self, |left, hole| Self(left.0.into_iter().flat_map(|of| cut(of, *hole)).collect()))
    }
}

/// What is left of a range without a hole in it.
fn cut((first, last): (u128, u128), (from, to): (u128, u128)) -> impl Iterator<Item = (u128, u128)> {
    if to < first || last < from {
        return [Some((first, last)), None].into_iter().flatten();
    }
    // Where there is something on this side of the hole, there is a number beside it.
    let before = (first < from).then(|| (first, from.saturating_sub(1)));
    let after = (to < last).then(|| (to.saturating_add(1), last));
    [before, after].into_iter().flatten()
}

fn range(net: IpNet) -> (u128, u128) {
    match net {
        IpNet::V4(net) => (u32::from(net.network()).into(), u32::from(net.broadcast()).into()),
        IpNet::V6(net) => (net.network().into(), net.broadcast().into()),
    }
}
