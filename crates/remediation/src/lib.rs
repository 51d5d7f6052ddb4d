//! The domain of automatic remediation and the engine that runs it.
//!
//! A [`Rule`] looks at what a finding is about ([`Rule::look`]), thinks what would have to change ([`Rule::plan`]),
//! writes one change ([`Rule::apply`]) and knows which change takes it back ([`Rule::undo`]). From these the [`Engine`]
//! makes look → plan → record → apply → verify.
//!
//! Invariants that the engine keeps, each with a test in `engine.rs`, `session.rs` or the emulator tests:
//!
//! 1. Nothing is written to a target account before the plan that says so is stored.
//! 2. `look`, `impact` and `tags` run in a session whose session policy holds only the manifest's read actions; `plan` calls
//!    nothing at all.
//! 3. [`Outcome::Fixed`] means that a fresh look found nothing left to change; what a write call answered is not enough.
//!    The proof lists the actions that this look called.
//! 4. Undo follows from the stored change alone.
//! 5. Every finding that came in has exactly one outcome; one bad account, line or resource never stops the others.
//! 6. Running a batch twice, or twice at once, ends in the same state.
//! 7. A secret never reaches a log, an error or a report: this crate handles credentials only inside SDK types.
//! 8. An [`Error`] names the API action that failed.
//! 9. Nothing is written that the [`Policy`] does not allow as it is right before the write; one that cannot be read
//!    allows nothing.
//! 10. What an [`Approval`] is for is written exactly as it was approved, once, or not at all.
//! 11. What a crash has cut off is ended by the next run, or taken back by undo: the stored plans say what it was.
//! 12. [`Outcome::AlreadyCompliant`] and [`Outcome::Gone`] need a proof, too: the right account and region were looked at.
//!     What another account owns is held, and a finding that names no region is looked for nowhere but where its ARN says.
//! 13. Whether another try helps is decided in one place, [`ErrorKind`], for rules and records alike.

mod approval;
mod arn;
mod call;
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
mod resource;
mod rule;
mod session;
mod text;

pub use approval::{Approval, ApprovalError};
pub use arn::{Arn, Ec2Name};
pub use call::call;
pub use engine::{Bounds, Deadline, Engine, Progress, Undo};
pub use error::{Error, ErrorKind, Result};
pub use finding::{AccountId, BATCH_SCHEMA, Batch, BatchError, BatchId, BatchLineError, Finding, Region, RunId};
pub use ledger::Ledger;
pub use policy::{Exempted, Fight, Limits, Mode, POLICY_KEY, Policy, PolicyError, PolicyRecord, line_at, nearest};
pub use record::{RecordError, Records};
use report::hexadecimal;
pub use report::{
    AccountProblem, Outcome, Plan, PlannedChange, PlannedFinding, REPORT_SCHEMA, Report, ReportedFinding, StoredPlan,
    Verification,
};
pub use resource::{Resource, Seen};
pub use rule::{
    Control, Docs, Guard, Manifest, ManifestError, NoParameters, Permission, Proposal, Rule, RunbookUse, Scope,
    ServiceRole, Side, Sighting, Tags,
};
pub use session::{SessionKind, Sessions, Target, TargetRole, partition, sdk_loader};
pub use text::utf8;
