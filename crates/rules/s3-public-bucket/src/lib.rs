//! The rule `s3-public-bucket`: a bucket that the public can reach.
//!
//! The fix turns on `IgnorePublicAcls` and `RestrictPublicBuckets` of the bucket's own public access block and leaves
//! the other two settings as found, so that no deployment breaks because it can no longer write a public ACL or policy.
//!
//! Every call names the bucket's owner, so a bucket that changed hands is never touched. A change holds the whole
//! configuration before and after, so undo needs nothing else. An answer without all four settings is an error, never
//! a configuration. A bucket answers only in its own region; elsewhere S3 says which one that is, and the rule asks
//! there.
//!
//! Calls: compliant 1; fixed 4 (look, guard, write, proof), 3 with the guard off; held by the guard 2.

mod name;

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_s3::operation::get_bucket_website::GetBucketWebsiteOutput;
use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use remediation::{
    AccountId, Error, Finding, Guard, NoParameters, Proposal, Region, Resource, Result, Rule, Seen, Side, Sighting,
    Tags, Target, call,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const GET: &str = "s3:GetBucketPublicAccessBlock";
const PUT: &str = "s3:PutBucketPublicAccessBlock";

/// The rule.
#[derive(Debug)]
pub struct S3PublicBucket;

/// The rule's part of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What the guard does if the bucket serves a website.
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

/// What the rule calls: S3 in any region, with the rights of one session.
#[derive(Debug)]
pub struct Client {
    target: Target,
    s3: aws_sdk_s3::Client,
}

/// Replaces the public access block of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What was found; none where the bucket had no configuration.
    pub before: Option<PublicAccessBlock>,
    /// What is written; none removes the configuration.
    pub after: Option<PublicAccessBlock>,
}

impl Rule for S3PublicBucket {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Control = NoParameters;
    type Client = Client;
    type State = Option<PublicAccessBlock>;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Client { target: target.clone(), s3: aws_sdk_s3::Client::new(&target.config) }
    }

    async fn look(client: &Self::Client, finding: &Finding) -> Result<Seen<Self::State>> {
        let (bucket, owner) = (name::of(finding, client.target.partition)?, finding.account.clone());
        let (region, state) = match read(&client.s3, bucket, &owner).await {
            Err(Error { elsewhere: Some(region), .. }) => {
                let there = client.in_region(&region);
                let state = read(&there, bucket, &owner).await?;
                (region, state)
            }
            state => (client.target.region.clone(), state?),
        };
        let arn = format!("arn:{}:s3:::{bucket}", client.target.partition);
        let (region, id, names) = (Region::code(region), bucket.to_owned(), BTreeSet::new());
        Ok(Seen::now(Resource { arn, owner, region, id, names }, state))
    }

    fn plan(seen: &Seen<Self::State>, _: &[&NoParameters], _: &Settings) -> Proposal<Change> {
        let before = seen.state;
        let found = before.unwrap_or_default();
        if found.ignore_public_acls && found.restrict_public_buckets {
            return Proposal::default();
        }
        let after = PublicAccessBlock { ignore_public_acls: true, restrict_public_buckets: true, ..found };
        vec![Change { before, after: Some(after) }].into()
    }

    fn guard(settings: &Settings) -> Guard {
        settings.guard_website
    }

    async fn impact(
        client: &Self::Client,
        seen: &Seen<Self::State>,
        changes: &[Change],
        _: &Settings,
    ) -> Result<Vec<Sighting>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let Resource { id, region, owner, .. } = &seen.resource;
        Ok(website(&client.in_region(region.as_ref()), id, owner).await?.into_iter().collect())
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html>
    async fn tags(client: &Self::Client, seen: &Seen<Self::State>) -> Result<Tags> {
        let Resource { id, region, owner, .. } = &seen.resource;
        let s3 = client.in_region(region.as_ref());
        let get = || s3.get_bucket_tagging().bucket(id).expected_bucket_owner(owner.as_ref()).send();
        let answer = call("s3:GetBucketTagging", get).await;
        let answer = answer.map(Some).or_else(|error| none_if("NoSuchTagSet", error))?;
        let tags = answer.map(|answer| answer.tag_set).unwrap_or_default();
        Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }

    async fn apply(client: &Self::Client, resource: &Resource, change: &Change) -> Result<()> {
        let Resource { id: bucket, region, owner, .. } = resource;
        let s3 = client.in_region(region.as_ref());
        let written = match change.after {
            // https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html
            Some(after) => {
                let put = || {
                    let put = s3.put_public_access_block().bucket(bucket).expected_bucket_owner(owner.as_ref());
                    put.public_access_block_configuration(after.into()).send()
                };
                call(PUT, put).await.map(drop)
            }
            // It needs the permission to put one.
            // https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeletePublicAccessBlock.html
            None => {
                let delete =
                    || s3.delete_public_access_block().bucket(bucket).expected_bucket_owner(owner.as_ref()).send();
                call(PUT, delete).await.map(drop)
            }
        };
        written.map_err(|error| error.gone_if(&["NoSuchBucket"]))
    }

    fn undo(change: &Change) -> Change {
        Change { before: change.after, after: change.before }
    }

    fn side(change: &Change, state: &Self::State) -> Side {
        Side::of(state, &change.before, &change.after)
    }
}

