//! Which fixes of a rule wait for Netskope to confirm them: one small object for each rule, so that a poll need not read
//! every card to know what to ask for. It is kept beside the cards, and by whoever keeps them.
//!
//! It is a hint and no more: what became of a fix is on its resource's card. The rule's Lambda adds what it has fixed and
//! takes out what is answered; the poller only reads it, and believes nothing of it but what to ask for. A fix that is
//! missing here is never confirmed, and nothing else comes of that.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::again::{Refused, again};
use super::keys::awaited_key;
use super::schema::{Record, read};
use super::{Condition, RecordError, Records, Report};
use crate::aws::{AccountId, Region};
use crate::domain::{Finding, Outcome};

/// The version of the format of awaited closures that this build writes and reads.
pub const AWAITED_SCHEMA: u32 = 1;
/// The most fixes of a rule that wait: those that have waited the longest are given up first. With the policy's limit of 200
/// changes a day, these are ten days.
pub const MOST_AWAITED: usize = 2_000;
/// What has waited for so long is waited for no more.
const GIVEN_UP: SignedDuration = SignedDuration::from_hours(31 * 24);
/// So long after a fix a scan must be: Netskope's clock is not ours, and a scan that was under way may have read the resource
/// before the fix.
const SCAN_UNDER_WAY: SignedDuration = SignedDuration::from_mins(5);
/// So far ahead of our time a scan may be: what is said to be later is told by a clock, or in a time zone, that is not known.
pub(super) const AHEAD: SignedDuration = SignedDuration::from_mins(15);
/// How long a batch tries to write its part among others.
const PATIENCE: Duration = Duration::from_secs(10);

/// The fixes of a rule that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwaitedClosures {
    schema: u32,
    /// What no other version has: two batches that write the same must not think that either's is their own.
    nonce: Uuid,
    /// By the exact names of the controls.
    fixes: BTreeMap<String, Vec<AwaitedClosure>>,
}

/// A fix that waits: which finding it was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwaitedClosure {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// What the finding called the resource.
    pub resource: String,
    /// When the fix was proved.
    pub fixed: Timestamp,
}

impl Record for AwaitedClosures {
    const KIND: &'static str = "list of fixes that wait for Netskope";
    const SCHEMA: u32 = AWAITED_SCHEMA;
    const MOST_BYTES: usize = 1024 * 1024;
}

/// Whether a scan at `scanned` has seen what was fixed at `fixed`, as far as clocks tell at `now`.
pub fn is_after_fix(scanned: Timestamp, fixed: Timestamp, now: Timestamp) -> bool {
    scanned.duration_since(fixed) > SCAN_UNDER_WAY && scanned.duration_since(now) <= AHEAD
}

impl AwaitedClosure {
    fn is_of(&self, finding: &Finding) -> bool {
        (&self.account, &self.region, &self.resource) == (&finding.account, &finding.region, &finding.resource)
    }

    /// Whether it is that fix, or one of which no scan tells it apart: a report and a card have not the very same moment.
    fn is_as_of(&self, fixed: Timestamp) -> bool {
        self.fixed.duration_since(fixed).abs() <= SCAN_UNDER_WAY
    }
}

impl AwaitedClosures {
    fn empty() -> Self {
        Self { schema: AWAITED_SCHEMA, nonce: Uuid::nil(), fixes: BTreeMap::new() }
    }

    /// The fixes of findings of this control.
    pub fn of(&self, control: &str) -> &[AwaitedClosure] {
        self.fixes.get(control).map_or(&[], Vec::as_slice)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.fixes.values().map(Vec::len).sum()
    }

