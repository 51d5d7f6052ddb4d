//! The tables that people read.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use crate::results::{Poll, Results, Run, Start, is_targets, median};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Every table of a benchmark.
pub fn tables(results: &Results) -> String {
    let Results { at, machine, settings, starts, runs, polls, .. } = results;
    let throttle = if settings.throttle { "throttles as documented" } else { "does not throttle" };
    let mut text = format!(
        "{at}, {} processors ({}); a call takes {} ms, AWS {throttle}\n",
        machine.processors, machine.model, settings.latency_ms
    );
    for table in
        [of_starts(starts), of_runs(runs, machine.processors), of_calls(runs), of_polls(polls, settings.pollers)]
            .into_iter()
            .flatten()
    {
        text.push_str(&format!("\n{table}\n"));
    }
    text
}

/// A table whose columns after the first hold numbers.
fn table(header: &[&str], rows: Vec<Vec<String>>) -> Option<String> {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    let is_empty = rows.is_empty();
    table.add_rows(rows);
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    (!is_empty).then(|| table.to_string())
}

fn of_starts(starts: &[Start]) -> Option<String> {
    let header = ["start", "first request, ms (least / median / most)", "× empty", "held, MiB", "zip, MiB"];
    let row = |start: &Start| {
        let all = &start.milliseconds;
        let ends = [all.first(), Some(&median(all)), all.last()].map(|of| decimal(of.copied().unwrap_or_default(), 1));
        let zip = start.zip.map_or("-".into(), |zip| decimal(zip as f64 / MEBIBYTE, 2));
        let held = decimal(start.peak_memory as f64 / MEBIBYTE, 1);
        vec![start.lambda.clone(), ends.join(" / "), decimal(start.ratio(), 2), held, zip]
    };
    table(&header, starts.iter().map(row).collect())
}

/// The processors' floor is what Lambdas and stand-ins have computed, by all processors at once: on this machine, no
/// waiting for AWS makes a run faster than that.
fn of_runs(runs: &[Run], processors: usize) -> Option<String> {
    let header = [
        "run",
        "findings",
        "accounts",
        "processes",
        "seconds",
        "spread",
        "floor",
        "× floor",
        "a second",
        "in flight",
        "CPU s (AWS's)",
        "CPU's floor",
        "peak, MiB",
        "fixed",
        "throttled",
    ];
    let row = |run: &Run| {
        let spread = match (run.seconds.first(), run.seconds.last()) {
            (Some(least), Some(most)) if run.seconds.len() > 1 => {
                format!("{} - {}", decimal(*least, 2), decimal(*most, 2))
            }
            _ => "-".into(),
        };
        vec![
            run.rule.id().to_owned(),
            run.findings.to_string(),
            run.accounts.to_string(),
            run.processes.to_string(),
            decimal(run.median(), 2),
            spread,
            decimal(run.floor, 2),
            decimal(run.ratio(), 2),
            decimal(run.findings as f64 / run.median(), 0),
            format!("{} of {}", run.most_in_flight, run.floor_in_flight),
            format!("{} ({})", decimal(run.processor_seconds, 2), decimal(run.stand_in_seconds, 2)),
            decimal((run.processor_seconds + run.stand_in_seconds) / processors as f64, 2),
            decimal(run.peak_memory as f64 / MEBIBYTE, 1),
            fixed(run),
            run.calls.values().map(|calls| calls.throttled).sum::<usize>().to_string(),
        ]
    };
    table(&header, runs.iter().map(row).collect())
}

/// How many were fixed, and what became of the others.
fn fixed(run: &Run) -> String {
    if run.fixed() == run.findings && run.outcomes.len() == 1 {
        return "all".into();
    }
    let others = run.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}"));
    others.collect::<Vec<_>>().join(", ")
}

/// Of each rule, the calls of its largest run: what was made, and what the fixes need.
fn of_calls(runs: &[Run]) -> Option<String> {
    let header = ["calls", "made", "needed", "more", "a finding"];
    let mut rows = Vec::new();
    for of_rule in runs.chunk_by(|one, other| one.rule == other.rule) {
        let Some(run) = of_rule.iter().max_by_key(|run| run.findings) else { continue };
        let sum = run.in_targets();
        let name = format!("{}, {} findings", run.rule.id(), run.findings);
        rows.push(calls(name, sum.made, Some(sum.needed), run.findings));
        for (api, of_api) in &run.calls {
            let needed = is_targets(api).then_some(of_api.needed);
            rows.push(calls(format!("  {api}"), of_api.made, needed, run.findings));
        }
    }
    table(&header, rows)
}

