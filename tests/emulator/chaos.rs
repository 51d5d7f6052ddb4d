//! The deployed pipeline under faults that follow from a seed: `./justw chaos`, with CHAOS_SEED and CHAOS_MINUTES.
//!
//! Terraform deploys the product for several accounts, with IAM enforced and violations of every rule. Then calls are
//! throttled, refused, carried out without an answer or kept waiting; Lambdas are killed at their calls; events come
//! twice and late; the policy changes, pauses and cannot be read; people open resources again, delete them, approve and
//! undo. Meanwhile, and when the faults have stopped, [`watch`] looks with root's rights at what must always hold.
//!
//! The seed says what is done and which call of an operation meets a fault. What runs at the same time is the machine's
//! to say, so that a seed tells nearly the same story again, and not always the same.

mod watch;
mod world;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use remediation::{Outcome, POLICY_KEY};
use serde_json::{Value, json};
use testkit::account::{Account, REGION, fresh_account};
use testkit::deployment::{Deployment, Settings};
use testkit::emulator::Emulator;
use testkit::netskope::FakeNetskope;
use testkit::{Result, paths, violations};
use tokio::process::Command;

use watch::Watch;
use world::World;

const TOKEN: &str = "a-token-that-must-not-be-seen-91c4";
/// The variables that say which seed and how many minutes, and how many those are where it is not set.
const SEED: &str = "CHAOS_SEED";
const MINUTES: (&str, u64) = ("CHAOS_MINUTES", 30);
const ACCOUNTS: usize = 3;
/// Each rule is polled for so often.
const POLL: Duration = Duration::from_secs(60);
/// So many polls after the faults have stopped and every claim has ended, everything is as the policy wants it.
const POLLS: u32 = 5;
/// For so long after the last fault, what a Lambda has begun or the service tries again may go on.
const SETTLES: Duration = Duration::from_secs(90);
/// So long after the policy was paused, each write that had begun has ended, its retries included.
const PAUSES: Duration = Duration::from_secs(25);

/// What was done, and what is wrong, with the time of each.
#[derive(Debug, Default)]
struct Story {
    lines: Vec<(Timestamp, String)>,
    wrong: Vec<String>,
}

impl Story {
    fn tell(&mut self, line: impl Into<String>) {
        let (now, line) = (Timestamp::now(), line.into());
        println!("{now:.1} {line}");
        self.lines.push((now, line));
    }

    /// Says that something is not as it must be.
    fn wrong(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.tell(format!("WRONG: {what}"));
        self.wrong.push(what);
    }
}

struct Chaos {
    seed: u64,
    chance: fastrand::Rng,
    emulator: Emulator,
    netskope: FakeNetskope,
    deployment: Deployment,
    world: World,
    watch: Watch,
    story: Story,
    operator: Vec<(String, String)>,
    approver: Vec<(String, String)>,
    /// The policy with mode apply.
    policy: Value,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half an hour of faults by chance: ./justw chaos"]
async fn the_deployed_pipeline_keeps_its_word_under_faults() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..1_000_000));
    let minutes = number(MINUTES.0).unwrap_or(MINUTES.1);
    println!("{SEED}={seed} {}={minutes}", MINUTES.0);
    let mut chaos = Chaos::deploy(seed).await.unwrap();
    let broken = chaos.run(Duration::from_secs(60 * minutes)).await.err();
    if let Some(error) = broken {
        chaos.story.wrong(format!("the test could not go on: {error}"));
    }
    chaos.end().await;
}

