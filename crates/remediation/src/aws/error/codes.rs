//! What the codes and messages of AWS's errors mean: the one table for every service.

use std::borrow::Cow;

use super::ErrorKind;

/// Codes by which AWS services say "not allowed".
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
const ACCESS_DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "AuthorizationError",
    "Forbidden",
    "InsufficientDependencyServiceAccessPermissionException",
];

/// Codes by which AWS services say "slower".
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>
const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "BandwidthLimitExceeded",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
    "SlowDown",
];

/// Codes for "another call is at work on the same thing": S3's, CloudWatch Logs', CloudTrail's, IAM's.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_UpdateTrail.html>
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html>
const PASSING: &[&str] = &[
    "OperationAborted",
    "ConditionalRequestConflict",
    "OperationAbortedException",
    "ConflictException",
    "ConcurrentModification",
    "ConcurrentModificationException",
    "EntityTemporarilyUnmodifiable",
    "EntityTemporarilyUnmodifiableException",
];

/// Codes for "not in this state", where the state ends by itself: RDS's, Redshift's, and SSM's quota of executions.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBSnapshotAttribute.html>
/// <https://docs.aws.amazon.com/redshift/latest/APIReference/API_ModifyCluster.html>
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartAutomationExecution.html>
const NOT_NOW: &[&str] = &[
    "InvalidDBSnapshotState",
    "InvalidDBSnapshotStateFault",
    "InvalidDBClusterSnapshotStateFault",
    "InvalidClusterState",
    "InvalidClusterStateFault",
    "AutomationExecutionLimitExceededException",
];

/// Codes for "nobody knows these credentials here": wrong keys, or a region that the account has not enabled.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
/// <https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html>
pub(super) const UNKNOWN_CREDENTIALS: &[&str] =
    &["AuthFailure", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"];

/// Codes for "this region is off".
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub(super) const REGION_OFF: &[&str] = &["RegionDisabledException", "OptInRequired"];

/// Codes for "only the organization's management account, or its delegated administrator, may do this".
/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_UpdateTrail.html>
const OF_ORGANIZATION: &[&str] =
    &["NotOrganizationMasterAccountException", "NotOrganizationManagementAccountException"];

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_request.html>
const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"];

/// Codes for "this session has ended"; EC2 says it as of a request.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
pub(super) const ENDED: &[&str] = &["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

/// Codes for "this signature is wrong"; [`OF_CLOCK`] says when the time in it is.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const SIGNATURE: &[&str] = &["SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"];

/// Codes for "this was signed at another time than it is now".
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const TIME: &[&str] = &["RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"];

/// How AWS says the same under a code of [`SIGNATURE`].
const OF_CLOCK: [&str; 2] = ["Signature expired", "Signature not yet current"];

/// Codes by which S3 says that a bucket is in another region; a HEAD has none.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const OF_ANOTHER_REGION: &[&str] =
    &["PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"];

/// Whether a word of an answer that is an error is a code for "slower": in XML, in JSON, or in a header.
pub(in crate::aws) fn says_slower(answer: &str) -> bool {
    answer.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| THROTTLED.contains(&word))
}

/// Whether a bucket was asked in a region that is not its own.
pub(super) fn is_of_another_region(code: Option<&str>) -> bool {
    code.is_some_and(|code| OF_ANOTHER_REGION.contains(&code))
}

/// Whether AWS says that a request was signed at another time than it is now.
pub(super) fn is_of_clock(code: Option<&str>, said: &str) -> bool {
    code.is_some_and(|code| {
        TIME.contains(&code) || SIGNATURE.contains(&code) && OF_CLOCK.iter().any(|phrase| said.contains(phrase))
    })
}

/// What is said of everything that passes. It is kept: such a finding is `deferred`, and the list has it again.
pub(super) const LATER: &str = "the next run tries again";

/// What a code means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) kind: ErrorKind,
    /// What to do.
    pub(super) advice: Cow<'static, str>,
}

