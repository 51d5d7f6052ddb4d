//! What must always hold, seen from outside: the records, the accounts, IAM's decisions, the logs, the failure queue.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use remediation::records::read;
use remediation::{Batch, Finding, Outcome, Report};
use serde_json::{Value, json};
use testkit::central::Central;
use testkit::emulator::Emulator;
use testkit::{Result, manifests};

use super::Story;
use super::world::{Open, World};

/// The longest life of a claim: a Lambda's timeout, as Terraform sets it, a minute, and what clocks may be off.
const LONGEST_CLAIM: SignedDuration = SignedDuration::from_secs(900 + 60 + 30);

/// A call that changes something in a target account.
#[derive(Debug, Clone)]
pub(super) struct Write {
    number: u64,
    rule: String,
    /// Of the run; nothing for a runbook's step.
    run: Option<String>,
    account: String,
    action: String,
    resource: Option<String>,
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, run, account, action, resource, .. } = self;
        let (by, of) = (run.as_deref().unwrap_or("a runbook"), resource.as_deref().unwrap_or("*"));
        write!(f, "{rule}: {action} on {of} in {account} by {by}")
    }
}

pub(super) struct Watch {
    central: Central,
    targets: Vec<String>,
    /// The actions by which each rule writes.
    writing: BTreeMap<String, BTreeSet<String>>,
    pub(super) reports: BTreeMap<String, Report>,
    decided: u64,
    writes: Vec<Write>,
    /// How many calls undos have made in target accounts, and the runs that they are.
    undone: usize,
    undos: BTreeSet<String>,
    /// The number of the first decision on storing a plan of a run.
    planned: BTreeMap<String, u64>,
}

