//! The ports of the controls: which rules open them, and what is left of a rule without them.

use std::{fmt, slice};

use serde::Deserialize;

use crate::ingress::{Everyone, IngressRule, Protocol, opens};

pub(crate) const LAST_PORT: i32 = 65535;
/// In place of a port: every type, or every code, of ICMP; and no port where the protocol has none.
pub(crate) const ANY: i32 = -1;

/// The ports of the controls.
pub(crate) const ADMIN_PORTS: [i32; 2] = [22, 3389];

/// Whether a rule of this protocol and these ports opens a port of any control.
pub(crate) fn opens_admin_port(of: Protocol, ports: (i32, i32)) -> bool {
    let is_open = |protocol| ADMIN_PORTS.iter().any(|port| opens(of, ports, protocol, *port));
    is_open(Protocol::Tcp) || is_open(Protocol::Udp)
}

/// What a control is about: its parameters in `rule.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminPort {
    /// The port.
    pub port: i32,
    /// The protocols by which it must not be open.
    pub protocols: Vec<Protocol>,
}

/// The ports of all the controls that a plan is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdminPorts<'a>(pub(crate) &'a [&'a AdminPort]);

impl AdminPorts<'_> {
    /// Whether the rule opens one of them.
    pub(crate) fn are_opened_by(self, rule: &IngressRule) -> bool {
        self.0.iter().any(|port| port.is_opened_by(rule))
    }

    /// The rules that open what `rule` opens, but none of these ports; none where it opens nothing else.
    pub(crate) fn without(self, rule: &IngressRule) -> Vec<IngressRule> {
        self.0.iter().fold(vec![rule.clone()], |rules, port| {
            let rest = |rule| if port.is_opened_by(&rule) { port.without(&rule) } else { vec![rule] };
            rules.into_iter().flat_map(rest).collect()
        })
    }
}

impl fmt::Display for AdminPorts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|port| port.port.to_string()).collect::<Vec<_>>().join(" and "))
    }
}

impl AdminPort {
    fn is_opened_by(&self, rule: &IngressRule) -> bool {
        self.protocols.iter().any(|protocol| rule.opens(*protocol, self.port))
    }

    /// Of a rule for all traffic the rest cannot open the protocols beside TCP, UDP and ICMP: nobody knows which of them
    /// are used, and each takes a rule of the group's quota.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html>
    fn without(&self, rule: &IngressRule) -> Vec<IngressRule> {
        let of = |protocol, (from_port, to_port)| IngressRule { protocol, from_port, to_port, ..rule.clone() };
        let whole = match (rule.protocol, rule.from) {
            (Protocol::All, Everyone::Ipv4) => vec![
                of(Protocol::Tcp, (0, LAST_PORT)),
                of(Protocol::Udp, (0, LAST_PORT)),
                of(Protocol::Icmp, (ANY, ANY)),
            ],
            (Protocol::All, Everyone::Ipv6) => vec![
                of(Protocol::Tcp, (0, LAST_PORT)),
                of(Protocol::Udp, (0, LAST_PORT)),
                of(Protocol::Icmpv6, (ANY, ANY)),
            ],
            _ => slice::from_ref(rule).to_vec(),
        };
        let around = |rule: IngressRule| {
            if !self.is_opened_by(&rule) {
                return vec![rule];
            }
            let sides = [(rule.from_port, self.port - 1), (self.port + 1, rule.to_port)];
            sides.into_iter().filter(|(from, to)| from <= to).map(|side| of(rule.protocol, side)).collect()
        };
        whole.into_iter().flat_map(around).collect()
    }
}
