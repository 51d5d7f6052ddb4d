//! Buckets that everyone may read: `s3-public-bucket`.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{IndexDocument, PublicAccessBlockConfiguration, Tag, Tagging, WebsiteConfiguration};
use rules::s3_public_bucket::S3PublicBucket;
use serde_json::{Value, json};

use super::{AnySubject, Subject};
use crate::Result;
use crate::account::Account;

/// The subject of each control.
pub const SUBJECTS: &[AnySubject] = &[AnySubject::of::<Bucket>()];
/// What a public access block with nothing on becomes.
pub const FIXED: [bool; 4] = [false, true, false, true];

/// A bucket.
#[derive(Debug)]
pub struct Bucket;

impl Subject for Bucket {
    type Rule = S3PublicBucket;
    const NAME: &'static str = "website";
    const FOUND: &'static str = "a policy that lets everyone read, and no public access block";
    const THROTTLED: (&str, &[&str]) =
        ("SlowDown", &["s3:GetBucketPublicAccessBlock", "s3:GetBucketWebsite", "s3:PutBucketPublicAccessBlock"]);

    async fn violating(account: &Account, name: &str) -> Result<String> {
        make(account, name, None).await
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        make(account, name, Some(FIXED)).await
    }

    fn gone(account: &Account) -> String {
        format!("gone-{}", account.id)
    }

    fn names(account: &Account, resource: &str) -> Vec<String> {
        vec![resource.to_owned(), format!("arn:{}:s3:::{resource}", account.partition())]
    }

    async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
        let tagging = Tagging::builder().tag_set(Tag::builder().key(key).value(value).build()?).build()?;
        account.s3.put_bucket_tagging().bucket(resource).tagging(tagging).send().await?;
        Ok(())
    }

    async fn describe(account: &Account, resource: &str) -> Result<Value> {
        Ok(json!(account.public_access_block(resource).await?))
    }

    async fn complies(account: &Account, resource: &str) -> Result<bool> {
        let settings = account.public_access_block(resource).await?;
        Ok(settings.is_some_and(|[_, ignore_acls, _, restrict]| ignore_acls && restrict))
    }
}

/// Makes a bucket that everyone may read, with this public access block and a name that is free everywhere: gives that.
///
/// # Errors
///
/// S3 refuses.
pub async fn make(account: &Account, name: &str, block: Option<[bool; 4]>) -> Result<String> {
    let name = format!("{name}-{}-{}", account.id, account.region);
    account.make_bucket(&name, block).await?;
    Ok(name)
}

impl Account {
    /// Makes a bucket with a policy that lets everyone read, and with this public access block (none: without one).
    /// `settings` are BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets.
    ///
    /// # Errors
    ///
    /// S3 refuses.
    pub async fn make_bucket(&self, name: &str, settings: Option<[bool; 4]>) -> Result<()> {
        self.make_private_bucket(name).await?;
        self.set_public_access_block(name, None).await?;
        let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": format!("arn:{}:s3:::{name}/*", self.partition())});
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        self.s3.put_bucket_policy().bucket(name).policy(policy).send().await?;
        self.set_public_access_block(name, settings).await
    }

    /// Replaces a bucket's public access block.
    ///
    /// # Errors
    ///
    /// S3 refuses.
    pub async fn set_public_access_block(&self, bucket: &str, settings: Option<[bool; 4]>) -> Result<()> {
        let Some([block_acls, ignore_acls, block_policy, restrict]) = settings else {
            self.s3.delete_public_access_block().bucket(bucket).send().await?;
            return Ok(());
        };
        let configuration = PublicAccessBlockConfiguration::builder()
            .block_public_acls(block_acls)
            .ignore_public_acls(ignore_acls)
            .block_public_policy(block_policy)
            .restrict_public_buckets(restrict)
            .build();
        let put = self.s3.put_public_access_block().bucket(bucket);
        put.public_access_block_configuration(configuration).send().await?;
        Ok(())
    }

    /// Makes a bucket a website with this index document.
    ///
    /// # Errors
    ///
    /// S3 refuses.
    pub async fn make_website(&self, bucket: &str, index: &str) -> Result<()> {
        let index = IndexDocument::builder().suffix(index).build()?;
        let website = WebsiteConfiguration::builder().index_document(index).build();
        self.s3.put_bucket_website().bucket(bucket).website_configuration(website).send().await?;
        Ok(())
    }

    /// A bucket's public access block; none where it has none.
    ///
    /// # Errors
    ///
    /// S3 refuses.
    pub async fn public_access_block(&self, bucket: &str) -> Result<Option<[bool; 4]>> {
        match self.s3.get_public_access_block().bucket(bucket).send().await {
            Ok(answer) => Ok(answer.public_access_block_configuration.map(|found| {
                let settings = [
                    found.block_public_acls,
                    found.ignore_public_acls,
                    found.block_public_policy,
                    found.restrict_public_buckets,
                ];
                settings.map(Option::unwrap_or_default)
            })),
            Err(error) if error.code() == Some("NoSuchPublicAccessBlockConfiguration") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::rule_cases!(Bucket);
}
