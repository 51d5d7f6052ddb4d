//! Batches and keys: what is written is read back, and what is broken is said.

use proptest::prelude::*;
use serde_json::json;
use uuid::{NoContext, Uuid};

use jiff::Timestamp;

use super::*;
use crate::aws::{AccountId, Region};

const RULE: &str = "open-door";
const ACCOUNT: &str = "222222222222";

fn batch_of(count: usize) -> Batch {
    let id = BatchId { rule: RULE.into(), run: RunId::start(), batch: 1 };
    Batch::new(id, (0..count).map(|number| Finding::of(ACCOUNT, "us-east-1", &format!("h{number}"))).collect())
}

/// The batch's text after `change`d its lines, as read back.
fn reread(batch: &Batch, change: impl FnOnce(&mut Vec<String>)) -> Result<Batch, BatchError> {
    let text = String::from_utf8(batch.to_ndjson().unwrap()).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    Batch::from_ndjson(lines.join("\n").as_bytes(), RULE)
}

fn arbitrary_finding() -> impl Strategy<Value = Finding> {
    let time = || prop::option::of((0..4_000_000_000_i64).prop_map(|second| Timestamp::from_second(second).unwrap()));
    let region = prop_oneof![Just(Region::global()), "[a-z]{2}-[a-z]{4,9}-[1-9]".prop_map(Region::code)];
    (any::<String>(), "[0-9]{12}", region, any::<String>(), time(), time()).prop_map(
        |(control, account, region, resource, first_seen, last_scanned)| {
            let account = account.parse().unwrap();
            Finding { control, account, region, resource, first_seen, last_scanned }
        },
    )
}

fn arbitrary_id() -> impl Strategy<Value = BatchId> {
    ("[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,4}", 0..4_000_000_000_u64, any::<u32>()).prop_map(|(rule, second, batch)| {
        let run = RunId(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, second, 0)));
        BatchId { rule, run, batch }
    })
}

fn arbitrary_passed() -> impl Strategy<Value = Finding> {
    (arbitrary_finding(), 0..4_000_000_000_i64).prop_map(|(finding, second)| {
        let last_scanned = Some(Timestamp::from_second(second).unwrap());
        Finding { last_scanned, ..finding }
    })
}

proptest! {
    #[test]
    fn a_batch_is_read_back_as_it_was_written(
        id in arbitrary_id(),
        findings in prop::collection::vec(arbitrary_finding(), 0..8),
        passed in prop::collection::vec(arbitrary_passed(), 0..4),
    ) {
        let batch = Batch { passed: passed.clone(), ..Batch::new(id.clone(), findings.clone()) };
        let written = batch.to_ndjson().unwrap();
        let lines = findings.len() + passed.len() + 1;
        prop_assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), lines);
        let read = Batch::from_ndjson(&written, &id.rule).unwrap();
        prop_assert_eq!((read.id, read.findings, read.passed, read.bad_lines), (id, findings, passed, vec![]));
    }

    #[test]
    fn a_batch_is_known_by_the_key_of_its_findings(id in arbitrary_id()) {
        let key = id.findings_key();
        prop_assert_eq!(BatchId::from_findings_key(&key, &id.rule), Some(id.clone()));
        prop_assert_eq!(BatchId::from_findings_key(&key, &format!("{}x", id.rule)), None);
    }

    #[test]
    fn no_text_makes_the_reader_panic(bytes: Vec<u8>, key: String) {
        prop_assert!(Batch::from_ndjson(&bytes, RULE).is_err());
        prop_assert_eq!(BatchId::from_findings_key(&key, RULE), None);
    }

    #[test]
    fn only_twelve_digits_are_an_account(text in "[0-9]{0,14}|[0-9a-z]{12}|\\PC{0,13}") {
        let valid = text.chars().count() == 12 && text.chars().all(|c| c.is_ascii_digit());
        prop_assert_eq!(text.parse::<AccountId>().is_ok(), valid);
        prop_assert_eq!(serde_json::from_value::<AccountId>(text.clone().into()).is_ok(), valid);
        if let Ok(account) = text.parse::<AccountId>() {
            prop_assert_eq!(account.to_string(), text);
        }
    }
}

