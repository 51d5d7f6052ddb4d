//! Short pages, for tests of those who read them.

use serde_json::json;

use crate::Result;
use crate::account::Account;
use crate::emulator::Emulator;

impl Account {
    /// Breaks the lists that the emulator gives of this account off after `size` items a page, whatever is asked for.
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn set_page_size(&self, emulator: &Emulator, size: u32) -> Result<()> {
        self.set(emulator, "page_size", json!(size)).await
    }
}
