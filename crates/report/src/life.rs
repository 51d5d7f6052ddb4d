//! The life of a finding: what each record says of it, one step after the other, and how it stands after each.

use jiff::Timestamp;
use remediation::records::{Confirmed, Contested, ScanVerdict};
use remediation::{AccountId, Approval, Approved, Outcome, Region, Verification};
use serde::Serialize;

/// How a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It violates, and its changes are only planned; or nobody had the time to look.
    Open,
    /// It violates, and the policy or a person has to say what is done.
    Held,
    /// A call failed, or what was written could not be proved.
    Failed,
    /// Our changes were written and proved.
    Fixed,
    /// Our changes were taken back.
    Undone,
    /// The policy exempts it.
    Exempt,
    /// It complied, or was gone, without our doing.
    Closed,
}

impl State {
    /// Every state, in the order in which they are shown.
    pub const ALL: [Self; 7] =
        [Self::Open, Self::Held, Self::Failed, Self::Fixed, Self::Undone, Self::Exempt, Self::Closed];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Fixed => "fixed",
            Self::Undone => "undone",
            Self::Exempt => "exempt",
            Self::Closed => "closed",
        }
    }

    /// Whether somebody has to do something yet.
    pub fn is_unsolved(self) -> bool {
        matches!(self, Self::Open | Self::Held | Self::Failed)
    }

    /// How a finding stands after a run in which it had `outcome`.
    fn after_run(before: Option<Self>, outcome: Outcome) -> Self {
        match outcome {
            // Nobody looked, so nothing is known that was not known before.
            Outcome::Deferred => before.unwrap_or(Self::Open),
            // Netskope lists what we have fixed until it scans it again.
            Outcome::AlreadyCompliant | Outcome::Gone if before == Some(Self::Fixed) => Self::Fixed,
            Outcome::AlreadyCompliant | Outcome::Gone => Self::Closed,
            Outcome::Planned => Self::Open,
            Outcome::Held => Self::Held,
            Outcome::Exempt => Self::Exempt,
            Outcome::Fixed => Self::Fixed,
            Outcome::Undone => Self::Undone,
            Outcome::Unverified | Outcome::Failed => Self::Failed,
        }
    }

    /// How it stands after an undo, which leaves it as it was where it took nothing back.
    fn after_undo(before: Option<Self>, outcome: Outcome) -> Self {
        match outcome {
            Outcome::Undone => Self::Undone,
            Outcome::Gone => Self::Closed,
            Outcome::Unverified => Self::Failed,
            _ => before.unwrap_or(Self::Open),
        }
    }
}

/// Who approved a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approver {
    /// By what the command said: the ARN of its caller.
    pub by: String,
    /// Who stored the approval, by what S3 says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_by: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

impl From<Approval> for Approver {
    fn from(Approval { by, approved, reason, .. }: Approval) -> Self {
        Self { by, stored_by: None, at: approved, reason }
    }
}

impl From<&Approved> for Approver {
    fn from(Approved { approval, stored_by }: &Approved) -> Self {
        Self { stored_by: stored_by.clone(), ..approval.clone().into() }
    }
}

/// What proved that a resource complies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// When.
    pub at: Timestamp,
    /// The API actions of that look.
    pub actions: Vec<String>,
}

impl From<&Verification> for Proof {
    fn from(Verification { at, actions, .. }: &Verification) -> Self {
        Self { at: *at, actions: actions.clone() }
    }
}

/// What Netskope says of a fix, by a scan after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Closure {
    /// Whether the scan passes the finding.
    pub verdict: ScanVerdict,
    /// When Netskope scanned it.
    pub scanned: Timestamp,
    /// When the fix was proved.
    pub fixed: Timestamp,
}

impl Closure {
    /// The words for it.
    pub fn words(&self) -> &'static str {
        match self.verdict {
            ScanVerdict::Confirmed => "confirmed",
            ScanVerdict::Contested => "contested",
        }
    }
}

impl From<&Contested> for Closure {
    fn from(Contested { fixed, scanned, .. }: &Contested) -> Self {
        Self { verdict: ScanVerdict::Contested, scanned: *scanned, fixed: *fixed }
    }
}

impl From<&Confirmed> for Closure {
    fn from(Confirmed { fixed, scanned, .. }: &Confirmed) -> Self {
        Self { verdict: ScanVerdict::Confirmed, scanned: *scanned, fixed: *fixed }
    }
}

/// What one record says of a finding, or what several in a row say alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When the first of them was done.
    pub at: Timestamp,
    /// When the last of them was.
    pub until: Timestamp,
    /// How many they are.
    pub times: u32,
    /// What became of the finding; none where a plan is all that its run has left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Whether the run was to take back what an earlier one had written.
    pub undo: bool,
    /// How the finding stands after it.
    pub state: State,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What a person should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The changes, in one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// How many of them were written.
    pub written: usize,
    /// What proved them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Who approved them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver: Option<Approver>,
    /// What Netskope says of an earlier fix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closure: Option<Closure>,
    /// The plan's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The report's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

impl Step {
    /// Whether `next` says no more than this one says: what a poll finds that finds nothing new.
    fn says_the_same(&self, next: &Self) -> bool {
        let of = |step: &Self| (step.outcome, step.undo, step.state, step.written);
        let verdict = |step: &Self| step.closure.map(|closure| closure.verdict);
        let is_alike = of(self) == of(next) && (&self.detail, &self.notes) == (&next.detail, &next.notes);
        let is_alike = is_alike && verdict(self) == verdict(next);
        is_alike && self.changes == next.changes && self.approver == next.approver && self.is_news_once()
    }

