//! Errors of AWS calls: which API action failed, how, and whether another try can help.

use std::borrow::Cow;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use network::Failure;

use super::AccountId;

pub use causes::plain;
use causes::visible;
pub(super) use codes::says_slower;
use codes::{LATER, Meaning};

mod causes;
mod clock;
mod codes;
mod elsewhere;

/// The result of a rule's or the engine's step.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a step failed. What follows from it is said in [`ErrorKind::outcome`], and by [`ErrorKind::Passing`] for
/// what is tried again at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The resource does not exist any more.
    Gone,
    /// The caller may not do this: the action in the error is the permission that is missing.
    AccessDenied,
    /// Nobody can change this from the finding's account: the resource is another account's, or the organization or
    /// the account's own settings forbid it.
    OutOfReach,
    /// Over in a moment: another call was at work on the same resource, or the answer broke off.
    Passing,
    /// The service asked to slow down, and the SDK's retries are used up.
    Throttled,
    /// No answer, a broken connection or a fault of the service.
    Transient,
    /// The resource, or a quota, does not allow the change right now; it will by itself.
    NotNow,
    /// The same call will fail the same way until somebody changes something.
    Permanent,
    /// The finding itself is at fault, not a call.
    InvalidFinding,
    /// The write was begun, and the time to await its end is up; or a step of it was to be taken back, and nobody
    /// answered. What a look shows then may not stay so.
    Unfinished,
    /// The policy lets nothing be written any more.
    Stopped,
    /// Nothing was written, because somebody else had made the change already.
    Unneeded,
}

impl ErrorKind {
    /// The kind of a service's `code` that came inside of another answer, such as a runbook's; none where no table knows
    /// it. `said` are the service's own words.
    pub fn of_code(code: &str, said: &str) -> Option<Self> {
        Meaning::of(code, said).map(|meaning| meaning.kind)
    }
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
    /// The region in which a bucket answers, where it was asked in another one.
    pub elsewhere: Option<String>,
}

