//! Errors of AWS calls: which API action failed, how, and whether another try can help.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// The result of a rule's or the engine's step.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The resource does not exist any more.
    Gone,
    /// The caller may not do this: the action in the error is the permission that is missing.
    AccessDenied,
    /// The service asked to slow down, and the SDK's retries are used up.
    Throttled,
    /// No answer, a broken connection or a fault of the service: the next poll tries again.
    Transient,
    /// The same call will fail the same way until somebody changes something.
    Permanent,
    /// The finding itself is at fault, not a call.
    InvalidFinding,
}

/// A failed step, named by the API action that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action}: {message}")]
pub struct Error {
    /// The IAM action (`s3:PutBucketPublicAccessBlock`), or the part of a finding that is at fault.
    pub action: String,
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// The service's own error code, where it gave one.
    pub code: Option<String>,
    /// What happened and what to do.
    pub message: String,
}

/// Codes by which AWS services say "not allowed".
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
const ACCESS_DENIED: [&str; 5] =
    ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "Forbidden"];
/// Codes by which AWS services say "slower".
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>
const THROTTLED: [&str; 6] = [
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
    "RequestThrottled",
];

impl Error {
    /// The error of an SDK call of `action`.
    pub fn api<E>(action: &str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let code = error.code().map(str::to_owned);
        let server_fault = error.raw_response().is_some_and(|response| response.status().is_server_error());
        let kind = match (&error, code.as_deref()) {
            (_, Some(code)) if ACCESS_DENIED.contains(&code) => ErrorKind::AccessDenied,
            (_, Some(code)) if THROTTLED.contains(&code) => ErrorKind::Throttled,
            (SdkError::ServiceError(_), _) if !server_fault => ErrorKind::Permanent,
            (SdkError::ConstructionFailure(_), _) => ErrorKind::Permanent,
            _ => ErrorKind::Transient,
        };
        let what = match (code.as_deref(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            _ => DisplayErrorContext(&error).to_string(),
        };
        let message = match kind {
            ErrorKind::AccessDenied => format!("{what} (is this permission in the role, its boundary and the SCPs?)"),
            ErrorKind::Throttled => format!("{what} (the SDK's retries are used up; the next poll tries again)"),
            ErrorKind::Transient => format!("{what} (the next poll tries again)"),
            _ => what,
        };
        Self { action: action.to_owned(), kind, code, message }
    }

    /// Takes one of `codes` to mean that the resource does not exist any more.
    #[must_use]
    pub fn gone_if(self, codes: &[&str]) -> Self {
        let gone = self.code.as_deref().is_some_and(|code| codes.contains(&code));
        if gone { Self { kind: ErrorKind::Gone, ..self } } else { self }
    }

    /// The finding's own `field` cannot be used.
    pub fn invalid_finding(field: &str, message: impl Into<String>) -> Self {
        Self {
            action: format!("finding's {field}"),
            kind: ErrorKind::InvalidFinding,
            code: None,
            message: message.into(),
        }
    }

    /// Whether this says that the resource does not exist any more.
    pub fn is_gone(&self) -> bool {
        self.kind == ErrorKind::Gone
    }
}