impl Chaos {
    async fn deploy(seed: u64) -> Result<Self> {
        let emulator = Emulator::start_for_chaos().await?;
        let netskope = FakeNetskope::start(TOKEN).await;
        let accounts: Vec<_> = (0..ACCOUNTS).map(|_| Account::fresh(&emulator)).collect();
        let world = World::make(&accounts).await?;
        netskope.set_rows(world.rows()?);
        let mut policy = violations::policy()?;
        policy["limits"] = json!({"changes_per_day": null, "changes_per_run": null, "changes_per_account": null,
            "changes_per_account_per_day": null});
        // Whoever opens a resource again does it by chance here, and often.
        policy["fight"] = json!({"fixes": 50});
        let settings = Settings {
            central: fresh_account(),
            regions: vec![vec![REGION.into()]],
            targets: accounts.iter().map(|account| account.id.clone()).collect(),
            // Until the story begins.
            policy: json!({"mode": "plan"}),
            netskope: netskope.url(),
            token: TOKEN.into(),
        };
        let deployment = Deployment::apply_with(&emulator, settings, &[("schedule", "rate(1 minute)")]).await?;
        let (operator, approver) = (deployment.person("operator").await?, deployment.person("approver").await?);
        let watch = Watch::new(deployment.home().clone(), accounts.iter().map(|of| of.id.clone()).collect())?;
        let (chance, story) = (fastrand::Rng::with_seed(seed), Story::default());
        Ok(Self { seed, chance, emulator, netskope, deployment, world, watch, story, operator, approver, policy })
    }

