//! IAM users with access keys of an age: `iam-stale-access-key`.

use jiff::{SignedDuration, Timestamp};
use rules::iam_stale_access_key::IamStaleAccessKey;
use serde_json::{Value, json};

use super::{AnySubject, Subject};
use crate::account::Account;
use crate::emulator::Emulator;
use crate::{ANSWER_WITHIN, Result};

/// The subject of each control.
pub const SUBJECTS: &[AnySubject] = &[AnySubject::of::<User>()];
/// Below what path the subject's users are.
const PATH: &str = "/of/a/path/";

/// A user with one active key.
#[derive(Debug)]
pub struct User;

impl Subject for User {
    type Rule = IamStaleAccessKey;
    const NAME: &'static str = "build-server";
    const FOUND: &'static str = "an active key that is 91 days old";
    const THROTTLED: (&str, &[&str]) =
        ("Throttling", &["iam:GetUser", "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed", "iam:UpdateAccessKey"]);

    async fn violating(account: &Account, name: &str) -> Result<String> {
        account.make_user(PATH, name, &[91]).await?;
        Ok(name.to_owned())
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        account.make_user(PATH, name, &[89]).await?;
        Ok(name.to_owned())
    }

    fn gone(_: &Account) -> String {
        "gone".into()
    }

    fn names(account: &Account, resource: &str) -> Vec<String> {
        vec![resource.to_owned(), format!("arn:{}:iam::{}:user{PATH}{resource}", account.partition(), account.id)]
    }

    async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
        let tag = aws_sdk_iam::types::Tag::builder().key(key).value(value).build()?;
        account.iam.tag_user().user_name(resource).tags(tag).send().await?;
        Ok(())
    }

    async fn describe(account: &Account, resource: &str) -> Result<Value> {
        account.access_keys(resource).await
    }

    async fn complies(account: &Account, resource: &str) -> Result<bool> {
        let oldest = (Timestamp::now() - SignedDuration::from_hours(24 * 90)).as_second();
        let stale = |key: &Value| key["status"] == "Active" && key["created"].as_i64().is_none_or(|at| at < oldest);
        Ok(!account.access_keys(resource).await?.as_array().is_none_or(|keys| keys.iter().any(stale)))
    }
}

impl Account {
    /// Makes a user with one active access key for each age in days; a user has two at most. Gives the keys' IDs.
    ///
    /// # Errors
    ///
    /// IAM or the emulator refuses.
    pub async fn make_user(&self, path: &str, name: &str, ages: &[i64]) -> Result<Vec<String>> {
        self.iam.create_user().path(path).user_name(name).send().await?;
        let mut ids = Vec::new();
        for age in ages {
            let made = self.iam.create_access_key().user_name(name).send().await?;
            let id = made.access_key.ok_or("CreateAccessKey gave no key")?.access_key_id;
            self.set_age(&id, *age).await?;
            ids.push(id);
        }
        Ok(ids)
    }

    /// A user's keys, secrets aside: ID, status and date of creation.
    ///
    /// # Errors
    ///
    /// IAM refuses.
    pub async fn access_keys(&self, user: &str) -> Result<Value> {
        let listed = self.iam.list_access_keys().user_name(user).send().await?;
        let key = |key: &aws_sdk_iam::types::AccessKeyMetadata| {
            let (id, status) = (key.access_key_id(), key.status().map(|status| status.as_str()));
            json!({"id": id, "status": status, "created": key.create_date().map(|date| date.secs())})
        };
        Ok(listed.access_key_metadata().iter().map(key).collect())
    }

    /// Sets how many days ago a key was made; AWS has no call for that.
    async fn set_age(&self, id: &str, days: i64) -> Result<()> {
        let emulator = self.config.endpoint_url().ok_or("there is no emulator")?;
        set(emulator, id, json!({"CreateDate": days_ago(days)})).await
    }
}

/// Makes a key one that was last used so many days ago, by this service in this region.
///
/// # Errors
///
/// The emulator refuses.
pub async fn set_last_use(emulator: &Emulator, id: &str, days: i64, service: &str, region: &str) -> Result<()> {
    set(emulator.url(), id, json!({"LastUsedDate": days_ago(days), "ServiceName": service, "Region": region})).await
}

fn days_ago(days: i64) -> String {
    let date = Timestamp::now() - SignedDuration::from_hours(24 * days);
    date.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

async fn set(emulator: &str, id: &str, body: Value) -> Result<()> {
    let url = format!("{emulator}/_remediation/iam/access-keys/{id}");
    let put = reqwest::Client::new().put(url).body(body.to_string()).timeout(ANSWER_WITHIN);
    put.send().await?.error_for_status()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::rule_cases!(User);
}