impl Meaning {
    /// What `code` means, with the service's own words; none where the table does not know it.
    pub(super) fn of(code: &str, said: &str) -> Option<Self> {
        let is_one_of = |codes: &[&str]| codes.contains(&code);
        if is_one_of(ACCESS_DENIED) {
            return Some(refused_by(said));
        }
        let (kind, advice) = if is_one_of(THROTTLED) {
            (ErrorKind::Throttled, "the SDK's retries are used up; the next run tries again")
        } else if is_one_of(PASSING) {
            (ErrorKind::Passing, "somebody else is at work on it; the next run tries again")
        } else if is_one_of(NOT_NOW) {
            (ErrorKind::NotNow, "it cannot be done right now; the next run tries again")
        } else if is_one_of(REGION_OFF) {
            let advice = "the account has not enabled this region, or STS is switched off in it: enable it, or exempt \
                          the account there";
            (ErrorKind::OutOfReach, advice)
        } else if is_one_of(OF_ORGANIZATION) {
            let advice = "only the organization's management account, or its delegated administrator, may change it: \
                          change it there";
            (ErrorKind::OutOfReach, advice)
        } else if is_one_of(EXPIRED) {
            (ErrorKind::AccessDenied, "the session has ended, or its credentials have expired: sign in again")
        } else if is_of_clock(Some(code), said) {
            let advice = "set this machine's clock, and keep it synchronized with NTP: a signature is good for some \
                          minutes only";
            (ErrorKind::AccessDenied, advice)
        } else if is_one_of(SIGNATURE) {
            let advice = "is the secret key the one of this access key, copied whole? Else a proxy on the way changes \
                          requests";
            (ErrorKind::AccessDenied, advice)
        } else if is_one_of(UNKNOWN_CREDENTIALS) {
            let advice = "AWS does not know these credentials here: they are deleted or inactive, or of another \
                          partition (such as China or GovCloud), or the account has not enabled the region";
            (ErrorKind::AccessDenied, advice)
        } else {
            return None;
        };
        Some(Self { kind, advice: advice.into() })
    }
}

/// Who can refuse a call, as AWS words it.
struct Refusal {
    /// The words.
    phrase: &'static str,
    kind: ErrorKind,
    /// The policy, as the subject of a sentence.
    who: &'static str,
    /// What to do.
    remedy: &'static str,
}

const OF_ORGANIZATIONS_POLICY: &str =
    "nobody in the account can allow it: except the role in that policy, or exempt the account";

/// The kinds of policies. Each phrase is for an explicit deny, or for one of the kind that allows nothing.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
const REFUSALS: [Refusal; 9] = [
    Refusal {
        phrase: "trust policy",
        kind: ErrorKind::AccessDenied,
        who: "the trust policy of the role",
        remedy: "let the caller in there; for a role of the target module, name it in that module's inputs",
    },
    Refusal {
        phrase: "service control policy",
        kind: ErrorKind::OutOfReach,
        who: "a service control policy of the organization",
        remedy: OF_ORGANIZATIONS_POLICY,
    },
    Refusal {
        phrase: "resource control policy",
        kind: ErrorKind::OutOfReach,
        who: "a resource control policy of the organization",
        remedy: OF_ORGANIZATIONS_POLICY,
    },
    Refusal {
        phrase: "permissions boundary",
        kind: ErrorKind::AccessDenied,
        who: "the role's permissions boundary",
        remedy: "allow it there",
    },
    Refusal {
        phrase: "session policy",
        kind: ErrorKind::AccessDenied,
        who: "the session's own policy",
        remedy: "are the role and this program of the same version?",
    },
    Refusal {
        phrase: "VPC endpoint policy",
        kind: ErrorKind::AccessDenied,
        who: "the policy of a VPC endpoint",
        remedy: "allow it there",
    },
    Refusal {
        phrase: "resource-based policy",
        kind: ErrorKind::AccessDenied,
        who: "the resource's own policy, such as a bucket's",
        remedy: "except the role in it",
    },
    Refusal {
        phrase: "S3 Block Public Access",
        kind: ErrorKind::AccessDenied,
        who: "a public access block, the bucket's or the account's own",
        remedy: "look at both",
    },
    Refusal {
        phrase: "identity-based policy",
        kind: ErrorKind::AccessDenied,
        who: "the caller's own policies",
        remedy: "allow it there; for a role of the target module, apply that again",
    },
];

