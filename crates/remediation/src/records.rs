//! What is kept, and where: batches, plans, reports, approvals, cards, awaited closures, ledgers, overrides, pauses, turns, the
//! policy, the organization and the last rescan.

mod again;
mod approval;
mod batch;
mod card;
mod closures;
mod keys;
mod ledger;
mod organization;
mod pauses;
mod plan;
mod policy_override;
mod policy_record;
mod report;
mod rescans;
mod retention;
mod schema;
mod store;
mod turns;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod stopped_clock;

use sha2::{Digest as _, Sha256};

pub use approval::{APPROVAL_SCHEMA, Approval, ApprovalError, Approved};
pub use batch::{BATCH_SCHEMA, Batch, BatchError, BatchId, BatchLineError, MOST_OF_BATCH};
pub use card::{
    ApprovedToWait, CARD_SCHEMA, Card, CardError, Claim, Closure, Ended, Exempt, FoughtOver, FoundUnmade, Rejected,
    Reported, ScanSays, ScanVerdict, Unmade, Violation, Waiting, WaitsFor, Write, kept,
};
pub use closures::{AWAITED_SCHEMA, AwaitedClosure, AwaitedClosures, MOST_AWAITED, fixed_by, is_after_fix};
pub use keys::{
    COMMAND_LINE, CardPlace, DEPLOYED_POLICY_KEY, Folder, PAUSES_KEY, POLICY_KEY, TURNS_KEY, card_key, cards_of,
    is_awaited_key,
};
pub use ledger::{HeldBack, LEDGER_SCHEMA, Ledger};
pub use organization::{ORGANIZATION_KEY, ORGANIZATION_SCHEMA, OrganizationRecord};
pub use pauses::{change_pauses, end_all_pauses, stored_pauses};
pub use plan::{PLAN_SCHEMA, Plan, PlannedChange, PlannedResource, StoredPlan};
pub use policy_override::{OVERRIDE_SCHEMA, PolicyOverride};
pub use policy_record::PolicyRecord;
pub use report::{
    AccountProblem, Confirmed, Contested, Grace, REPORT_SCHEMA, Report, ReportedFinding, Unchanged, Verification,
};
pub use rescans::{LastRescan, RESCAN_KEY, RESCAN_SCHEMA};
pub use retention::{InvalidRetention, Retention};
pub use schema::{Record, SchemaError, read};
pub use store::{Condition, Listed, MOST_BYTES, Numbered, RecordError, Records, Stored, Version};
pub use turns::{InvalidPlace, MOST_SLOTS, Place as TurnPlace, Slot, TURNS_SCHEMA, Turns};

/// SHA-256, in hexadecimal, of what a value is as JSON.
///
/// # Errors
///
/// It cannot be written as JSON.
pub fn digest(value: &impl serde::Serialize) -> serde_json::Result<String> {
    Ok(hexadecimal(&Sha256::digest(serde_json::to_vec(value)?)))
}

/// The bytes of a digest as people write them.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
