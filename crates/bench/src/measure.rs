//! The measurements: each starts what it needs, and nothing of the one before is left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::future::select_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use crate::Error;
use crate::aws::{Aws, BUCKET, CENTRAL, REGION, World};
use crate::findings::{Spread, violate};
use crate::floor::{IN_FLIGHT, Needed};
use crate::lambda::{Log, Process, RuntimeApi, TIMEOUT, Used, stored, used_by};
use crate::netskope::Netskope;
use crate::results::{Calls, Poll, Run, Settings, Start, is_targets};
use crate::rule::Rule;

/// What Lambda calls this machine's architecture.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
/// The rule that polls are for.
const POLLED: Rule = Rule::S3PublicBucket;
/// A Lambda that has not asked for work by then does not start at all.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// A limit of changes that no run reaches.
const NO_LIMIT: u32 = 1_000_000_000;

/// What is measured, and by which stand-ins.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    /// The folder of the Lambdas.
    pub(crate) binaries: PathBuf,
    /// The Lambda that only starts the runtime.
    pub(crate) empty: PathBuf,
    /// The folder of the zips, in which each architecture has its own.
    pub(crate) zips: Option<PathBuf>,
    pub(crate) settings: Settings,
    pub(crate) log: Log,
}

impl Bench {
    /// The time of a Lambda from its start to its first request for work, `count` times, by turns with the empty one.
    pub(crate) async fn starts(&self, lambda: &str, count: usize) -> Result<Start, Error> {
        let (binary, mut peak_memory) = (self.binary(lambda)?, 0);
        let (mut milliseconds, mut empty_milliseconds) = (Vec::new(), Vec::new());
        for _ in 0..count {
            empty_milliseconds.push(self.start(&self.empty).await?.0);
            let (time, used) = self.start(&binary).await?;
            milliseconds.push(time);
            peak_memory = peak_memory.max(used.peak_memory);
        }
        milliseconds.sort_by(f64::total_cmp);
        empty_milliseconds.sort_by(f64::total_cmp);
        let zip = self.zips.as_ref().map(|zips| zips.join(ARCHITECTURE).join(lambda).with_extension("zip"));
        let zip = zip.and_then(|zip| std::fs::metadata(zip).ok()).map(|of| of.len());
        Ok(Start { lambda: lambda.to_owned(), milliseconds, empty_milliseconds, peak_memory, zip })
    }

    async fn start(&self, binary: &Path) -> Result<(f64, Used), Error> {
        let api = RuntimeApi::start().await.map_err(Error::Listen)?;
        let mut environment = environment("http://127.0.0.1:1", "");
        environment.push(("NETSKOPE_ENDPOINT", "http://127.0.0.1:1".into()));
        let begin = Instant::now();
        let mut lambda = Process::start(binary, &api, &environment, self.log)?;
        let asked = tokio::select! {
            asked = api.asked(1) => asked,
            error = lambda.ends() => return Err(error),
            () = sleep(STARTS_WITHIN) => return Err(Error::Late(STARTS_WITHIN)),
        };
        let used = lambda.used()?;
        lambda.kill().await;
        Ok(((asked - begin).as_secs_f64() * 1_000.0, used))
    }

    /// The run of a rule over so many violations, `count` times.
    pub(crate) async fn runs(&self, rule: Rule, spread: Spread, count: usize) -> Result<Run, Error> {
        let mut run = self.run(rule, spread).await?;
        for _ in 1..count {
            let again = self.run(rule, spread).await?;
            run.peak_memory = run.peak_memory.max(again.peak_memory);
            // What went wrong in one of them is told.
            if again.fixed() < run.fixed() {
                run.outcomes.clone_from(&again.outcomes);
            }
            run.seconds.extend(again.seconds);
        }
        run.seconds.sort_by(f64::total_cmp);
        Ok(run)
    }

