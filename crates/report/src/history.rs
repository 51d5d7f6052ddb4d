//! The history of findings, from records that are added one by one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use remediation::records::{Card, Confirmed, Unchanged};
use remediation::{
    AccountId, Approval, BatchId, Finding, Folder, Outcome, Plan, Region, Report, ReportedFinding, Resource,
};
use serde::Serialize;
use serde_json::Value;

use crate::life::{Approver, Closure, Life, News, Proof, State, Step, Wait};
use crate::summary::Summary;

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// The first day, in UTC.
    pub from: Date,
    /// The last day, in UTC.
    pub to: Date,
    /// These rules; all of them where none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// These accounts; all of them where none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
    /// These regions; all of them where none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
}

impl Scope {
    fn covers(&self, rule: &str, finding: &Finding) -> bool {
        (self.rules.is_empty() || self.rules.iter().any(|of| of == rule))
            && (self.accounts.is_empty() || self.accounts.contains(&finding.account))
            && (self.regions.is_empty() || self.regions.contains(&finding.region))
    }
}

/// The most reports of before the span that are read: each resource is said in full once a week.
const MOST_BEFORE: usize = 10_000;

/// Which finding it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    rule: String,
    account: String,
    region: String,
    resource: String,
    control: String,
}

impl Key {
    fn of(rule: &str, Finding { control, account, region, resource, .. }: &Finding) -> Self {
        Self {
            rule: rule.to_owned(),
            account: account.as_ref().to_owned(),
            region: region.as_ref().to_owned(),
            resource: resource.clone(),
            control: control.clone(),
        }
    }
}

/// That a report says that Netskope has confirmed a fix.
#[derive(Debug)]
struct Told {
    report: String,
    rule: String,
    at: Timestamp,
    confirmed: Confirmed,
}

/// The lives of findings, as far as records have told them.
#[derive(Debug)]
pub struct History {
    scope: Scope,
    lives: BTreeMap<Key, Life>,
    resources: BTreeMap<Key, Resource>,
    /// The plans that reports name.
    reported: BTreeSet<String>,
    /// The approvals that reports name, by their plans.
    carried_out: BTreeSet<String>,
    problems: Vec<String>,
    /// What Netskope has confirmed.
    confirmed: Vec<Told>,
    /// The reports that were added.
    added: BTreeSet<String>,
    /// The reports that others name instead of saying the same again, and when the last one did.
    named: BTreeMap<String, Timestamp>,
    /// The reports of the last look at each finding.
    looked: BTreeMap<Key, String>,
    /// Findings of which something was told after that without a look, such as that they were paused, and how they stood
    /// by the look.
    unseen: BTreeMap<Key, State>,
}

impl History {
    /// A history without records.
    pub fn new(scope: Scope) -> Self {
        let (lives, resources) = (BTreeMap::new(), BTreeMap::new());
        let (reported, carried_out, problems) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        let (added, named, confirmed) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
        let (looked, unseen) = (BTreeMap::new(), BTreeMap::new());
        Self { scope, lives, resources, reported, carried_out, problems, confirmed, added, named, looked, unseen }
    }

    /// Adds the report `key`, which is no older than those of its rule before it.
    pub fn report(&mut self, key: &str, report: &Report) {
        let own = report.id.report_key();
        // A batch that was run again has a number of its own before the end.
        if !own.strip_suffix("json").is_some_and(|own| key.starts_with(own)) {
            return self.problem(format!("{key}: it says that it is the report of {own}"));
        }
        if let Some(error) = &report.error {
            self.problem(format!("{key}: its batch could not be read: {error}"));
        }
        if !report.bad_lines.is_empty() {
            let (many, first) = (report.bad_lines.len(), &report.bad_lines[0]);
            self.problem(format!("{key}: {many} line(s) of its batch are no findings; the first: {first}"));
        }
        self.added.insert(key.to_owned());
        self.named.extend(report.unchanged.iter().map(|of| (of.report.clone(), report.finished)));
        self.reported.extend(report.plans().map(|plan| plan.key.clone()));
        self.carried_out.extend(report.approval.iter().map(|of| of.approval.plan.clone()));
        for row in &report.findings {
            self.row(key, report, row);
        }
        let (rule, at) = (&report.id.rule, report.finished);
        let told = |of: &Confirmed| Told { report: key.to_owned(), rule: rule.clone(), at, confirmed: of.clone() };
        self.confirmed.extend(report.confirmed.iter().map(told));
        for unchanged in &report.unchanged {
            self.still_so(report, unchanged);
        }
    }

