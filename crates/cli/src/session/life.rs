//! The life of a resource, or of a plan: what happened to it, from its card, and from the plans, reports and approvals that
//! the card leads to.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use remediation::records::{Ended, ScanVerdict, Write};
use remediation::{Approval, BatchId, Card, Folder, Outcome, PlannedResource, Records, Report, ReportedFinding, RunId};
use serde::Serialize;
use serde_json::Value;

use crate::session::cards::{self, CardAt, Cards, Which, is_called};
use crate::session::plans::{Part, Shown};
use crate::session::records::{locate, rule_of};
use crate::session::rules::{self, LoadedRule};
use crate::session::runs::{self, RunPlan};
use crate::session::waiting::words;

/// How many plans, or writes with their plans and reports, are read at a time.
const AT_A_TIME: usize = 8;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// Netskope, or a look of ours, found that it violates.
    Found,
    Planned,
    /// Its changes wait.
    Waits,
    Approved,
    Rejected,
    Changed,
    /// A fresh look proved the change.
    Verified,
    /// A report says in full what it came to.
    Reported,
    Undone,
    FoughtOver,
    /// Netskope passes what was fixed, by a scan after the fix.
    Confirmed,
    /// It still fails that.
    Contested,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) event: What,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// The changes that are meant, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) changes: Vec<String>,
    /// Where the record of it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record_at: Option<String>,
}

/// What happened, in its order, and what could not be read of it.
#[derive(Debug, Default)]
pub(crate) struct Life {
    pub(crate) events: Vec<Event>,
    pub(crate) problems: Vec<String>,
}

/// The records, and the rules that can read them.
#[derive(Clone, Copy)]
pub(crate) struct Archive<'a> {
    pub(crate) records: &'a Records,
    pub(crate) rules: &'a [LoadedRule],
}

impl Event {
    fn new(at: Timestamp, event: What) -> Self {
        Self { at, event, by: None, detail: None, changes: Vec::new(), record_at: None }
    }
}

impl Life {
    fn add(&mut self, events: impl IntoIterator<Item = Event>) {
        self.events.extend(events);
    }

    fn join(&mut self, Self { events, problems }: Self) {
        self.events.extend(events);
        self.problems.extend(problems);
    }

    /// In the order of time, each event once.
    fn in_order(mut self) -> Self {
        self.events.sort_by_key(|event| (event.at, event.event));
        self.events.dedup();
        self
    }
}

