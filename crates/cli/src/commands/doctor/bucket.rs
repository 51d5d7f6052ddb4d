//! The bucket of the central deployment.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{FilterRuleName, LambdaFunctionConfiguration};
use remediation::records::stored_pauses;
use remediation::{AccountId, Error, Folder, Guard, Manifest, Mode, PAUSES_KEY, POLICY_KEY, Pauses, Policy, Records};

use crate::commands::doctor::check::{Area, Check};
use crate::session::rules::{self, LoadedRule};

const APPLY: &str = "apply terraform/deploy/central";
/// What starts a rule's Lambda.
const STARTS: [Start; 2] = [
    Start { folder: Folder::Findings, check: "starts on findings" },
    Start { folder: Folder::Approvals, check: "starts on approvals" },
];

/// The name of a card that no resource has, and the version that it is not of.
const NO_CARD: &str = "autoremediate-doctor";

/// A folder of the bucket whose new keys start a rule's Lambda.
#[derive(Clone, Copy)]
struct Start {
    folder: Folder,
    check: &'static str,
}

/// The bucket to check.
struct Bucket<'a> {
    client: Client,
    name: &'a str,
    /// The account that must have it.
    owner: AccountId,
}

/// Checks the bucket `name`, if there is one, and gives the policy in it, if it can be read. It must be of the account of
/// whoever runs this.
pub(super) async fn check(
    name: Option<&str>,
    owner: Option<AccountId>,
    rules: &[LoadedRule],
    config: &SdkConfig,
) -> (Vec<Check>, Option<Policy>) {
    let reachable = Check::of(Area::Bucket, "reachable");
    let only = |check| (vec![check], None);
    let Some(name) = name else { return only(reachable.skipped("no bucket given: --records s3://<bucket>")) };
    let Some(owner) = owner else {
        return only(reachable.failed("AWS does not say of which account you are", "run this as a role"));
    };
    let bucket = &Bucket { client: Client::new(config), name, owner };
    // https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    let plans = format!("{}/", Folder::Plans.name());
    let list = bucket.client.list_objects_v2().bucket(name).expected_bucket_owner(bucket.owner.as_ref());
    let listed = list.prefix(plans).max_keys(1).send().await;
    if let Err(error) = listed.map_err(|error| Error::api("s3:ListBucket", error)) {
        let fix = "give the output `bucket` of terraform/deploy/central and its region, run as a role of the bucket's own \
                   account, and allow it s3:ListBucket, s3:GetObject and s3:GetBucketNotification on it";
        return only(reachable.failed(format!("s3://{name}: {error}"), fix));
    }
    let mut checks = vec![reachable.ok(format!("s3://{name}"))];
    if let Some(rule) = rules.first() {
        checks.push(cards(bucket, &rule.manifest).await);
    }
    let (of_policy, policy) = policy(bucket, rules).await;
    checks.extend(of_policy);
    checks.extend(pauses(bucket).await);
    checks.extend(notifications(bucket, &rules::manifests(rules)).await);
    (checks, policy)
}

/// Whether whoever runs this may write the cards of resources, without which no command changes anything.
///
/// It asks to replace a version of a card that there never was. S3 refuses that whoever asks, but says to those who may
/// not write that they may not.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
async fn cards(Bucket { client, name, owner }: &Bucket<'_>, manifest: &Manifest) -> Check {
    let check = Check::of(Area::Bucket, "cards");
    let key = format!("{}{NO_CARD}", Folder::Resources.of(&manifest.id));
    let put = client.put_object().bucket(*name).expected_bucket_owner(owner.as_ref()).key(&key);
    let put = put.if_match(format!("\"{NO_CARD}\"")).send().await;
    let Err(error) = put.map_err(|error| Error::api("s3:PutObject", error)) else {
        return check
            .failed(format!("{key} was written on a condition that does not hold"), "tell whoever runs this S3");
    };
    match error.code.as_deref() {
        Some("NoSuchKey" | "PreconditionFailed") => check.ok(format!("you may write {}/", Folder::Resources.name())),
        _ => check.warn(
            format!("{key}: {error}"),
            "to use apply and undo with this bucket, run as a role in operator_role_arns of terraform/deploy/central",
        ),
    }
}

impl Bucket<'_> {
    fn records(&self) -> Records {
        let Self { client, name, owner } = self;
        Records::Bucket { client: client.clone(), bucket: (*name).to_owned(), owner: owner.clone(), retention: None }
    }
}

/// What is paused, where something is; and pauses that cannot be read, which stop everything.
async fn pauses(bucket: &Bucket<'_>) -> Option<Check> {
    let check = Check::of(Area::Bucket, PAUSES_KEY);
    match stored_pauses(&bucket.records()).await {
        Ok(pauses) => paused(check, &pauses),
        Err(error) => {
            let fix = "allow your role s3:GetObject on it; what is broken there, `autoremediate resume --all` replaces";
            Some(check.failed(error.to_string(), fix))
        }
    }
}

fn paused(check: Check, pauses: &Pauses) -> Option<Check> {
    let paused: Vec<_> = pauses.in_force(ambient::now()).map(ToString::to_string).collect();
    let fix = "where it is over, end it: `autoremediate resume`";
    (!paused.is_empty()).then(|| check.warn(paused.join("; "), fix))
}