    /// A report that names an earlier one has looked again. Where that was the last look at a finding, and something was
    /// told since without one, the finding is as it was found then.
    fn still_so(&mut self, report: &Report, unchanged: &Unchanged) {
        let own: BTreeSet<_> = report.findings.iter().map(|row| Key::of(&report.id.rule, &row.finding)).collect();
        let is_meant = |key: &&Key| self.looked.get(*key) == Some(&unchanged.report) && !own.contains(*key);
        let again: Vec<_> = self.unseen.keys().filter(is_meant).cloned().collect();
        for key in again {
            let Some(life) = self.lives.get_mut(&key) else { continue };
            let seen = life.steps.iter().rfind(|step| step.outcome == Some(unchanged.outcome)).cloned();
            let Some(seen) = seen else { continue };
            let step = Step { at: report.finished, until: report.finished, times: 1, closure: None, ..seen };
            let seen_as = self.unseen.remove(&key);
            life.go_on(News { step, seen_as, first_seen: life.first_seen, started: report.started });
        }
    }

    /// Adds what Netskope has confirmed. A fix of before the span has no other step in it.
    fn confirm(&mut self) {
        for Told { report, rule, at, confirmed } in std::mem::take(&mut self.confirmed) {
            if !self.scope.covers(&rule, &confirmed.finding) {
                continue;
            }
            let id = Key::of(&rule, &confirmed.finding);
            let is_new = !self.lives.contains_key(&id);
            self.resources.entry(id).or_insert_with(|| confirmed.resource.clone());
            let life = self.life(&rule, &confirmed.finding, confirmed.fixed);
            if is_new {
                (life.state, life.outcome) = (State::Fixed, Some(Outcome::Fixed));
            }
            life.confirm(Step {
                at,
                until: at,
                times: 1,
                outcome: None,
                undo: false,
                state: State::Fixed,
                detail: None,
                notes: Vec::new(),
                changes: Vec::new(),
                written: 0,
                proof: None,
                approver: None,
                closure: Some(Closure::from(&confirmed)),
                plan: None,
                report: Some(report),
            });
        }
        self.lives.values_mut().for_each(Life::close);
    }

    /// The reports of before the span that those within it name: what they say was still so.
    pub fn named_before(&self) -> Vec<String> {
        let is_report = |key: &&String| key.starts_with(Folder::Reports.name()) && key.ends_with(".json");
        self.named
            .keys()
            .filter(|key| !self.added.contains(*key))
            .filter(is_report)
            .take(MOST_BEFORE)
            .cloned()
            .collect()
    }

    /// Adds what a report of before the span says of findings of which none within it has told more.
    pub fn report_before(&mut self, key: &str, report: &Report) {
        let named = self.named.get(key).copied();
        self.reported.extend(report.plans().map(|plan| plan.key.clone()));
        for row in &report.findings {
            let id = Key::of(&report.id.rule, &row.finding);
            let last = self.lives.get(&id).and_then(|life| life.steps.last()).map(|step| step.until);
            match (last, named) {
                (None, _) => self.row(key, report, row),
                // What was told within the span was without a look, and the look came after it
                (Some(last), Some(named)) if !self.looked.contains_key(&id) && last < named => {
                    let step = Step { at: named, until: named, ..Self::step(key, report, row) };
                    let news = News { step, seen_as: None, first_seen: row.finding.first_seen, started: named };
                    self.life(&report.id.rule, &row.finding, named).go_on(news);
                }
                _ => {}
            }
        }
    }

    fn row(&mut self, key: &str, report: &Report, row: &ReportedFinding) {
        let rule = &report.id.rule;
        if !self.scope.covers(rule, &row.finding) {
            return;
        }
        let id = Key::of(rule, &row.finding);
        let mut seen_as = None;
        if let Some(resource) = &row.resource {
            self.resources.insert(id.clone(), resource.clone());
            self.looked.insert(id.clone(), key.to_owned());
            seen_as = self.unseen.remove(&id);
        } else if let (true, Some(life)) = (self.looked.contains_key(&id), self.lives.get(&id)) {
            self.unseen.entry(id).or_insert(life.state);
        }
        let news = News {
            step: Self::step(key, report, row),
            seen_as,
            first_seen: row.finding.first_seen,
            started: report.started,
        };
        self.life(rule, &row.finding, report.started).go_on(news);
    }

    fn step(key: &str, report: &Report, row: &ReportedFinding) -> Step {
        Step {
            at: report.finished,
            until: report.finished,
            times: 1,
            outcome: Some(row.outcome),
            undo: report.undoes.is_some(),
            state: State::Open,
            detail: row.detail.clone(),
            notes: row.notes.clone(),
            changes: row.changes.clone(),
            written: row.written,
            proof: row.verification.as_ref().map(Proof::from),
            approver: report.approval.as_ref().map(Approver::from),
            closure: row.contested.as_ref().map(Closure::from),
            plan: report.plan_of(row).map(str::to_owned),
            report: Some(key.to_owned()),
        }
    }

