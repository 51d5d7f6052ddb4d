//! The rule `s3-public-bucket`: a bucket that the public can reach.
//!
//! The fix turns on `IgnorePublicAcls` and `RestrictPublicBuckets` of the bucket's own public access block and leaves
//! the other two settings as found, so that nobody's deployment breaks because a public ACL or policy can no longer
//! be written. Invariants: every call names the bucket's owner, so that a bucket which changed hands is not touched; a
//! change holds the whole configuration before and after, so that undo needs nothing else.

use std::fmt;

use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use remediation::{AccountId, Error, Finding, Proposal, Result, Rule, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The rule.
#[derive(Debug)]
pub struct S3PublicBucket;

/// The rule has no settings of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// The four settings of a bucket's public access block.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PublicAccessBlockConfiguration.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PublicAccessBlock {
    /// Refuse to write public ACLs.
    pub block_public_acls: bool,
    /// Treat public ACLs as if they were not there.
    pub ignore_public_acls: bool,
    /// Refuse to write public policies.
    pub block_public_policy: bool,
    /// Hold a public policy to the bucket's own account and to AWS services.
    pub restrict_public_buckets: bool,
}

/// Replaces the public access block of one bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The bucket's name.
    pub bucket: String,
    /// The account that must own it.
    pub owner: AccountId,
    /// What was found; none where the bucket had no configuration.
    pub before: Option<PublicAccessBlock>,
    /// What is written; none removes the configuration.
    pub after: Option<PublicAccessBlock>,
}

impl Rule for S3PublicBucket {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Client = aws_sdk_s3::Client;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        aws_sdk_s3::Client::new(&target.config)
    }

    async fn plan(client: &Self::Client, finding: &Finding, _: &Settings) -> Result<Proposal<Change>> {
        let bucket = bucket_name(finding)?;
        let before = read(client, bucket, &finding.account).await?;
        let found = before.unwrap_or_default();
        if found.ignore_public_acls && found.restrict_public_buckets {
            return Ok(Proposal::default());
        }
        let after = PublicAccessBlock { ignore_public_acls: true, restrict_public_buckets: true, ..found };
        let owner = finding.account.clone();
        Ok(vec![Change { bucket: bucket.to_owned(), owner, before, after: Some(after) }].into())
    }

    async fn apply(client: &Self::Client, change: &Change) -> Result<()> {
        let failed = |error: Error| error.gone_if(&["NoSuchBucket"]);
        let action = "s3:PutBucketPublicAccessBlock";
        match change.after {
            // https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html
            Some(after) => client
                .put_public_access_block()
                .bucket(&change.bucket)
                .expected_bucket_owner(change.owner.as_ref())
                .public_access_block_configuration(after.into())
                .send()
                .await
                .map(drop)
                .map_err(|error| failed(Error::api(action, error))),
            // It needs the permission to put one: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeletePublicAccessBlock.html
            None => client
                .delete_public_access_block()
                .bucket(&change.bucket)
                .expected_bucket_owner(change.owner.as_ref())
                .send()
                .await
                .map(drop)
                .map_err(|error| failed(Error::api(action, error))),
        }
    }

    fn undo(change: &Change) -> Option<Change> {
        Some(Change { before: change.after, after: change.before, ..change.clone() })
    }
}

/// The public access block of a bucket; none where it has no configuration.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html>
async fn read(client: &aws_sdk_s3::Client, bucket: &str, owner: &AccountId) -> Result<Option<PublicAccessBlock>> {
    let answer = client.get_public_access_block().bucket(bucket).expected_bucket_owner(owner.as_ref()).send().await;
    match answer {
        Ok(answer) => Ok(answer.public_access_block_configuration.map(PublicAccessBlock::from)),
        Err(error) => {
            let error = Error::api("s3:GetBucketPublicAccessBlock", error);
            let unconfigured = error.code.as_deref() == Some("NoSuchPublicAccessBlockConfiguration");
            if unconfigured { Ok(None) } else { Err(error.gone_if(&["NoSuchBucket"])) }
        }
    }
}

