//! From a report, or a pause, to what is told of it. Pure: what is told follows from what is stored.

use std::collections::BTreeMap;

use jiff::Timestamp;
use remediation::domain::{FOUGHT_OVER, NEEDS_APPROVAL};
use remediation::{AccountId, Outcome, Pause, Report, ReportedFinding};

use crate::chat::Chat;
use crate::detail::{AccountCount, DETAIL_SCHEMA, Detail, Kind, Message, PauseTold, ResourceTold, Text};
use crate::text::{MOST_OF_LINE, counted, first, plain, reasons};

/// The most resources, and the most accounts, that a message names; it counts them all.
const MOST_NAMED: usize = 20;
/// The most ARNs of the event itself.
const MOST_ARNS: usize = 10;
/// The most resources, accounts and reasons in a line for people.
const MOST_IN_LINE: usize = 5;
const MOST_REASONS: usize = 3;
/// The most characters of a resource's name, of a reason, and of an owner.
const MOST_OF_NAME: usize = 512;
const MOST_OF_REASON: usize = 300;
const MOST_OF_OWNER: usize = 128;

/// What is told of a report that was stored in the bucket `bucket` under `key`. Each kind at most once, however many
/// findings it is about.
///
/// Of a plan that waits since an earlier poll, the report has no row, and nothing is told again.
pub fn of_report(report: &Report, bucket: &str, key: &str) -> Vec<Message> {
    make(report, bucket, key, false)
}

/// A pause of everything, which is told when it is stored. None where it stops less than that.
pub fn of_pause(pause: &Pause, bucket: &str) -> Option<Message> {
    pause.stops.everything().then(|| paused(pause, bucket, false))
}

pub(crate) fn make(report: &Report, bucket: &str, key: &str, test: bool) -> Vec<Message> {
    let kinds = Kind::ALL.into_iter().filter_map(|kind| {
        let rows: Vec<_> = report.findings.iter().filter(|row| kind_of(row, report) == Some(kind)).collect();
        let of_batch = kind == Kind::Failed && (report.error.is_some() || !report.bad_lines.is_empty());
        (!rows.is_empty() || of_batch).then(|| About { kind, rows, report, bucket, key, test }.message())
    });
    kinds.collect()
}

/// What is told of a row of the report.
fn kind_of(row: &ReportedFinding, report: &Report) -> Option<Kind> {
    let waits = row.detail.as_deref().and_then(|detail| detail.strip_prefix(NEEDS_APPROVAL));
    if row.contested.as_ref().is_some_and(|contested| contested.begins) {
        return Some(Kind::Contested);
    }
    match row.outcome {
        Outcome::Fixed => Some(Kind::Fixed),
        Outcome::Failed | Outcome::Unverified => Some(Kind::Failed),
        Outcome::Held if report.plan.is_some() => {
            waits.map(|why| if why.contains(FOUGHT_OVER) { Kind::FoughtOver } else { Kind::PlanWaits })
        }
        _ => row.grace.as_ref().filter(|grace| grace.begins).map(|_| Kind::GraceBegins),
    }
}

/// What one message is about.
struct About<'a> {
    kind: Kind,
    rows: Vec<&'a ReportedFinding>,
    report: &'a Report,
    bucket: &'a str,
    key: &'a str,
    test: bool,
}

