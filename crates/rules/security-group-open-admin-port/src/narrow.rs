//! In which order wide rules become narrower ones, so that a group never has more rules than before or after.
//!
//! EC2 counts a group's rules at each add, but can change a rule in place, which takes no room. So each wide rule becomes
//! one of the narrower rules that it needs, and only what no wide rule becomes is added. Which becomes which is a
//! matching of the wide rules with the narrower ones, as large as can be:
//!
//! 1. A wide rule that is left without one needs nothing that others do not become: it can go at once, and makes room.
//! 2. What is left of the narrower rules is added.
//! 3. The others change in place.
//!
//! Nothing else is closed for a moment: what a wide rule needs is there already, or was added before, or is what it
//! becomes, or is what another wide rule becomes, which opens it all the same until then.

use crate::admin_port::AdminPorts;
use crate::ingress::IngressRule;

/// What becomes of one wide rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Narrowed {
    pub(crate) wide: IngressRule,
    /// What the group does not have yet: first what the wide rule becomes, then what is added before that. Nothing:
    /// the wide rule goes.
    pub(crate) give: Vec<IngressRule>,
    /// What it needs beside that.
    pub(crate) keep: Vec<IngressRule>,
}

/// What becomes of the rules in `wide`, in the order in which it is written, where a group lets everyone in by `present`.
pub(crate) fn narrow(wide: &[IngressRule], present: &[IngressRule], ports: AdminPorts<'_>) -> Vec<Narrowed> {
    let needs: Vec<_> = wide.iter().map(|rule| ports.without(rule)).collect();
    let matched = Matching::of(&needs, present);
    let mut given: Vec<IngressRule> = Vec::new();
    let mut narrowed = |number: usize| {
        let (wide, needs): (&IngressRule, &[IngressRule]) = (wide.get(number)?, needs.get(number)?);
        let becomes = matched.of_wide(number);
        let is_given = |rule: &&IngressRule| {
            let is_own = becomes.is_some_and(|becomes| becomes.is_same_as(rule));
            is_own || becomes.is_some() && !rule.is_in(present) && !rule.is_in(&given) && !matched.is_matched(rule)
        };
        let (mut give, keep): (Vec<_>, Vec<_>) = needs.iter().cloned().partition(|rule| is_given(&rule));
        give.sort_by_key(|rule| !becomes.is_some_and(|becomes| becomes.is_same_as(rule)));
        given.extend(give.iter().cloned());
        Some(Narrowed { wide: wide.clone(), give, keep })
    };
    let (stay, go): (Vec<_>, Vec<_>) = (0..wide.len()).partition(|number| matched.of_wide(*number).is_some());
    go.into_iter().chain(stay).filter_map(&mut narrowed).collect()
}

/// Which narrower rule each wide rule becomes.
struct Matching<'a> {
    /// The narrower rules that the group does not have, each with the number of the wide rule that becomes it.
    fresh: Vec<(&'a IngressRule, Option<usize>)>,
}

impl<'a> Matching<'a> {
    /// The largest there is: each wide rule in turn takes one of the rules that it needs, and whoever had that takes
    /// another if it can.
    fn of(needs: &'a [Vec<IngressRule>], present: &[IngressRule]) -> Self {
        let mut matching = Self { fresh: Vec::new() };
        for rule in needs.iter().flatten().filter(|rule| !rule.is_in(present)) {
            if !matching.fresh.iter().any(|(other, _)| other.is_same_as(rule)) {
                matching.fresh.push((rule, None));
            }
        }
        for number in 0..needs.len() {
            matching.take(number, needs, &mut Vec::new());
        }
        matching
    }

    /// Whether the wide rule of this number got one of the rules that were not `asked` for yet.
    fn take(&mut self, number: usize, needs: &[Vec<IngressRule>], asked: &mut Vec<usize>) -> bool {
        let needs_of = needs.get(number).map(Vec::as_slice).unwrap_or_default();
        for place in 0..self.fresh.len() {
            let Some((rule, taken)) = self.fresh.get(place).copied() else { continue };
            if !rule.is_in(needs_of) || asked.contains(&place) {
                continue;
            }
            asked.push(place);
            if taken.is_none_or(|other| self.take(other, needs, asked)) {
                if let Some(slot) = self.fresh.get_mut(place) {
                    slot.1 = Some(number);
                }
                return true;
            }
        }
        false
    }

    fn of_wide(&self, number: usize) -> Option<&'a IngressRule> {
        self.fresh.iter().find(|(_, taken)| *taken == Some(number)).map(|(rule, _)| *rule)
    }

    fn is_matched(&self, rule: &IngressRule) -> bool {
        self.fresh.iter().any(|(other, taken)| taken.is_some() && other.is_same_as(rule))
    }
}
