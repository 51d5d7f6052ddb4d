//! Tags of resources, for tests.

use aws_sdk_s3::types::Tagging;

use crate::Result;
use crate::account::Account;

impl Account {
    /// Gives a resource of EC2 one more tag.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn tag_ec2(&self, id: &str, key: &str, value: &str) -> Result<()> {
        let tag = aws_sdk_ec2::types::Tag::builder().key(key).value(value).build();
        aws_sdk_ec2::Client::new(&self.config).create_tags().resources(id).tags(tag).send().await?;
        Ok(())
    }

    /// Gives a bucket this tag and no other.
    ///
    /// # Errors
    ///
    /// S3 refuses.
    pub async fn tag_bucket(&self, bucket: &str, key: &str, value: &str) -> Result<()> {
        let tag = aws_sdk_s3::types::Tag::builder().key(key).value(value).build()?;
        let tagging = Tagging::builder().tag_set(tag).build()?;
        self.s3.put_bucket_tagging().bucket(bucket).tagging(tagging).send().await?;
        Ok(())
    }

    /// Gives a user one more tag.
    ///
    /// # Errors
    ///
    /// IAM refuses.
    pub async fn tag_user(&self, user: &str, key: &str, value: &str) -> Result<()> {
        let tag = aws_sdk_iam::types::Tag::builder().key(key).value(value).build()?;
        self.iam.tag_user().user_name(user).tags(tag).send().await?;
        Ok(())
    }

    /// Gives a database or a snapshot one more tag, by its ARN.
    ///
    /// # Errors
    ///
    /// RDS refuses.
    pub async fn tag_rds(&self, arn: &str, key: &str, value: &str) -> Result<()> {
        let tag = aws_sdk_rds::types::Tag::builder().key(key).value(value).build();
        let rds = aws_sdk_rds::Client::new(&self.config);
        rds.add_tags_to_resource().resource_name(arn).tags(tag).send().await?;
        Ok(())
    }

    /// Gives a Redshift cluster one more tag, by its ARN.
    ///
    /// # Errors
    ///
    /// Redshift refuses.
    pub async fn tag_redshift(&self, arn: &str, key: &str, value: &str) -> Result<()> {
        let tag = aws_sdk_redshift::types::Tag::builder().key(key).value(value).build();
        let redshift = aws_sdk_redshift::Client::new(&self.config);
        redshift.create_tags().resource_name(arn).tags(tag).send().await?;
        Ok(())
    }

    /// Gives a trail of the account's region one more tag, by its ARN.
    ///
    /// # Errors
    ///
    /// CloudTrail refuses.
    pub async fn tag_trail(&self, arn: &str, key: &str, value: &str) -> Result<()> {
        let tag = aws_sdk_cloudtrail::types::Tag::builder().key(key).value(value).build()?;
        let cloudtrail = aws_sdk_cloudtrail::Client::new(&self.config);
        cloudtrail.add_tags().resource_id(arn).tags_list(tag).send().await?;
        Ok(())
    }
}