/// The name in a bucket's name or ARN.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn bucket_name(finding: &Finding) -> Result<&str> {
    let resource = finding.resource.as_str();
    let name = finding.arn("s3")?.map_or(resource, |arn| arn.resource);
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if (3..=63).contains(&name.len()) && name.chars().all(allowed) {
        Ok(name)
    } else {
        Err(Error::invalid_finding("resource", format!("`{resource}` is neither a bucket's name nor its ARN")))
    }
}

impl From<PublicAccessBlockConfiguration> for PublicAccessBlock {
    fn from(found: PublicAccessBlockConfiguration) -> Self {
        Self {
            block_public_acls: found.block_public_acls.unwrap_or_default(),
            ignore_public_acls: found.ignore_public_acls.unwrap_or_default(),
            block_public_policy: found.block_public_policy.unwrap_or_default(),
            restrict_public_buckets: found.restrict_public_buckets.unwrap_or_default(),
        }
    }
}

impl From<PublicAccessBlock> for PublicAccessBlockConfiguration {
    fn from(block: PublicAccessBlock) -> Self {
        Self::builder()
            .block_public_acls(block.block_public_acls)
            .ignore_public_acls(block.ignore_public_acls)
            .block_public_policy(block.block_public_policy)
            .restrict_public_buckets(block.restrict_public_buckets)
            .build()
    }
}

