//! The poller Lambda: reads the violations of a rule's controls from Netskope and writes this region's findings in
//! batches to the bucket, where each object starts the rule's Lambda.
//!
//! Invariants:
//!
//! - Memory is bounded by one page, ten thousand waiting findings and some twenty bytes a finding, whatever the length of
//!   the list.
//! - A poll reads and writes no more than its [`Limits`], and a poll that reaches one fails and says which.
//! - Findings that name the same resource are in one batch, as long as no more findings wait than the limit.
//! - Where the deployment asks for it, the organization is read again before the list, when what is known of it is old. That
//!   this fails stops no poll: it fails the invocation afterwards, so that somebody is told.
//! - What has passed is asked for only where a fix waits for it, and in no more requests than the limits say.
//! - What an earlier poll has handed on is not handed on again while it is under way: while nobody has reported on it, and
//!   somebody still can.
//! - A rescan is asked for only where the policy says so, by one poll of all in an interval. That it is refused fails no poll.
//! - Every row of a list of violations is counted exactly once: kept, left, under way, skipped, of another region, of an unknown
//!   region, invalid or a duplicate.
//! - A list that breaks off, repeats itself or does not end is an error before the Lambda's own end. The findings
//!   before the break are written: each is true by itself, and a rule looks at the resource before it writes.

mod answer;
mod batches;
mod event;
mod limits;
mod metrics;
mod organization;
mod passed;
mod poll;
mod rescan;
mod token;
mod turns;
mod under_way;

use std::time::{Duration, SystemTime};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use logging::Metrics;
use netskope::{Endpoint, Filters, Options};
use remediation::records::TurnPlace;
use remediation::{Manifest, Records, Regions, sdk_loader};
use tokio::time::Instant;

use crate::event::Event;
use crate::metrics::Began;

pub use answer::{Answer, PolledControl};
pub use event::EventError;
pub use limits::{InvalidLimits, Limits};
pub use organization::{OrganizationReader, RefreshError};
pub use passed::Passed;
pub use poll::{PollError, Poller};
pub use rescan::Rescan;
pub use token::{TokenError, TokenSource};

/// Every rule's `rule.json`.
const MANIFESTS: &[&str] = include!(concat!(env!("OUT_DIR"), "/manifests.rs"));