fn calls(name: String, made: usize, needed: Option<usize>, findings: usize) -> Vec<String> {
    let more =
        needed.map(|needed| i128::try_from(made).unwrap_or_default() - i128::try_from(needed).unwrap_or_default());
    let text = |number: Option<String>| number.unwrap_or_else(|| "-".into());
    let a_finding = decimal(made as f64 / findings as f64, 2);
    vec![name, made.to_string(), text(needed.map(|of| of.to_string())), text(more.map(|of| of.to_string())), a_finding]
}

fn of_polls(polls: &[Poll], pollers: usize) -> Option<String> {
    let header = ["poll, rows", "pollers", "seconds", "requests", "batches", "CPU s", "peak, MiB", "× shortest's peak"];
    let shortest = polls.iter().min_by_key(|poll| poll.rows).map_or(1.0, |poll| poll.peak_memory as f64);
    let row = |poll: &Poll| {
        vec![
            poll.rows.to_string(),
            pollers.to_string(),
            decimal(poll.seconds, 2),
            poll.requests.to_string(),
            poll.batches.to_string(),
            decimal(poll.processor_seconds, 2),
            decimal(poll.peak_memory as f64 / MEBIBYTE, 1),
            decimal(poll.peak_memory as f64 / shortest, 2),
        ]
    };
    table(&header, polls.iter().map(row).collect())
}

/// What both benchmarks have measured: the old figure, the new one, and how many times the old it is.
pub fn compare(old: &Results, new: &Results) -> String {
    let mut rows = Vec::new();
    let mut add = |what: String, old: f64, new: f64, decimals: usize| {
        rows.push(vec![what, decimal(old, decimals), decimal(new, decimals), decimal(new / old, 2)]);
    };
    for start in &new.starts {
        let Some(before) = old.starts.iter().find(|of| of.lambda == start.lambda) else { continue };
        add(format!("start of {}, × empty", start.lambda), before.ratio(), start.ratio(), 2);
        if let (Some(before), Some(zip)) = (before.zip, start.zip) {
            add(format!("zip of {}, MiB", start.lambda), before as f64 / MEBIBYTE, zip as f64 / MEBIBYTE, 2);
        }
    }
    for run in &new.runs {
        let key = |run: &Run| (run.rule, run.findings, run.accounts);
        let Some(before) = old.runs.iter().find(|of| key(of) == key(run)) else { continue };
        let name = format!("{}, {} in {}", run.rule.id(), run.findings, run.accounts);
        add(format!("{name}, seconds"), before.median(), run.median(), 2);
        add(format!("{name}, × floor"), before.ratio(), run.ratio(), 2);
        let calls = |run: &Run| run.in_targets().made as f64;
        add(format!("{name}, calls in accounts"), calls(before), calls(run), 0);
        add(format!("{name}, CPU s"), before.processor_seconds, run.processor_seconds, 2);
    }
    for poll in &new.polls {
        let Some(before) = old.polls.iter().find(|of| of.rows == poll.rows) else { continue };
        add(format!("poll of {}, seconds", poll.rows), before.seconds, poll.seconds, 2);
        add(format!("poll of {}, requests", poll.rows), before.requests as f64, poll.requests as f64, 0);
        let peak = |poll: &Poll| poll.peak_memory as f64 / MEBIBYTE;
        add(format!("poll of {}, peak MiB", poll.rows), peak(before), peak(poll), 1);
    }
    let differs = if old.settings == new.settings && old.machine == new.machine {
        ""
    } else {
        "The machine or the settings differ: compare what is a ratio alone.\n"
    };
    match table(&["compared", &old.at, &new.at, "new / old"], rows) {
        Some(table) => format!("{differs}{table}"),
        None => "The two benchmarks have nothing in common.".into(),
    }
}