impl PublicAccessBlock {
    fn settings(self) -> [(&'static str, bool); 4] {
        [
            ("BlockPublicAcls", self.block_public_acls),
            ("IgnorePublicAcls", self.ignore_public_acls),
            ("BlockPublicPolicy", self.block_public_policy),
            ("RestrictPublicBuckets", self.restrict_public_buckets),
        ]
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(after) = self.after else {
            return write!(f, "bucket {}: remove the public access block", self.bucket);
        };
        let before = self.before.unwrap_or_default().settings();
        let differs = before.into_iter().zip(after.settings()).filter(|(before, after)| before != after);
        let listed: Vec<_> = differs.map(|((name, from), (_, to))| format!("{name} {from} → {to}")).collect();
        let missing = if self.before.is_none() { " (there was no configuration)" } else { "" };
        write!(f, "bucket {}: {}{missing}", self.bucket, listed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::get_public_access_block::{GetPublicAccessBlockError, GetPublicAccessBlockOutput};
    use aws_sdk_s3::operation::put_public_access_block::PutPublicAccessBlockOutput;
    use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
    use proptest::prelude::*;
    use remediation::{ErrorKind, Manifest, Region};

    use super::*;

    fn finding(resource: &str) -> Finding {
        Finding {
            control: "Ensure S3 Bucket is not publicly accessible.".into(),
            account: "222222222222".parse().unwrap(),
            region: Region::code("us-east-1"),
            resource: resource.into(),
            first_seen: None,
            last_scanned: None,
        }
    }

    fn block(settings: [bool; 4]) -> PublicAccessBlock {
        let [block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets] = settings;
        PublicAccessBlock { block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets }
    }

    fn found(settings: [bool; 4]) -> MockRule {
        mock!(aws_sdk_s3::Client::get_public_access_block)
            .match_requests(|request| {
                request.bucket() == Some("data") && request.expected_bucket_owner() == Some("222222222222")
            })
            .then_output(move || {
                let configuration = block(settings).into();
                GetPublicAccessBlockOutput::builder().public_access_block_configuration(configuration).build()
            })
    }

    fn refused(code: &'static str) -> MockRule {
        mock!(aws_sdk_s3::Client::get_public_access_block).then_error(move || {
            GetPublicAccessBlockError::generic(ErrorMetadata::builder().code(code).message("told so").build())
        })
    }

    async fn plan(rule: &MockRule, resource: &str) -> Result<Vec<Change>> {
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [rule]);
        Ok(S3PublicBucket::plan(&client, &finding(resource), &Settings {}).await?.changes)
    }

    #[tokio::test]
    async fn only_the_two_settings_that_end_public_access_change() {
        let changes = plan(&found([true, false, false, false]), "data").await.unwrap();
        let [change] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(change.before, Some(block([true, false, false, false])));
        assert_eq!(change.after, Some(block([true, true, false, true])));
        assert_eq!(
            change.to_string(),
            "bucket data: IgnorePublicAcls false → true, RestrictPublicBuckets false → true"
        );
    }

    #[tokio::test]
    async fn a_bucket_with_both_settings_complies() {
        assert_eq!(plan(&found([false, true, false, true]), "data").await.unwrap(), []);
    }

    #[tokio::test]
    async fn no_configuration_is_a_violation() {
        let changes = plan(&refused("NoSuchPublicAccessBlockConfiguration"), "data").await.unwrap();
        assert_eq!(changes[0].before, None);
        assert_eq!(changes[0].after, Some(block([false, true, false, true])));
    }

    #[tokio::test]
    async fn errors_name_the_action() {
        for (code, kind) in [
            ("NoSuchBucket", ErrorKind::Gone),
            ("AccessDenied", ErrorKind::AccessDenied),
            ("SlowDown", ErrorKind::Throttled),
            ("MethodNotAllowed", ErrorKind::Permanent),
        ] {
            let error = plan(&refused(code), "data").await.unwrap_err();
            assert_eq!((error.kind, error.action.as_str()), (kind, "s3:GetBucketPublicAccessBlock"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_arn_is_as_good_as_a_name() {
        assert_eq!(plan(&found([true; 4]), "arn:aws-us-gov:s3:::data").await.unwrap(), []);
        for resource in ["", "arn:aws:s3:::", "arn:aws:ec2:::data", "arn:aws:s3:::data/key", "Data", "a:b"] {
            let error = plan(&found([true; 4]), resource).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
        }
    }

    #[tokio::test]
    async fn apply_writes_all_four_settings_to_the_owners_bucket() {
        let put = mock!(aws_sdk_s3::Client::put_public_access_block)
            .match_requests(|request| {
                let written = request.public_access_block_configuration().cloned().map(PublicAccessBlock::from);
                request.bucket() == Some("data")
                    && request.expected_bucket_owner() == Some("222222222222")
                    && written == Some(block([true, true, false, true]))
            })
            .then_output(|| PutPublicAccessBlockOutput::builder().build());
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&put]);
        let owner = "222222222222".parse().unwrap();
        let after = Some(block([true, true, false, true]));
        S3PublicBucket::apply(&client, &Change { bucket: "data".into(), owner, before: None, after }).await.unwrap();
        assert_eq!(put.num_calls(), 1);
    }

    #[test]
    fn the_manifest_can_be_read_and_serves_the_control() {
        let manifest = Manifest::from_json(S3PublicBucket::MANIFEST).unwrap();
        assert!(manifest.control(&finding("data").control).is_some());
    }

    proptest! {
        #[test]
        fn undo_of_undo_is_the_change_itself(before: Option<[bool; 4]>, after: [bool; 4]) {
            let owner: AccountId = "222222222222".parse().unwrap();
            let (before, after) = (before.map(block), Some(block(after)));
            let change = Change { bucket: "data".into(), owner, before, after };
            let stored: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
            let undo = S3PublicBucket::undo(&stored).unwrap();
            prop_assert_eq!((undo.before, undo.after), (change.after, change.before));
            prop_assert_eq!(S3PublicBucket::undo(&undo), Some(change));
        }

        #[test]
        fn no_resource_makes_the_parser_panic(resource: String) {
            let _ = bucket_name(&finding(&resource));
        }
    }
}
