//! `undo`: a report in; what its run changed, put back from the stored plans alone.
//!
//! It first finds out how everything would be put back, and prints that. Then it writes what was printed and nothing
//! else: a resource that has changed in between is held by the engine. Where later runs have changed the same resources,
//! their changes are taken back first, if that was asked for.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use clap::builder::{BoolValueParser, TypedValueParser};
use clap::{ArgAction, Args};
use clap_complete::ArgValueCompleter;
use engine::{Drifted, TakenBack};
use jiff::SignedDuration;
use remediation::{AccountId, BatchId, Mode, Place, PlannedResource, Records, Resource, RunId};
use serde_json::Value;

use crate::commands::arguments::{AccessArgs, CompanyArgs, OutputArgs, OverrideArgs, PolicyArgs, consent};
use crate::commands::complete;
use crate::commands::help::{self, RUN_EXIT_CODES};
use crate::commands::interrupts::Interrupts;
use crate::commands::results::{Diff, Results};
use crate::commands::run::tell_wider;
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page, complain};
use crate::print::progress::Bar;
use crate::print::question::{self, Consent};
use crate::print::text::counted;
use crate::session::connection::Connection;
use crate::session::plans::{PlanInHand, WayBack, WayBackOf, was_written};
use crate::session::policy;
use crate::session::records::{RecordAt, RecordsPlace};
use crate::session::rules::{self, LoadedRule, PolicyInForce, Remediate};
use crate::session::runs::{self, RunPlan, RunPlans};
use crate::session::workplace::Workplace;

/// What to undo.
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// The report of the run, as plan and apply print it: s3://bucket/reports/…, or a file; several of one bucket or folder,
    /// also of several rules. Without -<batch>.json, all plans of the run. If the run ended early and left no report, its plan.
    #[arg(value_name = "REPORT", required = true, value_parser = RecordAt::report_or_plan)]
    reports: Vec<RecordAt>,
    /// Only resources of this account, by its twelve digits; can be repeated.
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<AccountId>,
    /// Only what this rule changed, by its ID; can be repeated. Default: every rule of the reports.
    #[arg(long = "rule", value_name = "ID", add = ArgValueCompleter::new(complete::rule))]
    rules: Vec<String>,
    /// Only this resource, by its ARN or its name in the report; can be repeated. Resources of all regions are put back.
    #[arg(long = "resource", value_name = "NAME")]
    resources: Vec<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// Put back what is printed, without being asked first. Without a terminal, and with --json, nothing is changed unless this
    /// is given.
    #[arg(long = "yes", action = ArgAction::SetTrue, value_parser = consent())]
    pub(crate) consent: Consent,
    /// If later runs have changed the same resources, take those changes back first.
    #[arg(long = "with-later", action = ArgAction::SetTrue, value_parser = later())]
    later: Later,
    /// Also put back resources that somebody else has changed since the fix.
    #[arg(long = "force", action = ArgAction::SetTrue, value_parser = drifted())]
    drifted: Drifted,
    /// For how many hours runs leave alone what was put back, so that it is not fixed again; at most 720.
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(..=720))]
    exempt_hours: u32,
    #[command(flatten)]
    company: CompanyArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    overriding: OverrideArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What to do with a resource that a later run has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Later {
    Hold,
    /// `--with-later`.
    TakeBack,
}

fn later() -> impl TypedValueParser<Value = Later> {
    BoolValueParser::new().map(|is_given| if is_given { Later::TakeBack } else { Later::Hold })
}

fn drifted() -> impl TypedValueParser<Value = Drifted> {
    BoolValueParser::new().map(|is_given| if is_given { Drifted::PutBack } else { Drifted::Hold })
}

pub(crate) fn help() -> String {
    help::below(
        RUN_EXIT_CODES,
        "
  See what a run changed and how it would be put back, and put it back when asked; the same in a script:
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN-1.json
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN-1.json --yes

  All batches of a run; a run that ended early and left only its plan:
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN
    autoremediate undo s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json

  What a run changed by two rules:
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN s3://bucket/reports/iam-stale-access-key/2026-01-02/RUN

  Only one resource, even if somebody changed it after the fix:
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN-1.json --resource data --force --yes

  Together with what later runs changed on the same resources; from a folder, with nobody else at work:
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN --with-later
    autoremediate undo autoremediate-records/reports/s3-public-bucket/2026-01-02/RUN --alone

  In an emergency, although the bucket's policy has paused all writes:
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN-1.json --override TICKET-4711",
    )
}