impl About<'_> {
    fn message(&self) -> Message {
        let Self { kind, report, bucket, .. } = *self;
        let (accounts, further_accounts) = self.accounts();
        let (resources, further_resources) = self.resources();
        let text = self.text(&accounts, further_accounts, &resources, further_resources);
        let arns = resources.iter().map(|told| &told.resource).filter(|name| name.starts_with("arn:"));
        let arns: Vec<_> = arns.take(MOST_ARNS).cloned().collect();
        let place = |key: &str| plain(&format!("s3://{bucket}/{key}"), MOST_OF_NAME);
        let (of_report, of_plan) = (place(self.key), self.plan().map(place));
        let context =
            [("bucket", Some(bucket.to_owned())), ("report", Some(of_report.clone())), ("plan", of_plan.clone())];
        let context = context.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let rule = plain(&report.id.rule, MOST_OF_NAME);
        let thread = format!("{rule}-{}", report.id.run);
        let chat = Chat::new(kind, &text, self.further_steps(of_plan.as_deref()), &thread, Some(&rule), &arns, context);
        let outcomes = report.counts.iter().map(|(outcome, count)| (outcome.to_string(), *count)).collect();
        let detail = Detail {
            schema: DETAIL_SCHEMA,
            kind,
            test: self.test,
            bucket: bucket.to_owned(),
            rule: Some(rule),
            run: Some(report.id.run.to_string()),
            batch: Some(report.id.batch),
            report: Some(of_report),
            plan: of_plan,
            outcomes,
            findings: self.count(),
            accounts,
            further_accounts,
            resources,
            further_resources,
            pause: None,
            text,
            chat,
        };
        Message { detail, resources: arns }
    }

    /// The key of the plan that all of it is in; none where it is in several, which the report names.
    fn plan(&self) -> Option<&str> {
        let last = self.report.plan.as_ref().map(|plan| plan.key.as_str());
        let mut plans = self.rows.iter().map(|row| row.earlier_plan.as_deref().or(last));
        let first = plans.next().unwrap_or(last);
        first.filter(|_| plans.all(|plan| plan == first))
    }

    /// How many findings it is about; a line that is none counts, as in the report.
    fn count(&self) -> usize {
        let lines = if self.kind == Kind::Failed { self.report.bad_lines.len() } else { 0 };
        self.rows.len().saturating_add(lines)
    }

    /// The first accounts, those with the most findings first, and how many there are beside them.
    fn accounts(&self) -> (Vec<AccountCount>, usize) {
        let mut counts: BTreeMap<&AccountId, usize> = BTreeMap::new();
        for row in &self.rows {
            *counts.entry(&row.finding.account).or_default() += 1;
        }
        let mut accounts: Vec<_> =
            counts.into_iter().map(|(account, findings)| AccountCount { account: account.clone(), findings }).collect();
        accounts.sort_by_key(|of| std::cmp::Reverse(of.findings));
        let further = accounts.len().saturating_sub(MOST_NAMED);
        accounts.truncate(MOST_NAMED);
        (accounts, further)
    }

    /// The first resources, each once, and how many there are beside them.
    fn resources(&self) -> (Vec<ResourceTold>, usize) {
        let mut known = BTreeMap::new();
        for (place, row) in self.rows.iter().enumerate() {
            known.entry((name(row), &row.finding.account)).or_insert(place);
        }
        let mut places: Vec<_> = known.into_values().collect();
        places.sort_unstable();
        let further = places.len().saturating_sub(MOST_NAMED);
        let rows = places.into_iter().take(MOST_NAMED).filter_map(|place| self.rows.get(place));
        (rows.map(|row| self.told(row)).collect(), further)
    }

    fn told(&self, row: &ReportedFinding) -> ResourceTold {
        let grace = row.grace.as_ref().filter(|grace| grace.begins);
        ResourceTold {
            resource: escape::beginning(name(row), MOST_OF_NAME),
            account: row.finding.account.clone(),
            region: escape::beginning(row.finding.region.as_ref(), MOST_OF_OWNER),
            outcome: row.outcome.to_string(),
            why: self.why_of(row).map(|why| escape::beginning(&why, MOST_OF_REASON)),
            grace_until: grace.map(|grace| grace.until),
            owner: grace.and_then(|grace| Some(escape::beginning(grace.owner.as_ref()?, MOST_OF_OWNER))),
        }
    }

    /// Why the row is as it is; of what was fixed, what was changed.
    fn why_of(&self, row: &ReportedFinding) -> Option<String> {
        let detail = row.detail.as_deref();
        match self.kind {
            Kind::Fixed => (!row.changes.is_empty()).then(|| row.changes.join("; ")),
            Kind::Contested => row
                .contested
                .as_ref()
                .map(|of| format!("fixed at {}, and listed as Failed by the scan at {}", at(of.fixed), at(of.scanned))),
            Kind::PlanWaits | Kind::FoughtOver => detail.map(|of| of.trim_start_matches(NEEDS_APPROVAL).to_owned()),
            _ => detail.map(str::to_owned),
        }
    }

    fn text(
        &self,
        accounts: &[AccountCount],
        further_accounts: usize,
        resources: &[ResourceTold],
        further_resources: usize,
    ) -> Text {
        let (kind, report) = (self.kind, self.report);
        let rule = plain(&report.id.rule, MOST_OF_OWNER);
        let count = resources.len().saturating_add(further_resources);
        let (of, is) = (counted(count, "resource"), if count == 1 { "is" } else { "are" });
        let waits = if count == 1 { "waits" } else { "wait" };
        let title = match kind {
            Kind::PlanWaits => format!("{rule}: {of} {waits} for approval"),
            Kind::Fixed => format!("{rule}: {of} fixed"),
            Kind::Failed if count == 0 => format!("{rule}: a batch could not be read"),
            Kind::Failed if self.is_unproved() => format!("{rule}: {of} changed, but not proved"),
            Kind::Failed => format!("{rule}: {of} not fixed"),
            Kind::FoughtOver => format!("{rule}: {of} {is} fought over"),
            Kind::Contested => format!("{rule}: Netskope contests the fix of {of}"),
            Kind::GraceBegins => format!("{rule}: the grace of {of} begins"),
            Kind::Paused => "Everything is paused".into(),
        };
        let by_account = accounts.iter().map(|of| format!("{} ({})", of.account, of.findings));
        let by_account = first(by_account, MOST_IN_LINE, further_accounts);
        let in_accounts = if accounts.is_empty() { String::new() } else { format!(" By account: {by_account}.") };
        let findings = counted(self.count(), "finding");
        let sentence = match kind {
            Kind::PlanWaits => format!("{findings} of {of} will be fixed once a person approves the plan."),
            Kind::Fixed => format!("{findings} of {of}: fixed, and proved by reading the resource again."),
            Kind::Failed if count == 0 => "Nothing was done about any finding of it.".into(),
            Kind::Failed if self.is_unproved() => format!(
                "{findings} of {of}: changed, but a fresh look could not confirm it in time. The next poll looks again."
            ),
            Kind::Failed => format!("{findings} of {of} could not be fixed. The next poll tries again."),
            Kind::FoughtOver => format!(
                "{findings} of {of}: fixed several times, and violating again. Somebody or something changes it back, so \
                 nothing is written until a person approves."
            ),
            Kind::Contested => format!(
                "{findings} of {of}: a fresh look finds the fix in force, but Netskope has scanned since and still lists \
                 it as Failed. Compare the resource with what Netskope's console says, and tell Netskope's support."
            ),
            Kind::GraceBegins => format!(
                "{findings} of {of} will be fixed without being asked when the grace is over, the first at {}.",
                self.first_end()
            ),
            Kind::Paused => String::new(),
        };
        let names = resources.iter().map(|told| plain(&told.resource, MOST_OF_REASON));
        let which = first(names, MOST_IN_LINE, further_resources);
        let none = "No resource could be read from the batch".to_owned();
        let which = if resources.is_empty() { none } else { format!("Resources: {which}") };
        let id = &report.id;
        line_by_line(Text {
            title: if self.test { format!("[TEST] {title}") } else { title },
            what: format!("{sentence}{in_accounts}"),
            which,
            why: self.why(),
            origin: format!("Run {}, batch {}, done at {}", id.run, id.batch, at(report.finished)),
            command: format!("autoremediate show s3://{}/{}", self.bucket, self.key),
        })
    }

    /// Whether every write was made, and only the proof is wanting.
    fn is_unproved(&self) -> bool {
        self.rows.iter().all(|row| row.outcome == Outcome::Unverified) && self.count() == self.rows.len()
    }

    fn why(&self) -> String {
        let of_rows = self.rows.iter().filter_map(|row| self.why_of(row));
        let lines = self.report.bad_lines.iter().map(ToString::to_string);
        let of_batch = self.report.error.clone().into_iter().chain(lines).filter(|_| self.kind == Kind::Failed);
        let all: Vec<_> = of_batch.chain(of_rows).map(|why| escape::beginning(&why, MOST_OF_REASON)).collect();
        let all = reasons(all.iter().map(String::as_str), MOST_REASONS);
        let all = if all.is_empty() { "the report says no more".to_owned() } else { all };
        match self.kind {
            Kind::Fixed => format!("Changed: {all}"),
            _ => format!("Why: {all}"),
        }
    }

    /// When the first grace ends.
    fn first_end(&self) -> String {
        let ends = self.rows.iter().filter_map(|row| Some(row.grace.as_ref()?.until));
        ends.min().map(at).unwrap_or_default()
    }

    /// What to do beside having a look.
    fn further_steps(&self, plan: Option<&str>) -> Vec<String> {
        match (self.kind, plan) {
            (Kind::PlanWaits | Kind::FoughtOver, Some(plan)) => {
                vec![format!("`autoremediate approve {plan} --reason TICKET`")]
            }
            _ => Vec::new(),
        }
    }
}

