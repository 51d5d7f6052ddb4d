//! The domain of automatic remediation and the engine that runs it.
//!
//! A [`Rule`] answers three questions about a finding: what would have to change ([`Rule::plan`]), how one change is
//! written ([`Rule::apply`]) and which change takes it back ([`Rule::undo`]). From these the [`Engine`] makes
//! plan → record → apply → verify.
//!
//! Invariants that the engine keeps, each with a test in `engine.rs`, `session.rs` or the emulator tests:
//!
//! 1. Nothing is written to a target account before the plan that says so is stored.
//! 2. `plan` runs in a session whose session policy holds only the manifest's read actions.
//! 3. [`Outcome::Fixed`] means that a fresh `plan` came back empty; what a write call answered is not enough.
//! 4. Undo follows from the stored change alone.
//! 5. Every finding that came in has exactly one outcome; one bad account, line or resource never stops the others.
//! 6. Running a batch twice, or twice at once, ends in the same state.
//! 7. A secret never reaches a log, an error or a report: this crate handles credentials only inside SDK types.
//! 8. An [`Error`] names the API action that failed.
//! 9. Nothing is written that the [`Policy`] does not allow as it is right before the write; one that cannot be read
//!    allows nothing.
//! 10. What an [`Approval`] is for is written exactly as it was approved, once, or not at all.
//! 11. What a crash has cut off is ended by the next run, or taken back by undo: the stored plans say what it was.

mod approval;
mod arn;
mod engine;
mod error;
#[cfg(test)]
mod fake;
mod finding;
mod history;
mod ledger;
mod policy;
mod record;
mod report;
mod rule;
mod session;
mod text;

pub use approval::{Approval, ApprovalError};
pub use arn::{Arn, Ec2Name};
pub use engine::{Bounds, Deadline, Engine, Progress, Undo};
pub use error::{Error, ErrorKind, Result};
pub use finding::{AccountId, BATCH_SCHEMA, Batch, BatchError, BatchId, BatchLineError, Finding, Region, RunId};
pub use ledger::Ledger;
pub use policy::{Exempted, Fight, Limits, Mode, POLICY_KEY, Policy, PolicyError, PolicyRecord, line_at, nearest};
pub use record::{RecordError, Records};
use report::hexadecimal;
pub use report::{
    Outcome, Plan, PlannedChange, PlannedFinding, REPORT_SCHEMA, Report, ReportedFinding, StoredPlan, Verification,
};
pub use rule::{Control, Docs, Guard, Manifest, ManifestError, Permission, Proposal, Rule, Scope, ServiceRole};
pub use session::{SessionKind, Sessions, Target, TargetRole, partition, sdk_loader};
pub use text::utf8;