    /// Those of the rule `rule`; none where nothing has ever waited.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub async fn find(records: &Records, rule: &str) -> Result<Option<Self>, RecordError> {
        let key = awaited_key(rule);
        let Some(stored) = records.find_at_most(&key, Self::MOST_BYTES).await? else { return Ok(None) };
        read(&stored.bytes).map(Some).map_err(|source| RecordError::Unusable { key, source })
    }

    /// Lets what the report says was fixed wait, and what is `settled` wait no more. What cannot be used of what is stored is
    /// replaced, and the log says so.
    ///
    /// # Errors
    ///
    /// They cannot be read or stored.
    pub async fn update(
        records: &Records,
        rule: &str,
        fixed: &[(Finding, Timestamp)],
        settled: &[Finding],
    ) -> Result<(), RecordError> {
        if fixed.is_empty() && settled.is_empty() {
            return Ok(());
        }
        let (key, now) = (awaited_key(rule), ambient::now());
        let attempt = || async {
            let (before, condition) = Self::read(records, &key).await?;
            let after = before.clone().with(fixed, settled, now);
            if after == before {
                return Ok(());
            }
            let stored = records.put_if(&condition, &key, after.to_json().map_err(RecordError::from)?).await?;
            if stored.is_some() { Ok(()) } else { Err(Refused::Taken) }
        };
        again(PATIENCE, attempt, || RecordError::Taken { key: key.clone() }).await
    }

    async fn read(records: &Records, key: &str) -> Result<(Self, Condition), RecordError> {
        let Some(stored) = records.find_at_most(key, Self::MOST_BYTES).await? else {
            return Ok((Self::empty(), Condition::Absent));
        };
        let condition = Condition::Unchanged(stored.version);
        match read(&stored.bytes) {
            Ok(awaited) => Ok((awaited, condition)),
            Err(error) => {
                tracing::error!(%error, key, "it is replaced: Netskope is not asked about the fixes that it named");
                Ok((Self::empty(), condition))
            }
        }
    }

    /// The same with what was fixed and without what is settled, as far as there is room.
    fn with(mut self, fixed: &[(Finding, Timestamp)], settled: &[Finding], now: Timestamp) -> Self {
        let take_out = |fixes: &mut BTreeMap<String, Vec<AwaitedClosure>>, finding: &Finding| {
            if let Some(of) = fixes.get_mut(&finding.control) {
                of.retain(|awaited| !awaited.is_of(finding));
            }
        };
        for finding in settled {
            take_out(&mut self.fixes, finding);
        }
        for (finding, fixed) in fixed {
            if self.of(&finding.control).iter().any(|awaited| awaited.is_of(finding) && awaited.is_as_of(*fixed)) {
                continue;
            }
            take_out(&mut self.fixes, finding);
            let (account, region, resource) =
                (finding.account.clone(), finding.region.clone(), finding.resource.clone());
            let awaited = AwaitedClosure { account, region, resource, fixed: *fixed };
            self.fixes.entry(finding.control.clone()).or_default().push(awaited);
        }
        let count = self.count();
        let mut times: Vec<_> = self.fixes.values().flatten().map(|awaited| awaited.fixed).collect();
        times.sort_unstable();
        let oldest = times.get(count.saturating_sub(MOST_AWAITED)).copied().unwrap_or(Timestamp::MIN);
        self.keep_since(oldest.max(now.checked_sub(GIVEN_UP).unwrap_or(Timestamp::MIN)));
        self
    }

    fn keep_since(&mut self, oldest: Timestamp) {
        for of in self.fixes.values_mut() {
            of.retain(|awaited| awaited.fixed >= oldest);
        }
        self.fixes.retain(|_, of| !of.is_empty());
    }

    /// As JSON that is no longer than it can be read: of long names there is room for fewer.
    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut awaited = Self { nonce: ambient::uuid_v4(), ..self.clone() };
        loop {
            let bytes = serde_json::to_vec(&awaited)?;
            if bytes.len() <= Self::MOST_BYTES {
                return Ok(bytes);
            }
            let mut times: Vec<_> = awaited.fixes.values().flatten().map(|awaited| awaited.fixed).collect();
            times.sort_unstable();
            match times.get(times.len() / 4 + 1) {
                Some(quarter) if times.first() < Some(quarter) => awaited.keep_since(*quarter),
                // All of the same moment: there is no older one to give up.
                _ => awaited.fixes.clear(),
            }
        }
    }
}

