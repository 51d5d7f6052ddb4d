//! Where a command runs rules: with whose rights, under which policy, and where its records are.

use std::sync::Arc;

use aws_config::SdkConfig;
use remediation::{Ledger, Records, RunId, Sessions};

use crate::args::AccessArgs;
use crate::aws;
use crate::error::Error;
use crate::progress::Bar;
use crate::rules::{EngineParts, LoadedRule, PolicyInForce, Remediate};

/// What an engine needs, whatever its rule.
pub(crate) struct Workplace<'a> {
    pub(crate) config: SdkConfig,
    pub(crate) access: &'a AccessArgs,
    pub(crate) records: Records,
    pub(crate) policy: PolicyInForce,
    pub(crate) bar: &'a Bar,
}

impl Workplace<'_> {
    /// An engine for one run of the rule.
    pub(crate) fn engine(
        &self,
        rule: &LoadedRule,
        run: RunId,
        ledger: Option<Ledger>,
    ) -> Result<Box<dyn Remediate>, Error> {
        let role = aws::target_role(self.access, &rule.manifest.id);
        rule.engine(EngineParts {
            manifest: rule.manifest.clone(),
            sessions: Sessions::new(self.config.clone(), role, &rule.manifest, run),
            records: self.records.clone(),
            policy: self.policy.clone(),
            ledger,
            progress: Arc::new(self.bar.clone()),
        })
    }
}
