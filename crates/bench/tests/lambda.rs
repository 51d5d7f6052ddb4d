//! A Lambda of the debug build against the stand-ins, so that the benchmark works when somebody needs it. Nothing is timed.

use std::path::Path;

use bench::{Options, Part, Rule, run};

fn options(part: Part) -> Options {
    let bench = Path::new(env!("CARGO_BIN_EXE_bench"));
    let poller = bench.with_file_name("poller");
    assert!(poller.exists(), "{} is missing: build the whole workspace", poller.display());
    Options {
        parts: vec![part],
        rules: vec![Rule::S3PublicBucket],
        findings: vec![6],
        accounts: vec![2],
        all: false,
        rows: vec![25],
        latency: 1,
        processes: 2,
        pollers: 2,
        throttle: true,
        limits: true,
        starts: 1,
        repeat: 1,
        binaries: bench.parent().map(Path::to_owned),
        zips: None,
        json: None,
        compare: None,
        show_log: false,
    }
}

#[tokio::test]
async fn a_rules_lambda_fixes_what_the_stand_in_has() {
    let results = run(&options(Part::Runs)).await.unwrap();
    let run = &results.runs[0];
    assert_eq!(run.outcomes, [("fixed".to_owned(), 6)].into());
    for api in ["s3:GetPublicAccessBlock", "s3:PutPublicAccessBlock", "sts:AssumeRole"] {
        let calls = run.calls[api];
        assert!(calls.made >= calls.needed && calls.needed > 0, "{api}: {calls:?}");
    }
    assert!(run.most_in_flight > 0 && run.peak_memory > 0 && run.floor > 0.0, "{run:?}");
}

#[tokio::test]
async fn the_poller_reads_all_that_the_stand_in_lists() {
    let results = run(&options(Part::Polls)).await.unwrap();
    let poll = &results.polls[0];
    // Each of two pollers.
    assert_eq!((poll.rows, poll.batches), (25, 2));
    assert!(poll.requests >= 4, "{poll:?}");
}