/// The findings that a report says were fixed by what it wrote, each with when that was proved.
pub fn fixed_by(report: &Report) -> Vec<(Finding, Timestamp)> {
    let is_fix = |outcome, took: &[usize]| outcome == Outcome::Fixed && !took.is_empty();
    let fixes = report.findings.iter().filter(|row| report.undoes.is_none() && is_fix(row.outcome, &row.took));
    let at = |at: Option<Timestamp>| at.unwrap_or(report.finished);
    fixes.map(|row| (row.finding.clone(), at(row.verification.as_ref().map(|proof| proof.at)))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    const RULE: &str = "open-door";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn finding(resource: &str) -> Finding {
        Finding::of("222222222222", "us-east-1", resource)
    }

    fn fixed(resource: &str, second: i64) -> (Finding, Timestamp) {
        (finding(resource), at(second))
    }

    fn names(awaited: &AwaitedClosures) -> Vec<&str> {
        awaited.of(&finding("").control).iter().map(|of| of.resource.as_str()).collect()
    }

    #[test]
    fn a_scan_counts_only_where_it_was_after_the_fix_by_a_clock_that_can_be_right() {
        let (fix, now) = (at(10_000), at(20_000));
        for (scanned, counts) in [
            (9_000, false),
            (10_000, false),
            (10_300, false),
            (10_301, true),
            (20_000, true),
            (20_900, true),
            (20_901, false),
        ] {
            assert_eq!(is_after_fix(at(scanned), fix, now), counts, "{scanned}");
        }
    }

    #[test]
    fn what_is_fixed_again_waits_once_and_what_is_settled_no_more() {
        let now = at(1_000_000);
        let two = AwaitedClosures::empty().with(&[fixed("a", 999_000), fixed("b", 999_500)], &[], now);
        assert_eq!(names(&two), ["a", "b"]);
        let again = two.clone().with(&[fixed("a", 999_900)], &[finding("b"), finding("unknown")], now);
        assert_eq!((names(&again), again.of(&finding("").control)[0].fixed), (vec!["a"], at(999_900)));
        for second in [999_000, 999_300, 998_700] {
            assert_eq!(two.clone().with(&[fixed("a", second)], &[], now), two, "what waits already is no news");
        }
        assert_eq!(again.clone().with(&[], &[finding("a")], now), AwaitedClosures::empty());
        let month = SignedDuration::from_hours(32 * 24);
        assert_eq!(again.with(&[fixed("c", now.as_second() + 32 * 86_400)], &[], now + month).count(), 1);
    }

    #[test]
    fn those_that_have_waited_the_longest_are_given_up_where_there_are_too_many() {
        let many: Vec<_> =
            (0..MOST_AWAITED + 5).map(|number| fixed(&format!("r{number}"), 5_000 + number as i64)).collect();
        let kept = AwaitedClosures::empty().with(&many, &[], at(10_000));
        assert_eq!((kept.count(), names(&kept)[0]), (MOST_AWAITED, "r5"));
        let long: Vec<_> = (0..1_000).map(|number| fixed(&format!("{number:02048}"), 5_000 + number)).collect();
        let long = AwaitedClosures::empty().with(&long, &[], at(10_000));
        let bytes = long.to_json().unwrap();
        let kept: AwaitedClosures = read(&bytes).unwrap();
        assert!(kept.count() > 200 && kept.count() < 1_000, "{}", kept.count());
        assert_eq!(kept.of(&finding("").control).last(), long.of(&finding("").control).last(), "the newest stay");
    }

    #[tokio::test]
    async fn what_several_batches_write_at_once_is_all_there_and_what_is_broken_is_replaced() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        assert_eq!(AwaitedClosures::find(&records, RULE).await.unwrap(), None);
        let now = ambient::now();
        let batches = (0..8).map(|number| {
            let records = records.clone();
            async move {
                let fixed = [(finding(&format!("r{number}")), now)];
                AwaitedClosures::update(&records, RULE, &fixed, &[]).await.unwrap();
            }
        });
        futures::future::join_all(batches).await;
        let found = AwaitedClosures::find(&records, RULE).await.unwrap().unwrap();
        assert_eq!(found.count(), 8);
        AwaitedClosures::update(&records, RULE, &[], &[finding("r3")]).await.unwrap();
        assert_eq!(AwaitedClosures::find(&records, RULE).await.unwrap().unwrap().count(), 7);

        std::fs::write(folder.path().join(awaited_key(RULE)), b"{\"schema\": 1}").unwrap();
        let error = AwaitedClosures::find(&records, RULE).await.unwrap_err().to_string();
        assert!(error.contains("resources/open-door/awaited-closures.json"), "{error}");
        AwaitedClosures::update(&records, RULE, &[(finding("new"), now)], &[]).await.unwrap();
        assert_eq!(names(&AwaitedClosures::find(&records, RULE).await.unwrap().unwrap()), ["new"]);
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
            drop(read::<AwaitedClosures>(&bytes));
            drop(read::<AwaitedClosures>(format!(r#"{{"schema": 1, "nonce": null, "fixes": {{{text}}}}}"#).as_bytes()));
        }

        #[test]
        fn what_is_written_is_read_back(resources in prop::collection::vec(".{0,40}", 0..20)) {
            let fixed: Vec<_> = resources.iter().map(|resource| fixed(resource, 5_000)).collect();
            let awaited = AwaitedClosures::empty().with(&fixed, &[], at(10_000));
            let back: AwaitedClosures = read(&awaited.to_json().unwrap()).unwrap();
            prop_assert_eq!(back.fixes, awaited.fixes);
        }
    }
}