pub(crate) fn paused(pause: &Pause, bucket: &str, test: bool) -> Message {
    let Pause { id, by, reason, at: since, until, .. } = pause;
    let ends = until.map_or_else(|| "until somebody ends the pause".to_owned(), |until| format!("until {}", at(until)));
    let title = "Everything is paused";
    let text = line_by_line(Text {
        title: if test { format!("[TEST] {title}") } else { title.to_owned() },
        what: format!("No write starts any more, in no rule, account or region, undo included, {ends}."),
        which: format!("Everything in the deployment with the bucket {bucket}"),
        why: format!("Why: {reason}"),
        origin: format!("Paused by {by} at {}", at(*since)),
        command: format!("autoremediate resume --records s3://{bucket} {id}"),
    });
    let context = [("bucket".to_owned(), bucket.to_owned())].into();
    let chat = Chat::new(Kind::Paused, &text, Vec::new(), &format!("pause-{id}"), None, &[], context);
    let told = PauseTold {
        id: escape::beginning(id, MOST_OF_OWNER),
        by: escape::beginning(by, MOST_OF_NAME),
        reason: escape::beginning(reason, MOST_OF_REASON),
        at: *since,
        until: *until,
    };
    let detail = Detail {
        schema: DETAIL_SCHEMA,
        kind: Kind::Paused,
        test,
        bucket: bucket.to_owned(),
        rule: None,
        run: None,
        batch: None,
        report: None,
        plan: None,
        outcomes: BTreeMap::new(),
        findings: 0,
        accounts: Vec::new(),
        further_accounts: 0,
        resources: Vec::new(),
        further_resources: 0,
        pause: Some(told),
        text,
        chat,
    };
    Message { detail, resources: Vec::new() }
}

/// A time for people, to the second.
fn at(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// What the row is about: its ARN, or what the finding calls it.
fn name(row: &ReportedFinding) -> &str {
    row.resource.as_ref().map_or(row.finding.resource.as_str(), |resource| resource.arn.as_str())
}

/// The same, each on one line that a template and a chat show as it is.
fn line_by_line(text: Text) -> Text {
    let Text { title, what, which, why, origin, command } = text;
    let [title, what, which, why, origin, command] =
        [title, what, which, why, origin, command].map(|line| plain(&line, MOST_OF_LINE));
    Text { title, what, which, why, origin, command }
}

#[cfg(test)]
mod tests;
