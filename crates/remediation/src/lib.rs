//! The words of automatic remediation, and what is kept of it: all that a rule sees.
//!
//! Four rooms, each of which uses only those before it: [`aws`] (accounts, sessions, calls and their errors), [`domain`]
//! (findings, resources, the [`Rule`] trait, outcomes), [`policy`] (what the operator lets us do) and [`records`] (batches,
//! plans, reports, approvals, cards, ledgers, pauses, and the store that they are kept in). The engine, which rules cannot see, is
//! a crate of its own.

pub mod aws;
pub mod domain;
pub mod policy;
pub mod records;
mod text;

pub use aws::{
    Access, AccountId, Arn, Error, ErrorKind, InvalidAccountId, Region, Result, SERVICE_ROLE_SUFFIX, SessionKind,
    Sessions, SourceIdentity, Target, TargetRole, Traffic, UNDO_ROLE_SUFFIX, call, partition, plain, sdk_loader,
};
pub use domain::{
    Control, Docs, Ec2Name, Finding, Guard, InvalidRegions, Manifest, ManifestError, Mode, NameForm, Named,
    NoParameters, Outcome, Permission, Proposal, Regions, Resource, Rule, RunId, RunbookUse, Scope, Seen, ServiceRole,
    Side, Sighting, Tags,
};
pub use policy::{
    Fight, Limits, Organization, Pause, Pauses, Place, Policy, PolicyError, SettingDefaults, Stops, line_at, nearest,
};
pub use records::{
    AccountProblem, Approval, ApprovalError, Approved, BATCH_SCHEMA, Batch, BatchError, BatchId, BatchLineError,
    COMMAND_LINE, Card, DEPLOYED_POLICY_KEY, Folder, InvalidRetention, Ledger, ORGANIZATION_KEY, OrganizationRecord,
    PAUSES_KEY, POLICY_KEY, Plan, PlannedChange, PlannedResource, PolicyOverride, PolicyRecord, REPORT_SCHEMA,
    RecordError, Records, Report, ReportedFinding, Retention, StoredPlan, Verification,
};
pub use text::{read_at_most, sorted, utf8};