    /// The life of a finding, which begins at `started` if this is the first that is told of it.
    fn life(&mut self, rule: &str, finding: &Finding, started: Timestamp) -> &mut Life {
        let key = Key::of(rule, finding);
        let arn = self.resources.get(&key).map(|resource| resource.arn.clone());
        let life = self.lives.entry(key).or_insert_with(|| Life {
            rule: rule.to_owned(),
            control: finding.control.clone(),
            account: finding.account.clone(),
            region: finding.region.clone(),
            resource: finding.resource.clone(),
            arn: None,
            state: State::Open,
            outcome: None,
            first_seen: None,
            found: started,
            last_listed: started,
            fixes: Vec::new(),
            waiting: None,
            approved: None,
            closure: None,
            fought_over_since: None,
            steps: Vec::new(),
            violates_since: None,
        });
        life.arn = arn.or(life.arn.take());
        life.first_seen = life.first_seen.or(finding.first_seen);
        life
    }

    /// Whether no report names the plan `key`: its run has not come back yet, or never did.
    pub fn is_unreported(&self, key: &str) -> bool {
        !self.reported.contains(key)
    }

    /// Adds the plan `key`, which [no report names](Self::is_unreported).
    pub fn plan(&mut self, key: &str, plan: &Plan<Value>) {
        let rule = &plan.id.rule;
        if BatchId::from_plan_key(key, rule).as_ref() != Some(&plan.id) {
            return self.problem(format!("{key}: it says that it is the plan of {}", plan.id.plan_key()));
        }
        for planned in &plan.resources {
            for finding in &planned.findings {
                if !self.scope.covers(rule, finding) {
                    continue;
                }
                let step = Step {
                    at: plan.created,
                    until: plan.created,
                    times: 1,
                    outcome: None,
                    undo: false,
                    state: State::Open,
                    detail: Some("no report says what became of this plan".to_owned()),
                    notes: planned.notes.clone(),
                    changes: planned.changes.iter().map(|change| change.summary.clone()).collect(),
                    written: 0,
                    proof: None,
                    approver: None,
                    closure: None,
                    plan: Some(key.to_owned()),
                    report: None,
                };
                self.resources.insert(Key::of(rule, finding), planned.resource.clone());
                self.life(rule, finding, plan.created).interject(step);
            }
        }
    }

    /// Adds approvals, by their plans. One that a report has carried out says nothing new.
    pub fn approvals(&mut self, approvals: &BTreeMap<String, Approval>) {
        for life in self.lives.values_mut() {
            let waits =
                |step: &&Step| matches!(step.outcome, Some(Outcome::Held | Outcome::Planned | Outcome::Deferred));
            let plan = life.steps.last().filter(waits).and_then(|step| step.plan.as_ref());
            let approval = plan.filter(|plan| !self.carried_out.contains(*plan)).and_then(|plan| approvals.get(plan));
            life.approved = approval.cloned().map(Approver::from);
        }
    }

    /// The resources of findings that are not solved, by their rules: their cards say more.
    pub fn unsolved(&self) -> Vec<(String, Resource)> {
        let is_unsolved = |key: &Key| self.lives.get(key).is_some_and(|life| life.state.is_unsolved());
        let unsolved = self.resources.iter().filter(|(key, _)| is_unsolved(key));
        let found: BTreeMap<_, _> =
            unsolved.map(|(key, resource)| ((key.rule.as_str(), resource.arn.as_str()), resource)).collect();
        found.into_iter().map(|((rule, _), resource)| (rule.to_owned(), resource.clone())).collect()
    }

    /// Adds the cards of [unsolved](Self::unsolved) resources, by their rules and ARNs.
    pub fn cards(&mut self, cards: &BTreeMap<(String, String), Card>) {
        for life in self.lives.values_mut().filter(|life| life.state.is_unsolved()) {
            let Some(arn) = &life.arn else { continue };
            let Some(card) = cards.get(&(life.rule.clone(), arn.clone())) else { continue };
            life.waiting = card.waiting.as_ref().map(|of| Wait { plan: of.plan.clone(), since: of.since });
            life.fought_over_since = card.fought_over.as_ref().map(|of| of.since);
            if let Some(violation) = &card.violation {
                life.found = life.found.min(violation.first_seen);
            }
        }
    }

    /// Adds what could not be read.
    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// What was found, in numbers, as it was at `made`.
    pub fn summary(mut self, made: Timestamp) -> Summary {
        self.confirm();
        Summary::of(self.scope, made, self.lives.into_values().collect(), self.problems)
    }
}

/// Sorts keys by the time of their runs, which their names begin with; and of one run by their batches and attempts.
pub fn in_order(keys: &mut [String], folder: Folder) {
    keys.sort_by_cached_key(|key| {
        let name = key.strip_prefix(folder.name()).unwrap_or(key);
        let (run, rest) = name.rsplit_once('-').unwrap_or((name, ""));
        let numbers: Vec<u32> = rest.split('.').filter_map(|part| part.parse().ok()).collect();
        (run.to_owned(), numbers)
    });
}
