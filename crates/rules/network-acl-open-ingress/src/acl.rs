//! A network ACL, as far as the rule is about it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// A network ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    pub(crate) id: String,
    pub(crate) is_default: bool,
    pub(crate) subnets: Vec<String>,
    pub(crate) inbound: Vec<Entry>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// An inbound entry of a network ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: i32,
    pub(crate) action: Action,
    pub(crate) protocol: Protocol,
    pub(crate) source: IpNet,
}

/// What an entry does with the traffic that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Allow,
    Deny,
}

/// What of the traffic of its source an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// All of it.
    All,
    /// The protocol of this number, and of that some ports; of ICMP, types and codes, each pair as one number.
    Some(u8, RangeInclusive<u16>),
}

/// The addresses of a version of IP; all of them, where it is a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// Every IPv4 address.
    #[serde(rename = "0.0.0.0/0")]
    Ipv4,
    /// Every IPv6 address.
    #[serde(rename = "::/0")]
    Ipv6,
}

impl Family {
    /// Every address of the family, as EC2 writes it.
    pub(crate) fn everywhere(self) -> &'static str {
        match self {
            Self::Ipv4 => "0.0.0.0/0",
            Self::Ipv6 => "::/0",
        }
    }
}

impl Entry {
    pub(crate) fn allows(&self) -> bool {
        self.action == Action::Allow
    }

    pub(crate) fn family(&self) -> Family {
        match self.source {
            IpNet::V4(_) => Family::Ipv4,
            IpNet::V6(_) => Family::Ipv6,
        }
    }

    /// The family of which it allows, by itself, all traffic from every address.
    pub(crate) fn open_to(&self) -> Option<Family> {
        let everything = self.source.prefix_len() == 0 && self.protocol == Protocol::All;
        (everything && self.allows()).then(|| self.family())
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, action, protocol, source } = self;
        write!(f, "inbound entry {number}, {action} {protocol} from {source}")
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Some(protocol @ (TCP | UDP), ports) => {
                let protocol = if *protocol == TCP { "TCP" } else { "UDP" };
                write!(f, "{protocol} {}-{}", ports.start(), ports.end())
            }
            Self::Some(ICMP | ICMPV6, _) => f.write_str("ICMP"),
            Self::Some(protocol, _) => write!(f, "protocol {protocol}"),
        }
    }
}