/// A later batch, and the ARNs of the resources that it has changed.
struct Concerned {
    id: BatchId,
    arns: BTreeSet<String>,
}

/// A plan to take back.
struct Step {
    what: String,
    plan: Box<dyn PlanInHand>,
    of: WayBackOf,
}

impl Step {
    /// Says which of its resources steps before it take back first.
    fn lies_beneath(&mut self, above: &BTreeSet<String>) {
        self.of.beneath = self.of.only.intersection(above).cloned().collect();
    }
}

/// What was asked for, and the later batches that have changed the same resources.
struct Asked {
    steps: Vec<Step>,
    later: Vec<Concerned>,
}

/// What works on the undo of one rule's runs.
struct Undoing<'a> {
    args: &'a UndoArgs,
    /// The keys of the rule's reports and plans.
    keys: Vec<&'a str>,
    records: &'a Records,
    rule: &'a LoadedRule,
    engine: Box<dyn Remediate>,
    run: RunId,
    /// The accounts and resources that were asked for and that no plan has had so far.
    unfound: RefCell<BTreeSet<String>>,
}

/// What takes back what a rule has changed.
struct Back<'a> {
    undoing: &'a Undoing<'a>,
    ways: Vec<Box<dyn WayBack>>,
}

/// Shows how what a run changed would be put back; with consent, puts it back.
pub(crate) async fn undo(
    args: &UndoArgs,
    bar: &Bar,
    interrupts: &Interrupts,
    page: &mut Page<'_>,
) -> Result<Exit, Error> {
    let UndoArgs { consent, output, .. } = args;
    let place = args.place()?;
    if *consent == Consent::Given {
        place.may_write(args.company.company)?;
    }
    let rules = args.rules_of_reports()?;
    let asked = args.policy.asked_but_for(&args.overriding);
    policy::check_own(asked)?;
    let connection = Connection::open(args.access.access(), place.clone()).await?;
    let policy = policy::in_force(&connection, asked).await?;
    tell_wider(&policy.wider);
    let (progress, interrupt) = (Arc::new(bar.clone()), interrupts.interrupt());
    let workplace = Workplace { connection, policy, progress, interrupt };
    let run = RunId::start();
    let undoing: Vec<_> =
        rules.iter().map(|rule| Undoing::new(args, rule, &workplace, run)).collect::<Result<_, Error>>()?;
    let mut shown = Results::of(Mode::Plan);
    let (mut backs, mut later) = (Vec::new(), Vec::new());
    interrupts.begin_work();
    for undoing in &undoing {
        bar.on(&format!("{}:", undoing.rule.manifest.id));
        let Asked { steps, later: of_rule } = undoing.asked(&mut shown).await?;
        let steps = match args.later {
            Later::Hold => steps,
            Later::TakeBack => undoing.after_later(&of_rule, steps, &mut shown).await?,
        };
        let ways = undoing.ways_back(steps, &mut shown).await?;
        later.extend(of_rule);
        backs.push(Back { undoing, ways });
    }
    bar.clear();
    if shown.problems.is_empty()
        && let Some(gate) = unfound(&undoing)
    {
        return Err(Error::NotInRun(gate));
    }
    let is_asked = *consent == Consent::Ask;
    if output.format == Format::Table || is_asked {
        shown.print(output.format, &rules, page)?;
    }
    if interrupts.is_interrupted() {
        return Ok(shown.exit());
    }
    if backs.iter().all(|back| back.ways.is_empty()) {
        complain("There is nothing to put back: the run changed none of the resources that you asked for.");
        if output.format != Format::Table && !is_asked {
            shown.print(output.format, &rules, page)?;
        }
        return Ok(shown.exit());
    }
    if args.later == Later::Hold && !later.is_empty() {
        let runs: Vec<_> =
            later.iter().map(|of| format!("{} ({})", of.id.run, counted(of.arns.len(), "resource"))).collect();
        complain(format!(
            "Later runs have changed the same resources, so these are held: {}. To take those changes back first, give \
             --with-later.",
            runs.join(", ")
        ));
    }
    let stops = why_not(&workplace.policy, &shown);
    if let Some(why) = &stops.why {
        complain(format!("Not put back, because {why}: {}.", counted(stops.resources, "resource")));
        if matches!(place, RecordsPlace::Bucket(_)) {
            complain(
                "In an emergency, --override REASON puts it back; the reason is recorded, and an alarm is raised.",
            );
        }
    }
    if is_asked && stops.resources > 0 && stops.resources == shown.shown() {
        return Ok(shown.exit());
    }
    if is_asked && !interrupts.ask(|| may_go_on(args, &shown))? {
        complain("Nothing was changed. To put it back, give --yes.");
        return Ok(shown.exit());
    }
    interrupts.begin_work();
    let mut results = Results::of(Mode::Apply);
    if let Some(reason) = asked.emergency {
        results.policy_override = Some(policy::record_override(&workplace.connection, run, reason).await?);
    }
    for Back { undoing, ways } in backs {
        bar.on(&format!("{}:", undoing.rule.manifest.id));
        undoing.write(ways, &mut results).await;
    }
    bar.clear();
    if output.format == Format::Json {
        results.diffs = shown.diffs;
        results.problems.extend(shown.problems.iter().cloned());
    }
    results.print(output.format, &rules, page)?;
    let unread = if shown.problems.is_empty() { Exit::NothingLeft } else { Exit::Failed };
    Ok(results.exit().max(unread))
}