impl Archive<'_> {
    /// The cards of the resources that go by `name`: as their ARNs say, or, where no ARN does, as findings and AWS call
    /// them in the plans that cards lead to.
    ///
    /// # Errors
    ///
    /// The cards cannot be listed.
    pub(crate) async fn named(self, name: &str, which: &Which) -> Result<Cards, crate::error::Error> {
        let by_arn = Which { resources: vec![name.to_owned()], ..which.clone() };
        let found = cards::read(self.records, &by_arn).await?;
        if !found.cards.is_empty() || name.starts_with("arn:") {
            return Ok(found);
        }
        let Cards { cards, mut problems } = cards::read(self.records, which).await?;
        let mut plans: BTreeSet<_> = cards.iter().flat_map(plans_of).collect();
        let beside = |key: String| async move { runs::plans_beside(self.records, &key).await };
        let mut listed = stream::iter(plans.clone()).map(beside).buffered(AT_A_TIME);
        while let Some(of_batch) = listed.next().await {
            match of_batch {
                Ok(of_batch) => plans.extend(of_batch),
                Err(error) => problems.push(error.to_string()),
            }
        }
        let mut read = stream::iter(plans).map(|key| async move { self.shown(&key).await }).buffered(AT_A_TIME);
        let mut arns = BTreeSet::new();
        while let Some(shown) = read.next().await {
            match shown {
                Ok(shown) => {
                    let meant = shown.resources.into_iter().filter(|planned| goes_by(planned, name));
                    arns.extend(meant.map(|planned| planned.resource.arn));
                }
                Err(problem) => problems.push(problem),
            }
        }
        let cards = cards.into_iter().filter(|at| arns.contains(at.card.resource())).collect();
        Ok(Cards { cards, problems })
    }

    /// The life of a resource.
    pub(crate) async fn of_resource(self, at: &CardAt) -> Life {
        let (rule, arn) = (&at.place.rule, at.card.resource());
        let mut life = Life::default();
        life.add(self.on_card(&at.card));
        if let Some(waiting) = &at.card.waiting {
            life.join(self.of_part(&waiting.plan, &waiting.digest, arn).await);
            life.join(self.approvals(&waiting.plan, Some(arn)).await);
        }
        let writes: Vec<_> = at.card.all_writes().collect();
        let written = writes.into_iter().map(|write| async move { self.of_write(rule, arn, &write).await });
        let mut written = stream::iter(written).buffered(AT_A_TIME);
        while let Some(of_write) = written.next().await {
            life.join(of_write);
        }
        life.in_order()
    }

    /// The life of a plan: its approvals, and what reports say of its run and of theirs.
    pub(crate) async fn of_plan(self, key: &str, id: &BatchId, report: Option<&Report>) -> Life {
        let mut life = Life::default();
        let planned = Event { record_at: Some(self.locate(key)), ..Event::new(id.run.started(), What::Planned) };
        life.add([planned]);
        life.add(report.map(|report| self.reported(report)));
        let Approvals { approvals, problems } = self.approvals_of(key).await;
        life.problems.extend(problems);
        for (at, approval) in approvals {
            life.add([self.approved(&approval, Some(at))]);
            let report = approval.id().report_key();
            match self.records.list(&report).await.map_err(|error| error.to_string()) {
                Ok(keys) if !keys.contains(&report) => {}
                Ok(_) => match self.records.get_as::<Report>(&report).await {
                    Ok(report) => life.add([self.reported(&report)]),
                    Err(error) => life.problems.push(error.to_string()),
                },
                Err(problem) => life.problems.push(problem),
            }
        }
        life.in_order()
    }

    /// A stored plan, as it is shown.
    pub(crate) async fn shown(self, key: &str) -> Result<Shown, String> {
        let rule = rules::by_id(self.rules, rule_of(key)).map_err(|error| format!("{key}: {error}"))?;
        rule.show(self.records, key).await.map_err(|error| error.to_string())
    }

    fn locate(self, key: &str) -> String {
        locate(self.records, key)
    }

    /// What the card itself says.
    fn on_card(self, card: &Card) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(violation) = &card.violation {
            let owner = violation.owner.as_ref().map(|owner| format!("; its owner is {owner}")).unwrap_or_default();
            let detail = Some(format!("by the first look of ours{owner}"));
            events.push(Event { detail, ..Event::new(violation.first_seen, What::Found) });
        }
        if let Some(waiting) = &card.waiting {
            let until = waiting.until.map(|until| format!(", until {until}")).unwrap_or_default();
            let detail = Some(format!("because {}{until}", words(&waiting.why)));
            let record_at = Some(self.locate(waiting.report.as_ref().unwrap_or(&waiting.plan)));
            events.push(Event { detail, record_at, ..Event::new(waiting.since, What::Waits) });
        }
        if let Some(rejected) = &card.rejected {
            let (by, detail) =
                (Some(rejected.by.clone()), Some(format!("{}, until {}", rejected.reason, rejected.until)));
            events.push(Event { by, detail, ..Event::new(rejected.since, What::Rejected) });
        }
        if let Some(fought_over) = &card.fought_over {
            let detail = Some(format!("its fixes are taken back again and again: {}", fought_over.reports.join(", ")));
            events.push(Event { detail, ..Event::new(fought_over.since, What::FoughtOver) });
        }
        let said = card.closures.iter().filter_map(|closure| Some((closure, closure.said.as_ref()?)));
        events.extend(said.map(|(closure, said)| {
            let what = match said.verdict {
                ScanVerdict::Confirmed => What::Confirmed,
                ScanVerdict::Contested => What::Contested,
            };
            let detail = Some(format!("{}, by its scan at {}", closure.control, said.scanned));
            Event { detail, ..Event::new(said.since, what) }
        }));
        if let Some(reported) = &card.reported {
            let (detail, record_at) = (Some(reported.outcome.to_string()), Some(self.locate(&reported.report)));
            events.push(Event { detail, record_at, ..Event::new(reported.at, What::Reported) });
        }
        events
    }

    /// That a plan has this part: what was found, and what would be changed.
    async fn of_part(self, key: &str, digest: &str, arn: &str) -> Life {
        let mut life = Life::default();
        match self.shown(key).await {
            Err(problem) => life.problems.push(problem),
            Ok(shown) => match part_of(&shown, digest, arn) {
                Some(planned) => life.add(self.planned(key, shown.id.run, planned)),
                None => life.problems.push(format!("{key}: it has not the part that the card of {arn} names")),
            },
        }
        life
    }

    /// What one run wrote, what that was planned from, and what became of it.
    async fn of_write(self, rule: &str, arn: &str, write: &Write) -> Life {
        let (id, mut life) = (write.id(rule), Life::default());
        let mut changes = Vec::new();
        match runs::of_batch(self.records, &id).await {
            Err(error) => life.problems.push(error.to_string()),
            Ok(found) => {
                life.problems.extend(found.problems);
                for RunPlan { key, report } in found.plans {
                    let shown = match self.shown(&key).await {
                        Ok(shown) => shown,
                        Err(problem) => {
                            life.problems.push(problem);
                            continue;
                        }
                    };
                    let Some(planned) = part_of(&shown, &write.part, arn) else { continue };
                    life.add(self.planned(&key, id.run, planned));
                    changes = summaries(planned, &write.took);
                    if let Some(report) = report {
                        let at = self.locate(&report.id.report_key());
                        life.add(self.of_report(&report, arn, at));
                    }
                }
            }
        }
        let detail = Some(ended(write).to_owned());
        life.add([Event { detail, changes, ..Event::new(write.at, What::Changed) }]);
        if let Some(undo) = write.undone_by {
            life.join(self.undone(rule, arn, undo, id.run).await);
        }
        life
    }

    /// That the run `undo` took back what `run` had written.
    async fn undone(self, rule: &str, arn: &str, undo: RunId, run: RunId) -> Life {
        let mut life = Life::default();
        let prefix = format!("{}{}/{undo}-", Folder::Reports.of(rule), undo.date());
        let keys = match self.records.list(&prefix).await {
            Ok(keys) => keys,
            Err(error) => {
                life.problems.push(error.to_string());
                Vec::new()
            }
        };
        let mut undone = Event {
            detail: Some(format!("what the run {run} had written")),
            ..Event::new(undo.started(), What::Undone)
        };
        for key in keys {
            match self.records.get_as::<Report>(&key).await {
                Err(error) => life.problems.push(error.to_string()),
                Ok(report) => {
                    if rows(&report, arn).any(|row| row.outcome == Outcome::Undone) {
                        (undone.at, undone.record_at) = (report.finished, Some(self.locate(&key)));
                        undone.by = report.policy_override.map(|of| of.by);
                    }
                }
            }
        }
        life.add([undone]);
        life
    }

    /// Who approved what a report is of, and what proved it.
    fn of_report(self, report: &Report, arn: &str, at: String) -> Vec<Event> {
        let approved = report.approval.iter().map(|approved| self.approved(&approved.approval, None));
        let proofs = rows(report, arn).filter_map(|row| {
            let proof = row.verification.as_ref()?;
            let detail = Some(format!("{}, with {}", row.outcome, proof.actions.join(", ")));
            Some(Event { detail, record_at: Some(at.clone()), ..Event::new(proof.at, What::Verified) })
        });
        approved.chain(proofs).collect()
    }

    fn planned(self, key: &str, run: RunId, planned: &PlannedResource<Value>) -> Vec<Event> {
        let first_seen = planned.findings.iter().filter_map(|finding| finding.first_seen).min();
        let controls: BTreeSet<_> = planned.findings.iter().map(|finding| finding.control.as_str()).collect();
        let detail = Some(format!("by Netskope: {}", controls.into_iter().collect::<Vec<_>>().join("; ")));
        let found = first_seen.map(|at| Event { detail, ..Event::new(at, What::Found) });
        let changes = planned.changes.iter().map(|change| change.summary.clone()).collect();
        let record_at = Some(self.locate(key));
        found.into_iter().chain([Event { changes, record_at, ..Event::new(run.started(), What::Planned) }]).collect()
    }

    fn reported(self, report: &Report) -> Event {
        let counts: Vec<_> = report.counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let record_at = Some(self.locate(&report.id.report_key()));
        Event { detail: Some(counts.join(", ")), record_at, ..Event::new(report.finished, What::Reported) }
    }

    fn approved(self, approval: &Approval, at: Option<String>) -> Event {
        let (by, detail) = (Some(approval.by.clone()), Some(approval.reason.clone()));
        Event { by, detail, record_at: at, ..Event::new(approval.approved, What::Approved) }
    }

    async fn approvals(self, plan: &str, arn: Option<&str>) -> Life {
        let Approvals { approvals, problems } = self.approvals_of(plan).await;
        let covering = approvals.into_iter().filter(|(_, approval)| arn.is_none_or(|arn| approval.covers(arn)));
        Life { events: covering.map(|(at, approval)| self.approved(&approval, Some(at))).collect(), problems }
    }

    /// The approvals that are stored beside a plan, each with its place.
    async fn approvals_of(self, plan: &str) -> Approvals {
        let (key, mut found) = (Approval::key(plan), Approvals::default());
        let Some(prefix) = key.strip_suffix("json") else { return found };
        let keys = self.records.list(prefix).await.unwrap_or_else(|error| {
            found.problems.push(error.to_string());
            Vec::new()
        });
        for key in keys {
            match self.records.get_as::<Approval>(&key).await {
                Ok(approval) if approval.plan == plan => found.approvals.push((self.locate(&key), approval)),
                Ok(approval) => found.problems.push(format!("{key}: it is an approval of {}", approval.plan)),
                Err(error) => found.problems.push(error.to_string()),
            }
        }
        found
    }
}

