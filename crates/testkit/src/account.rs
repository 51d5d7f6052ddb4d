//! AWS accounts of the emulator, with what tests of every rule need in them.

use std::collections::BTreeMap;

use aws_config::{Region, SdkConfig};
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use percent_encoding::percent_decode_str;
use remediation::{Permission, ServiceRole, partition};
use serde_json::{Value, json};

use crate::Result;
use crate::emulator::Emulator;

/// The region in which tests work.
pub const REGION: &str = "us-east-1";

/// A 12-digit account ID that no other test has.
pub fn fresh_account() -> String {
    let random = uuid::Uuid::new_v4().as_u128() % 900_000_000_000;
    (100_000_000_000 + random).to_string()
}

/// An account in one region, with full rights in it.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its ID.
    pub id: String,
    /// The region's code.
    pub region: String,
    /// Configuration with its full rights.
    pub config: SdkConfig,
    /// S3 with its full rights.
    pub s3: aws_sdk_s3::Client,
    /// IAM with its full rights.
    pub iam: aws_sdk_iam::Client,
}

impl Account {
    /// The account `id` of the emulator, in [`REGION`].
    pub fn new(emulator: &Emulator, id: &str) -> Self {
        Self::with(id, REGION, emulator.config(id, REGION))
    }

    /// The same account in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let config = self.config.to_builder().region(Region::new(region.to_owned())).build();
        Self::with(&self.id, region, config)
    }

    fn with(id: &str, region: &str, config: SdkConfig) -> Self {
        let (s3, iam) = (aws_sdk_s3::Client::new(&config), aws_sdk_iam::Client::new(&config));
        Self { id: id.to_owned(), region: region.to_owned(), config, s3, iam }
    }

    /// The partition of its region.
    pub fn partition(&self) -> &'static str {
        partition(&self.region)
    }

    /// An account of its own.
    pub fn fresh(emulator: &Emulator) -> Self {
        Self::new(emulator, &fresh_account())
    }

    /// The ARN of one of its roles.
    pub fn role_arn(&self, role: &str) -> String {
        format!("arn:{}:iam::{}:role/{role}", self.partition(), self.id)
    }

    /// Makes a role with one inline policy and gives its ARN.
    ///
    /// # Errors
    ///
    /// IAM refuses.
    pub async fn make_role(&self, name: &str, trust: &Value, statements: &Value) -> Result<String> {
        let made = self.iam.create_role().role_name(name).assume_role_policy_document(trust.to_string());
        let role = made.send().await?.role.ok_or("CreateRole gave no role")?;
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        self.put_policy(name, "permissions", &document).await?;
        Ok(role.arn)
    }

    /// Whether IAM would let a role do what a permission is for.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>
    ///
    /// # Errors
    ///
    /// IAM refuses.
    pub async fn simulate(&self, role: &str, permission: &Permission) -> Result<bool> {
        let fill = |text: &str| match text {
            "*" => text.to_owned(),
            _ => fill(&text.replace("{region}", &self.region), self).replace('*', "any"),
        };
        let call = self.iam.simulate_principal_policy().action_names(&permission.action);
        let call = call.policy_source_arn(self.role_arn(role));
        let mut call = call.resource_arns(fill(&permission.resource));
        for (key, value) in permission.condition.values().flatten() {
            let entry = ContextEntry::builder().context_key_name(key).context_key_values(fill(value));
            call = call.context_entries(entry.context_key_type(ContextKeyTypeEnum::String).build());
        }
        let results = call.send().await?.evaluation_results.unwrap_or_default();
        let [result] = &results[..] else { return Err("not one result for one action".into()) };
        Ok(result.eval_decision == PolicyEvaluationDecisionType::Allowed)
    }

    /// A role's trust policy.
    ///
    /// # Errors
    ///
    /// IAM refuses.
    pub async fn trust(&self, role: &str) -> Result<String> {
        let role = self.iam.get_role().role_name(role).send().await?.role.ok_or("GetRole gave no role")?;
        let document = role.assume_role_policy_document.unwrap_or_default();
        Ok(percent_decode_str(&document).decode_utf8()?.into_owned())
    }

    /// A session of a role, as the variables of an environment.
    ///
    /// # Errors
    ///
    /// The role cannot be assumed.
    pub async fn session(&self, role: &str) -> Result<Vec<(String, String)>> {
        self.session_with(role, None).await
    }

    /// A session of a role with this source identity, as the variables of an environment.
    ///
    /// # Errors
    ///
    /// The role cannot be assumed.
    pub async fn session_with(&self, role: &str, source_identity: Option<&str>) -> Result<Vec<(String, String)>> {
        let sts = aws_sdk_sts::Client::new(&self.config);
        let asked = sts.assume_role().role_arn(role).role_session_name("a-person");
        let session = asked.set_source_identity(source_identity.map(str::to_owned)).send().await?;
        let session = session.credentials.ok_or("AssumeRole gave no credentials")?;
        let variables = [
            ("AWS_REGION", self.region.clone()),
            ("AWS_ACCESS_KEY_ID", session.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", session.secret_access_key),
            ("AWS_SESSION_TOKEN", session.session_token),
        ];
        Ok(variables.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Configuration with a session of a role.
    ///
    /// # Errors
    ///
    /// The role cannot be assumed.
    pub async fn as_role(&self, role: &str) -> Result<SdkConfig> {
        let sts = aws_sdk_sts::Client::new(&self.config);
        let session = sts.assume_role().role_arn(role).role_session_name("session").send().await?;
        let session = session.credentials.ok_or("AssumeRole gave no credentials")?;
        let (key, secret, token) = (session.access_key_id, session.secret_access_key, session.session_token);
        let credentials = Credentials::new(key, secret, Some(token), None, "session");
        Ok(self.config.to_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build())
    }

    /// Takes one action out of a role's inline policies; gives the policies as they were.
    ///
    /// # Errors
    ///
    /// IAM refuses, or a policy is not as expected.
    pub async fn take_away(&self, role: &str, action: &str) -> Result<Vec<(String, Value)>> {
        let listed = self.iam.list_role_policies().role_name(role).send().await?;
        let mut before = Vec::new();
        for name in listed.policy_names() {
            let policy = self.iam.get_role_policy().role_name(role).policy_name(name).send().await?;
            let text = percent_decode_str(policy.policy_document()).decode_utf8()?;
            let document: Value = serde_json::from_str(&text)?;
            self.put_policy(role, name, &without(&document, action)).await?;
            before.push((name.clone(), document));
        }
        Ok(before)
    }

    /// Puts back what [`Account::take_away`] found.
    ///
    /// # Errors
    ///
    /// IAM refuses.
    pub async fn give_back(&self, role: &str, policies: Vec<(String, Value)>) -> Result<()> {
        for (name, document) in policies {
            self.put_policy(role, &name, &document).await?;
        }
        Ok(())
    }

    async fn put_policy(&self, role: &str, name: &str, document: &Value) -> Result<()> {
        let put = self.iam.put_role_policy().role_name(role).policy_name(name).policy_document(document.to_string());
        put.send().await?;
        Ok(())
    }

    /// Makes a bucket as S3 makes it: private.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>
    ///
    /// # Errors
    ///
    /// S3 refuses.
    pub async fn make_private_bucket(&self, name: &str) -> Result<()> {
        // The default region's name is refused.
        let elsewhere = (self.region != REGION).then(|| {
            let region = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        self.s3.create_bucket().bucket(name).set_create_bucket_configuration(elsewhere).send().await?;
        Ok(())
    }

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

    /// The keys of the objects in `bucket` below `prefix`.
    ///
    /// # Errors
    ///
    /// S3 refuses.
    pub async fn keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>> {
        let pages = self.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        let pages = pages.collect::<Result<Vec<_>, _>>().await?;
        let objects = pages.iter().flat_map(|page| page.contents());
        Ok(objects.filter_map(|object| object.key().map(str::to_owned)).collect())
    }

    /// An object as JSON.
    ///
    /// # Errors
    ///
    /// S3 refuses, or it is no JSON.
    pub async fn json(&self, bucket: &str, key: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.object(bucket, key).await?)?)
    }

    /// What an object holds.
    ///
    /// # Errors
    ///
    /// S3 refuses.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<Vec<u8>> {
        let object = self.s3.get_object().bucket(bucket).key(key).send().await?;
        Ok(object.body.collect().await?.to_vec())
    }

    /// Stores an object.
    ///
    /// # Errors
    ///
    /// S3 refuses.
    pub async fn put(&self, bucket: &str, key: &str, bytes: Vec<u8>) -> Result<()> {
        self.s3.put_object().bucket(bucket).key(key).body(bytes.into()).send().await?;
        Ok(())
    }
}

/// The policy statements that Terraform's target role has for these permissions of a manifest.
pub fn statements<'a>(permissions: impl IntoIterator<Item = &'a Permission>, account: &Account) -> Value {
    let statement = |of: &Permission| {
        let mut statement = json!({"Effect": "Allow", "Action": of.action, "Resource": fill(&of.resource, account)});
        if !of.condition.is_empty() {
            let filled = |values: &BTreeMap<String, String>| {
                values.iter().map(|(key, value)| (key.clone(), fill(value, account))).collect::<BTreeMap<_, _>>()
            };
            let condition = of.condition.iter().map(|(operator, values)| (operator, filled(values)));
            statement["Condition"] = json!(condition.collect::<BTreeMap<_, _>>());
        }
        statement
    };
    permissions.into_iter().map(statement).collect()
}

/// The trust policy that Terraform's service role has.
pub fn service_trust(role: &ServiceRole, account: &Account) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": role.service},
        "Condition": {
            "StringEquals": {"aws:SourceAccount": account.id},
            "ArnLike": {"aws:SourceArn": fill(&role.source, account)}}}]})
}

/// A text of a manifest with its parts filled in.
fn fill(text: &str, account: &Account) -> String {
    let text =
        text.replace("{partition}", account.partition()).replace("{account}", &account.id).replace("{region}", "*");
    text.replace("{prefix}", "autoremediate")
}

/// A policy that allows all but `action`. What is left of a statement without actions goes as well.
fn without(document: &Value, action: &str) -> Value {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let kept = |statement: Value| {
        let actions: Vec<_> = list(&statement["Action"]).into_iter().filter(|listed| listed != action).collect();
        let mut statement = statement;
        statement["Action"] = actions.clone().into();
        (!actions.is_empty()).then_some(statement)
    };
    let mut statements: Vec<_> = list(&document["Statement"]).into_iter().filter_map(kept).collect();
    if statements.is_empty() {
        // A policy needs a statement.
        statements.push(json!({"Effect": "Deny", "Action": "none:Nothing", "Resource": "*"}));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}