#[test]
fn an_account_that_is_none_is_named() {
    for text in ["", "12345678901", "1234567890123", "12345678901x", " 23456789012", "１２３４５６７８９０１２"]
    {
        let error = text.parse::<AccountId>().unwrap_err();
        assert_eq!(error.to_string(), format!("`{text}` is not an AWS account ID: twelve digits"));
    }
}

#[test]
fn keys_say_rule_day_run_and_batch() {
    let run = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, 1_772_323_199, 0));
    let id = BatchId { rule: RULE.into(), run: RunId(run), batch: 7 };
    let name = format!("{RULE}/2026-02-28/{run}-7");
    assert_eq!(id.findings_key(), format!("findings/{name}.ndjson.gz"));
    assert_eq!(id.plan_key(), format!("plans/{name}.json"));
    assert_eq!(id.report_key(), format!("reports/{name}.json"));
}

#[test]
fn what_is_no_key_of_findings_names_no_batch() {
    let run = RunId::start();
    for key in [
        format!("findings/other/2026-02-28/{run}-1.ndjson"),
        format!("plans/{RULE}/2026-02-28/{run}-1.ndjson"),
        format!("findings/{RULE}/2026-02-28/{run}-1.json"),
        format!("findings/{RULE}/2026-02-28/{run}.ndjson"),
        format!("findings/{RULE}/2026-02-28/{run}-x.ndjson"),
        format!("findings/{RULE}/2026-02-28/more/{run}-1.ndjson"),
        format!("findings/{RULE}/{run}-1.ndjson"),
        format!("findings/{RULE}/2026-02-28/by-hand.ndjson"),
    ] {
        assert_eq!(BatchId::from_findings_key(&key, RULE), None, "{key}");
    }
}

#[test]
fn runs_sort_by_time_and_know_their_day() {
    let run = |second| RunId(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, second, 0)));
    assert_eq!((run(0).date(), run(86_399).date()), ("1970-01-01".into(), "1970-01-01".into()));
    assert_eq!(run(86_400).date(), "1970-01-02");
    assert!(run(86_399).to_string() < run(86_400).to_string());
    // Not one of ours, but no reason to panic.
    assert_eq!(RunId(Uuid::nil()).date(), "1970-01-01");
}

#[test]
fn a_broken_line_is_named_and_the_others_are_kept() {
    let batch = batch_of(4);
    let read = reread(&batch, |lines| {
        lines[2] = "{\"control\": ".into();
        lines[4] = lines[4].replace(ACCOUNT, "not-an-account");
    })
    .unwrap();
    assert_eq!(read.findings, [batch.findings[0].clone(), batch.findings[2].clone()]);
    let lines: Vec<_> = read.bad_lines.iter().map(|bad| bad.line).collect();
    assert_eq!(lines, [3, 5]);
    let said = read.bad_lines[1].to_string();
    assert!(said.starts_with("line 5 of the batch: `not-an-account` is not an AWS account ID"), "{said}");
}

#[test]
fn a_batch_that_windows_wrote_is_read() {
    let batch = batch_of(2);
    let text = String::from_utf8(batch.to_ndjson().unwrap()).unwrap();
    let utf16 = |unit: fn(u16) -> [u8; 2]| format!("\u{feff}{text}").encode_utf16().flat_map(unit).collect();
    let crlf = text.replace('\n', "\r\n").into_bytes();
    for bytes in [format!("\u{feff}{text}").into_bytes(), utf16(u16::to_le_bytes), utf16(u16::to_be_bytes), crlf] {
        let read = Batch::from_ndjson(&bytes, RULE).unwrap();
        assert_eq!((read.findings, read.bad_lines), (batch.findings.clone(), vec![]));
    }
}

