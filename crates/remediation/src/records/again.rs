//! Writes that several make at once to one object: each reads it, changes it, and puts it on the condition that it is still
//! what was read; whoever was slower begins again.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use super::RecordError;

/// Why an attempt came to nothing.
pub(super) enum Refused<E> {
    /// Somebody else was faster.
    Taken,
    /// It fails the same way if it is made again.
    Failed(E),
}

impl From<RecordError> for Refused<RecordError> {
    fn from(error: RecordError) -> Self {
        Self::Failed(error)
    }
}

/// Tries again while somebody else is faster, for at most `patience`; `taken` is the error where that was not enough.
pub(super) async fn again<T, E, F: Future<Output = Result<T, Refused<E>>>>(
    patience: Duration,
    attempt: impl FnMut() -> F,
    taken: impl FnOnce() -> E,
) -> Result<T, E> {
    let backoff = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(2))
        .without_max_times()
        .with_total_delay(Some(patience));
    let ended = attempt.retry(backoff).when(|refused| matches!(refused, Refused::Taken)).await;
    ended.map_err(|refused| match refused {
        Refused::Taken => taken(),
        Refused::Failed(error) => error,
    })
}