    /// A write is told each time.
    fn is_news_once(&self) -> bool {
        self.written == 0 && !matches!(self.outcome, None | Some(Outcome::Fixed | Outcome::Undone))
    }
}

/// From the first sight of a violation to its fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// When Netskope saw it first, or else we.
    pub first_seen: Timestamp,
    /// When we found it.
    pub found: Timestamp,
    /// When the fix was proved.
    pub fixed: Timestamp,
}

impl Fix {
    /// Seconds from the first sight to the fix. Clocks are apart, so that it may come before what it follows.
    pub fn seconds_since_first_seen(&self) -> i64 {
        self.fixed.duration_since(self.first_seen).as_secs().max(0)
    }

    /// Seconds from our own first sight to the fix.
    pub fn seconds_since_found(&self) -> i64 {
        self.fixed.duration_since(self.found).as_secs().max(0)
    }
}

/// What waits for a person, by the resource's card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// The plan's key.
    pub plan: String,
    /// Since when.
    pub since: Timestamp,
}

/// What happened to one finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Life {
    /// The rule's ID.
    pub rule: String,
    /// Netskope's name of the control.
    pub control: String,
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// The resource, as Netskope names it.
    pub resource: String,
    /// Its ARN, where AWS has said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// How it stands.
    pub state: State,
    /// The last outcome; none where nothing but plans is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Since when it fails, by Netskope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// When we found it.
    pub found: Timestamp,
    /// When we were last told of it.
    pub last_listed: Timestamp,
    /// Its fixes, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Fix>,
    /// What waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Wait>,
    /// Who has approved what waits, where no report says yet that it was carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approver>,
    /// What Netskope says of its last fix, where it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closure: Option<Closure>,
    /// Since when its fixes are taken back again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fought_over_since: Option<Timestamp>,
    /// What happened, the oldest first.
    pub steps: Vec<Step>,
    /// When the violation that is not fixed yet was seen first, by Netskope or else by us; and when we found it.
    #[serde(skip)]
    pub(crate) violates_since: Option<(Timestamp, Timestamp)>,
}

/// A step, before it is known how the finding stands after it.
pub(crate) struct News {
    pub(crate) step: Step,
    /// How the finding stood by the last look, where something was told since without one, such as a pause.
    pub(crate) seen_as: Option<State>,
    /// Since when the finding fails, as the list had it then.
    pub(crate) first_seen: Option<Timestamp>,
    /// When its batch was taken up.
    pub(crate) started: Timestamp,
}

impl Life {
    /// Takes up what a record says.
    pub(crate) fn go_on(&mut self, News { mut step, seen_as, first_seen, started }: News) {
        let before = seen_as.or_else(|| self.steps.last().map(|step| step.state));
        step.state = match step.outcome {
            None => before.unwrap_or(State::Open),
            Some(outcome) if step.undo => State::after_undo(before, outcome),
            Some(outcome) => State::after_run(before, outcome),
        };
        self.reckon(&step, first_seen, started);
        self.state = step.state;
        self.outcome = step.outcome.or(self.outcome);
        self.last_listed = self.last_listed.max(started);
        match self.steps.last_mut() {
            Some(last) if last.says_the_same(&step) => {
                last.times = last.times.saturating_add(step.times);
                last.until = step.until;
            }
            _ => self.steps.push(step),
        }
    }

    /// Puts in its place by time what changes nothing of how the finding stands: a plan whose run has left no report.
    pub(crate) fn interject(&mut self, mut step: Step) {
        let place = self.steps.partition_point(|other| other.at <= step.at);
        step.state = place.checked_sub(1).map_or(State::Open, |before| self.steps[before].state);
        (self.found, self.last_listed) = (self.found.min(step.at), self.last_listed.max(step.at));
        self.steps.insert(place, step);
    }

    /// Puts in its place by time that Netskope confirms a fix, which changes nothing of how the finding stands.
    pub(crate) fn confirm(&mut self, mut step: Step) {
        let place = self.steps.partition_point(|other| other.at <= step.at);
        step.state = place.checked_sub(1).map_or(State::Fixed, |before| self.steps[before].state);
        self.steps.insert(place, step);
    }

    /// What Netskope said last of the fix that is in force.
    pub(crate) fn close(&mut self) {
        self.closure = None;
        for step in &self.steps {
            if step.state != State::Fixed || step.outcome == Some(Outcome::Fixed) {
                self.closure = None;
            } else if step.closure.is_some() {
                self.closure = step.closure;
            }
        }
    }

    /// Keeps since when it violates, and the fix that ends that.
    fn reckon(&mut self, step: &Step, first_seen: Option<Timestamp>, started: Timestamp) {
        let last_fixed = self.fixes.last().map(|fix| fix.fixed);
        // What Netskope has seen before the last fix is what that fix has ended.
        let first_seen = first_seen.filter(|seen| last_fixed.is_none_or(|fixed| *seen > fixed));
        let (seen, found) = *self.violates_since.get_or_insert((first_seen.unwrap_or(started), started));
        if step.outcome == Some(Outcome::Fixed) && !step.undo {
            let fixed = step.proof.as_ref().map_or(step.at, |proof| proof.at);
            self.fixes.push(Fix { first_seen: seen.min(found), found, fixed });
        }
        if !step.state.is_unsolved() {
            self.violates_since = None;
        }
    }
}