impl Client {
    /// The client for a bucket of `region`.
    fn in_region(&self, region: &str) -> aws_sdk_s3::Client {
        if region == self.target.region {
            return self.s3.clone();
        }
        aws_sdk_s3::Client::new(&self.target.in_region(region).config)
    }
}

/// The public access block of a bucket, if it has one.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html>
async fn read(s3: &aws_sdk_s3::Client, bucket: &str, owner: &AccountId) -> Result<Option<PublicAccessBlock>> {
    let get = || s3.get_public_access_block().bucket(bucket).expected_bucket_owner(owner.as_ref()).send();
    match call(GET, get).await {
        Ok(answer) => {
            let found = answer.public_access_block_configuration.as_ref().and_then(PublicAccessBlock::whole);
            found.map(Some).ok_or_else(|| Error::unusable(GET, "not all four settings"))
        }
        Err(error) => none_if("NoSuchPublicAccessBlockConfiguration", error),
    }
}

/// What the guard sees: the website that the bucket serves, if any.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketWebsite.html>
async fn website(s3: &aws_sdk_s3::Client, bucket: &str, owner: &AccountId) -> Result<Option<Sighting>> {
    let get = || s3.get_bucket_website().bucket(bucket).expected_bucket_owner(owner.as_ref()).send();
    match call("s3:GetBucketWebsite", get).await {
        Ok(answer) => Ok(Some(Sighting::new(format!("the bucket serves a website ({})", served(&answer))))),
        Err(error) => none_if("NoSuchWebsiteConfiguration", error),
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

/// None if the error's code says that the bucket has no such configuration.
fn none_if<T>(code: &str, error: Error) -> Result<Option<T>> {
    if error.code.as_deref() == Some(code) { Ok(None) } else { Err(error.gone_if(&["NoSuchBucket"])) }
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
    /// The four settings that were found; none where one of them is missing.
    fn whole(found: &PublicAccessBlockConfiguration) -> Option<Self> {
        Some(Self {
            block_public_acls: found.block_public_acls?,
            ignore_public_acls: found.ignore_public_acls?,
            block_public_policy: found.block_public_policy?,
            restrict_public_buckets: found.restrict_public_buckets?,
        })
    }

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
            return f.write_str("remove the public access block");
        };
        let before = self.before.unwrap_or_default().settings();
        let differs = before.into_iter().zip(after.settings()).filter(|(before, after)| before != after);
        let listed: Vec<_> = differs.map(|((name, from), (_, to))| format!("{name} {from} → {to}")).collect();
        let missing = if self.before.is_none() { " (there was no public access block)" } else { "" };
        write!(f, "{}{missing}", listed.join(", "))
    }
}

#[cfg(test)]
mod tests;
