//! The emulator's settings of one account.

use serde_json::{Value, json};

use crate::account::Account;
use crate::emulator::Emulator;
use crate::{ANSWER_WITHIN, Result};

impl Account {
    /// Changes one of the settings that `localstack/README.md` lists.
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn set(&self, emulator: &Emulator, setting: &str, value: Value) -> Result<()> {
        let url = format!("{}/_remediation/settings/{}", emulator.url(), self.id);
        let put = reqwest::Client::new().put(url).body(json!({setting: value}).to_string());
        put.timeout(ANSWER_WITHIN).send().await?.error_for_status()?;
        Ok(())
    }
}