/// What of the resources that are shown the policy does not let be put back.
struct Stops {
    resources: usize,
    /// The first reason.
    why: Option<String>,
}

fn why_not(policy: &PolicyInForce, shown: &Results) -> Stops {
    let mut stopped = Vec::new();
    for Diff { shown, .. } in &shown.diffs {
        let why_not = |of: &PlannedResource<Value>| {
            let (rule, Resource { owner, region, .. }) = (&shown.id.rule, &of.resource);
            policy.why_not(&Place { rule, account: owner, region, is_in: None })
        };
        stopped.extend(shown.resources.iter().filter_map(why_not));
    }
    Stops { resources: stopped.len(), why: stopped.into_iter().next() }
}

/// Asks, where there is somebody to ask and something to put back.
fn may_go_on(args: &UndoArgs, shown: &Results) -> Result<bool, Error> {
    if shown.shown() == 0 || !question::can_ask(args.output.format) {
        return Ok(false);
    }
    if let Err(error) = args.place()?.may_write(args.company.company) {
        complain(error);
        return Ok(false);
    }
    let what = match args.later {
        Later::Hold => "as shown",
        Later::TakeBack => "as shown, the changes of later runs first",
    };
    Ok(question::is_confirmed(&format!("Put back {} {what}?", counted(shown.shown(), "resource")))?)
}

impl UndoArgs {
    /// Where all the reports are.
    fn place(&self) -> Result<&RecordsPlace, Error> {
        let places: Vec<_> = self.reports.iter().map(|report| &report.place).collect();
        match places[..] {
            [first, ref others @ ..] if others.iter().all(|place| *place == first) => Ok(first),
            _ => Err(Error::ManyPlaces),
        }
    }

    /// The rules of the reports, or those of them that are asked for.
    fn rules_of_reports(&self) -> Result<Vec<LoadedRule>, Error> {
        let of_reports: Vec<_> = self.reports.iter().map(|report| report.rule().to_owned()).collect();
        let asked = rules::select(&self.rules)?;
        let found = rules::select(&of_reports)?;
        if let Some(rule) = self.rules.iter().find(|rule| !of_reports.contains(rule)) {
            return Err(Error::NotInRun(format!("--rule {rule}")));
        }
        let is_asked = |rule: &LoadedRule| asked.iter().any(|of| of.manifest.id == rule.manifest.id);
        Ok(found.into_iter().filter(is_asked).collect())
    }
}

