//! The rule `s3-public-bucket`: a bucket that the public can reach.
//!
//! The fix turns on `IgnorePublicAcls` and `RestrictPublicBuckets` of the bucket's own public access block and leaves
//! the other two settings as found, so that nobody's deployment breaks because a public ACL or policy can no longer
//! be written. Invariants: every call names the bucket's owner, so that a bucket which changed hands is not touched; a
//! change holds the whole configuration before and after, so that undo needs nothing else.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_s3::operation::get_bucket_website::GetBucketWebsiteOutput;
use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use remediation::{AccountId, Error, Finding, Guard, Proposal, Result, Rule, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The rule.
#[derive(Debug)]
pub struct S3PublicBucket;

/// The rule's part of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What is done where the bucket serves a website.
    pub guard_website: Guard,
}

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

    async fn plan(client: &Self::Client, finding: &Finding, settings: &Settings) -> Result<Proposal<Change>> {
        let bucket = bucket_name(finding)?;
        let before = read(client, bucket, &finding.account).await?;
        let found = before.unwrap_or_default();
        if found.ignore_public_acls && found.restrict_public_buckets {
            return Ok(Proposal::default());
        }
        let after = PublicAccessBlock { ignore_public_acls: true, restrict_public_buckets: true, ..found };
        let owner = finding.account.clone();
        let change = Change { bucket: bucket.to_owned(), owner, before, after: Some(after) };
        let mut proposal = Proposal::from(vec![change]);
        if settings.guard_website.is_on()
            && let Some(saw) = website(client, bucket, &finding.account).await?
        {
            proposal.guard(settings.guard_website, saw);
        }
        Ok(proposal)
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html>
    async fn tags(client: &Self::Client, finding: &Finding) -> Result<BTreeMap<String, String>> {
        let call = client.get_bucket_tagging().bucket(bucket_name(finding)?);
        let answer = call.expected_bucket_owner(finding.account.as_ref()).send().await;
        let answer =
            answer.map(Some).or_else(|error| none_if("NoSuchTagSet", Error::api("s3:GetBucketTagging", error)))?;
        let tags = answer.map(|answer| answer.tag_set).unwrap_or_default();
        Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
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
            none_if("NoSuchPublicAccessBlockConfiguration", error)
        }
    }
}

/// What the guard says of a bucket that serves a website; none where it serves none.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketWebsite.html>
async fn website(client: &aws_sdk_s3::Client, bucket: &str, owner: &AccountId) -> Result<Option<String>> {
    let answer = client.get_bucket_website().bucket(bucket).expected_bucket_owner(owner.as_ref()).send().await;
    match answer {
        Ok(answer) => Ok(Some(format!("the bucket serves a website ({})", served(&answer)))),
        Err(error) => none_if("NoSuchWebsiteConfiguration", Error::api("s3:GetBucketWebsite", error)),
    }
}

/// A configuration has an index document, or redirects everything.
fn served(website: &GetBucketWebsiteOutput) -> String {
    match (website.redirect_all_requests_to(), website.index_document()) {
        (Some(to), _) => format!("redirects all requests to host {}", to.host_name()),
        (None, Some(index)) => format!("index document {}", index.suffix()),
        (None, None) => "no index document".to_owned(),
    }
}

/// None where the error's code says that the bucket has no such configuration.
fn none_if<T>(code: &str, error: Error) -> Result<Option<T>> {
    if error.code.as_deref() == Some(code) { Ok(None) } else { Err(error.gone_if(&["NoSuchBucket"])) }
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
mod tests;
