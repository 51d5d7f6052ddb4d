//! Who runs this, and whether this machine's clock is right.

use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use remediation::AccountId;

use crate::commands::doctor::check::{Area, Check};
use crate::session::access::Access;

/// AWS refuses requests whose signature is further off than this.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const REFUSED: SignedDuration = SignedDuration::from_mins(5);
/// A clock that is further off than this is not synchronized.
const SUSPICIOUS: SignedDuration = SignedDuration::from_mins(1);
const SET_CLOCK: &str = "set this machine's clock, and keep it synchronized with NTP";

/// What was found out about whoever runs this.
pub(super) struct Caller {
    pub(super) checks: Vec<Check>,
    pub(super) credentials: Credentials,
    /// Of which account.
    pub(super) account: Option<AccountId>,
}

/// Whether AWS accepts the credentials, so that other calls make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credentials {
    Accepted,
    Refused,
}

/// Checks the credentials and the clock.
pub(super) async fn check(config: &SdkConfig, access: &Access) -> Caller {
    let who = Check::of(Area::Caller, "credentials");
    let clock = Check::of(Area::Caller, "clock");
    if let Err(error) = access.credentials(config).await {
        let not_asked = clock.skipped("without credentials, AWS cannot be asked");
        let checks = vec![who.failed(error.reason, error.advice), not_asked];
        return Caller { checks, credentials: Credentials::Refused, account: None };
    }
    let date = Date::default();
    let sts = aws_sdk_sts::config::Builder::from(config).interceptor(date.clone()).build();
    // It needs no permission: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    let answer = aws_sdk_sts::Client::from_conf(sts).get_caller_identity().send().await;
    let answer = answer.map_err(|error| remediation::Error::api("sts:GetCallerIdentity", error));
    let clock = match date.seen() {
        Some(Dated { theirs, ours }) => judge(clock, ours.duration_since(theirs)),
        None => clock.warn("AWS's answer has no date", "check whether a proxy removes it"),
    };
    match answer {
        Ok(answer) => {
            let account = answer.account.and_then(|account| account.parse().ok());
            let checks = vec![who.ok(answer.arn.unwrap_or_default()), clock];
            Caller { checks, credentials: Credentials::Accepted, account }
        }
        Err(error) => {
            let fix =
                "give credentials that AWS accepts (--profile, AWS_PROFILE, or the environment), and check the clock";
            let checks = vec![who.failed(error.to_string(), fix), clock];
            Caller { checks, credentials: Credentials::Refused, account: None }
        }
    }
}

/// How far off the clock is.
fn judge(clock: Check, ahead: SignedDuration) -> Check {
    let found = format!("{} s off AWS's clock", ahead.as_secs().abs());
    match ahead.abs() {
        off if off > REFUSED => clock.failed(found, SET_CLOCK),
        off if off > SUSPICIOUS => clock.warn(found, SET_CLOCK),
        _ => clock.ok(found),
    }
}

/// When an answer was sent, by AWS's clock, and when it came, by this machine's.
#[derive(Debug, Clone, Copy)]
struct Dated {
    theirs: Timestamp,
    ours: Timestamp,
}

/// The date of the last answer.
#[derive(Debug, Clone, Default)]
struct Date(Arc<Mutex<Option<Dated>>>);

impl Date {
    fn seen(&self) -> Option<Dated> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let theirs = context.response().headers().get("date").and_then(date);
        let dated = theirs.map(|theirs| Dated { theirs, ours: ambient::now() });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = dated;
        Ok(())
    }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#field.date>
fn date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::check::CheckResult;

    #[test]
    fn the_clock_may_be_off_by_a_minute_and_must_not_by_more_than_five() {
        for (seconds, result) in [
            (0, CheckResult::Ok),
            (60, CheckResult::Ok),
            (61, CheckResult::Warn),
            (-61, CheckResult::Warn),
            (300, CheckResult::Warn),
            (301, CheckResult::Failed),
            (-301, CheckResult::Failed),
        ] {
            let check = judge(Check::of(Area::Caller, "clock"), SignedDuration::from_secs(seconds));
            assert_eq!(check.result, result, "{seconds}");
            assert_eq!(check.fix.is_some(), result != CheckResult::Ok, "{seconds}");
        }
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        assert_eq!(date("Fri, 02 Jan 2026 03:04:05 GMT"), Some("2026-01-02T03:04:05Z".parse().unwrap()));
        assert_eq!(date("yesterday"), None);
    }
}