    async fn run(&mut self, length: Duration) -> Result<()> {
        self.story.tell(format!("begins with {} violations", self.world.things.len()));
        self.set_mode("apply").await?;
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.act().await?;
            self.observe().await?;
            tokio::time::sleep(Duration::from_millis(self.chance.u64(500..5_000))).await;
        }
        self.calm().await?;
        self.settle().await?;
        self.watch.conclude(&mut self.story).await?;
        self.take_everything_back().await?;
        self.observe().await?;
        self.watch.hides(TOKEN, &mut self.story).await
    }

    /// One thing that happens.
    async fn act(&mut self) -> Result<()> {
        match self.chance.u32(..100) {
            0..20 => self.break_calls().await,
            20..32 => self.change_policy().await,
            32..38 => self.disturb_events().await,
            38..58 => {
                self.world.reopen(&mut self.chance, &mut self.story).await;
                Ok(())
            }
            58..62 => {
                self.world.delete(&mut self.chance, &mut self.story).await;
                Ok(())
            }
            62..72 => {
                self.world.violate(&mut self.chance, &mut self.story).await;
                self.netskope.set_rows(self.world.rows()?);
                Ok(())
            }
            72..82 => self.undo_something().await,
            82..90 => self.approve_something().await,
            _ => Ok(()),
        }
    }

    async fn observe(&mut self) -> Result<()> {
        self.watch.look(&self.emulator, &self.world, &mut self.story).await
    }

    /// Other faults than until now.
    async fn break_calls(&mut self) -> Result<()> {
        let account = self.chance.choice(&self.world.accounts).cloned().ok_or("no account")?;
        let kinds = [
            json!({"fault": "Pass", "probability": 0.4, "seconds": 2}),
            json!({"fault": "Throttle", "probability": 0.1}),
            json!({"fault": "Throttle", "probability": 0.5, "account": account.id}),
            json!({"fault": "ServiceUnavailable", "probability": 0.1}),
            json!({"fault": "InternalError", "service": "s3", "probability": 0.1}),
            json!({"fault": "Lost", "probability": 0.08}),
            json!({"fault": "Lost:InternalError", "service": "s3", "operation": "PutObject", "probability": 0.3}),
            json!({"fault": "Lost:ServiceUnavailable", "probability": 0.08, "account": account.id}),
            json!({"fault": "Cut", "probability": 0.05}),
            json!({"fault": "Throttle", "service": "sts", "operation": "AssumeRole", "probability": 0.5}),
            json!({"fault": "Kill", "probability": 0.01}),
            json!({"fault": "Kill", "service": "s3", "operation": "PutObject", "probability": 0.1}),
            json!({"fault": "Kill", "probability": 0.05, "account": account.id, "seconds": 2}),
        ];
        let count = self.chance.usize(0..=4);
        let faults = self.chance.choose_multiple(kinds, count);
        let seed = self.chance.u64(..);
        self.story.tell(format!("faults: {}", json!(faults)));
        self.emulator.set_chaos(seed, &json!(faults)).await
    }

    async fn disturb_events(&mut self) -> Result<()> {
        let kinds = [json!([0]), json!([0, 0]), json!([0, 3]), json!([4]), json!([2, 5])];
        let seconds = self.chance.choice(&kinds).cloned().unwrap_or_default();
        self.story.tell(format!("events of the bucket come after {seconds} s"));
        self.emulator.set(&self.deployment.home().account.id, &json!({"s3_event_seconds": seconds})).await
    }

    async fn set_mode(&mut self, mode: &str) -> Result<()> {
        let mut policy = self.policy.clone();
        policy["mode"] = mode.into();
        self.put_policy(&policy.to_string(), &format!("mode {mode}")).await
    }

    async fn put_policy(&mut self, text: &str, what: &str) -> Result<()> {
        let home = self.deployment.home();
        home.account.put(&home.bucket, POLICY_KEY, text.into()).await?;
        self.story.tell(format!("policy: {what}"));
        Ok(())
    }

    async fn change_policy(&mut self) -> Result<()> {
        match self.chance.u32(..10) {
            0..5 => self.set_mode("apply").await,
            5..7 => self.set_mode("approve").await,
            7 => self.set_mode("plan").await,
            8 => {
                let text = ["{", "", "{\"schema\": 99}", "{\"schema\": 1, \"mod\": \"apply\"}"];
                let text = self.chance.choice(text).unwrap_or_default();
                self.put_policy(text, &format!("unreadable: {text:?}")).await?;
                tokio::time::sleep(Duration::from_secs(self.chance.u64(2..10))).await;
                self.set_mode("apply").await
            }
            _ => self.pause().await,
        }
    }

    /// Nothing is written while everything is paused, from when what was under way has ended.
    async fn pause(&mut self) -> Result<()> {
        let mut policy = self.policy.clone();
        policy["paused"] = true.into();
        self.put_policy(&policy.to_string(), "paused").await?;
        tokio::time::sleep(PAUSES).await;
        self.observe().await?;
        let before = self.watch.writes();
        tokio::time::sleep(Duration::from_secs(10)).await;
        self.observe().await?;
        if self.watch.writes() > before {
            self.story.wrong(format!("written while paused: {}", self.watch.writes_after(before)));
        }
        self.set_mode("apply").await
    }

    /// An operator takes a run back, and sometimes is cut off.
    async fn undo_something(&mut self) -> Result<()> {
        let has_fixed = |key: &&String| self.watch.reports[*key].count(Outcome::Fixed) > 0;
        let Some(key) = self.chance.choice(self.watch.reports.keys().filter(has_fixed).collect::<Vec<_>>()).cloned()
        else {
            return Ok(());
        };
        self.world.is_handled(&self.watch.reports[&key]);
        let place = format!("s3://{}/{key}", self.deployment.home().bucket);
        let within = if self.chance.u32(..4) == 0 { self.chance.u64(300..3_000) } else { 60_000 };
        let arguments = ["undo", &place, "--yes", "--exempt-hours", "0"];
        let operator = self.operator.clone();
        self.command(&operator, &arguments, Duration::from_millis(within)).await
    }

    async fn approve_something(&mut self) -> Result<()> {
        let waits = self.watch.reports.values().rev().filter(|report| report.count(Outcome::Held) > 0);
        let plans: Vec<_> = waits.filter_map(|report| report.plan.as_ref()).take(8).map(|of| of.key.clone()).collect();
        let Some(key) = self.chance.choice(plans) else { return Ok(()) };
        let place = format!("s3://{}/{key}", self.deployment.home().bucket);
        let approver = self.approver.clone();
        let arguments = ["approve", &place, "--reason", "chance", "--yes"];
        self.command(&approver, &arguments, Duration::from_secs(60)).await
    }

    /// Runs the command line, and kills it when its time is up.
    async fn command(&mut self, environment: &[(String, String)], arguments: &[&str], within: Duration) -> Result<()> {
        let mut command = Command::new(paths::binary("autoremediate")?);
        command.args(arguments).arg("--json").current_dir(self.deployment.folder()).env_clear();
        command.envs(environment.iter().cloned()).kill_on_drop(true);
        let asked = arguments.join(" ");
        let Ok(output) = tokio::time::timeout(within, command.output()).await else {
            self.story.tell(format!("a person: {asked}: killed after {within:?}"));
            return Ok(());
        };
        let output = output?;
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let (code, counts) = (output.status.code(), &document["counts"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        self.story.tell(format!("a person: {asked}: {code:?} {counts} {said:.300}"));
        if !matches!(code, Some(0..=2)) {
            self.story.wrong(format!("{asked} ended with {:?}: {said}", output.status));
        }
        Ok(())
    }

    /// The faults stop, and what is under way ends.
    async fn calm(&mut self) -> Result<()> {
        self.emulator.set_chaos(0, &json!([])).await?;
        self.emulator.set(&self.deployment.home().account.id, &json!({"s3_event_seconds": [0]})).await?;
        self.set_mode("apply").await?;
        self.story.tell("the faults have stopped");
        let calm = Timestamp::now();
        tokio::time::sleep(SETTLES).await;
        self.observe().await?;
        self.watch.end_claims_of_before(calm, &mut self.story).await
    }

    /// What the policy wants fixed is fixed.
    async fn settle(&mut self) -> Result<()> {
        let end = Instant::now() + POLL * POLLS;
        loop {
            self.observe().await?;
            let open = self.world.open().await?;
            if open.is_empty() {
                self.story.tell("everything that is there complies");
                return Ok(());
            }
            if Instant::now() > end {
                for thing in open {
                    let said = self.watch.last_of(&thing);
                    self.story.wrong(format!("not fixed after {POLLS} polls: {thing:?}: {said}"));
                }
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    /// An undo of everything gives the first state back, but for what people have changed.
    async fn take_everything_back(&mut self) -> Result<()> {
        self.netskope.set_rows(Vec::new());
        tokio::time::sleep(Duration::from_secs(20)).await;
        self.observe().await?;
        self.story.tell("an operator takes everything back");
        let operator = self.operator.clone();
        for plan in self.watch.plans_to_take_back().await? {
            let place = format!("s3://{}/{plan}", self.deployment.home().bucket);
            self.command(&operator, &["undo", &place, "--yes", "--with-later"], Duration::from_secs(120)).await?;
        }
        for thing in self.world.things.iter().filter(|thing| !thing.is_touched) {
            let now = thing.violation.describe().await?;
            if now != thing.first {
                let (first, of) = (&thing.first, thing.name());
                self.story.wrong(format!("taken back, {of} is not as it was at first: {now}, and was {first}"));
            }
        }
        Ok(())
    }

    /// The whole story where something is wrong, with the faults that have struck.
    async fn end(mut self) {
        let struck = self.emulator.struck().await.unwrap_or_default();
        println!("{}", self.watch.summary());
        println!("{} faults have struck", struck.len());
        if self.story.wrong.is_empty() {
            return;
        }
        for fault in &struck {
            let at = Timestamp::from_millisecond((fault["at"].as_f64().unwrap_or_default() * 1000.0) as i64);
            let line = format!("struck: {} {} {}", fault["fault"], fault["action"], fault["principal"]);
            self.story.lines.push((at.unwrap_or_default(), line));
        }
        self.story.lines.sort();
        let lines = self.story.lines.iter().map(|(at, line)| format!("{at:.1} {line}\n"));
        let file = std::env::temp_dir().join(format!("chaos-{}.log", self.seed));
        std::fs::write(&file, lines.collect::<String>()).unwrap();
        let (wrong, at) = (self.story.wrong.join("\n"), file.display());
        panic!("{SEED}={}: its story is in {at}. Wrong:\n{wrong}", self.seed);
    }
}
