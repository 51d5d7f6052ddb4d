//! The port of a control: which rules open it, and what is left of a rule without it.

use serde::Deserialize;

use crate::ingress::{Everyone, IngressRule, Protocol};

const LAST_PORT: i32 = 65535;
/// In place of a port: every type, or every code, of ICMP; and no port where the protocol has none.
const ANY: i32 = -1;

/// What a control is about: its parameters in `rule.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminPort {
    pub(crate) port: i32,
    /// The protocols by which the port must not be open.
    pub(crate) protocols: Vec<Protocol>,
}

impl AdminPort {
    pub(crate) fn is_opened_by(&self, rule: &IngressRule) -> bool {
        let is_in_range = rule.from_port <= self.port && self.port <= rule.to_port;
        rule.protocol == Protocol::All || self.protocols.contains(&rule.protocol) && is_in_range
    }

    /// Whether the rule opens this port and nothing else.
    pub(crate) fn is_all_of(&self, rule: &IngressRule) -> bool {
        self.is_opened_by(rule) && (rule.from_port, rule.to_port) == (self.port, self.port)
    }

    /// The rules that open what `rule` opens, but not this port. Of a rule for all traffic they cannot open the protocols
    /// beside TCP, UDP and ICMP: nobody knows which of them are used, and each takes a rule of the group's quota.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html>
    pub(crate) fn without(&self, rule: &IngressRule) -> Vec<IngressRule> {
        let ranges = match rule.protocol {
            Protocol::All => {
                let icmp = match rule.from {
                    Everyone::Ipv4 => Protocol::Icmp,
                    Everyone::Ipv6 => Protocol::Icmpv6,
                };
                let ports = [Protocol::Tcp, Protocol::Udp].map(|protocol| self.around(protocol, 0, LAST_PORT));
                ports.into_iter().flatten().chain([(icmp, ANY, ANY)]).collect()
            }
            protocol => self.around(protocol, rule.from_port, rule.to_port),
        };
        let narrower = |(protocol, from_port, to_port)| IngressRule { protocol, from_port, to_port, ..rule.clone() };
        ranges.into_iter().map(narrower).collect()
    }

    /// What is left of a range of ports.
    fn around(&self, protocol: Protocol, from: i32, to: i32) -> Vec<(Protocol, i32, i32)> {
        if !self.protocols.contains(&protocol) {
            return vec![(protocol, from, to)];
        }
        let sides = [(from, to.min(self.port - 1)), (from.max(self.port + 1), to)];
        sides.into_iter().filter(|(from, to)| from <= to).map(|(from, to)| (protocol, from, to)).collect()
    }
}