fn decimal(number: f64, decimals: usize) -> String {
    if number.is_finite() { format!("{number:.decimals$}") } else { "-".into() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::results::{Calls, Machine, SCHEMA, Settings};
    use crate::rule::Rule;

    fn results() -> Results {
        let calls = |made, needed| Calls { made, needed, throttled: 3 };
        let run = Run {
            rule: Rule::S3PublicBucket,
            findings: 100,
            accounts: 50,
            processes: 1,
            seconds: vec![1.5, 1.8, 2.5],
            floor: 0.6,
            floor_in_flight: 32,
            most_in_flight: 31,
            outcomes: BTreeMap::from([("fixed".into(), 100)]),
            calls: [("s3:GetPublicAccessBlock", calls(250, 200)), ("s3:PutObject", calls(201, 0))]
                .map(|(api, calls)| (api.to_owned(), calls))
                .into(),
            processor_seconds: 0.4,
            stand_in_seconds: 0.3,
            peak_memory: 15 * 1024 * 1024,
        };
        let start = Start {
            lambda: "poller".into(),
            milliseconds: vec![8.0, 9.0, 12.0],
            empty_milliseconds: vec![5.0, 6.0, 7.0],
            peak_memory: 10 * 1024 * 1024,
            zip: Some(4 * 1024 * 1024),
        };
        let poll = |rows, peak: u64| {
            let peak_memory = peak * 1024 * 1024;
            Poll { rows, seconds: 2.0, requests: 11, batches: 5, processor_seconds: 0.1, peak_memory }
        };
        Results {
            schema: SCHEMA,
            at: "2026-11-30T08:00:00Z".into(),
            machine: Machine { processors: 2, model: "a processor".into() },
            settings: Settings { latency_ms: 40, processes: 5, throttle: false, limits: false, pollers: 1 },
            starts: vec![start],
            runs: vec![run],
            polls: vec![poll(1_000, 10), poll(100_000, 15)],
        }
    }

    /// The cells of the row that begins so.
    fn row<'a>(table: &'a str, begins: &str) -> Vec<&'a str> {
        let cells = |line: &'a str| line.trim_matches('│').split(['│', '┆']).map(str::trim).collect::<Vec<_>>();
        table.lines().map(cells).find(|cells| cells[0] == begins).unwrap_or_else(|| panic!("{begins} in {table}"))
    }

    #[test]
    fn the_tables_have_each_figure_beside_its_ratio() {
        let text = tables(&results());
        assert_eq!(row(&text, "poller"), ["poller", "8.0 / 9.0 / 12.0", "1.50", "10.0", "4.00"]);
        let run = [
            "s3-public-bucket",
            "100",
            "50",
            "1",
            "1.80",
            "1.50 - 2.50",
            "0.60",
            "3.00",
            "56",
            "31 of 32",
            "0.40 (0.30)",
            "0.35",
            "15.0",
            "all",
            "6",
        ];
        assert_eq!(row(&text, "s3-public-bucket"), run);
        let sum = ["s3-public-bucket, 100 findings", "250", "200", "50", "2.50"];
        assert_eq!(row(&text, sum[0]), sum);
        assert_eq!(row(&text, "s3:PutObject"), ["s3:PutObject", "201", "-", "-", "2.01"]);
        assert_eq!(row(&text, "100000"), ["100000", "1", "2.00", "11", "5", "0.10", "15.0", "1.50"]);
        assert!(text.starts_with("2026-11-30T08:00:00Z, 2 processors (a processor); a call takes 40 ms"), "{text}");
    }

    #[test]
    fn what_was_not_fixed_is_told() {
        let mut results = results();
        results.runs[0].outcomes = BTreeMap::from([("failed".into(), 1), ("fixed".into(), 99)]);
        assert_eq!(row(&tables(&results), "s3-public-bucket")[13], "1 failed, 99 fixed");
    }

    #[test]
    fn a_comparison_has_old_new_and_ratio_of_what_both_have() {
        let (old, mut new) = (results(), results());
        new.runs[0].seconds = vec![0.9];
        new.polls.remove(0);
        new.starts[0].zip = None;
        let text = compare(&old, &new);
        let cells = ["s3-public-bucket, 100 in 50, seconds", "1.80", "0.90", "0.50"];
        assert_eq!(row(&text, cells[0]), cells);
        assert_eq!(row(&text, "s3-public-bucket, 100 in 50, × floor")[1..], ["3.00", "1.50", "0.50"]);
        assert_eq!(row(&text, "poll of 100000, requests")[1..], ["11", "11", "1.00"]);
        assert!(!text.contains("poll of 1000,") && !text.contains("zip") && !text.contains("differ"), "{text}");
        new.settings.latency_ms = 1;
        assert!(compare(&old, &new).contains("compare what is a ratio alone"));
        new.runs.clear();
        (new.starts, new.polls) = (vec![], vec![]);
        assert!(compare(&old, &new).contains("nothing in common"));
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let results = results();
        let text = serde_json::to_string(&results).unwrap();
        assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results);
        // What 0.1.0 has written: a field is added with a default, or SCHEMA goes up.
        assert!(text.contains(r#""rule":"s3-public-bucket""#) && text.contains(r#""schema":1"#), "{text}");
    }
}
