//! AWS Organizations and KMS, for tests: by hand, because for a few calls an SDK is not worth its minutes of compiling.

use serde_json::{Value, json};

use crate::account::Account;
use crate::emulator::Emulator;
use crate::{ANSWER_WITHIN, Result};

impl Account {
    /// Makes the account the management account of an organization, and gives the ID of its one member account.
    /// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateOrganization.html>
    /// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateAccount.html>
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn make_organization(&self, emulator: &Emulator) -> Result<String> {
        self.organizations(emulator, "CreateOrganization", json!({"FeatureSet": "ALL"})).await?;
        let member = json!({"Email": "member@example.org", "AccountName": "member"});
        let made = self.organizations(emulator, "CreateAccount", member).await?;
        Ok(made["CreateAccountStatus"]["AccountId"].as_str().ok_or("CreateAccount gave no ID")?.to_owned())
    }

    /// Makes an organization, whose management account this is, with these units, each with the place of the one that it is
    /// in. Gives the IDs of its root and of the units.
    /// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateOrganizationalUnit.html>
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn make_units(
        &self,
        emulator: &Emulator,
        units: &[(&str, Option<usize>)],
    ) -> Result<(String, Vec<String>)> {
        self.organizations(emulator, "CreateOrganization", json!({"FeatureSet": "ALL"})).await?;
        let roots = self.organizations(emulator, "ListRoots", json!({})).await?;
        let root = roots["Roots"][0]["Id"].as_str().ok_or("ListRoots gave no ID")?.to_owned();
        let mut made: Vec<String> = Vec::new();
        for (name, parent) in units {
            let asked = json!({"ParentId": parent.map_or(&root, |place| &made[place]), "Name": name});
            let unit = self.organizations(emulator, "CreateOrganizationalUnit", asked).await?;
            made.push(
                unit["OrganizationalUnit"]["Id"].as_str().ok_or("CreateOrganizationalUnit gave no ID")?.to_owned(),
            );
        }
        Ok((root, made))
    }

    /// Makes a member account of this number, and moves it from the root to the unit. Its role is called as Organizations
    /// calls it, or `role`. Gives its ID.
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn make_member(
        &self,
        emulator: &Emulator,
        number: usize,
        role: Option<&str>,
        (root, unit): (&str, &str),
    ) -> Result<String> {
        let mut asked = json!({"AccountName": format!("account-{number}"), "Email": format!("a{number}@example.org")});
        if let Some(role) = role {
            asked["RoleName"] = role.into();
        }
        let made = self.organizations(emulator, "CreateAccount", asked).await?;
        let id = made["CreateAccountStatus"]["AccountId"].as_str().ok_or("CreateAccount gave no ID")?;
        let moves = json!({"AccountId": id, "SourceParentId": root, "DestinationParentId": unit});
        self.organizations(emulator, "MoveAccount", moves).await?;
        Ok(id.to_owned())
    }

    /// The ID of the account's organization.
    /// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeOrganization.html>
    ///
    /// # Errors
    ///
    /// It has none.
    pub async fn organization_id(&self, emulator: &Emulator) -> Result<String> {
        let found = self.organizations(emulator, "DescribeOrganization", json!({})).await?;
        Ok(found["Organization"]["Id"].as_str().ok_or("DescribeOrganization gave no ID")?.to_owned())
    }

    /// Puts a service control policy with these statements on a member, as the organization's management account.
    /// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_EnablePolicyType.html>
    /// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreatePolicy.html>
    /// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_AttachPolicy.html>
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn control(&self, emulator: &Emulator, member: &str, statements: &Value) -> Result<()> {
        const KIND: &str = "SERVICE_CONTROL_POLICY";
        let roots = self.organizations(emulator, "ListRoots", json!({})).await?;
        let root = roots["Roots"][0]["Id"].as_str().ok_or("ListRoots gave no root")?;
        self.organizations(emulator, "EnablePolicyType", json!({"RootId": root, "PolicyType": KIND})).await?;
        let content = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let policy = json!({"Name": "control", "Description": "of a test", "Type": KIND, "Content": content});
        let made = self.organizations(emulator, "CreatePolicy", policy).await?;
        let id = made["Policy"]["PolicySummary"]["Id"].as_str().ok_or("CreatePolicy gave no ID")?;
        self.organizations(emulator, "AttachPolicy", json!({"PolicyId": id, "TargetId": member})).await?;
        Ok(())
    }

    /// Whether the account is in an organization.
    pub async fn has_organization(&self, emulator: &Emulator) -> bool {
        self.organizations(emulator, "DescribeOrganization", json!({})).await.is_ok()
    }

    /// Makes a KMS key whose policy leaves it to the account's IAM policies who may use it, and gives its ARN.
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html>
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn make_key(&self, emulator: &Emulator) -> Result<String> {
        let made = self.json_call(emulator, &self.region, "kms", "TrentService.CreateKey", json!({})).await?;
        Ok(made["KeyMetadata"]["Arn"].as_str().ok_or("CreateKey gave no ARN")?.to_owned())
    }

    /// Calls an operation of AWS Organizations.
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn organizations(&self, emulator: &Emulator, operation: &str, input: Value) -> Result<Value> {
        let target = format!("AWSOrganizationsV20161128.{operation}");
        self.json_call(emulator, "us-east-1", "organizations", &target, input).await
    }

    async fn json_call(
        &self,
        emulator: &Emulator,
        region: &str,
        service: &str,
        target: &str,
        input: Value,
    ) -> Result<Value> {
        let credential = format!("{}/20260101/{region}/{service}/aws4_request", self.id);
        let post = reqwest::Client::new()
            .post(emulator.url())
            .header("X-Amz-Target", target)
            .header("Content-Type", "application/x-amz-json-1.1")
            // The emulator reads the account from it and checks no signature.
            .header(
                "Authorization",
                format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"),
            )
            .body(input.to_string());
        let answer = post.timeout(ANSWER_WITHIN).send().await?.error_for_status()?.text().await?;
        Ok(serde_json::from_str(&answer)?)
    }
}