/// Which policy refused a call, by AWS's own words.
fn refused_by(said: &str) -> Meaning {
    let is_explicit = said.contains("explicit deny");
    let Some(Refusal { kind, who, remedy, .. }) = REFUSALS.into_iter().find(|of| said.contains(of.phrase)) else {
        let advice = match is_explicit {
            true => "a policy denies it, whatever others allow: look at",
            false => "AWS does not say which policy refuses it: look at",
        };
        let advice = format!(
            "{advice} the role's own policies, its permissions boundary, the session's policy, the organization's SCPs \
             and RCPs, and the resource's own policy, such as a bucket's, a key's, or a role's trust policy"
        );
        return Meaning { kind: ErrorKind::AccessDenied, advice: advice.into() };
    };
    let advice = match is_explicit {
        true => format!("an explicit deny in {who}, which no allow elsewhere outweighs: {remedy}"),
        false => format!("refused by {who}: {remedy}"),
    };
    Meaning { kind, advice: advice.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_policy_that_refused() {
        // The sentences of the page.
        for (said, kind, advice) in [
            (
                "User: u is not authorized to perform: a on resource: r with an explicit deny in a service control \
                 policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1",
                ErrorKind::OutOfReach,
                "a service control policy of the organization",
            ),
            ("… because no service control policy allows the a action", ErrorKind::OutOfReach, "a service control"),
            ("… with an explicit deny in a resource control policy", ErrorKind::OutOfReach, "a resource control"),
            ("… because no permissions boundary allows the a action", ErrorKind::AccessDenied, "permissions boundary"),
            ("… because no session policy allows the a action", ErrorKind::AccessDenied, "the session's own policy"),
            (
                "… with an explicit deny in a resource-based policy",
                ErrorKind::AccessDenied,
                "the resource's own policy",
            ),
            ("… because no VPC endpoint policy allows the a action", ErrorKind::AccessDenied, "VPC endpoint"),
            (
                "… because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
                ErrorKind::AccessDenied,
                "a public access block",
            ),
            ("… because no identity-based policy allows the a action", ErrorKind::AccessDenied, "the caller's own"),
            ("… with an explicit deny in an identity-based policy", ErrorKind::AccessDenied, "no allow elsewhere"),
            ("… with an explicit deny", ErrorKind::AccessDenied, "a policy denies it, whatever others allow"),
            ("… because the role's trust policy does not allow it", ErrorKind::AccessDenied, "let the caller in there"),
            ("Access Denied", ErrorKind::AccessDenied, "such as a bucket's, a key's, or a role's trust policy"),
        ] {
            let meaning = Meaning::of("AccessDenied", said).unwrap();
            assert_eq!(meaning.kind, kind, "{said}");
            assert!(meaning.advice.contains(advice), "{said}: {}", meaning.advice);
        }
    }

    /// What a person has to look at is told by the code, and where one code stands for several things, by AWS's words.
    #[test]
    fn credentials_that_are_refused_say_what_to_look_at() {
        let expired = "Signature expired: 20261129T110000Z is now earlier than 20261129T114500Z";
        let early = "Signature not yet current: 20261129T130000Z is still later than 20261129T121500Z";
        for (code, said, advice) in [
            ("InvalidClientTokenId", "The security token included in the request is invalid.", "another partition"),
            (
                "UnrecognizedClientException",
                "The security token included in the request is invalid",
                "deleted or inactive",
            ),
            (
                "AuthFailure",
                "AWS was not able to validate the provided access credentials",
                "has not enabled the region",
            ),
            ("OptInRequired", "You are not subscribed to this service", "has not enabled this region"),
            ("SignatureDoesNotMatch", "The request signature we calculated does not match", "the secret key"),
            ("SignatureDoesNotMatch", expired, "this machine's clock"),
            ("InvalidSignatureException", early, "this machine's clock"),
            (
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time",
                "this machine's clock",
            ),
            ("ExpiredToken", "The security token included in the request is expired", "sign in again"),
        ] {
            let meaning = Meaning::of(code, said).unwrap();
            assert!(meaning.advice.contains(advice), "{code}: {said}: {}", meaning.advice);
            assert_eq!(is_of_clock(Some(code), said), advice.contains("clock"), "{code}: {said}");
        }
    }

    #[test]
    fn what_passes_says_that_the_next_poll_tries_again_and_nothing_else_does() {
        let passing = [THROTTLED, PASSING, NOT_NOW].concat();
        let lasting =
            [ACCESS_DENIED, UNKNOWN_CREDENTIALS, REGION_OFF, OF_ORGANIZATION, EXPIRED, SIGNATURE, TIME].concat();
        for (codes, passes) in [(passing, true), (lasting, false)] {
            for code in codes {
                let Meaning { kind, advice } = Meaning::of(code, "").unwrap();
                assert_eq!(advice.ends_with(LATER), passes, "{code}: {advice}");
                assert_eq!(kind.outcome() == crate::Outcome::Deferred, passes, "{code}");
            }
        }
        assert_eq!(Meaning::of("NoSuchBucket", ""), None);
    }
}
