//! Ctrl-C, at whatever time it comes.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use testkit::paths;

use super::Desk;

/// So often a second interrupt is sent.
const ATTEMPTS: usize = 5;
/// So often a run is interrupted.
const TIMES: usize = 50;
/// So many buckets: more than are worked on at once.
const BUCKETS: usize = 12;
/// What the random times follow from.
const SEED: u64 = 15;

impl Desk {
    /// Starts it, as on a command line without a terminal.
    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(paths::binary("autoremediate").unwrap());
        command.args(arguments).current_dir(self.folder.path()).env_clear().envs(self.environment.iter().cloned());
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    async fn end(&self, running: Child) -> Output {
        tokio::task::spawn_blocking(|| running.wait_with_output().unwrap()).await.unwrap()
    }

    /// The buckets of which a setting was changed.
    async fn changed(&self, buckets: &[String]) -> usize {
        let mut changed = 0;
        for bucket in buckets {
            changed += usize::from(self.of.target.public_access_block(bucket).await.unwrap().is_some());
        }
        changed
    }

    /// Takes back what a run has changed, by the command that it printed last.
    async fn undo_as_told(&self, told: &str) {
        let last = told.lines().last().unwrap();
        let words: Vec<_> = last.strip_prefix("to undo: autoremediate ").unwrap().split(' ').collect();
        let output = self.end(self.start(&[&words[..], &["--yes", "--exempt-hours", "0"]].concat())).await;
        assert!(output.status.success(), "{last}: {output:?}");
    }
}

fn interrupt(running: &Child) {
    let process = Pid::from_raw(running.id().try_into().unwrap());
    kill(process, Signal::SIGINT).unwrap();
}

/// What a run that was interrupted says: nothing, where it had not begun; or where its report is, with an outcome of each
/// finding.
fn report(desk: &Desk, output: &Output) -> Option<Value> {
    let told = String::from_utf8_lossy(&output.stdout);
    let place = told.lines().find_map(|line| line.strip_prefix("report: "))?;
    let report: Value = serde_json::from_slice(&std::fs::read(desk.folder.path().join(place)).unwrap()).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), BUCKETS, "{report}");
    for finding in findings {
        let (outcome, detail) = (finding["outcome"].as_str().unwrap(), finding["detail"].as_str().unwrap_or_default());
        assert!(outcome == "fixed" || outcome == "deferred" && detail.contains("interrupted"), "{finding}");
    }
    Some(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_at_any_time_leaves_a_report_and_can_be_undone() {
    let desk = Desk::new().await;
    let mut buckets = Vec::new();
    for number in 0..BUCKETS {
        buckets.push(desk.bucket(&format!("interrupted-{number}"), None).await);
    }
    let names: Vec<_> = buckets.iter().map(String::as_str).collect();
    let (started, mut time) = (Instant::now(), fastrand::Rng::with_seed(SEED));
    let apply = |desk: &Desk| {
        let findings = desk.findings(&desk.of.batch(&names));
        desk.start(&["apply", "--alone", "--yes", "--findings", &findings])
    };
    let output = desk.end(apply(&desk)).await;
    let whole = started.elapsed();
    assert_eq!(desk.changed(&buckets).await, BUCKETS, "{output:?}");
    desk.undo_as_told(&String::from_utf8_lossy(&output.stdout)).await;
    assert_eq!(desk.changed(&buckets).await, 0);

    let (mut before, mut cut) = (0, 0);
    for _ in 0..TIMES {
        let running = apply(&desk);
        tokio::time::sleep(whole.mul_f64(time.f64())).await;
        interrupt(&running);
        let output = desk.end(running).await;
        let (told, changed) = (String::from_utf8_lossy(&output.stdout), desk.changed(&buckets).await);
        let Some(report) = report(&desk, &output) else {
            assert!(changed == 0 && output.status.code().is_none_or(|code| code == 130), "{changed} {output:?}");
            before += 1;
            continue;
        };
        let counts = &report["counts"];
        assert_eq!(counts["fixed"].as_u64().unwrap_or_default(), u64::try_from(changed).unwrap(), "{report}");
        if counts["deferred"].is_u64() {
            cut += 1;
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            assert!(
                String::from_utf8_lossy(&output.stderr).contains("Interrupted: no new write starts."),
                "{output:?}"
            );
        }
        if changed > 0 {
            desk.undo_as_told(&told).await;
            assert_eq!(desk.changed(&buckets).await, 0);
        }
    }
    assert!(cut > 0, "{before} of {TIMES} were ended before, and none in the middle");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_interrupt_ends_it_at_once() {
    // The work may have ended well before the second one is heard: then it is tried again.
    for attempt in 0..ATTEMPTS {
        let desk = Desk::new().await;
        let mut buckets = Vec::new();
        for number in 0..BUCKETS {
            buckets.push(desk.bucket(&format!("twice-{attempt}-{number}"), None).await);
        }
        let names: Vec<_> = buckets.iter().map(String::as_str).collect();
        let findings = desk.findings(&desk.of.batch(&names));
        let running = desk.start(&["apply", "--alone", "--yes", "--findings", &findings]);
        // Its plan is there: it is at work.
        let plans = desk.folder.path().join("autoremediate-records/plans");
        let until = Instant::now() + Duration::from_secs(60);
        while !plans.exists() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..2 {
            interrupt(&running);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let output = desk.end(running).await;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(130) {
            assert!(said.contains("Ended at once"), "{output:?}");
            return;
        }
        assert!(said.contains("Interrupted: no new write starts"), "{output:?}");
    }
    panic!("no second interrupt ended it at once");
}
