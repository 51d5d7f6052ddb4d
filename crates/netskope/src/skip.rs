//! Rows that should not be in the list, or that somebody else handles.

use std::ops::AddAssign;

use serde::Serialize;

/// Why a row is skipped. The query excludes all of these but the last; if the API ignores a filter, the rows must still
/// not be acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The resource passes, or has another status than "Failed".
    NotFailed,
    /// In a list of what passes: it does not say that it does, or is of another account.
    NotPassed,
    /// Somebody muted it.
    Muted,
    /// It belongs to another rule.
    OtherRule,
    /// It belongs to another cloud.
    OtherCloud,
    /// It is in none of the profiles that were asked for.
    OtherProfile,
    /// It is in none of the policies that were asked for.
    OtherPolicy,
    /// Netskope's own remediation handles it: two that write to one resource would undo each other.
    RemediatedByNetskope,
}

/// How many rows were skipped, by the reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Rows of resources that pass, or have another status than "Failed".
    pub not_failed: usize,
    /// Rows of a list of what passes that do not say so.
    #[serde(skip)]
    pub not_passed: usize,
    /// Muted rows.
    pub muted: usize,
    /// Rows of another rule than was asked for.
    pub other_rules: usize,
    /// Rows of another cloud than AWS.
    pub other_clouds: usize,
    /// Rows of other profiles than was asked for.
    pub other_profiles: usize,
    /// Rows of other policies than was asked for.
    pub other_policies: usize,
    /// Rows that Netskope's own remediation handles.
    pub remediated_by_netskope: usize,
}

impl Skipped {
    /// Counts one.
    pub fn add(&mut self, skip: Skip) {
        *match skip {
            Skip::NotFailed => &mut self.not_failed,
            Skip::NotPassed => &mut self.not_passed,
            Skip::Muted => &mut self.muted,
            Skip::OtherRule => &mut self.other_rules,
            Skip::OtherCloud => &mut self.other_clouds,
            Skip::OtherProfile => &mut self.other_profiles,
            Skip::OtherPolicy => &mut self.other_policies,
            Skip::RemediatedByNetskope => &mut self.remediated_by_netskope,
        } += 1;
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        let filtered = self.other_profiles + self.other_policies;
        self.not_failed + self.not_passed + self.muted + self.foreign() + filtered + self.remediated_by_netskope
    }

    /// How many are not of the control that was asked for.
    pub fn foreign(&self) -> usize {
        self.other_rules + self.other_clouds
    }
}

impl AddAssign for Skipped {
    fn add_assign(&mut self, other: Self) {
        self.not_failed += other.not_failed;
        self.not_passed += other.not_passed;
        self.muted += other.muted;
        self.other_rules += other.other_rules;
        self.other_clouds += other.other_clouds;
        self.other_profiles += other.other_profiles;
        self.other_policies += other.other_policies;
        self.remediated_by_netskope += other.remediated_by_netskope;
    }
}