/// What was asked for and is in no plan.
fn unfound(undoing: &[Undoing<'_>]) -> Option<String> {
    let mut unfound = undoing.iter().map(|undoing| undoing.unfound.borrow().clone());
    let first = unfound.next()?;
    unfound.fold(first, |left, of| left.intersection(&of).cloned().collect()).into_iter().next()
}

impl<'a> Undoing<'a> {
    fn new(args: &'a UndoArgs, rule: &'a LoadedRule, workplace: &'a Workplace, run: RunId) -> Result<Self, Error> {
        let id = &rule.manifest.id;
        let keys = args.reports.iter().filter(|report| report.rule() == id).map(|report| report.key.as_str()).collect();
        let accounts = args.accounts.iter().map(|account| format!("--account {account}"));
        let resources = args.resources.iter().map(|resource| format!("--resource {resource}"));
        let unfound = RefCell::new(accounts.chain(resources).collect());
        let engine = workplace.engine(rule, run, None)?;
        Ok(Self { args, keys, records: &workplace.connection.records, rule, engine, run, unfound })
    }

    /// Notes which of what was asked for a plan has.
    fn find_in(&self, planned: &PlannedResource<Value>) {
        let UndoArgs { accounts, resources, .. } = self.args;
        let mut unfound = self.unfound.borrow_mut();
        for account in accounts.iter().filter(|account| is_in(planned, account)) {
            unfound.remove(&format!("--account {account}"));
        }
        for resource in resources.iter().filter(|resource| is_called(planned, resource)) {
            unfound.remove(&format!("--resource {resource}"));
        }
    }

    /// What was asked for. A record that cannot be read is a problem, and stops none of the others.
    async fn asked(&self, results: &mut Results) -> Result<Asked, Error> {
        let mut found = Vec::new();
        for key in &self.keys {
            let RunPlans { plans, problems } = runs::find(self.records, key).await?;
            results.problems.extend(problems);
            found.extend(plans);
        }
        let mut asked = Asked { steps: Vec::new(), later: Vec::new() };
        for plan in found {
            let wanted = |planned: &PlannedResource<_>| {
                self.find_in(planned);
                is_wanted(self.args, planned)
            };
            if let Some(step) = self.step(plan, wanted, "To be put back, as it was before the", results).await {
                add(&mut asked.later, step.plan.changed_later(&step.of.only).await);
                asked.steps.push(step);
            }
        }
        // The last comes first: it found what the others had left.
        asked.later.sort_by_key(|of| Reverse((of.id.run.started(), of.id.batch)));
        Ok(asked)
    }

    /// The steps after those that take back what later runs have changed.
    async fn after_later(
        &self,
        later: &[Concerned],
        mut asked: Vec<Step>,
        results: &mut Results,
    ) -> Result<Vec<Step>, Error> {
        let (mut steps, mut above) = (Vec::new(), BTreeSet::new());
        for Concerned { id, arns } in later {
            let RunPlans { plans, problems } = runs::of_batch(self.records, id).await.map_err(Box::new)?;
            results.problems.extend(problems);
            let start = steps.len();
            for plan in plans {
                let wanted = |planned: &PlannedResource<_>| arns.contains(&planned.resource.arn);
                let what = "To be taken back first, as it was before the later";
                steps.extend(self.step(plan, wanted, what, results).await);
            }
            // Attempts of one batch are one run: none of them is later than another.
            for step in &mut steps[start..] {
                step.lies_beneath(&above);
            }
            above.extend(steps[start..].iter().flat_map(|step| step.of.only.iter().cloned()));
        }
        asked.iter_mut().for_each(|step| step.lies_beneath(&above));
        steps.extend(asked);
        Ok(steps)
    }

    /// Reads a plan of which some resources may be wanted, and were written to.
    async fn step(
        &self,
        plan: RunPlan,
        wanted: impl Fn(&PlannedResource<Value>) -> bool,
        what: &str,
        results: &mut Results,
    ) -> Option<Step> {
        let RunPlan { key, report } = plan;
        // The role of an undo may open and not close, so it could not, and would ask for permissions that it must not have.
        if let Some(undone) = report.as_ref().and_then(|report| report.undoes.as_ref()) {
            results.problems.push(format!(
                "{key} is the plan of an undo (it took back {undone}), and an undo cannot be taken back: once the \
                 resources are no longer exempt, the next poll or `apply` fixes them again"
            ));
            return None;
        }
        let plan = match self.engine.read(self.records, &key).await {
            Ok(plan) => plan,
            Err(error) => {
                results.problems.push(error.to_string());
                return None;
            }
        };
        let shown = plan.shown();
        let written = shown.resources.iter().filter(|of| wanted(of) && was_written(report.as_ref(), &of.resource.arn));
        let only: BTreeSet<_> = written.map(|planned| planned.resource.arn.clone()).collect();
        let what = format!("{what} run {}:", shown.id.run);
        let of = WayBackOf { key, report, only, beneath: BTreeSet::new(), drifted: self.args.drifted };
        (!of.only.is_empty()).then_some(Step { what, plan, of })
    }

    /// Finds out how each step is taken back.
    async fn ways_back(&self, steps: Vec<Step>, results: &mut Results) -> Result<Vec<Box<dyn WayBack>>, Error> {
        let mut ways = Vec::new();
        for (batch, Step { what, plan, of }) in (1..).zip(steps) {
            let way = plan.way_back(self.id(batch), of).await?;
            if let Some(report) = way.report() {
                results.store(report.clone(), self.records).await;
            }
            results.diffs.push(Diff { what, shown: way.shown().clone() });
            ways.push(way);
        }
        Ok(ways)
    }

    /// Writes what was shown.
    async fn write(&self, ways: Vec<Box<dyn WayBack>>, results: &mut Results) {
        let exempt_until = ambient::now() + SignedDuration::from_hours(i64::from(self.args.exempt_hours));
        for (batch, way) in (1..).zip(ways) {
            results.store(way.write(self.id(batch), exempt_until).await, self.records).await;
        }
    }

    fn id(&self, batch: u32) -> BatchId {
        BatchId { rule: self.rule.manifest.id.clone(), run: self.run, batch }
    }
}

/// Adds the later batches of the resources that are asked for.
fn add(later: &mut Vec<Concerned>, changed: Vec<TakenBack>) {
    for TakenBack { resource, later: batches } in changed {
        for id in batches {
            match later.iter_mut().find(|of| of.id == id) {
                Some(of) => of.arns.insert(resource.arn.clone()),
                None => {
                    later.push(Concerned { id, arns: BTreeSet::from([resource.arn.clone()]) });
                    true
                }
            };
        }
    }
}

/// Whether a resource is asked for, by its account and by any of its names.
fn is_wanted(args: &UndoArgs, planned: &PlannedResource<Value>) -> bool {
    let UndoArgs { accounts, resources, .. } = args;
    (accounts.is_empty() || accounts.iter().any(|account| is_in(planned, account)))
        && (resources.is_empty() || resources.iter().any(|resource| is_called(planned, resource)))
}

fn is_in(planned: &PlannedResource<Value>, account: &AccountId) -> bool {
    let PlannedResource { resource, findings, .. } = planned;
    resource.owner == *account || findings.iter().any(|finding| finding.account == *account)
}

fn is_called(planned: &PlannedResource<Value>, name: &str) -> bool {
    let PlannedResource { resource, findings, .. } = planned;
    resource.all_names().any(|of| of == name) || findings.iter().any(|finding| finding.resource == name)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use remediation::{Finding, Region, Resource};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: UndoArgs,
    }

    fn args(arguments: &[&str]) -> UndoArgs {
        Line::parse_from([&["undo", "reports/r/2026-01-02/x-1.json"], arguments].concat()).args
    }

    fn resource(id: &str) -> Resource {
        Resource::of_arn("test", format!("arn:aws:test:us-east-1:222222222222:door/{id}"), id).unwrap()
    }

    #[test]
    fn a_resource_is_asked_for_by_any_of_its_names_and_accounts() {
        let finding = Finding {
            control: "c".into(),
            account: "111111111111".parse().unwrap(),
            region: Region::code("us-east-1"),
            resource: "front".into(),
            first_seen: None,
            last_scanned: None,
        };
        let planned = PlannedResource {
            resource: resource("d-1"),
            findings: vec![finding],
            changes: Vec::new(),
            awaits: Vec::new(),
            held: Vec::new(),
            sightings: Vec::new(),
            notes: Vec::new(),
        };
        for (arguments, wanted) in [
            (&[][..], true),
            (&["--resource", "front"], true),
            (&["--resource", "d-1"], true),
            (&["--resource", "arn:aws:test:us-east-1:222222222222:door/d-1"], true),
            (&["--resource", "other", "--resource", "d-1"], true),
            (&["--resource", "other"], false),
            (&["--account", "111111111111"], true),
            (&["--account", "222222222222"], true),
            (&["--account", "333333333333"], false),
            (&["--account", "111111111111", "--resource", "other"], false),
        ] {
            assert_eq!(is_wanted(&args(arguments), &planned), wanted, "{arguments:?}");
        }
    }

    #[test]
    fn each_later_batch_is_named_once_with_all_its_resources() {
        let id = |batch| BatchId { rule: "r".into(), run: RunId::start(), batch };
        let (first, second) = (id(1), id(2));
        let taken = |name: &str, later: &[&BatchId]| TakenBack {
            resource: resource(name),
            later: later.iter().map(|id| (*id).clone()).collect(),
        };
        let changed = vec![taken("a", &[&first, &second]), taken("b", &[&second])];
        let mut later = Vec::new();
        add(&mut later, changed);
        let found: Vec<_> = later.iter().map(|of| (&of.id, of.arns.len())).collect();
        assert_eq!(found, [(&first, 1), (&second, 2)]);
    }

    #[test]
    fn nothing_is_taken_back_that_was_not_asked_for() {
        let args = args(&[]);
        assert_eq!((args.consent, args.later, args.drifted), (Consent::Ask, Later::Hold, Drifted::Hold));
        let args = super::tests::args(&["--yes", "--with-later", "--force"]);
        assert_eq!((args.consent, args.later, args.drifted), (Consent::Given, Later::TakeBack, Drifted::PutBack));
    }
}
