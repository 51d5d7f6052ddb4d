//! What the subnets of an ACL lose with the entries that go.
//!
//! Only live entries count: with a dead one nothing is lost, and a dead one that stays saves nobody.

use crate::acl::{Acl, Entry, Family};
use crate::traffic;

/// What the subnets of an ACL lose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Loss {
    /// All that is let in.
    All,
    /// All that is let in of one address family.
    OfFamily(Family),
    /// Of one address family, all but what the entries of these numbers let in.
    AllBut(Family, Vec<i32>),
}

impl Loss {
    /// Whether it is what the guard is about: the last inbound allow.
    pub(crate) fn is_of_last_allow(&self) -> bool {
        !matches!(self, Self::AllBut(..))
    }

    /// The loss of these subnets, in words.
    pub(crate) fn by(&self, subnets: &str) -> String {
        match self {
            Self::All => format!("the last inbound allow: subnets {subnets} are cut off, return traffic included"),
            Self::OfFamily(family) => format!(
                "the last inbound allow of {family}: subnets {subnets} are cut off from {family}, return traffic included"
            ),
            Self::AllBut(family, staying) => format!(
                "subnets {subnets} then receive only the {family} traffic that the inbound entries {} allow, return \
                 traffic included",
                numbers(staying)
            ),
        }
    }
}

/// The losses when those entries go for which `goes` holds, family by family, for they do not stand in for each other.
pub(crate) fn losses(acl: &Acl, goes: impl Fn(&Entry) -> bool) -> Vec<Loss> {
    let live = |entry: &&Entry| entry.allows() && !traffic::is_dead(entry, &acl.inbound);
    let (going, staying): (Vec<&Entry>, Vec<&Entry>) = acl.inbound.iter().filter(live).partition(|entry| goes(entry));
    if !going.is_empty() && staying.is_empty() {
        return vec![Loss::All];
    }
    let loss = |family| {
        going.iter().find(|entry| entry.family() == family)?;
        let staying = staying.iter().filter(|entry| entry.family() == family);
        let staying: Vec<_> = staying.map(|entry| entry.number).collect();
        Some(if staying.is_empty() { Loss::OfFamily(family) } else { Loss::AllBut(family, staying) })
    };
    [Family::Ipv4, Family::Ipv6].into_iter().filter_map(loss).collect()
}

pub(crate) fn numbers(numbers: &[i32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