#[test]
fn one_bad_line_costs_itself_alone_and_its_reason_is_short() {
    let batch = batch_of(3);
    let lines: Vec<_> = batch.to_ndjson().unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let long = format!(r#"{{"control":"c","account":"{}","region":"r","resource":"x"}}"#, "7\\n".repeat(1 << 20));
    let bads = [&b"null"[..], b"[1]", b"17", b"{\"control\":\"\xff\"}", b"\xff\xff", long.as_bytes(), &[b'['; 99_999]];
    for bad in bads {
        let mut lines = lines.clone();
        lines[2] = bad.to_vec();
        let read = Batch::from_ndjson(&lines.join(&b'\n'), RULE).unwrap();
        assert_eq!(read.findings, [batch.findings[0].clone(), batch.findings[2].clone()]);
        let [BatchLineError { line: 3, reason }] = &read.bad_lines[..] else { panic!("{:?}", read.bad_lines) };
        assert!(reason.chars().count() <= 301 && !reason.contains(char::is_control), "{reason}");
    }
}

#[test]
fn empty_lines_are_no_findings() {
    let read = reread(&batch_of(2), |lines| lines.insert(2, "  ".into())).unwrap();
    assert_eq!((read.findings.len(), read.bad_lines), (2, vec![]));
}

#[test]
fn a_batch_that_ends_early_says_so() {
    for (kept, says) in [
        (0, "line 2 of the batch: the header promises 3 findings, but the batch ends after 0"),
        (2, "line 4 of the batch: the header promises 3 findings, but the batch ends after 2"),
    ] {
        let read = reread(&batch_of(3), |lines| lines.truncate(kept + 1)).unwrap();
        let said: Vec<_> = read.bad_lines.iter().map(ToString::to_string).collect();
        assert_eq!((read.findings.len(), said), (kept, vec![says.to_owned()]));
    }
}

#[test]
fn a_batch_whose_header_cannot_be_used_is_refused_with_the_reason() {
    type Change = fn(&mut Vec<String>);
    let cases: [(Change, &str); 7] = [
        (
            |lines| lines[0] = lines[0].replace("\"schema\":1", "\"schema\":2"),
            "schema version 2, but this build reads 1",
        ),
        (|lines| lines[0] = lines[0].replace("\"schema\":1", "\"version\":1"), "it has no `schema` number"),
        (
            |lines| lines[0] = lines[0].replace("open-door", "open-window"),
            "it is for the rule `open-window`, not for `open-door`",
        ),
        (|lines| lines[0] = r#"{"schema":1,"findings":0}"#.into(), "missing field `rule`"),
        (|lines| lines[0].clear(), "EOF"),
        (|lines| lines.clear(), "EOF"),
        (|lines| drop(lines.remove(0)), "it has no `schema` number"),
    ];
    for (change, says) in cases {
        let error = reread(&batch_of(1), change).unwrap_err().to_string();
        assert!(error.starts_with("line 1 of the batch") && error.contains(says), "{error}");
    }
}

#[test]
fn a_name_longer_than_any_is_a_bad_line_and_of_many_bad_lines_some_are_told() {
    let line = |control: usize, region: usize, resource: usize| {
        let [control, region, resource] = [control, region, resource].map(|count| "x".repeat(count));
        json!({"control": control, "account": "222222222222", "region": region, "resource": resource}).to_string()
    };
    let fits = line(MOST_OF_NAME, MOST_OF_NAME, MOST_OF_RESOURCE);
    for (bad, name) in [
        (line(MOST_OF_NAME + 1, 1, 1), "control"),
        (line(1, MOST_OF_NAME + 1, 1), "region"),
        (line(1, 1, MOST_OF_RESOURCE + 1), "resource"),
        (line(1, 1, 1 << 20), "resource"),
    ] {
        let read = reread(&batch_of(2), |lines| lines.splice(1.., [fits.clone(), bad]).for_each(drop)).unwrap();
        assert_eq!((read.findings.len(), read.bad_lines.len()), (1, 1));
        assert!(read.bad_lines[0].reason.starts_with(&format!("its {name} has ")), "{:?}", read.bad_lines);
    }
    let read = reread(&batch_of(1), |lines| lines.extend(vec!["x".to_owned(); 100_000])).unwrap();
    assert_eq!((read.findings.len(), read.bad_lines.len()), (1, MOST_BAD_LINES + 2));
    assert!(read.bad_lines[MOST_BAD_LINES].reason.contains("99900 more lines"), "{:?}", read.bad_lines[MOST_BAD_LINES]);
    assert!(read.bad_lines[MOST_BAD_LINES + 1].reason.contains("promises 1 findings"));
}

#[test]
fn the_largest_batch_of_the_poller_has_less_than_the_two_megabytes_that_a_lambda_reads() {
    let finding = Finding {
        // Each letter takes two bytes as JSON.
        control: "\"".repeat(MOST_OF_NAME),
        account: "222222222222".parse().unwrap(),
        region: Region::code("ap-northeast-1"),
        resource: "\\".repeat(MOST_OF_RESOURCE),
        first_seen: Some(Timestamp::MAX),
        last_scanned: Some(Timestamp::MAX),
    };
    let batch = Batch::new(batch_of(1).id, vec![finding; 200]);
    let text = batch.to_ndjson().unwrap();
    assert!(text.len() < 2 * 1024 * 1024, "{}", text.len());
    assert_eq!(Batch::from_ndjson(&text, RULE).unwrap().findings.len(), 200);
}

#[test]
fn a_stored_batch_is_compressed_and_read_back_as_is_one_that_is_not() {
    let batch = batch_of(200);
    let (stored, plain) = (batch.to_stored().unwrap(), batch.to_ndjson().unwrap());
    assert!(stored.len() * 5 < plain.len(), "{} of {} bytes", stored.len(), plain.len());
    assert_eq!(stored, batch.to_stored().unwrap(), "a write whose answer was lost is known again");
    for bytes in [stored, plain] {
        let read = Batch::from_stored(&bytes, RULE).unwrap();
        assert_eq!((read.id, read.findings, read.bad_lines), (batch.id.clone(), batch.findings.clone(), vec![]));
    }
}

#[test]
fn what_is_cut_short_follows_or_is_longer_than_it_looks_is_refused() {
    let stored = batch_of(3).to_stored().unwrap();
    for bytes in [&stored[..2], &stored[..stored.len() / 2], &stored[..stored.len() - 1], &[&stored[..], b"x"].concat()]
    {
        let error = Batch::from_stored(bytes, RULE).unwrap_err();
        assert!(matches!(error, BatchError::Compressed(_)), "{error}");
    }
    let bomb = |bytes: usize| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&batch_of(0).to_ndjson().unwrap()).unwrap();
        encoder.write_all(&vec![b'\n'; bytes]).unwrap();
        encoder.finish().unwrap()
    };
    assert!(Batch::from_stored(&bomb(1_000), RULE).is_ok());
    let bomb = bomb(64 * 1024 * 1024);
    assert!(bomb.len() < MOST_OF_BATCH / 32, "{}", bomb.len());
    let error = Batch::from_stored(&bomb, RULE).unwrap_err();
    assert!(matches!(error, BatchError::TooLong), "{error}");
}

