//! Who reaches a port through rules for ranges of addresses and prefix lists: what is as wide as the world together.

use std::collections::BTreeMap;

use ec2::{IPV6_INTERNET, NOT_OF_THE_INTERNET};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::admin_port::AdminPort;
use crate::ingress::{Everyone, Protocol, opens, traffic};

/// An inbound rule for a range of addresses that is not everyone, or for a prefix list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) id: String,
    pub(crate) protocol: Protocol,
    pub(crate) ports: (i32, i32),
    pub(crate) peer: Peer,
}

/// Whom such a rule lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    Range(IpNet),
    /// The addresses of the prefix list of this ID.
    List(String),
}

/// The entries of prefix lists by the lists' IDs; the reason where they cannot be read.
pub(crate) type Lists = BTreeMap<String, Result<Vec<IpNet>, String>>;

/// What a port is open to, beside rules for everyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Open {
    /// Everyone, by these rules.
    ToEveryone(Everyone, String),
    /// Nobody knows whom, by a rule for a prefix list.
    ToUnknown(String),
}

/// So many rules are named.
const NAMED: usize = 10;

/// What the control's port is open to by `rules`.
pub(crate) fn open(port: &AdminPort, rules: &[Partial], lists: &Lists) -> Vec<Open> {
    let mut by: BTreeMap<(Everyone, String), Vec<&str>> = BTreeMap::new();
    for protocol in &port.protocols {
        let opening = rules.iter().filter(|rule| opens(rule.protocol, rule.ports, *protocol, port.port));
        let opening: Vec<_> = opening.map(|rule| (rule, rule.addresses(lists))).collect();
        for everyone in [Everyone::Ipv4, Everyone::Ipv6] {
            if is_everyone(everyone, opening.iter().flat_map(|(_, addresses)| *addresses)) {
                by.entry((everyone, name(everyone, &opening))).or_default().push(protocol.name());
            }
        }
    }
    let everyone = by.into_iter().map(|((everyone, rules), protocols)| {
        let text = format!(
            "port {} ({}) is open to everyone, as if by {}, through {rules}. A person has to decide what happens to \
             these rules: narrow or revoke them, or take entries off the prefix list",
            port.port,
            protocols.join(", "),
            everyone.cidr(),
        );
        Open::ToEveryone(everyone, text)
    });
    let unknown = rules.iter().filter_map(|rule| {
        let is_open = port.protocols.iter().any(|protocol| opens(rule.protocol, rule.ports, *protocol, port.port));
        match lists.get(rule.list()?) {
            _ if !is_open => None,
            Some(Ok(_)) => None,
            Some(Err(reason)) => Some((rule, reason.as_str())),
            None => Some((rule, "they were not read")),
        }
    });
    let unknown = unknown.map(|(rule, reason)| {
        let text = format!(
            "port {} is open through {rule}, but nobody knows to whom, because the list's entries cannot \
             be read: {reason}",
            port.port
        );
        Open::ToUnknown(text)
    });
    everyone.chain(unknown).collect()
}

impl Partial {
    /// The ID of the prefix list that it is for.
    pub(crate) fn list(&self) -> Option<&str> {
        match &self.peer {
            Peer::List(list) => Some(list),
            Peer::Range(_) => None,
        }
    }

    fn addresses<'a>(&'a self, lists: &'a Lists) -> &'a [IpNet] {
        match &self.peer {
            Peer::Range(range) => std::slice::from_ref(range),
            Peer::List(list) => lists.get(list).and_then(|entries| entries.as_deref().ok()).unwrap_or_default(),
        }
    }
}

/// Whether these addresses are all those of the internet, by one version of IP.
fn is_everyone<'a>(everyone: Everyone, addresses: impl Iterator<Item = &'a IpNet>) -> bool {
    match everyone {
        Everyone::Ipv4 => {
            let of_ipv4 = addresses.filter_map(|range| if let IpNet::V4(range) = range { Some(*range) } else { None });
            let all: Vec<_> = of_ipv4.chain(NOT_OF_THE_INTERNET).collect();
            Ipv4Net::aggregate(&all).iter().any(|range| range.prefix_len() == 0)
        }
        Everyone::Ipv6 => {
            let of_ipv6 = addresses.filter_map(|range| if let IpNet::V6(range) = range { Some(*range) } else { None });
            let all: Vec<_> = of_ipv6.collect();
            Ipv6Net::aggregate(&all).iter().any(|range| range.contains(&IPV6_INTERNET))
        }
    }
}

/// The rules that make it everyone, but not those that another one contains; the widest first.
fn name(everyone: Everyone, opening: &[(&Partial, &[IpNet])]) -> String {
    let contributes = |(rule, addresses): &&(&Partial, &[IpNet])| {
        let others: Vec<_> = opening.iter().filter(|(other, _)| other.id != rule.id).flat_map(|(_, of)| *of).collect();
        let is_own = |range: &&IpNet| !others.iter().any(|other| other.contains(*range) && other != range);
        addresses.iter().filter(|range| is_of(everyone, range)).any(|range| is_own(&range))
    };
    let mut named: Vec<_> = opening.iter().filter(contributes).collect();
    named.sort_by_key(|(rule, addresses)| (widest(everyone, addresses), &rule.id));
    let more = named.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    let named: Vec<_> = named.iter().take(NAMED).map(|(rule, _)| rule.to_string()).collect();
    format!("{}{more}", named.join(", "))
}

fn is_of(everyone: Everyone, range: &IpNet) -> bool {
    matches!((everyone, range), (Everyone::Ipv4, IpNet::V4(_)) | (Everyone::Ipv6, IpNet::V6(_)))
}

/// The length of the shortest prefix, where there is one of this version of IP.
fn widest(everyone: Everyone, addresses: &[IpNet]) -> Option<u8> {
    addresses.iter().filter(|range| is_of(everyone, range)).map(IpNet::prefix_len).min()
}

impl std::fmt::Display for Partial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} from ", self.id, traffic(self.protocol, self.ports))?;
        match &self.peer {
            Peer::Range(range) => write!(f, "{range})"),
            Peer::List(list) => write!(f, "the prefix list {list})"),
        }
    }
}
