//! A rescan, where the policy asks for them: a fix waits for Netskope's next scan of its account, which can be a day away.
//!
//! The rule's Lambda makes the fix and has no token for Netskope, so the next poll asks, for all rules and accounts at once:
//! a scan is by one of the tenant's policies. Of all polls of a deployment at most one asks in an interval
//! ([`LastRescan`]), and only where a fix waits that no earlier rescan can have seen. It is a courtesy: that it is refused,
//! or that the policy cannot be read, is in the log and the answer, and fails no poll.

use jiff::Timestamp;
use netskope::Client;
use remediation::policy::Rescan as Settings;
use remediation::records::{AwaitedClosures, LastRescan, is_after_fix};
use remediation::{Finding, POLICY_KEY, Policy, PolicyError, RecordError};
use serde::Serialize;
use tokio::time::Instant;

use crate::Poller;
use crate::event::Polled;

/// What became of a rescan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rescan {
    /// None was to be asked for.
    #[default]
    None,
    /// Netskope has started it.
    Started,
    /// Netskope has not started it, or not by each of the tenant's policies.
    Failed,
}

/// Why no rescan can be asked for.
#[derive(Debug, thiserror::Error)]
enum RescanError {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The newest fix that a scan can confirm from `now` on, of those of the polled controls that wait and are not answered.
pub(crate) fn newest_fix(
    awaited: &AwaitedClosures,
    polled: Polled<'_>,
    since: Timestamp,
    now: Timestamp,
    answers: &[Finding],
) -> Option<Timestamp> {
    let controls = polled.controls.iter().flat_map(|control| &control.rule_names);
    let fixes = controls.flat_map(|control| awaited.of(control).iter().map(move |fix| (control, fix)));
    let waits = fixes.filter(|(control, fix)| {
        let is_answer = |of: &Finding| {
            (&of.control, &of.account, &of.region, &of.resource) == (control, &fix.account, &fix.region, &fix.resource)
        };
        fix.fixed >= since && is_after_fix(now, fix.fixed, now) && !answers.iter().any(is_answer)
    });
    waits.map(|(_, fix)| fix.fixed).max()
}

impl Poller {
    /// Asks for a rescan that confirms what was fixed at `fixed`, where the policy wants it and nobody has.
    pub(crate) async fn rescan(&self, client: &Client, fixed: Timestamp, now: Timestamp, until: Instant) -> Rescan {
        let settings = match self.rescan_due(fixed, now).await {
            Ok(Some(settings)) => settings,
            Ok(None) => return Rescan::None,
            Err(error) => {
                tracing::error!(%error, "whether a rescan is to be asked for is not known, so none is");
                return Rescan::Failed;
            }
        };
        let mut rescan = Rescan::Started;
        for policy in &settings.netskope_policies {
            match client.start_scan(policy, until).await {
                Ok(scan) => tracing::info!(policy, scan, "Netskope was asked for a rescan"),
                Err(error) => {
                    tracing::error!(%error, "Netskope has not started a rescan; after an interval it is asked again");
                    rescan = Rescan::Failed;
                }
            }
        }
        rescan
    }

    /// How a rescan is asked for, where one is to be asked for now, and by this poll.
    async fn rescan_due(&self, fixed: Timestamp, now: Timestamp) -> Result<Option<Settings>, RescanError> {
        let Some(stored) = self.records.find_at_most(POLICY_KEY, Policy::MOST_BYTES).await? else { return Ok(None) };
        let Some(settings) = Policy::from_json(&stored.bytes)?.rescan else { return Ok(None) };
        let claimed = LastRescan::claim(&self.records, fixed, settings.interval(), now).await?;
        Ok(claimed.then_some(settings))
    }
}
