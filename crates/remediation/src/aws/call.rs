//! One call of AWS: counted for the proof that it belongs to, tried again where it failed for a moment only.

use std::cell::RefCell;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use backon::{ExponentialBuilder, Retryable};

use super::concurrency::permitted;
use super::{Error, ErrorKind, Result, signing};

tokio::task_local! {
    /// The actions that were called in the scope of [`counted`], each once, in the order of their first call.
    static CALLED: RefCell<Vec<String>>;
}

/// Calls `action`, and again where another call was at work on the same resource at that moment, or where the session had
/// ended. What AWS answers with "slower", or not at all, the SDK itself tries again.
///
/// # Errors
///
/// [`Error::api`]'s, of the last try.
pub async fn call<T, E, F>(action: &str, request: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    count(action);
    // The SDK's futures are large: without a box, so would be whatever calls this.
    let once = || async { Box::pin(request()).await.map_err(|error| Error::api(action, error)) };
    again_if_passing(|| permitted(action, signing::again_if_ended(once))).await
}

/// Counts an action for the look that rests on it. A call that is made outside of a look is counted nowhere.
pub(super) fn count(action: &str) {
    let _ = CALLED.try_with(|called| {
        let mut called = called.borrow_mut();
        if !called.iter().any(|of| of == action) {
            called.push(action.to_owned());
        }
    });
}

/// Tries a step again, a few times within some seconds, while it fails with what is over in a moment.
pub async fn again_if_passing<T, F>(step: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let backoff = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(4);
    step.retry(backoff).when(|error: &Error| error.kind == ErrorKind::Passing).await
}

/// What `step` gives, with the actions that it called.
pub async fn counted<T>(step: impl Future<Output = T>) -> (T, Vec<String>) {
    CALLED
        .scope(RefCell::default(), async {
            let result = step.await;
            (result, CALLED.with(RefCell::take))
        })
        .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    fn refused(code: &'static str) -> SdkError<GetObjectError, HttpResponse> {
        let error = GetObjectError::generic(ErrorMetadata::builder().code(code).build());
        let answer = HttpResponse::new(409.try_into().unwrap(), aws_smithy_types::body::SdkBody::empty());
        SdkError::service_error(error, answer)
    }

    /// Calls with `code` for an answer to the first `refusals` tries; gives the result and how many tries there were.
    async fn after(refusals: u32, code: &'static str) -> (Result<u32>, u32) {
        let tries = AtomicU32::new(0);
        let request = || async {
            let number = tries.fetch_add(1, Ordering::Relaxed);
            if number < refusals { Err(refused(code)) } else { Ok(number) }
        };
        let result = call("s3:PutBucketPublicAccessBlock", request).await;
        (result, tries.into_inner())
    }

    #[tokio::test]
    async fn what_is_over_in_a_moment_is_tried_again_and_nothing_else() {
        assert_eq!(after(2, "OperationAborted").await, (Ok(2), 3));
        let (result, tries) = after(100, "OperationAborted").await;
        assert_eq!((result.unwrap_err().kind, tries), (ErrorKind::Passing, 5));
        for code in ["AccessDenied", "NoSuchBucket", "SlowDown"] {
            assert_eq!(after(100, code).await.1, 1, "{code}");
        }
    }

    #[tokio::test]
    async fn a_look_knows_its_calls_each_once_and_no_other_ones() {
        let good = || async { Ok::<_, SdkError<GetObjectError, HttpResponse>>(()) };
        let look = async {
            for action in ["ec2:DescribeVpcs", "ec2:DescribeFlowLogs", "ec2:DescribeVpcs"] {
                call(action, good).await.unwrap();
            }
        };
        call("s3:GetObject", good).await.unwrap();
        let ((), calls) = counted(look).await;
        assert_eq!(calls, ["ec2:DescribeVpcs", "ec2:DescribeFlowLogs"]);
        assert!(counted(async {}).await.1.is_empty());
    }
}
