//! The Lambda around any [`Rule`]: an S3 event names batches of findings, the engine takes each to a report.
//!
//! Invariants: a batch, a record or a policy that cannot be used leaves a report that says so and fails the invocation, so
//! that Lambda tries again and the failure queue has it in the end; so does a batch that failed as a whole, and an
//! approval of which a part was deferred. A bad line, batch or record never stops the others.

mod shell;

use lambda_runtime::{LambdaEvent, service_fn};
use logging::Metrics;
use remediation::{ManifestError, Rule};

pub use shell::{Answer, BatchAnswer, EventError, Messages, Object, Shell};

/// Why the Lambda cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An environment variable is missing; Terraform sets them all.
    #[error("the environment variable {0} is not set")]
    Setting(&'static str),
    /// The environment variable that names the account of the bucket names none.
    #[error("the environment variable BUCKET_OWNER: {0}")]
    Owner(#[from] remediation::InvalidAccountId),
    /// The environment variables of the deployment's regions name none.
    #[error("the environment variables REGIONS and HOME_REGION: {0}")]
    Regions(#[from] remediation::InvalidRegions),
    /// The environment variable of the retention of records has none in it.
    #[error("the environment variable OBJECT_LOCK: {0}")]
    Retention(#[from] remediation::InvalidRetention),
    /// The rule's own manifest is broken.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A proxy or a file of certificates of the environment cannot be used.
    #[error("the environment variable {0}")]
    Network(#[from] network::SettingError),
    /// The asynchronous runtime could not be started.
    #[error("the asynchronous runtime could not be started: {0}")]
    Runtime(#[from] std::io::Error),
    /// The Lambda Runtime API broke off.
    #[error("the Lambda Runtime API: {0}")]
    RuntimeApi(#[source] lambda_runtime::Error),
}

/// Runs the rule `R` as a Lambda, until the service ends the process.
///
/// # Errors
///
/// It cannot start, or the Lambda Runtime API broke off.
pub fn run<R: Rule>() -> Result<(), Error> {
    logging::init();
    // One thread: the work is waiting for AWS, and a Lambda of this size has a fraction of a processor.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (shell, metrics) = (&Shell::<R>::from_env().await?, &Metrics::from_env());
        let handler = service_fn(|event: LambdaEvent<_>| async move {
            let (answer, line) = shell.measure(event).await;
            if let Some(metrics) = metrics {
                metrics.write(&line, ambient::now().as_millisecond());
            }
            answer
        });
        lambda_runtime::run(handler).await.map_err(Error::RuntimeApi)
    })
}