impl Watch {
    pub(super) fn new(central: Central, targets: Vec<String>) -> Result<Self> {
        let mut writing = BTreeMap::new();
        for manifest in manifests()? {
            let reads: BTreeSet<_> = manifest.read.iter().map(|of| &of.action).collect();
            let writes = manifest.write.iter().map(|of| &of.action).filter(|action| !reads.contains(action));
            writing.insert(manifest.id.clone(), writes.cloned().collect());
        }
        let (reports, planned, undos, writes) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new(), Vec::new());
        Ok(Self { central, targets, writing, reports, decided: 0, writes, undone: 0, undos, planned })
    }

    pub(super) fn writes(&self) -> usize {
        self.writes.len()
    }

    pub(super) fn writes_after(&self, after: usize) -> String {
        self.writes[after..].iter().map(Write::to_string).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn summary(&self) -> String {
        let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
        for (outcome, count) in self.reports.values().flat_map(|report| &report.counts) {
            *counts.entry(*outcome).or_default() += count;
        }
        let (reports, writes, undone) = (self.reports.len(), self.writes.len(), self.undone);
        format!("{reports} reports, {writes} writing calls of rules and {undone} of undos, outcomes {counts:?}")
    }

    /// What is new since the last look.
    pub(super) async fn look(&mut self, emulator: &Emulator, world: &World, story: &mut Story) -> Result<()> {
        self.read_decisions(emulator, story).await?;
        self.read_reports(world, story).await
    }

    async fn read_reports(&mut self, world: &World, story: &mut Story) -> Result<()> {
        for key in self.central.account.keys(&self.central.bucket, "reports/").await? {
            if self.reports.contains_key(&key) {
                continue;
            }
            let report: Report = read(&self.central.account.object(&self.central.bucket, &key).await?)?;
            if report.undoes.is_none() {
                self.check_fixed(&key, &report, world, story).await?;
            }
            self.reports.insert(key, report);
        }
        Ok(())
    }

    /// `fixed` is proved, and true unless somebody has opened it since.
    async fn check_fixed(&self, key: &str, report: &Report, world: &World, story: &mut Story) -> Result<()> {
        for row in report.findings.iter().filter(|row| row.outcome == Outcome::Fixed) {
            let Finding { control, account, resource, .. } = &row.finding;
            let Some(proof) = &row.verification else {
                story.wrong(format!("{key}: {resource} is fixed without a proof"));
                continue;
            };
            let Some(thing) = world.find(control, account.as_ref(), resource) else { continue };
            let slack = SignedDuration::from_secs(2);
            let is_opened = thing.opened.iter().any(|at| *at + SignedDuration::from_secs(60) > proof.at - slack);
            if !is_opened && !thing.violation.complies().await? {
                story.wrong(format!("{key}: {} is fixed, and does not comply", thing.name()));
            }
        }
        Ok(())
    }

    async fn read_decisions(&mut self, emulator: &Emulator, story: &mut Story) -> Result<()> {
        let plans = format!("arn:aws:s3:::{}/plans/", self.central.bucket);
        for decision in emulator.decisions_after(self.decided).await? {
            let number = decision["number"].as_u64().ok_or("a decision without a number")?;
            self.decided = number;
            let text = |name: &str| decision[name].as_str().unwrap_or_default();
            let (action, resource, is_allowed) = (text("action"), text("resource"), decision["allowed"] == true);
            if let (true, "s3:PutObject", Some(plan)) = (is_allowed, action, resource.strip_prefix(&plans)) {
                self.planned.entry(run_of(plan).to_owned()).or_insert(number);
            }
            if !is_allowed {
                story.wrong(format!("IAM refuses: {decision}"));
            }
            // arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
            let principal: Vec<_> = text("principal").splitn(6, ':').collect();
            let [_, _, _, _, account, name] = principal[..] else { continue };
            if !self.targets.iter().any(|target| target == account) {
                continue;
            }
            let mut parts = name.split('/').skip(1);
            let (role, session) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let Some(rule) = role.strip_prefix("autoremediate-") else { continue };
            if rule.ends_with("-undo") {
                self.undone += 1;
                self.undos.extend(session.strip_prefix("autoremediate-").map(str::to_owned));
                continue;
            }
            if self.writing.get(rule).is_some_and(|writing| writing.contains(action)) {
                let (rule, account) = (rule.to_owned(), account.to_owned());
                let run = session.strip_prefix("autoremediate-").map(str::to_owned);
                let (action, resource) = (action.to_owned(), decision["resource"].as_str().map(str::to_owned));
                self.writes.push(Write { number, rule, run, account, action, resource });
            }
        }
        Ok(())
    }

    /// Claims that Lambdas have taken before `calm`, which are dead by now: so much time passes that they end. Nobody waits
    /// for a quarter of an hour.
    pub(super) async fn end_claims_of_before(&self, calm: Timestamp, story: &mut Story) -> Result<()> {
        for (key, mut card) in self.cards().await? {
            let Some(claim) = card["claim"].as_object_mut() else { continue };
            let (since, until): (Timestamp, Timestamp) =
                (serde_json::from_value(claim["since"].clone())?, serde_json::from_value(claim["until"].clone())?);
            if until.duration_since(since) > LONGEST_CLAIM {
                story.wrong(format!("{key} is claimed for too long: {claim:?}"));
            }
            if since < calm && until > Timestamp::now() {
                story.tell(format!("the claim of a dead run ends: {} {}", card["resource"], card["claim"]));
                card["claim"]["until"] = json!(Timestamp::now() - SignedDuration::from_secs(1));
                self.central.account.put(&self.central.bucket, &key, serde_json::to_vec(&card)?).await?;
            }
        }
        Ok(())
    }

    async fn cards(&self) -> Result<Vec<(String, Value)>> {
        let mut cards = Vec::new();
        for key in self.central.account.keys(&self.central.bucket, "resources/").await? {
            let card = self.central.account.json(&self.central.bucket, &key).await?;
            cards.push((key, card));
        }
        Ok(cards)
    }

    /// What the newest reports say of a resource.
    pub(super) fn last_of(&self, open: &Open) -> String {
        let rows = self.reports.values().flat_map(|report| report.findings.iter().map(move |row| (report, row)));
        let rows = rows.filter(|(_, row)| {
            let Finding { control, account, resource, .. } = &row.finding;
            (control, account.as_ref(), resource) == (&open.control, &*open.account, &open.resource)
        });
        let newest = rows.max_by_key(|(report, _)| report.finished);
        newest.map_or("no report".into(), |(report, row)| format!("{:?} {:?} {row:?}", report.finished, report.mode))
    }

    /// What holds when everything has ended.
    pub(super) async fn conclude(&self, story: &mut Story) -> Result<()> {
        self.each_write_has_a_plan(story).await?;
        self.each_finding_has_one_outcome(story).await?;
        self.no_claim_stands(story).await?;
        self.failures_are_explained(story).await
    }

    async fn each_write_has_a_plan(&self, story: &mut Story) -> Result<()> {
        let (account, bucket) = (&self.central.account, &self.central.bucket);
        let mut plans: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for key in account.keys(bucket, "plans/").await? {
            let text = String::from_utf8(account.object(bucket, &key).await?)?;
            plans.entry(key.split('/').nth(1).unwrap_or_default().to_owned()).or_default().push(text.clone());
            plans.entry(run_of(&key).to_owned()).or_default().push(text);
        }
        for write in &self.writes {
            let of = write.run.as_ref().unwrap_or(&write.rule);
            let Some(texts) = plans.get(of) else {
                story.wrong(format!("written without a stored plan: {write}"));
                continue;
            };
            if write.run.as_ref().is_some_and(|run| self.planned.get(run).is_none_or(|at| *at > write.number)) {
                story.wrong(format!("written before the plan was stored: {write}"));
            }
            let of_account: Vec<_> = texts.iter().filter(|text| text.contains(&write.account)).collect();
            let id = write.resource.as_deref().map(|arn| arn.rsplit([':', '/']).next().unwrap_or(arn));
            // What is made by the call, log groups and documents are not what the finding names.
            let named = id.filter(|id| {
                let arn = write.resource.as_deref().unwrap_or_default();
                let others = [":logs:", ":ssm:", ":security-group-rule/"];
                !id.contains('*') && others.iter().all(|of| !arn.contains(of))
            });
            if of_account.is_empty() || named.is_some_and(|id| !of_account.iter().any(|text| text.contains(id))) {
                story.wrong(format!("no stored plan is of this: {write}"));
            }
        }
        Ok(())
    }

    async fn each_finding_has_one_outcome(&self, story: &mut Story) -> Result<()> {
        let (account, bucket) = (&self.central.account, &self.central.bucket);
        let dropped = [self.central.failed().await?, self.central.too_old().await?];
        for key in account.keys(bucket, "findings/").await? {
            let rule = key.split('/').nth(1).unwrap_or_default();
            let batch = Batch::from_stored(&account.object(bucket, &key).await?, rule)?;
            let stem = batch.id.report_key().replace(".json", ".");
            let reports: Vec<_> = self.reports.iter().filter(|(key, _)| key.starts_with(&stem)).collect();
            if reports.is_empty() && !dropped.iter().any(|queue| queue.contains(&key)) {
                story.wrong(format!("{key} has no report, and is in no queue"));
            }
            for (at, report) in reports.into_iter().filter(|(_, report)| report.error.is_none()) {
                let mut had: Vec<_> = report.findings.iter().map(|row| named(&row.finding)).collect();
                let mut came: Vec<_> = batch.findings.iter().map(named).collect();
                // The others are in the reports that this one names.
                let elsewhere: usize = report.unchanged.iter().map(|of| of.findings).sum();
                let others = report.unchanged.iter().filter_map(|of| self.reports.get(&of.report));
                let others: Vec<_> = others.flat_map(|of| &of.findings).map(|row| named(&row.finding)).collect();
                let rows = had.len();
                had.extend(
                    came.iter()
                        .filter(|finding| !had[..rows].contains(finding) && others.contains(finding))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
                had.sort();
                came.sort();
                if had != came || rows + elsewhere != came.len() {
                    story.wrong(format!("{at} does not have one outcome for each finding: {had:?}, {came:?}"));
                }
            }
        }
        Ok(())
    }

    async fn no_claim_stands(&self, story: &mut Story) -> Result<()> {
        for (key, card) in self.cards().await? {
            let until: Option<Timestamp> = serde_json::from_value(card["claim"]["until"].clone())?;
            if until.is_some_and(|until| until > Timestamp::now()) {
                story.wrong(format!("{key} is still claimed: {}", card["claim"]));
            }
        }
        Ok(())
    }

    /// Each message names a request that the log of its function has.
    async fn failures_are_explained(&self, story: &mut Story) -> Result<()> {
        let failed = self.central.failed().await?;
        let messages = failed.split("<Body>").skip(1).filter_map(|rest| rest.split("</Body>").next());
        let mut logs: BTreeMap<String, String> = BTreeMap::new();
        let mut count = 0;
        for message in messages {
            count += 1;
            let message =
                message.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            let Ok(body) = serde_json::from_str::<Value>(&message) else {
                story.wrong(format!("a message that is no JSON: {message}"));
                continue;
            };
            let context = &body["requestContext"];
            let arn = context["functionArn"].as_str().unwrap_or_default();
            let function = arn.split(":function:autoremediate-").nth(1).unwrap_or_default();
            let function = function.split(':').next().unwrap_or_default().to_owned();
            if !logs.contains_key(&function) {
                logs.insert(function.clone(), self.central.log_lines(&function).await?.join("\n"));
            }
            let request = context["requestId"].as_str().unwrap_or("none");
            if !logs[&function].contains(request) {
                story.wrong(format!("nothing explains {message:.600}"));
            }
        }
        story.tell(format!("{count} messages in the queue of failures"));
        Ok(())
    }

    /// The plans of runs that have written something, or have not come back to say, and are no undo; the newest first.
    pub(super) async fn plans_to_take_back(&self) -> Result<Vec<String>> {
        let mut written = BTreeMap::new();
        for report in self.reports.values() {
            for plan in report.plans() {
                let has_written = report.undoes.is_none()
                    && report.findings.iter().any(|row| row.written > 0 || !row.took.is_empty());
                *written.entry(plan.key.clone()).or_insert(false) |= has_written;
            }
        }
        let mut keys = self.central.account.keys(&self.central.bucket, "plans/").await?;
        keys.retain(|key| !self.undos.contains(run_of(key)) && written.get(key).copied().unwrap_or(true));
        keys.sort_by(|one, other| other.rsplit('/').next().cmp(&one.rsplit('/').next()));
        Ok(keys)
    }

    /// The token is in no object and no log.
    pub(super) async fn hides(&self, token: &str, story: &mut Story) -> Result<()> {
        let Central { account, bucket, .. } = &self.central;
        for key in account.keys(bucket, "").await? {
            if String::from_utf8_lossy(&account.object(bucket, &key).await?).contains(token) {
                story.wrong(format!("the token is in {key}"));
            }
        }
        let mut functions: Vec<_> = self.writing.keys().map(String::as_str).collect();
        functions.push("poller");
        for function in functions {
            if self.central.log_lines(function).await?.iter().any(|line| line.contains(token)) {
                story.wrong(format!("the token is in the log of {function}"));
            }
        }
        if self.central.failed().await?.contains(token) {
            story.wrong("the token is in the queue of failures");
        }
        Ok(())
    }
}

/// The run of a plan's key: `…/<run>-<batch>.json`.
fn run_of(key: &str) -> &str {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.rsplit_once('-').map_or(name, |(run, _)| run)
}

fn named(of: &Finding) -> [String; 4] {
    [of.control.clone(), of.account.to_string(), of.region.to_string(), of.resource.clone()]
}