    async fn run(&self, rule: Rule, spread: Spread) -> Result<Run, Error> {
        let (batches, latency) = (spread.batches(), Duration::from_millis(self.settings.latency_ms));
        let (mut world, policy) = (World::default(), policy(self.settings.limits));
        let keys = violate(&mut world, rule, &batches)?;
        world.record("policy.json".into(), policy.clone());
        let aws = Aws::start(world, latency, self.settings.throttle).await.map_err(Error::Listen)?;
        let processes = self.settings.processes.clamp(1, batches.len().max(1));
        let (binary, environment) = (self.binary(rule.id())?, environment(&aws.url(), &policy));
        let worked = self.work(&binary, &environment, processes, keys.iter().map(|key| stored(key)).collect()).await?;
        let (counts, needed) = (aws.counts(), Needed::by(rule, &batches));
        let floor_in_flight = counts.most_in_flight.max(IN_FLIGHT * processes);
        let calls = counts.calls.iter().map(|(api, made)| {
            let needed = if is_targets(api) { needed.of_api(api) } else { 0 };
            let throttled = counts.throttled.get(api).copied().unwrap_or_default();
            (api.clone(), Calls { made: *made, needed, throttled })
        });
        Ok(Run {
            rule,
            findings: spread.findings,
            accounts: spread.accounts,
            processes,
            seconds: vec![worked.seconds],
            floor: needed.floor(floor_in_flight, latency, self.settings.throttle),
            floor_in_flight,
            most_in_flight: counts.most_in_flight,
            outcomes: outcomes(&worked.answers)?,
            calls: calls.collect(),
            processor_seconds: worked.used.processor,
            stand_in_seconds: worked.stand_in_seconds,
            peak_memory: worked.used.peak_memory,
        })
    }

    /// The poll of a list of so many rows, by each of the pollers.
    pub(crate) async fn poll(&self, rows: usize) -> Result<Poll, Error> {
        let latency = Duration::from_millis(self.settings.latency_ms);
        let netskope = Netskope::start(POLLED.control()?, rows, latency).await.map_err(Error::Listen)?;
        let aws = Aws::start(World::default(), latency, self.settings.throttle).await.map_err(Error::Listen)?;
        let mut environment = environment(&aws.url(), "");
        environment.push(("NETSKOPE_ENDPOINT", netskope.url()));
        environment.push(("MALLOC_MMAP_THRESHOLD_", "131072".into()));
        let (pollers, event) = (self.settings.pollers, json!({"rule": POLLED.id()}));
        let worked = self.work(&self.binary("poller")?, &environment, pollers, vec![event; pollers]).await?;
        if let Some(answer) = worked.answers.iter().find(|answer| answer["kept"] != rows) {
            return Err(Error::Kept { rows, answer: answer.to_string() });
        }
        Ok(Poll {
            rows,
            seconds: worked.seconds,
            requests: netskope.requests(),
            batches: aws.records("findings/"),
            processor_seconds: worked.used.processor,
            peak_memory: worked.used.peak_memory,
        })
    }

    /// Has processes work on events, from when all of them have asked for work.
    async fn work(
        &self,
        binary: &Path,
        environment: &[(&str, String)],
        processes: usize,
        events: Vec<Value>,
    ) -> Result<Worked, Error> {
        let (api, count) = (RuntimeApi::start().await.map_err(Error::Listen)?, events.len());
        let lambdas = (0..processes).map(|_| Process::start(binary, &api, environment, self.log));
        let mut lambdas = lambdas.collect::<Result<Vec<_>, _>>()?;
        // An invocation that outlives its time is over in Lambda, too.
        let (rounds, before) = (u32::try_from(count.div_ceil(processes)).unwrap_or(u32::MAX), used_by("self")?);
        let within = STARTS_WITHIN.saturating_add(TIMEOUT.saturating_mul(rounds));
        let work = async {
            api.asked(processes).await;
            let begin = Instant::now();
            api.hand_out(events);
            let answers = api.answers(count).await?;
            Ok::<_, Error>((begin.elapsed().as_secs_f64(), answers))
        };
        let (seconds, answers) = tokio::select! {
            done = work => done?,
            (error, ..) = select_all(lambdas.iter_mut().map(|lambda| Box::pin(lambda.ends()))) => return Err(error),
            () = sleep(within) => return Err(Error::Late(within)),
        };
        let stand_in_seconds = used_by("self")?.processor - before.processor;
        let mut used = Used::default();
        for lambda in lambdas {
            let of_one = lambda.used()?;
            used.peak_memory = used.peak_memory.max(of_one.peak_memory);
            used.processor += of_one.processor;
            lambda.kill().await;
        }
        Ok(Worked { seconds, answers, used, stand_in_seconds })
    }