/// Why the Lambda cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An environment variable is missing. Terraform sets all of them.
    #[error("the environment variable {0} is not set")]
    Setting(&'static str),
    /// The environment variable that names the account of the bucket names none.
    #[error("the environment variable BUCKET_OWNER: {0}")]
    Owner(#[from] remediation::InvalidAccountId),
    /// The environment variables of the deployment's regions name none.
    #[error("the environment variables REGIONS and HOME_REGION: {0}")]
    Regions(#[from] remediation::InvalidRegions),
    /// The environment variable of the limits of a poll has none in it.
    #[error("the environment variable POLL_LIMITS: {0}")]
    Limits(#[from] InvalidLimits),
    /// The environment variable that says how long a batch's event can wait does not.
    #[error("the environment variable EVENT_AGE: {0}")]
    EventAge(#[source] std::num::ParseIntError),
    /// The environment variable that says which of the deployments that poll the tenant this is does not.
    #[error("the environment variable NETSKOPE_DEPLOYMENTS: {0}")]
    Deployments(#[source] serde_json::Error),
    /// The environment variable of the profiles and policies that are asked for has none in it.
    #[error("the environment variable NETSKOPE_FILTERS: {0}")]
    Filters(#[source] serde_json::Error),
    /// The environment variable that says how the organization is read does not.
    #[error("the environment variable ORGANIZATION: {0}")]
    Organization(#[source] serde_json::Error),
    /// The tenant's name, or the address given instead of it, cannot be used.
    #[error(transparent)]
    Endpoint(#[from] netskope::Error),
    /// A rule's manifest is broken.
    #[error(transparent)]
    Manifest(#[from] remediation::ManifestError),
    /// The asynchronous runtime could not be started.
    #[error("cannot start the asynchronous runtime: {0}")]
    Runtime(#[from] std::io::Error),
    /// A proxy or a file of certificates of the environment cannot be used.
    #[error("the environment variable {0}")]
    Network(#[from] network::SettingError),
    /// The Lambda Runtime API failed.
    #[error("the Lambda Runtime API failed: {0}")]
    RuntimeApi(#[source] lambda_runtime::Error),
}

/// The part of the Lambda's time that is reserved for writing the last batches and for the answer.
const RESERVE: Duration = Duration::from_secs(60);

/// How long Lambda keeps an event of an asynchronous invocation, unless it is told to keep it for less.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
const LONGEST_EVENT_AGE: Duration = Duration::from_secs(6 * 3_600);

/// The most characters of an error that the service is told; the log has it in full.
const MOST_OF_ERROR: usize = 8_000;

impl From<PollError> for Diagnostic {
    fn from(error: PollError) -> Self {
        let error_message = escape::beginning(&error.to_string(), MOST_OF_ERROR);
        Self { error_type: "PollError".into(), error_message }
    }
}

/// Runs the poller as a Lambda, until the service ends the process.
///
/// # Errors
///
/// It cannot start, or the Lambda Runtime API failed.
pub fn run() -> Result<(), Error> {
    logging::init();
    // One thread: the work is waiting for Netskope, and a Lambda of this size has a fraction of a processor.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (poller, metrics) = (&from_env().await?, &Metrics::from_env());
        let handler = service_fn(|event: LambdaEvent<Event>| async move {
            let (until, began) = (until(event.context.deadline()), Began::now());
            let answer = poller.answer(&event.payload, until).await;
            let line = began.line(event.payload.rule(), &answer);
            if let (Some(metrics), Some(line)) = (metrics, line) {
                metrics.write(&line, ambient::now().as_millisecond());
            }
            answer
        });
        lambda_runtime::run(handler).await.map_err(Error::RuntimeApi)
    })
}

/// Until when lists may be read where the invocation ends at `deadline`.
fn until(deadline: SystemTime) -> Instant {
    let left = deadline.duration_since(ambient::system_time()).unwrap_or_default();
    Instant::now() + left.saturating_sub(RESERVE)
}

/// The poller as the environment describes it: `BUCKET`, `BUCKET_OWNER` (the account that has it), `NETSKOPE_TENANT`,
/// `NETSKOPE_ENDPOINT` (optional, instead of the tenant's own address), `TOKEN_SECRET_ARN`, `REGIONS` (the codes
/// of the regions whose findings it keeps, with commas between them), `HOME_REGION`, `POLL_LIMITS` (optional, JSON of
/// what differs from [`Limits::default`]), `NETSKOPE_FILTERS` (optional, JSON of [`Filters`]), `EVENT_AGE` (optional, for how
/// many seconds Lambda keeps the event of a batch), `NETSKOPE_DEPLOYMENTS` (optional, JSON: which of those that poll the
/// tenant this is) and `ORGANIZATION` (optional, JSON: how AWS Organizations is read).
async fn from_env() -> Result<Poller, Error> {
    let setting = |name| std::env::var(name).map_err(|_| Error::Setting(name));
    let endpoint = match std::env::var("NETSKOPE_ENDPOINT") {
        Ok(address) => Endpoint::url(&address)?,
        Err(_) => Endpoint::tenant(&setting("NETSKOPE_TENANT")?)?,
    };
    let (bucket, secret) = (setting("BUCKET")?, setting("TOKEN_SECRET_ARN")?);
    let owner = setting("BUCKET_OWNER")?.parse()?;
    let regions = Regions::new(&setting("REGIONS")?, &setting("HOME_REGION")?)?;
    let limits = match std::env::var("POLL_LIMITS") {
        Ok(json) => Limits::from_json(&json)?,
        Err(_) => Limits::default(),
    };
    let filters = match std::env::var("NETSKOPE_FILTERS") {
        Ok(json) => serde_json::from_str(&json).map_err(Error::Filters)?,
        Err(_) => Filters::default(),
    };
    let event_age = match std::env::var("EVENT_AGE") {
        Ok(seconds) => Duration::from_secs(seconds.parse::<u32>().map_err(Error::EventAge)?.into()),
        Err(_) => LONGEST_EVENT_AGE,
    };
    let deployment = match std::env::var("NETSKOPE_DEPLOYMENTS") {
        Ok(json) => serde_json::from_str(&json).map_err(Error::Deployments)?,
        Err(_) => TurnPlace::ALONE,
    };
    let manifests: Result<Vec<_>, _> = MANIFESTS.iter().map(|text| Manifest::from_json(text)).collect();
    let base = sdk_loader(None).await?.load().await;
    let records = Records::Bucket { client: aws_sdk_s3::Client::new(&base), bucket, owner, retention: None };
    let token = TokenSource::new(aws_sdk_secretsmanager::Client::new(&base), secret);
    let organization = match std::env::var("ORGANIZATION") {
        Ok(json) => {
            let settings = organization::Settings::from_json(&json).map_err(Error::Organization)?;
            Some(OrganizationReader::new(&base, settings).await)
        }
        Err(_) => None,
    };
    let (manifests, options) = (manifests?, Options::default());
    let (event_age, deployment) = (Some(event_age), Some(deployment));
    Ok(Poller {
        manifests,
        records,
        token,
        endpoint,
        options,
        filters,
        limits,
        regions,
        event_age,
        deployment,
        organization,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rules_manifest_can_be_read_and_no_two_have_the_same_id() {
        let mut ids: Vec<_> = MANIFESTS.iter().map(|text| Manifest::from_json(text).unwrap().id).collect();
        let count = ids.len();
        ids.dedup();
        assert!(count > 0 && ids.len() == count, "{ids:?}");
        assert!(ids.contains(&"s3-public-bucket".to_owned()), "{ids:?}");
    }

    #[test]
    fn lists_end_a_minute_before_the_invocation() {
        let left = |seconds| until(SystemTime::now() + Duration::from_secs(seconds)) - Instant::now();
        assert!((838..=840).contains(&left(900).as_secs()), "{:?}", left(900));
        assert_eq!(left(59).as_secs(), 0);
        assert!(until(SystemTime::UNIX_EPOCH) <= Instant::now());
    }
}