#[test]
fn what_has_passed_is_no_finding_and_says_when_it_was_scanned() {
    let finding = |last_scanned| Finding { last_scanned, ..Finding::of(ACCOUNT, "us-east-1", "h") };
    let passed = finding(Some(Timestamp::UNIX_EPOCH));
    let batch = Batch::of_passed(batch_of(0).id, vec![passed.clone()]);
    let read = reread(&batch, |_| ()).unwrap();
    assert_eq!((read.findings, read.passed, read.bad_lines), (vec![], vec![passed], vec![]));
    let unscanned = Batch { passed: vec![finding(None)], ..batch.clone() };
    let read = reread(&unscanned, |_| ()).unwrap();
    assert!(read.passed.is_empty() && read.bad_lines[0].reason.contains("nobody says when"), "{:?}", read.bad_lines);
    let read = reread(&batch, |lines| lines.truncate(1)).unwrap();
    assert!(read.bad_lines[0].reason.contains("promises 1 findings"), "{:?}", read.bad_lines);
    let long = json!({"passed": {"control": "c", "account": ACCOUNT, "region": "r", "resource": "x".repeat(2_049),
        "last_scanned": "2026-01-01T00:00:00Z"}});
    let read = reread(&batch, |lines| lines[1] = long.to_string()).unwrap();
    assert!(read.bad_lines[0].reason.starts_with("its resource has 2049 bytes"), "{:?}", read.bad_lines);
}

#[test]
fn a_batch_without_such_lines_is_as_it_was_before_there_were_any() {
    let text = String::from_utf8(batch_of(1).to_ndjson().unwrap()).unwrap();
    assert!(!text.contains("passed"), "{text}");
}
