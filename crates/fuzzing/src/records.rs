//! The records of the bucket. What one says is what it says again when it was written and read.

use std::fmt::Debug;

use remediation::policy::Limits;
use remediation::records::{FoundUnmade, Record, Unmade, card_key, cards_of, read};
use remediation::{
    Approval, Batch, BatchId, Card, Fight, Ledger, Pauses, Place, Plan, Policy, Records, Region, Report, RunId,
};
use serde::Serialize;
use serde_json::Value;

use crate::{RULE, moments, texts};

/// Reads a record, and what it is when it was written and read again.
fn record<R: Record + Serialize + PartialEq + Debug>(data: &[u8]) -> Option<R> {
    let record: R = match read(data) {
        Ok(record) => record,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let written = serde_json::to_vec(&record);
    assert!(written.is_ok(), "{record:?} cannot be written: {written:?}");
    let again = read::<R>(&written.unwrap_or_default());
    assert_eq!(again.as_ref(), Ok(&record));
    Some(record)
}

/// A batch.
pub(crate) fn batch(data: &[u8]) {
    let batch = match Batch::from_stored(data, RULE) {
        Ok(batch) => batch,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(batch.bad_lines.iter().all(|line| line.line > 1 && line.reason.chars().count() <= 1_000));
    let again = batch.to_ndjson().ok().and_then(|written| Batch::from_ndjson(&written, RULE).ok());
    // The lines that are no findings are not written again.
    assert!(again.is_some_and(|again| again.id == batch.id
        && again.findings == batch.findings
        && again.passed == batch.passed
        && again.bad_lines.is_empty()));
    assert!(batch.id.findings_key().starts_with("findings/s3-public-bucket/"));
}

/// An approval and a policy: for how long it holds.
pub(crate) fn approval(data: &[u8]) {
    let [approval, policy] = texts(data);
    let Ok(approval) = Approval::from_json(approval, RULE) else { return };
    let hours = Policy::from_json(policy).map(|policy| policy.approval_hours).into_iter().chain([1, u32::MAX]);
    for hours in hours {
        assert!(approval.check(&approval.digest, hours, approval.approved).is_ok());
        for now in moments(b"") {
            drop(approval.check(&approval.digest, hours, now));
            assert!(approval.check("another", hours, now).is_err());
        }
    }
    assert_eq!(approval.id().rule, RULE);
    drop(Approval::key(&approval.plan));
}

/// A plan: its digest, and the keys of its resources' cards.
pub(crate) fn plan(data: &[u8]) {
    // No change of a rule has a number with a fraction, and serde_json does not read those to the last bit.
    let Ok(Ok(plan)) = read::<Plan<Value>>(data).map(|plan| plan.digest().map(|_| plan)) else { return };
    if plan.resources.iter().flat_map(|resource| resource.changes()).any(has_fraction) {
        return;
    }
    let Some(plan) = record::<Plan<Value>>(data) else { return };
    for part in &plan.resources {
        assert!(part.digest().is_ok_and(|digest| digest.len() == 64));
        assert!(card_key(RULE, &part.resource).starts_with(&cards_of(RULE, part.resource.owner.as_ref())));
        assert!(part.resource.all_names().count() >= 2);
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        _ => false,
    }
}

/// A report.
pub(crate) fn report(data: &[u8]) {
    let Some(report) = record::<Report>(data) else { return };
    assert!(report.counts.iter().all(|(outcome, count)| report.count(*outcome) == *count));
}

/// A card: all that a run and an undo do with it, at any time.
pub(crate) fn card(data: &[u8]) {
    let Some(card) = record::<Card>(data) else { return };
    let fights = [Fight::default(), Fight { window_days: 1, fixes: 1 }, Fight { window_days: 3_650, fixes: u32::MAX }];
    for now in moments(b"") {
        assert!(card.claimed_by_another("", now).is_none_or(|claim| now < claim.until));
        drop(fights.map(|fight| card.fought_over(fight, now)));
    }
    for write in &card.writes {
        assert!(card.written_after(write.run).iter().all(|after| after.run.started() >= write.run.started()));
        let undone = card.clone().undone(&write.id(RULE), &write.part, write.run);
        assert!(undone.written_after(write.run).len() <= card.writes.len() + 1);
        let id = BatchId { rule: RULE.into(), run: write.run, batch: write.batch };
        let read = BatchId::from_plan_key(&id.plan_key(), RULE);
        assert_eq!(read.as_ref(), Some(&id));
    }
    let unmade = card.all_writes().map(|write| {
        let (places, of) = (write.took.iter().copied().take(1).collect(), write.changes.len());
        Unmade { run: write.run, batch: write.batch, part: write.part, places, of }
    });
    let unmade: Vec<_> = unmade.collect();
    for looked in moments(b"") {
        let found = FoundUnmade { looked, unmade: unmade.clone() };
        if let Some(claim) = card.claim.clone() {
            assert!(card.clone().claim(claim, &found).to_json().is_ok());
        }
        let in_force = |card: &Card| card.writes.iter().map(|write| write.took.len()).sum::<usize>();
        assert!(
            in_force(&card.clone().reopened(&found)) <= in_force(&card) + unmade.iter().map(|of| of.of).sum::<usize>()
        );
    }
    let written = card.writes.first().cloned();
    assert!(written.map_or(card.clone(), |write| card.clone().hold(write)).release().claim.is_none());
}

/// Pauses: what they stop at any time, and that one more, or their end, leaves pauses that are read again.
pub(crate) fn pauses(data: &[u8]) {
    let Some(pauses) = record::<Pauses>(data) else { return };
    let (Ok(account), region) = ("222222222222".parse(), Region::global()) else { return };
    let place = Place { rule: RULE, account: &account, region: &region, is_in: Some(&region) };
    for now in moments(b"") {
        let stops = pauses.of(&place, now);
        assert!(stops.is_none_or(|pause| pause.is_in_force(now) && !pause.to_string().is_empty()));
        let policy = Policy::unrestricted().under(pauses.clone());
        assert_eq!(policy.why_paused(&place, now).is_some(), stops.is_some());
        for pause in pauses.in_force(now) {
            assert!(pause.stops.is_same(&pause.stops));
            let mut more = pauses.clone();
            let added = more.add(remediation::Pause { id: pauses.free_id(), at: now, ..pause.clone() });
            assert!(added.is_err() || serde_json::to_vec(&more).is_ok_and(|bytes| read::<Pauses>(&bytes).is_ok()));
        }
        let mut ended = pauses.clone();
        ended.end(now, |_| true);
        assert!(ended.is_empty());
    }
}

/// The ledger of a day and a policy: what the next batch takes.
pub(crate) fn ledger(data: &[u8]) {
    let [day, policy] = texts(data);
    let limits = Policy::from_json(policy).map_or_else(|_| Limits::default(), |policy| policy.limits);
    let (Ok(folder), Ok(account)) = (tempfile::tempdir(), "222222222222".parse()) else { return };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let Ok(run) = serde_json::from_str::<RunId>("\"01999999-9999-7999-8999-999999999999\"") else { return };
    let records = Records::Folder(folder.path().into());
    runtime.block_on(async {
        if records.create(&format!("ledgers/{RULE}/{}.json", run.date()), day.to_vec()).await.is_err() {
            return;
        }
        let ledger = Ledger::new(records, RULE, run);
        let taken = ledger.take(RULE, &limits, &[(account, u32::MAX)]).await;
        if let (Ok(taken), Some(limit)) = (taken, limits.changes_per_run) {
            assert!(limit == u32::MAX || taken.iter().all(Option::is_some), "{taken:?}");
        }
    });
}
