//! The answer of a poll: how many rows it received, and what it did with them.

use std::collections::BTreeMap;

use netskope::{Filters, Skipped};
use remediation::RunId;
use serde::Serialize;

use crate::Passed;

/// The most names of unknown regions that are counted one by one.
const MAX_NAMES: usize = 50;
/// What stands for every further name.
const OTHER_NAMES: &str = "(further names)";

/// The counts of a poll. `received` is the sum of the kept, left, under way, skipped, other regions', unknown regions', invalid
/// and duplicate rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The rule.
    pub rule: String,
    /// The poll's run.
    pub run: RunId,
    /// Rows that Netskope sent.
    pub received: usize,
    /// Findings written.
    pub kept: usize,
    /// Findings that were not written, because the poll had reached its limit of batches.
    pub left: usize,
    /// Findings that were not written, because an earlier poll has handed their resources on and nobody has reported on
    /// them yet.
    pub under_way: usize,
    /// Skipped rows, by the reason.
    #[serde(flatten)]
    pub skipped: Skipped,
    /// Rows of other regions, and global ones outside the home region.
    pub other_regions: usize,
    /// Rows of unknown regions, by the region's name; from the fifty-first name on together.
    pub unknown_regions: BTreeMap<String, usize>,
    /// Rows that cannot be used: they lack an account, a region or a resource, or hold one that cannot be.
    pub invalid: usize,
    /// Rows that repeat another one: Netskope lists a violation once for each profile and policy.
    pub duplicates: usize,
    /// Batches written.
    pub batches: u32,
    /// What was asked about the fixes that wait for Netskope; its rows are in none of the counts above.
    pub closures: Passed,
    /// The profiles and policies of which violations were asked for; none named: of any.
    pub filters: Filters,
    /// The controls asked for.
    pub controls: Vec<PolledControl>,
}

/// Under which name a control was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolledControl {
    /// Netskope's short name of the control.
    pub short_name: String,
    /// The spelling of its name that had findings, if one had.
    pub rule_name: Option<String>,
}

impl Answer {
    /// Counts a row of a region of an unknown name, and gives how many of it there are now.
    pub(crate) fn add_unknown_region(&mut self, name: &str) -> usize {
        let is_new = !self.unknown_regions.contains_key(name);
        let name = if is_new && self.unknown_regions.len() >= MAX_NAMES { OTHER_NAMES } else { name };
        let count = self.unknown_regions.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    }

    /// How many rows came of what was asked for, of whatever region.
    pub(crate) fn listed(&self) -> usize {
        self.received.saturating_sub(self.skipped.foreign())
    }

    pub(crate) fn new(rule: &str, run: RunId, filters: Filters) -> Self {
        Self {
            rule: rule.to_owned(),
            run,
            received: 0,
            kept: 0,
            left: 0,
            under_way: 0,
            skipped: Skipped::default(),
            other_regions: 0,
            unknown_regions: BTreeMap::new(),
            invalid: 0,
            duplicates: 0,
            batches: 0,
            closures: Passed::default(),
            filters,
            controls: Vec::new(),
        }
    }
}
