//! The words of remediation: findings, resources, rules, outcomes.

mod finding;
mod manifest;
mod mode;
mod names;
mod outcome;
mod regions;
mod resource;
mod rule;
mod run;

pub use finding::Finding;
pub use manifest::{
    Control, Controls, Docs, Manifest, ManifestError, NoParameters, Permission, RunbookUse, Scope, ServiceRole,
};
pub use mode::Mode;
pub use names::{Ec2Name, NameForm, Named};
pub use outcome::{FOUGHT_OVER, NEEDS_APPROVAL, Outcome};
pub use regions::{InvalidRegions, Regions};
pub use resource::{Resource, Seen};
pub use rule::{Guard, Proposal, Rule, Side, Sighting, Tags};
pub use run::RunId;
