//! What the codes and messages of AWS's errors mean: the one table for every service.

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

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const SIGNATURE: &[&str] = &[
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "RequestTimeTooSkewed",
    "RequestExpired",
    "RequestInTheFuture",
    "IncompleteSignature",
];

/// Codes by which S3 says that a bucket is in another region; a HEAD has none.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const OF_ANOTHER_REGION: &[&str] =
    &["PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"];

/// Whether a bucket was asked in a region that is not its own.
pub(super) fn is_of_another_region(code: Option<&str>) -> bool {
    code.is_some_and(|code| OF_ANOTHER_REGION.contains(&code))
}

/// What is said of everything that passes. It is kept: such a finding is `deferred`, and the list has it again.
pub(super) const LATER: &str = "the next poll tries again";

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) kind: ErrorKind,
    /// What to do.
    pub(super) advice: &'static str,
}

impl Meaning {
    /// What `code` means, with the service's own words; none where the table does not know it.
    pub(super) fn of(code: &str, said: &str) -> Option<Self> {
        let is_one_of = |codes: &[&str]| codes.contains(&code);
        let (kind, advice) = if is_one_of(ACCESS_DENIED) {
            refused_by(said)
        } else if is_one_of(THROTTLED) {
            (ErrorKind::Throttled, "the SDK's retries are used up; the next poll tries again")
        } else if is_one_of(PASSING) {
            (ErrorKind::Passing, "somebody else is at work on it; the next poll tries again")
        } else if is_one_of(NOT_NOW) {
            (ErrorKind::NotNow, "it cannot be done right now; the next poll tries again")
        } else if is_one_of(REGION_OFF) {
            let advice = "the account has not enabled this region, or STS is switched off in it: enable it, or exempt \
                          the account there";
            (ErrorKind::OutOfReach, advice)
        } else if is_one_of(OF_ORGANIZATION) {
            let advice = "only the organization's management account, or its delegated administrator, may change it: \
                          change it there";
            (ErrorKind::OutOfReach, advice)
        } else if is_one_of(EXPIRED) {
            (ErrorKind::AccessDenied, "the credentials have expired: sign in again")
        } else if is_one_of(SIGNATURE) {
            let advice = "is the clock of this machine right? A signature is good for some minutes only; else the \
                          secret key is a wrong one";
            (ErrorKind::AccessDenied, advice)
        } else if is_one_of(UNKNOWN_CREDENTIALS) {
            (
                ErrorKind::AccessDenied,
                "AWS does not know these credentials: are they the right ones, for this partition?",
            )
        } else {
            return None;
        };
        Some(Self { kind, advice })
    }
}

/// Which policy refused a call, by AWS's own words. Each phrase is for an explicit deny, or for one of the kind that
/// allows nothing.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
fn refused_by(said: &str) -> (ErrorKind, &'static str) {
    const REFUSALS: [(&str, ErrorKind, &str); 8] = [
        (
            "service control policy",
            ErrorKind::OutOfReach,
            "a service control policy of the organization refuses it, and nobody in the account can allow it: except \
             the role in that policy, or exempt the account",
        ),
        (
            "resource control policy",
            ErrorKind::OutOfReach,
            "a resource control policy of the organization refuses it, and nobody in the account can allow it: except \
             the role in that policy, or exempt the account",
        ),
        ("permissions boundary", ErrorKind::AccessDenied, "the role's permissions boundary refuses it: allow it there"),
        (
            "session policy",
            ErrorKind::AccessDenied,
            "the session's own policy refuses it: are the role and this program of the same version?",
        ),
        ("VPC endpoint policy", ErrorKind::AccessDenied, "the policy of a VPC endpoint refuses it: allow it there"),
        (
            "resource-based policy",
            ErrorKind::AccessDenied,
            "the resource's own policy, such as a bucket's, refuses it: except the role in it",
        ),
        (
            "S3 Block Public Access",
            ErrorKind::AccessDenied,
            "a public access block, the bucket's or the account's own, refuses it",
        ),
        (
            "identity-based policy",
            ErrorKind::AccessDenied,
            "the role's own policies refuse it: apply the target module",
        ),
    ];
    let refusal = REFUSALS.into_iter().find(|(phrase, ..)| said.contains(phrase));
    refusal.map_or(
        (ErrorKind::AccessDenied, "is this permission in the role, its boundary and the SCPs?"),
        |(_, kind, advice)| (kind, advice),
    )
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
            ("… because no identity-based policy allows the a action", ErrorKind::AccessDenied, "the role's own"),
            ("Access Denied", ErrorKind::AccessDenied, "is this permission in the role"),
        ] {
            let meaning = Meaning::of("AccessDenied", said).unwrap();
            assert_eq!(meaning.kind, kind, "{said}");
            assert!(meaning.advice.contains(advice), "{said}: {}", meaning.advice);
        }
    }

    #[test]
    fn what_passes_says_that_the_next_poll_tries_again_and_nothing_else_does() {
        let passing = [THROTTLED, PASSING, NOT_NOW].concat();
        let lasting = [ACCESS_DENIED, UNKNOWN_CREDENTIALS, REGION_OFF, OF_ORGANIZATION, EXPIRED, SIGNATURE].concat();
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
