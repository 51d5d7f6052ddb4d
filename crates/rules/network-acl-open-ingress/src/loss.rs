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
    /// What becomes of each subnet where the last inbound allow goes, of everything or of one family; none where some
    /// allow stays.
    pub(crate) fn cuts_off(&self) -> Option<String> {
        match self {
            Self::All => Some("is cut off: its last inbound allow goes, and with it all return traffic".to_owned()),
            Self::OfFamily(family) => Some(format!(
                "is cut off from {family}: its last inbound allow of {family} goes, and with it all return traffic"
            )),
            Self::AllBut(..) => None,
        }
    }

    /// What the subnets still receive where some allow stays; none where they are cut off.
    pub(crate) fn leaves(&self, subnets: &str) -> Option<String> {
        let Self::AllBut(family, staying) = self else { return None };
        let staying = numbers(staying);
        Some(format!(
            "subnets {subnets} then receive only the {family} traffic that the inbound entries {staying} allow, return \
             traffic included"
        ))
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