async fn policy(bucket: &Bucket<'_>, rules: &[LoadedRule]) -> (Vec<Check>, Option<Policy>) {
    let check = Check::of(Area::Bucket, POLICY_KEY);
    let records = bucket.records();
    let bytes = match records.get_at_most(POLICY_KEY, Policy::MOST_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) => {
            let fix = format!("{APPLY}, and allow your role s3:GetObject on it");
            return (vec![check.failed(error.to_string(), fix)], None);
        }
    };
    match Policy::from_json(&bytes) {
        Ok(policy) => {
            let checks = [check].into_iter().chain(rules.iter().filter_map(|rule| held_by_guard(&policy, rule)));
            (checks.collect(), Some(policy))
        }
        Err(error) => {
            let fix = format!("{APPLY} from the same version as this command");
            (vec![check.failed(error.to_string(), fix)], None)
        }
    }
}

/// A check of a rule that may write and whose guard holds fixes that would cut a service off.
fn held_by_guard(policy: &Policy, rule: &LoadedRule) -> Option<Check> {
    let id = &rule.manifest.id;
    let check = Check::of(Area::Bucket, "guard").for_rule(id);
    match rule.guard(policy) {
        Err(error) => Some(check.failed(error.to_string(), format!("correct the rule's settings, and {APPLY}"))),
        Ok(Guard::Hold) if policy.mode_of_rule(id) == Mode::Apply => Some(check.warn(
            "its guard holds a fix that would cut off a service, until a person approves the plan",
            format!("approve such plans, or set the rule's guard_… setting in the policy to \"warn\", and {APPLY}"),
        )),
        Ok(_) => None,
    }
}

async fn notifications(Bucket { client, name, owner }: &Bucket<'_>, manifests: &[&Manifest]) -> Vec<Check> {
    // https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketNotificationConfiguration.html
    let get = client.get_bucket_notification_configuration().bucket(*name).expected_bucket_owner(owner.as_ref());
    let answer = get.send().await;
    let answer = match answer.map_err(|error| Error::api("s3:GetBucketNotification", error)) {
        Ok(answer) => answer,
        Err(error) => {
            let check = Check::of(Area::Bucket, "notifications");
            return vec![check.failed(error.to_string(), "allow your role s3:GetBucketNotification on the bucket")];
        }
    };
    let lambdas = answer.lambda_function_configurations();
    let check = |manifest: &Manifest, Start { folder, check }: Start| {
        let (check, prefix) = (Check::of(Area::Bucket, check).for_rule(&manifest.id), folder.of(&manifest.id));
        match lambdas.iter().find(|lambda| prefix_of(lambda) == Some(&prefix)) {
            Some(lambda) => check.ok(format!("{prefix} starts {}", lambda.lambda_function_arn())),
            None => check.failed(format!("no Lambda starts on {prefix}"), format!("{APPLY}, with this rule enabled")),
        }
    };
    manifests.iter().flat_map(|manifest| STARTS.map(|start| check(manifest, start))).collect()
}

/// The prefix of the keys that start this Lambda.
fn prefix_of(lambda: &LambdaFunctionConfiguration) -> Option<&str> {
    let rules = lambda.filter()?.key()?.filter_rules();
    // "prefix" by the reference; S3 itself answers "Prefix".
    let is_prefix = |name: &FilterRuleName| name.as_str().eq_ignore_ascii_case("prefix");
    rules.iter().find(|rule| rule.name().is_some_and(is_prefix))?.value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::check::CheckResult;

    /// The rules that have a check under this policy, and its result.
    fn said(policy: &str) -> Vec<(String, CheckResult)> {
        let policy = Policy::from_json(policy.as_bytes()).unwrap();
        let checks = rules::all().unwrap();
        let checks = checks.iter().filter_map(|rule| held_by_guard(&policy, rule));
        checks.map(|check| (check.rule.unwrap(), check.result)).collect()
    }

    #[test]
    fn the_rules_that_hold_in_mode_apply_are_named_until_their_guard_warns() {
        let warned = |rule: &str| (rule.to_owned(), CheckResult::Warn);
        let both = [warned("iam-stale-access-key"), warned("network-acl-open-ingress")];
        assert_eq!(said(r#"{"schema": 1, "mode": "apply"}"#), both);
        let settings = r#""network-acl-open-ingress": {"settings": {"guard_last_allow": "warn"}}"#;
        assert_eq!(said(&format!(r#"{{"schema": 1, "mode": "apply", "rules": {{{settings}}}}}"#)), both[..1]);
        assert_eq!(said(r#"{"schema": 1, "mode": "plan"}"#), []);
    }

    #[test]
    fn pauses_in_force_are_named_and_those_that_are_over_are_not() {
        let said = |until: &str| {
            let pauses = format!(
                r#"{{"schema": 1, "pauses": [{{"id": "5e0c7a11", "stops": {{}}, "reason": "T-4711", "by": "b",
                "at": "2026-01-02T03:04:05Z", "until": "{until}"}}]}}"#
            );
            paused(Check::of(Area::Bucket, PAUSES_KEY), &serde_json::from_str(&pauses).unwrap())
        };
        let check = said("2999-01-01T00:00:00Z").unwrap();
        assert!(check.result == CheckResult::Warn && check.found.unwrap().contains("T-4711 (pause 5e0c7a11"));
        assert!(said("2026-01-02T03:04:06Z").is_none());
    }

    #[test]
    fn settings_that_the_rule_does_not_know_fail() {
        let rules = r#""s3-public-bucket": {"settings": {"guard": "warn"}}"#;
        let said = said(&format!(r#"{{"schema": 1, "rules": {{{rules}}}}}"#));
        assert_eq!(said, [("s3-public-bucket".to_owned(), CheckResult::Failed)]);
    }
}