/// Approvals, each with its place.
#[derive(Default)]
struct Approvals {
    approvals: Vec<(String, Approval)>,
    problems: Vec<String>,
}

/// The keys of the first plans of the batches that a card leads to.
fn plans_of(at: &CardAt) -> Vec<String> {
    let waiting = at.card.waiting.iter().map(|waiting| waiting.plan.clone());
    waiting.chain(at.card.writes.iter().map(|write| write.id(&at.place.rule).plan_key())).collect()
}

fn goes_by(planned: &PlannedResource<Value>, name: &str) -> bool {
    let listed = planned.findings.iter().map(|finding| finding.resource.as_str());
    planned.resource.all_names().chain(listed).any(|called| is_called(called, name))
}

fn part_of<'a>(shown: &'a Shown, digest: &str, arn: &str) -> Option<&'a PlannedResource<Value>> {
    let parts = shown.resources.iter().zip(&shown.parts);
    let is_it =
        |(planned, part): &(&PlannedResource<Value>, &Part)| part.digest == digest && planned.resource.arn == arn;
    parts.into_iter().find(is_it).map(|(planned, _)| planned)
}

fn rows<'a>(report: &'a Report, arn: &'a str) -> impl Iterator<Item = &'a ReportedFinding> {
    report.findings.iter().filter(move |row| row.resource.as_ref().is_some_and(|of| of.arn == arn))
}