    fn binary(&self, lambda: &str) -> Result<PathBuf, Error> {
        let path = self.binaries.join(lambda);
        if path.exists() { Ok(path) } else { Err(Error::Missing(path)) }
    }
}

/// What came of events.
struct Worked {
    seconds: f64,
    answers: Vec<Value>,
    /// By the Lambdas.
    used: Used,
    /// Of a processor, by this process, in which AWS is.
    stand_in_seconds: f64,
}

/// The environment of every Lambda, as Terraform sets it.
fn environment(aws: &str, policy: &str) -> Vec<(&'static str, String)> {
    let digest = Sha256::digest(policy).iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        ("AWS_ENDPOINT_URL", aws.to_owned()),
        ("AWS_REGION", REGION.into()),
        ("AWS_ACCESS_KEY_ID", "AKIACENTRAL".into()),
        ("AWS_SECRET_ACCESS_KEY", "unused".into()),
        ("BUCKET", BUCKET.into()),
        ("BUCKET_OWNER", CENTRAL.into()),
        ("METRICS_NAMESPACE", "autoremediate".into()),
        ("POLICY_DIGEST", digest),
        ("TARGET_ROLE_NAME", "autoremediate-bench".into()),
        ("EXTERNAL_ID", "external-id".into()),
        ("NETSKOPE_TENANT", "tenant.goskope.com".into()),
        ("TOKEN_SECRET_ARN", format!("arn:aws:secretsmanager:{REGION}:{CENTRAL}:secret:token")),
        ("HOME_REGION", REGION.into()),
        ("REGIONS", REGION.into()),
    ]
}

/// A policy under which everything is fixed.
fn policy(limits: bool) -> String {
    let limit = if limits { json!(NO_LIMIT) } else { Value::Null };
    let names = ["day", "run", "rule", "account", "account_per_day"];
    let limits: BTreeMap<_, _> = names.iter().map(|name| (format!("changes_per_{name}"), &limit)).collect();
    json!({"schema": 1, "mode": "apply", "limits": limits}).to_string()
}

/// What became of the findings, over all batches.
fn outcomes(answers: &[Value]) -> Result<BTreeMap<String, usize>, Error> {
    let mut sum = BTreeMap::new();
    let batches = answers.iter().flat_map(|answer| answer["batches"].as_array().into_iter().flatten());
    for batch in batches {
        let of_batch: BTreeMap<String, usize> = serde_json::from_value(batch["outcomes"].clone())?;
        for (outcome, count) in of_batch {
            *sum.entry(outcome).or_default() += count;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_reads_the_policies() {
        for limits in [false, true] {
            let text = policy(limits);
            let read = remediation::Policy::from_json(text.as_bytes()).unwrap();
            assert_eq!(read.mode_of_rule("s3-public-bucket"), remediation::Mode::Apply);
            assert_eq!(read.limits.changes_per_account_per_day.is_some(), limits);
        }
    }

    #[test]
    fn the_outcomes_of_all_batches_are_added_up() {
        let batch = |outcomes: Value| json!({"batches": [{"key": "k", "outcomes": outcomes}]});
        let answers = [batch(json!({"fixed": 200})), batch(json!({"fixed": 3, "failed": 1}))];
        assert_eq!(outcomes(&answers).unwrap(), BTreeMap::from([("failed".into(), 1), ("fixed".into(), 203)]));
    }
}
