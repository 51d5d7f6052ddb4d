//! What the simulator must find: each of these takes one safeguard out of the product.

/// A safeguard that is taken out.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// What is taken out.
    pub name: &'static str,
    /// The file, from the repository's top folder.
    pub file: &'static str,
    /// What is there, once.
    pub old: &'static str,
    /// What comes in its place.
    pub new: &'static str,
}

const fn mutant(name: &'static str, file: &'static str, old: &'static str, new: &'static str) -> Mutant {
    Mutant { name, file, old, new }
}

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    mutant(
        "the claim is not stored",
        "crates/engine/src/claim.rs",
        "let stored = put(&self.records, &known.key, &known.condition, &card).await.map_err(Refused::Failed)?;",
        "let stored = Some(known.condition.clone());",
    ),
    mutant(
        "a claim of another is not heeded",
        "crates/remediation/src/records/card.rs",
        "self.claim.as_ref().filter(|claim| now < claim.until && claim.holder != holder)",
        "self.claim.as_ref().filter(|claim| now < claim.until && claim.holder != holder && holder.is_empty())",
    ),
    mutant("the nonce of a ledger", "crates/remediation/src/records/ledger.rs", "day.nonce = ambient::uuid_v4();", ""),
    mutant(
        "`until` ends no write",
        "crates/engine/src/claim.rs",
        "    pub(crate) fn until(&self) -> Timestamp {\n",
        "    pub(crate) fn until(&self) -> Timestamp {\n        if !self.part.is_empty() { return Timestamp::MAX }\n",
    ),
    mutant(
        "the digest of a plan that is taken back",
        "crates/engine/src/undo.rs",
        "Some(stored) if stored.digest == digest => Ok(()),",
        "Some(stored) if stored.key == key => Ok(()),",
    ),
    mutant(
        "the digest of an approval",
        "crates/remediation/src/records/approval.rs",
        "if self.digest != digest {",
        "if self.digest != digest && digest.is_empty() {",
    ),
    mutant(
        "`side` at undo",
        "crates/engine/src/undo.rs",
        "Ok(sided.into_iter().filter(|(_, side)| *side != Side::Before).map(|(change, _)| change.clone()).collect())",
        "Ok(sided.into_iter().map(|(change, _)| change.clone()).collect())",
    ),
    mutant(
        "what is neither at undo",
        "crates/engine/src/undo.rs",
        "if !neither.is_empty() && drifted == Drifted::Hold {",
        "if neither.len() > written.len() && drifted == Drifted::Hold {",
    ),
    mutant(
        "`side` at approval",
        "crates/engine/src/decide.rs",
        "let moved = changes.iter().filter(|change| R::side(change, state) != Side::Before);",
        "let moved = changes.iter().filter(|change| R::side(change, state) != Side::Before).take(0);",
    ),
    mutant(
        "the plan is stored before the write",
        "crates/engine/src/record.rs",
        "let stored = self.records.put_new_from(first, &id.plan_key(), serde_json::to_vec(&plan)?).await?;",
        "let stored = Numbered { key: id.plan_key(), number: first };",
    ),
    mutant(
        "the fresh look before `fixed`",
        "crates/engine/src/prove.rs",
        "let found = look_until(within, look, again).await;",
        "let _ = (look, again); let found = Ok(Verification { at: ambient::now(), looks: 0, actions: Vec::new() });",
    ),
    mutant(
        "what the fresh look finds",
        "crates/engine/src/prove.rs",
        "match what_is_left(&proposal) {",
        "match what_is_left(&proposal).filter(|_| within == Duration::MAX) {",
    ),
    mutant(
        "the bound of a batch",
        "crates/poller/src/batches.rs",
        "if count <= size - taken.len() {",
        "if count <= 200 {",
    ),
    mutant(
        "what is under way is not handed on again",
        "crates/poller/src/poll.rs",
        "if self.under_way.has(&finding) {",
        "if self.under_way.has(&finding) && self.answer.received == 0 {",
    ),
    mutant(
        "the take-back of an add",
        "crates/sim/src/rules/gate.rs",
        "if done.is_err() {",
        "if done.is_err() && added.is_empty() {",
    ),
    mutant(
        "one outcome a finding",
        "crates/engine/src/lib.rs",
        "let findings = rows.into_iter().map(|row| row.row).collect();",
        "let findings = rows.into_iter().map(|row| row.row).skip(1).collect();",
    ),
    mutant(
        "the breaker of an account",
        "crates/engine/src/lib.rs",
        "self.breaker.is_open(decided.work.account(), &self.policy.limits)",
        "self.breaker.is_open(decided.work.account(), &self.policy.limits).filter(|why| why.is_empty())",
    ),
    mutant(
        "the policy before each write",
        "crates/engine/src/write.rs",
        "let Some(record) = &self.policy_record else { return self.is_in_window(order, &self.policy) };",
        "let Some(record) = self.policy_record.as_ref().filter(|_| order.needs == Mode::Off) else { return Ok(()) };",
    ),
    mutant(
        "what is under way before a claim is taken over",
        "crates/engine/src/claim.rs",
        "let under_way = Box::pin(R::under_way(client, resource)).await?;",
        "let under_way = Box::pin(R::under_way(client, resource)).await?.filter(String::is_empty);",
    ),
    mutant(
        "a claim is kept where a write has not ended",
        "crates/engine/src/lib.rs",
        "let kept = if has_ended { claimed.release(write).await }",
        "let kept = if has_ended || took.len() < 99 { claimed.release(write).await }",
    ),
    mutant(
        "what a person was shown, at undo",
        "crates/engine/src/undo.rs",
        "let Undo::Write { shown: Some(shown), .. } = how else { return Ok(()) };",
        "let Undo::Write { shown: Some(shown), exempt_until, .. } = how else { return Ok(()) };
    if *exempt_until < Timestamp::MAX { return Ok(()) }",
    ),
    mutant(
        "what is taken back is not taken back again",
        "crates/engine/src/undo.rs",
        "&& drifted == Drifted::Hold\n        {",
        "&& drifted == Drifted::PutBack\n        {",
    ),
    mutant(
        "the exemption by an undo",
        "crates/engine/src/decide.rs",
        "known.card.exempt.as_ref().filter(|exempt| now < exempt.until)",
        "known.card.exempt.as_ref().filter(|exempt| now > exempt.until)",
    ),
    mutant(
        "what an unfinished write may have put in force",
        "crates/engine/src/prove.rs",
        "(is_seen(place) || may_still_come == Some(*place))",
        "(is_seen(place) || may_still_come == Some(usize::MAX))",
    ),
    mutant(
        "what somebody else had made is none of ours",
        "crates/engine/src/prove.rs",
        "let is_ours = |place: &usize| !written.unneeded.contains(place);",
        "let is_ours = |place: &usize| !written.unneeded.contains(place) || *place < usize::MAX;",
    ),
    mutant(
        "each part of a batch is remembered",
        "crates/remediation/src/records/card.rs",
        "let of = |write: &Write| (write.run, write.batch, write.part.clone());",
        "let of = |write: &Write| (write.run, write.batch);",
    ),
    mutant(
        "a part is taken back alone",
        "crates/remediation/src/records/card.rs",
        "(self.run, self.batch, self.part.as_str()) == (id.run, id.batch, part)",
        "(self.run, part.is_empty()) == (id.run, false)",
    ),
    mutant(
        "a write to which nobody answered keeps its claim",
        "crates/engine/src/write.rs",
        "error.kind == ErrorKind::Unfinished || error.is_unanswered();",
        "error.kind == ErrorKind::Unfinished || error.action.is_empty();",
    ),
    mutant(
        "what a name leads to by now is no proof",
        "crates/engine/src/resolve.rs",
        "if *found == at.arn {",
        "if !found.is_empty() {",
    ),
    mutant(
        "a look again after a write whose answer was lost",
        "crates/engine/src/lib.rs",
        "let within = self.bounds.verify_within.min(job.deadline.left());",
        "let within = if written.failure.is_some() { Duration::ZERO } else { self.bounds.verify_within };",
    ),
    mutant(
        "an execution whose start was not answered is awaited",
        "crates/runbook/src/lib.rs",
        "None => match self.started(runbook, parameters).await? {",
        "None => match self.started(runbook, parameters).await?.filter(String::is_empty) {",
    ),
    mutant(
        "an old look is not written on",
        "crates/engine/src/write.rs",
        "if is_old(looked) {",
        "if is_old(looked) && order.changes.is_empty() {",
    ),
    mutant(
        "a write ends with its claim",
        "crates/engine/src/write.rs",
        "if self.clock.now() < claimed.until() { apply",
        "if claimed.until() > Timestamp::MIN { apply",
    ),
    mutant(
        "of what nothing is in force, nothing is to be taken back first",
        "crates/remediation/src/records/card.rs",
        "self.ended == Ended::CutOff || !self.took.is_empty()",
        "self.ended == Ended::CutOff || self.took.len() < usize::MAX",
    ),
    mutant(
        "a dead run that an undo has shown to have written nothing is taken back",
        "crates/engine/src/undo.rs",
        "self.remember_undone(&known, PartOf { id: run, part: &part }, trip.by).await;",
        "if writes && trip.deadline.left().is_zero() { self.remember_undone(&known, PartOf { id: run, part: &part }, trip.by).await; }",
    ),
    mutant(
        "what may still be changed is not taken back",
        "crates/engine/src/undo.rs",
        "(Ok(_), Some(error)) if error.kind == ErrorKind::Unfinished => {",
        "(Ok(_), Some(error)) if error.kind == ErrorKind::Unneeded => {",
    ),
    mutant(
        "a grace",
        "crates/engine/src/grace.rs",
        "decided.grace.as_ref().filter(|grace| now < grace.until)",
        "decided.grace.as_ref().filter(|grace| now < grace.first_seen)",
    ),
    mutant(
        "a freeze",
        "crates/remediation/src/policy/windows.rs",
        "freeze.from <= at && at < freeze.to",
        "freeze.from <= at && at < freeze.from",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_is_there_once() {
        for Mutant { name, file, old, .. } in MUTANTS {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
            let text = std::fs::read_to_string(format!("{path}/{file}")).unwrap();
            assert_eq!(text.matches(old).count(), 1, "{name}: {file}");
        }
    }
}
