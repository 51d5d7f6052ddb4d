//! IAM users with access keys of an age, for tests.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::account::Account;
use crate::emulator::Emulator;
use crate::{ANSWER_WITHIN, Result};

impl Account {
    /// Makes a user with one active access key for each age in days; a user has two at most. Gives the keys' IDs.
    ///
    /// # Errors
    ///
    /// IAM or the emulator refuses.
    pub async fn make_user(&self, emulator: &Emulator, path: &str, name: &str, ages: &[i64]) -> Result<Vec<String>> {
        self.iam.create_user().path(path).user_name(name).send().await?;
        let mut ids = Vec::new();
        for age in ages {
            let made = self.iam.create_access_key().user_name(name).send().await?;
            let id = made.access_key.ok_or("CreateAccessKey gave no key")?.access_key_id;
            set_age(emulator, &id, *age).await?;
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
}

/// Makes a key one that was last used so many days ago, by this service in this region.
///
/// # Errors
///
/// The emulator refuses.
pub async fn set_last_use(emulator: &Emulator, id: &str, days: i64, service: &str, region: &str) -> Result<()> {
    set(emulator, id, json!({"LastUsedDate": days_ago(days), "ServiceName": service, "Region": region})).await
}

/// Sets how many days ago a key was made; AWS has no call for that.
async fn set_age(emulator: &Emulator, id: &str, days: i64) -> Result<()> {
    set(emulator, id, json!({"CreateDate": days_ago(days)})).await
}

fn days_ago(days: i64) -> String {
    let date = Timestamp::now() - SignedDuration::from_hours(24 * days);
    date.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

async fn set(emulator: &Emulator, id: &str, body: Value) -> Result<()> {
    let url = format!("{}/_remediation/iam/access-keys/{id}", emulator.url());
    let put = reqwest::Client::new().put(url).body(body.to_string()).timeout(ANSWER_WITHIN);
    put.send().await?.error_for_status()?;
    Ok(())
}
