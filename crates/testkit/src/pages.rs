//! Short pages, for tests of those who read them.

use serde_json::json;

use crate::account::Account;
use crate::emulator::Emulator;
use crate::{ANSWER_WITHIN, Result};

impl Account {
    /// Breaks the lists that the emulator gives of this account off after `size` items a page, whatever is asked for.
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn set_page_size(&self, emulator: &Emulator, size: u32) -> Result<()> {
        let url = format!("{}/_remediation/settings/{}", emulator.url(), self.id);
        let put = reqwest::Client::new().put(url).body(json!({"page_size": size}).to_string());
        put.timeout(ANSWER_WITHIN).send().await?.error_for_status()?;
        Ok(())
    }
}
