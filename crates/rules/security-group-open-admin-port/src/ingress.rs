//! Inbound rules for everyone.

use std::collections::BTreeMap;
use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::admin_port::ANY;

/// The protocols of the rules that matter here; a rule of any other opens no admin port.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// All traffic, of every protocol and port.
    #[serde(rename = "-1")]
    All,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// ICMP for IPv6.
    Icmpv6,
}

impl Protocol {
    /// The protocol that EC2 calls so, by name or by number.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "-1" => Self::All,
            "tcp" | "6" => Self::Tcp,
            "udp" | "17" => Self::Udp,
            "icmp" | "1" => Self::Icmp,
            "icmpv6" | "58" => Self::Icmpv6,
            _ => return None,
        })
    }

    /// What EC2 calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "-1",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
        }
    }
}

/// Whether a rule of this protocol and these ports opens that port of that protocol.
pub(crate) fn opens(of: Protocol, (from, to): (i32, i32), protocol: Protocol, port: i32) -> bool {
    of == Protocol::All || of == protocol && (from..=to).contains(&port)
}

/// Everyone, by one of the two versions of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Everyone {
    /// By IPv4.
    #[serde(rename = "0.0.0.0/0")]
    Ipv4,
    /// By IPv6.
    #[serde(rename = "::/0")]
    Ipv6,
}

impl Everyone {
    /// Everyone, where the range is as wide as that.
    pub(crate) fn of(range: IpNet) -> Option<Self> {
        match (range.prefix_len(), range) {
            (0, IpNet::V4(_)) => Some(Self::Ipv4),
            (0, IpNet::V6(_)) => Some(Self::Ipv6),
            _ => None,
        }
    }

    pub(crate) fn cidr(self) -> &'static str {
        match self {
            Self::Ipv4 => "0.0.0.0/0",
            Self::Ipv6 => "::/0",
        }
    }
}

/// The tags of a rule.
pub type Tags = BTreeMap<String, String>;

/// An inbound rule of a security group that lets everyone in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IngressRule {
    /// Its protocol.
    pub protocol: Protocol,
    /// The first port; -1 where the protocol has none, or for every type of ICMP.
    pub from_port: i32,
    /// The last port; -1 where the protocol has none, or for every code of ICMP.
    pub to_port: i32,
    /// Whom it lets in.
    pub from: Everyone,
    /// Its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its tags, those of AWS's own aside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: Tags,
}

impl IngressRule {
    /// Whether EC2 takes both for the same rule: a group has each only once, whatever it is described as.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let key = |of: &Self| (of.protocol, of.from_port, of.to_port, of.from);
        key(self) == key(other)
    }

    /// Whether it opens a port of a protocol that has ports.
    pub(crate) fn opens(&self, protocol: Protocol, port: i32) -> bool {
        opens(self.protocol, (self.from_port, self.to_port), protocol, port)
    }

    /// Whether it lets in all that `other` lets in.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let protocol = self.protocol == Protocol::All || self.protocol == other.protocol;
        let every = self.protocol == Protocol::All || (self.from_port, self.to_port) == (ANY, ANY);
        let ports = every || self.from_port <= other.from_port && other.to_port <= self.to_port;
        self.from == other.from && protocol && ports
    }

    pub(crate) fn is_in(&self, rules: &[Self]) -> bool {
        rules.iter().any(|rule| rule.is_same_as(self))
    }
}

/// A protocol and its ports, for people.
pub(crate) fn traffic(protocol: Protocol, ports: (i32, i32)) -> String {
    let name = if protocol == Protocol::All { "all traffic" } else { protocol.name() };
    match ports {
        (ANY, ANY) => name.to_owned(),
        (from, to) if from == to => format!("{name} {from}"),
        (from, to) => format!("{name} {from}-{to}"),
    }
}

impl fmt::Display for IngressRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", traffic(self.protocol, (self.from_port, self.to_port)), self.from.cidr())
    }
}