/// The changes at these places, in words.
fn summaries(planned: &PlannedResource<Value>, places: &[usize]) -> Vec<String> {
    places.iter().filter_map(|place| planned.changes.get(*place)).map(|change| change.summary.clone()).collect()
}

fn ended(write: &Write) -> &'static str {
    match write.ended {
        Ended::Proved if write.took.is_empty() => "it was made already",
        Ended::Proved => "proved",
        Ended::Unproved => "written, at least in part, and not proved",
        Ended::CutOff => "the run never came back to say what it wrote",
    }
}

/// What a run left: its reports, and its plans, each by its place.
#[derive(Debug, Default)]
pub(crate) struct RunRecords {
    pub(crate) reports: BTreeMap<String, Report>,
    pub(crate) plans: BTreeMap<String, Shown>,
    pub(crate) problems: Vec<String>,
}

impl Archive<'_> {
    /// All that the run left, of whatever rules; of one of its batches alone, where that is given.
    ///
    /// # Errors
    ///
    /// Its records cannot be listed.
    pub(crate) async fn of_run(self, run: RunId, batch: Option<u32>) -> Result<RunRecords, crate::error::Error> {
        let end = batch.map(|batch| format!("{batch}.")).unwrap_or_default();
        let mut found = RunRecords::default();
        for rule in self.rules {
            let name = format!("{}/{run}-{end}", run.date());
            for key in self.list(Folder::Reports, rule, &name).await? {
                match self.records.get_as(&key).await {
                    Ok(report) => drop(found.reports.insert(self.locate(&key), report)),
                    Err(error) => found.problems.push(error.to_string()),
                }
            }
            for key in self.list(Folder::Plans, rule, &name).await? {
                match self.shown(&key).await {
                    Ok(shown) => drop(found.plans.insert(self.locate(&key), shown)),
                    Err(problem) => found.problems.push(problem),
                }
            }
        }
        Ok(found)
    }

    async fn list(self, folder: Folder, rule: &LoadedRule, name: &str) -> Result<Vec<String>, crate::error::Error> {
        let listed = self.records.list(&format!("{}{name}", folder.of(&rule.manifest.id))).await;
        Ok(listed.map_err(Box::new)?)
    }

    /// A report, and the plans that it names.
    ///
    /// # Errors
    ///
    /// The report cannot be read.
    pub(crate) async fn of_report_at(self, key: &str) -> Result<RunRecords, crate::error::Error> {
        let report: Report = self.records.get_as(key).await.map_err(Box::new)?;
        let mut found = RunRecords::default();
        for plan in report.plans() {
            match self.shown(&plan.key).await {
                Ok(shown) => drop(found.plans.insert(self.locate(&plan.key), shown)),
                Err(problem) => found.problems.push(problem),
            }
        }
        found.reports.insert(self.locate(key), report);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use remediation::records::WaitsFor;
    use remediation::{Approved, Batch, StoredPlan, Verification};

    use super::*;
    use crate::session::fixtures::{ACCOUNT, Desk, RULE, Stored, bucket, hours_ago};

    fn archive(desk: &Desk) -> Archive<'_> {
        Archive { records: &desk.records, rules: &desk.rules }
    }

    /// The report of a run that did something to one bucket of a plan.
    async fn report(desk: &Desk, plan: &Stored, outcome: Outcome, edit: impl FnOnce(&mut Report)) -> String {
        let planned = &plan.shown.resources[0];
        let report = Report::untouched(Batch::new(plan.id.clone(), planned.findings.clone()), outcome, "why");
        let mut report =
            Report { plan: Some(StoredPlan { key: plan.key.clone(), digest: plan.shown.digest.clone() }), ..report };
        report.findings[0].resource = Some(planned.resource.clone());
        edit(&mut report);
        desk.records.store_report(&report).await.unwrap()
    }

    fn whats(life: &Life) -> Vec<What> {
        life.events.iter().map(|event| event.event).collect()
    }

    #[tokio::test]
    async fn a_resource_was_found_planned_approved_changed_verified_and_undone_and_waits_again() {
        let desk = Desk::new();
        let (written, undo, next) = (
            desk.plan(&[("data", true)]).await,
            desk.plan(&[("data", true)]).await,
            desk.plan(&[("data", true)]).await,
        );
        let approval =
            Approval::new(&written.id, &written.key, &written.shown.digest, "somebody".into(), "ticket 4711".into());
        let now = ambient::now();
        let after = |seconds| now + SignedDuration::from_secs(seconds);
        report(&desk, &written, Outcome::Fixed, |report| {
            report.approval = Some(Approved { approval, stored_by: None });
            let actions = vec!["s3:GetBucketPublicAccessBlock".to_owned()];
            report.findings[0].verification = Some(Verification { at: after(20), looks: 1, actions });
        })
        .await;
        let undone_at = report(&desk, &undo, Outcome::Undone, |report| report.finished = after(30)).await;
        desk.waits(&next, "data", WaitsFor::Mode, |card| {
            card.waiting.as_mut().unwrap().since = after(40);
            card.writes.push(Write {
                run: written.id.run,
                batch: 1,
                at: after(10),
                ended: Ended::Proved,
                changes: Vec::new(),
                part: written.part("data").digest,
                took: vec![0],
                undone_by: Some(undo.id.run),
            });
        })
        .await;
        let found = archive(&desk).named("arn:aws:s3:::data", &Which::default()).await.unwrap();
        let life = archive(&desk).of_resource(&found.cards[0]).await;
        assert!(life.problems.is_empty(), "{:?}", life.problems);
        let told: Vec<_> = whats(&life).into_iter().filter(|what| *what != What::Planned).collect();
        let expected = [What::Found, What::Approved, What::Changed, What::Verified, What::Undone, What::Waits];
        assert_eq!(told, expected, "{life:#?}");
        assert_eq!(whats(&life).len(), expected.len() + 2, "what was written was planned, and so is what waits");
        let of = |what| life.events.iter().find(|event| event.event == what).unwrap();
        assert_eq!(of(What::Found).at, "2025-09-01T10:00:00Z".parse().unwrap());
        assert_eq!(
            (of(What::Approved).by.as_deref(), of(What::Approved).detail.as_deref()),
            (Some("somebody"), Some("ticket 4711"))
        );
        let summary = &written.shown.resources[0].changes[0].summary;
        assert_eq!(
            (&of(What::Changed).changes[..], of(What::Changed).detail.as_deref()),
            (&[summary.clone()][..], Some("proved"))
        );
        assert!(of(What::Verified).detail.as_ref().unwrap().contains("s3:GetBucketPublicAccessBlock"));
        assert!(of(What::Undone).record_at.as_ref().unwrap().ends_with(&undone_at));
        assert!(of(What::Waits).detail.as_ref().unwrap().contains("the mode is approve"));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_named_and_the_rest_is_told() {
        let desk = Desk::new();
        let plan = desk.plan(&[("data", true)]).await;
        desk.waits(&plan, "data", WaitsFor::Mode, |card| card.waiting.as_mut().unwrap().digest = "another".into())
            .await;
        let broken = Approval::key(&plan.key);
        desk.records.put_new(&broken, b"{}".into()).await.unwrap();
        let found = archive(&desk).named("data", &Which::default()).await.unwrap();
        let life = archive(&desk).of_resource(&found.cards[0]).await;
        assert_eq!(whats(&life), [What::Waits]);
        let problems = life.problems.join("\n");
        assert!(problems.contains("has not the part") && problems.contains(&broken), "{problems}");
    }

    #[tokio::test]
    async fn a_resource_goes_by_its_arn_by_the_end_of_it_and_by_what_findings_and_aws_call_it() {
        let desk = Desk::new();
        let plan = desk.plan(&[("data", true), ("more-data", true)]).await;
        for name in ["data", "more-data"] {
            desk.waits(&plan, name, WaitsFor::Mode, |_| {}).await;
        }
        let found = async |name: &str, account: &str| {
            let which = Which { accounts: vec![account.parse().unwrap()], ..Which::default() };
            let found = archive(&desk).named(name, &which).await.unwrap();
            found.cards.iter().map(|at| at.card.resource().to_owned()).collect::<Vec<_>>()
        };
        for name in ["arn:aws:s3:::data", "data", "listed-data", "the data"] {
            assert_eq!(found(name, ACCOUNT).await, [bucket("data").arn], "{name}");
            assert!(found(name, "333333333333").await.is_empty(), "{name}");
        }
        assert!(found("ata", ACCOUNT).await.is_empty());
    }

    #[tokio::test]
    async fn what_an_earlier_plan_of_a_batch_wrote_is_found_and_shown() {
        let desk = Desk::new();
        let (first, last) = (desk.plan(&[("other", false)]).await, desk.plan(&[("data", false)]).await);
        // The last plan of the first one's batch.
        let mut plan: Value = serde_json::from_slice(&desk.records.get(&last.key).await.unwrap()).unwrap();
        plan["run"] = serde_json::to_value(first.id.run).unwrap();
        let key = desk.records.put_new(&first.key, plan.to_string().into()).await.unwrap();
        report(&desk, &first, Outcome::Fixed, |report| {
            report.earlier_plans.extend(report.plan.replace(StoredPlan { key, digest: "d".into() }));
        })
        .await;
        let found = archive(&desk).of_report_at(&first.id.report_key()).await.unwrap();
        assert_eq!((found.plans.len(), found.problems), (2, vec![]));
        desk.waits(&last, "data", WaitsFor::Mode, |card| {
            card.waiting = None;
            let (part, ended) = (last.part("data").digest, Ended::Proved);
            let (run, batch, at, took) = (first.id.run, 1, ambient::now(), vec![0]);
            card.writes.push(Write { run, batch, at, ended, changes: Vec::new(), part, took, undone_by: None });
        })
        .await;
        let found = archive(&desk).named("listed-data", &Which::default()).await.unwrap();
        assert_eq!((found.cards.len(), found.problems), (1, vec![]));
        let life = archive(&desk).of_resource(&found.cards[0]).await;
        assert!(whats(&life).contains(&What::Planned) && life.problems.is_empty(), "{life:?}");
    }

    #[tokio::test]
    async fn a_plan_has_its_approvals_and_what_their_runs_report() {
        let desk = Desk::new();
        let plan = desk.plan(&[("one", true), ("two", true)]).await;
        let mut approval = Approval::new(&plan.id, &plan.key, &plan.shown.digest, "who".into(), "why".into());
        approval.only = [bucket("two").arn].into();
        let stored = serde_json::to_vec(&approval).unwrap();
        desk.records.put_new(&approval.own_key(), stored).await.unwrap();
        let of_it = Stored { id: approval.id(), key: plan.key.clone(), shown: plan.shown.clone() };
        report(&desk, &of_it, Outcome::Fixed, |report| report.finished = hours_ago(-1)).await;
        let life = archive(&desk).of_plan(&plan.key, &plan.id, None).await;
        assert_eq!((whats(&life), life.problems), (vec![What::Planned, What::Approved, What::Reported], vec![]));
        assert_eq!(life.events[2].detail.as_deref(), Some("1 fixed"));
        for (name, count) in [("one", 0), ("two", 1)] {
            let approvals = archive(&desk).approvals(&plan.key, Some(&bucket(name).arn)).await;
            assert_eq!(approvals.events.len(), count, "{name}");
        }
    }

    #[tokio::test]
    async fn a_run_has_all_its_batches_of_all_rules() {
        let desk = Desk::new();
        let plan = desk.plan(&[("data", true)]).await;
        report(&desk, &plan, Outcome::Held, |_| {}).await;
        let second = BatchId { batch: 2, ..plan.id.clone() };
        desk.records.put_new(&second.report_key(), b"{}".into()).await.unwrap();
        let other = BatchId { rule: "iam-stale-access-key".into(), ..plan.id.clone() };
        let of_other = Report::untouched(Batch::new(other, Vec::new()), Outcome::Held, "why");
        desk.records.store_report(&of_other).await.unwrap();
        let RunRecords { reports, plans, problems } = archive(&desk).of_run(plan.id.run, None).await.unwrap();
        assert_eq!((reports.len(), plans.len(), problems.len()), (2, 1, 1), "{problems:?}");
        assert!(problems[0].contains(&second.report_key()));
        let batch = archive(&desk).of_run(plan.id.run, Some(1)).await.unwrap();
        assert_eq!((batch.reports.len(), batch.problems.len()), (2, 0));
        let report = archive(&desk).of_report_at(&plan.id.report_key()).await.unwrap();
        assert_eq!((report.reports.len(), report.plans.len()), (1, 1));
        assert!(RULE == plan.id.rule);
    }
}
