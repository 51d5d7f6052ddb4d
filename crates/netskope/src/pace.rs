//! When a request may be sent, where several clients that know nothing of each other share a tenant's rate.

use std::fmt;
use std::pin::Pin;

/// Says when a request may be sent.
pub trait Pace: fmt::Debug + Send + Sync {
    /// Waits until one request may be sent, and lets it be sent at once; or says why none may be.
    fn turn(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>>;
}
