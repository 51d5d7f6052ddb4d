//! Where a command runs rules: a connection, the policy in force, and whoever is told of the progress.

use std::sync::Arc;

use engine::{Interrupt, Progress};
use remediation::{COMMAND_LINE, Ledger, RunId, Sessions};

use crate::error::Error;
use crate::session::connection::Connection;
use crate::session::rules::{EngineParts, LoadedRule, PolicyInForce, Remediate};

/// What an engine needs, whatever its rule.
pub(crate) struct Workplace {
    pub(crate) connection: Connection,
    pub(crate) policy: PolicyInForce,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) interrupt: Interrupt,
}

impl Workplace {
    /// An engine for one run of the rule, which counts in `ledger`, or in one of its own.
    pub(crate) fn engine(
        &self,
        rule: &LoadedRule,
        run: RunId,
        ledger: Option<Ledger>,
    ) -> Result<Box<dyn Remediate>, Error> {
        let Connection { access, config, records, .. } = &self.connection;
        let ledger = ledger.unwrap_or_else(|| Ledger::new(records.clone(), COMMAND_LINE, run));
        let sessions = Sessions::new(config.clone(), rule.manifest.access(access.role(&rule.manifest.id), run));
        rule.engine(EngineParts {
            manifest: rule.manifest.clone(),
            sessions,
            records: records.clone(),
            policy: self.policy.clone(),
            ledger,
            progress: self.progress.clone(),
            interrupt: self.interrupt.clone(),
        })
    }
}