impl Error {
    /// The error of an SDK call of `action`; or of the renewal of its session, where that is why it was not made.
    pub fn api<E>(action: &str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let causes = || std::iter::successors(std::error::Error::source(&error), |error| error.source());
        if let Some(of_session) = causes().filter_map(|cause| cause.downcast_ref::<Self>()).next() {
            return of_session.clone();
        }
        let code = error.code().map(str::to_owned);
        if let Some(failure) = causes().filter_map(|cause| cause.downcast_ref::<Failure>()).next() {
            return Self::new(action, ErrorKind::Transient, format!("{failure} ({LATER})"));
        }
        let said = error.message().map(visible);
        let said = said.as_deref();
        let meaning = code.as_deref().and_then(|code| Meaning::of(code, said.unwrap_or_default()));
        let response = error.raw_response();
        let server_fault = response.is_some_and(|response| response.status().is_server_error());
        let (kind, advice) = match (meaning, &error) {
            (Some(Meaning { kind, advice }), _) => (kind, Some(advice)),
            (None, SdkError::ServiceError(_)) if !server_fault => (ErrorKind::Permanent, None),
            (None, SdkError::ConstructionFailure(_)) => (ErrorKind::Permanent, None),
            (None, _) => (ErrorKind::Transient, Some(LATER.into())),
        };
        let elsewhere =
            response.and_then(|response| elsewhere::region(code.as_deref(), said.unwrap_or_default(), response));
        let clock =
            response.filter(|_| codes::is_of_clock(code.as_deref(), said.unwrap_or_default())).and_then(clock::off);
        let what = match (code.as_deref(), said) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            _ => plain(&error),
        };
        let of_bucket = elsewhere
            .as_ref()
            .map(|region| format!("the bucket is in {region}: on the command line, give --region {region} (where there is one, --records-region)").into());
        let hints: Vec<Cow<'_, str>> = [of_bucket, clock.map(Cow::from), advice].into_iter().flatten().collect();
        let message = if hints.is_empty() { what } else { format!("{what} ({})", hints.join("; ")) };
        Self { action: action.to_owned(), kind, code, message, elsewhere }
    }

    /// Takes one of `codes` to mean that the resource does not exist any more.
    #[must_use]
    pub fn gone_if(self, codes: &[&str]) -> Self {
        let gone = self.code.as_deref().is_some_and(|code| codes.contains(&code));
        if gone { Self { kind: ErrorKind::Gone, ..self } } else { self }
    }

    /// The finding's own `field` cannot be used.
    pub fn invalid_finding(field: &str, message: impl Into<String>) -> Self {
        Self::new(&format!("finding's {field}"), ErrorKind::InvalidFinding, message)
    }

    /// The resource cannot be changed now: it is in a state that ends by itself.
    pub fn not_now(action: &str, message: impl Into<String>) -> Self {
        Self::new(action, ErrorKind::NotNow, message)
    }

    /// Nobody can change it from the finding's account.
    pub fn out_of_reach(action: &str, message: impl Into<String>) -> Self {
        Self::new(action, ErrorKind::OutOfReach, message)
    }

    /// Somebody else had made the change when it was to be written, so it is not ours to take back.
    pub fn unneeded(action: &str) -> Self {
        Self::new(action, ErrorKind::Unneeded, "somebody else has made the change already, so nothing was written")
    }

    /// An answer that says less than it must, so that nothing can be concluded from it.
    pub fn unusable(action: &str, what: &str) -> Self {
        Self::new(action, ErrorKind::Transient, format!("the answer holds {what} ({LATER})"))
    }

    /// The answer's body broke off, because of `cause`.
    pub fn broken_off(action: &str, cause: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(action, ErrorKind::Passing, format!("the answer broke off: {} ({LATER})", plain(cause)))
    }

    /// The policy does not let it be written, because of `message`.
    pub fn stopped(message: String) -> Self {
        Self::new("policy", ErrorKind::Stopped, message)
    }

    /// An error without a code of the service's.
    pub fn new(action: &str, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { action: action.to_owned(), kind, code: None, message: message.into(), elsewhere: None }
    }

    /// Whether this says that the resource does not exist any more.
    pub fn is_gone(&self) -> bool {
        self.kind == ErrorKind::Gone
    }

    /// Whether nobody answered: what was asked for may still be done, at any time.
    pub fn is_unanswered(&self) -> bool {
        self.kind == ErrorKind::Transient && self.code.is_none()
    }

    /// Whether the service has looked at what was asked for, and said no to it for a reason of its own.
    pub(super) fn is_answer(&self) -> bool {
        let is_trouble = matches!(self.kind, ErrorKind::Throttled | ErrorKind::Transient | ErrorKind::Passing);
        self.code.is_some() && !is_trouble
    }

    /// Whether AWS says that the session with which the call was signed has ended.
    pub(super) fn is_of_ended_session(&self) -> bool {
        self.code.as_deref().is_some_and(|code| codes::ENDED.contains(&code))
    }

    /// Of a call with a session that STS has just given out: that the session is not known in `region` means that the
    /// account has not enabled that region.
    /// <https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html>
    #[must_use]
    pub fn in_session(self, account: &AccountId, region: &str) -> Self {
        if !self.code.as_deref().is_some_and(|code| codes::UNKNOWN_CREDENTIALS.contains(&code)) {
            return self;
        }
        let code = self.code.as_deref().unwrap_or_default();
        let message = format!(
            "{code}: the session is not known in {region}: most likely the account {account} has not enabled that region. Enable it \
             there, or exempt the account in {region}"
        );
        Self { kind: ErrorKind::OutOfReach, message, ..self }
    }

    /// Whether it is the account that is at fault and not one of its resources, so that every finding of it meets the
    /// same.
    pub fn is_of_account(&self) -> bool {
        let of_account = |code: &str| codes::UNKNOWN_CREDENTIALS.contains(&code) || codes::REGION_OFF.contains(&code);
        self.action == "sts:AssumeRole"
            || self.code.as_deref().is_some_and(of_account)
            || self.kind == ErrorKind::OutOfReach && self.code.is_some()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    const BODY: &str = "an answer with a secret in it";

    fn answer(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), SdkBody::from(BODY))
    }

    /// The error of a call that the service answered with this code (none: with a body without one) and status.
    fn service_error(code: Option<&str>, status: u16) -> Error {
        let metadata = code.map(|code| ErrorMetadata::builder().code(code).message("told so").build());
        let error = GetObjectError::generic(metadata.unwrap_or_else(|| ErrorMetadata::builder().build()));
        Error::api("s3:GetObject", SdkError::service_error(error, answer(status)))
    }

    #[test]
    fn a_code_says_what_kind_of_error_it_is() {
        let denied = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"];
        let denied = denied.map(|code| (Some(code), 403, ErrorKind::AccessDenied));
        // What the SDK itself tries again as throttled; it names no quota that only a person can raise.
        let throttled = [
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottledException",
            "TooManyRequestsException",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "RequestThrottled",
            "SlowDown",
            "PriorRequestNotComplete",
            "EC2ThrottledException",
        ];
        let throttled = throttled.map(|code| (Some(code), 400, ErrorKind::Throttled));
        let others = [
            (Some("SlowDown"), 503, ErrorKind::Throttled),
            (Some("NoSuchBucket"), 404, ErrorKind::Permanent),
            (Some("LimitExceededException"), 400, ErrorKind::Permanent),
            (Some("InvalidRequest"), 400, ErrorKind::Permanent),
            (Some("InternalError"), 500, ErrorKind::Transient),
            (Some("ServiceUnavailable"), 503, ErrorKind::Transient),
            (None, 502, ErrorKind::Transient),
            (None, 400, ErrorKind::Permanent),
        ];
        for (code, status, kind) in denied.into_iter().chain(throttled).chain(others) {
            let error = service_error(code, status);
            assert_eq!((error.kind, error.code.as_deref()), (kind, code), "{code:?} {status}");
            let text = error.to_string();
            let expected = code.map_or("s3:GetObject: ".to_owned(), |code| format!("s3:GetObject: {code}: told so"));
            assert!(text.starts_with(&expected), "{text}");
        }
    }

    #[test]
    fn the_encoded_details_of_a_refusal_are_left_out() {
        const ENCODED: &str = "Encoded authorization failure message:";
        let refusal = "You are not authorized to perform this operation. User: u is not authorized to perform: ec2:X \
                       with an explicit deny in a service control policy.";
        for (said, expected) in [
            (format!("{refusal} {ENCODED} {}", "x7Qa".repeat(1000)), refusal.to_owned()),
            (format!("{refusal} {ENCODED} abc What else it says."), format!("{refusal} What else it says.")),
            (format!("{ENCODED} abc"), String::new()),
            (refusal.to_owned(), refusal.to_owned()),
        ] {
            let metadata = ErrorMetadata::builder().code("UnauthorizedOperation").message(said).build();
            let error = SdkError::service_error(GetObjectError::generic(metadata), answer(403));
            let message = Error::api("ec2:X", error).message;
            assert!(message.starts_with(&format!("UnauthorizedOperation: {expected}")), "{message}");
            assert!(!message.contains("x7Qa") && !message.contains("abc"), "{message}");
        }
    }

    #[test]
    fn a_call_without_an_answer_is_transient_and_one_that_cannot_be_made_is_permanent() {
        type Sdk = SdkError<GetObjectError, HttpResponse>;
        let cases: [(Sdk, ErrorKind); 4] = [
            (SdkError::timeout_error("no time left"), ErrorKind::Transient),
            (SdkError::dispatch_failure(ConnectorError::io("no time left".into())), ErrorKind::Transient),
            (SdkError::response_error("no time left", answer(200)), ErrorKind::Transient),
            (SdkError::construction_failure("no time left"), ErrorKind::Permanent),
        ];
        for (error, kind) in cases {
            let error = Error::api("s3:GetObject", error);
            assert_eq!((error.kind, &error.code), (kind, &None), "{error}");
            assert!(
                error.to_string().starts_with("s3:GetObject: ") && error.message.contains("no time left"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_error_says_what_to_do_about_it() {
        for (code, status, advice) in [
            ("AccessDenied", 403, "AWS does not say which policy refuses it"),
            ("Throttling", 400, "the next run tries again"),
            ("InternalError", 500, "the next run tries again"),
        ] {
            let error = service_error(Some(code), status);
            assert!(error.message.contains(advice), "{error}");
        }
        assert_eq!(service_error(Some("NoSuchBucket"), 404).message, "NoSuchBucket: told so");
    }

    #[test]
    fn the_body_of_an_answer_is_in_no_error() {
        let unreadable = SdkError::<GetObjectError, _>::response_error("not what was expected", answer(200));
        for error in [Error::api("s3:GetObject", unreadable), service_error(None, 200), service_error(None, 500)] {
            let text = format!("{error} {error:?}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_bucket_that_is_elsewhere_says_where() {
        let region = |code, status| {
            let mut answer = answer(status);
            answer.headers_mut().insert("x-amz-bucket-region", "eu-west-1");
            let metadata = ErrorMetadata::builder().code(code).message("told so").build();
            Error::api("s3:GetObject", SdkError::service_error(GetObjectError::generic(metadata), answer)).elsewhere
        };
        assert_eq!(region("PermanentRedirect", 301).as_deref(), Some("eu-west-1"));
        assert_eq!(region("AuthorizationHeaderMalformed", 400).as_deref(), Some("eu-west-1"));
        assert_eq!(region("AccessDenied", 403), None, "it is asked in the right region");
        assert_eq!(service_error(Some("PermanentRedirect"), 301).elsewhere, None);
    }

    #[test]
    fn a_hint_names_the_region_of_a_bucket_and_how_far_off_the_clock_is() {
        let api = |code, name: &'static str, value: String| {
            let mut answer = answer(400);
            answer.headers_mut().insert(name, value);
            let metadata = ErrorMetadata::builder().code(code).message("told so").build();
            Error::api("s3:GetObject", SdkError::service_error(GetObjectError::generic(metadata), answer)).message
        };
        let told = api("AuthorizationHeaderMalformed", "x-amz-bucket-region", "eu-west-1".into());
        assert!(told.contains("the bucket is in eu-west-1") && told.contains("give --region eu-west-1"), "{told}");
        let date = (ambient::now() - jiff::SignedDuration::from_mins(20)).strftime("%a, %d %b %Y %T GMT").to_string();
        let told = api("RequestTimeTooSkewed", "date", date.clone());
        assert!(told.contains("min ahead of AWS's") && told.contains("set this machine's clock"), "{told}");
        let told = api("AccessDenied", "date", date);
        assert!(!told.contains("ahead"), "{told}");
    }

    #[test]
    fn only_the_named_codes_mean_that_a_resource_is_gone() {
        let codes = ["NoSuchBucket", "NoSuchKey"];
        for (code, gone) in [(Some("NoSuchKey"), true), (Some("AccessDenied"), false), (None, false)] {
            let error = service_error(code, 404).gone_if(&codes);
            assert_eq!(error.is_gone(), gone, "{code:?}");
        }
    }

    #[test]
    fn an_invalid_finding_names_its_field() {
        let error = Error::invalid_finding("resource", "`x` is no bucket");
        assert_eq!(
            (error.kind, error.to_string().as_str()),
            (ErrorKind::InvalidFinding, "finding's resource: `x` is no bucket")
        );
    }
}
