//! `report`: what was found over a span of days, and what became of it; on a terminal, as JSON, as CSV, as a page.

use std::cmp::Reverse;
use std::io::Write;
use std::path::{Path, PathBuf};

use ::report::{Counts, Group, Numbers, Scope, Summary, csv, duration, page as html};
use clap::Args;
use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use remediation::{AccountId, Records, Region};

use crate::commands::arguments::OutputArgs;
use crate::commands::help::{self, SIMPLE_EXIT_CODES};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page};
use crate::print::question;
use crate::print::table::{Cell, Table};
use crate::print::text::counted;
use crate::session::access::Access;
use crate::session::connection::Connection;
use crate::session::history::{self, Cards};
use crate::session::records::RecordsPlace;
use crate::session::rules;

/// The most days that are reported at once.
const MOST_DAYS: u16 = 366;
/// So many accounts are in the table on a terminal, those with the most unsolved findings first.
const MOST_ACCOUNTS: usize = 20;
/// So many of what could not be read are named on a terminal.
const MOST_PROBLEMS: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Where the records are: s3://bucket, or a folder.
    #[arg(long, value_name = "PLACE", default_value = "./autoremediate-records")]
    records: RecordsPlace,
    /// The code of the bucket's region. Default: the region of the AWS configuration.
    #[arg(long, value_name = "REGION")]
    records_region: Option<String>,
    /// The profile of the AWS configuration to use.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// So many days, of which the last is today or --to. Days are in UTC.
    #[arg(long, value_name = "NUMBER", default_value_t = 7, conflicts_with = "from",
        value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_DAYS)))]
    days: u16,
    /// The first day: YYYY-MM-DD.
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Date>,
    /// The last day: YYYY-MM-DD. Default: today.
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Option<Date>,
    /// Only this rule, by its ID; can be repeated.
    #[arg(long = "rule", value_name = "ID")]
    rules: Vec<String>,
    /// Only this account, by its twelve digits; can be repeated.
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<AccountId>,
    /// Only this region, by its code or name; global: what has no region, such as IAM users. Can be repeated.
    #[arg(long = "region", value_name = "REGION", value_parser = region)]
    regions: Vec<Region>,
    /// Write the report as one page for a browser into this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn help() -> String {
    help::below(
        SIMPLE_EXIT_CODES,
        "
  Show the last seven days:
    autoremediate report --records s3://bucket

  Write the page of the last thirty days, and open it in a browser:
    autoremediate report --records s3://bucket --days 30 --html report.html

  Print one rule's findings in one account as CSV:
    autoremediate report --records s3://bucket --rule s3-public-bucket --account 111122223333 --csv

A record that cannot be read is named; it is in none of the numbers, and the exit code is 1.",
    )
}

/// Shows what is stored.
pub(crate) async fn report(args: &ReportArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    let now = ambient::now();
    let today = now.to_zoned_datetime(TimeZone::UTC).date();
    let (scope, selected) = (args.scope(today)?, rules::select(&args.rules)?);
    let ids: Vec<_> = rules::manifests(&selected).into_iter().map(|manifest| manifest.id.clone()).collect();
    let cards = if scope.to >= today { Cards::Read } else { Cards::Left };
    let summary = history::read(&args.open().await?, scope, &ids, cards).await?.summary(now);
    if let Some(file) = &args.html {
        store(file, &html::write(&summary)?).map_err(|source| Error::PageFile { path: file.clone(), source })?;
    }
    print(&summary, args, page)?;
    Ok(if summary.problems.is_empty() { Exit::NothingLeft } else { Exit::Failed })
}

impl ReportArgs {
    /// What is asked for.
    ///
    /// # Errors
    ///
    /// No such days can be reported.
    fn scope(&self, today: Date) -> Result<Scope, Error> {
        let to = self.to.unwrap_or(today);
        let back = Span::new().days(i64::from(self.days) - 1);
        let from = self.from.unwrap_or_else(|| to.saturating_sub(back));
        let (rules, accounts, regions) = (self.rules.clone(), self.accounts.clone(), self.regions.clone());
        if to < from || from.until(to).map_or(true, |span| span.get_days() >= i32::from(MOST_DAYS)) {
            return Err(Error::Days { from, to, most: MOST_DAYS });
        }
        Ok(Scope { from, to, rules, accounts, regions })
    }

    /// The store. A folder needs no credentials.
    async fn open(&self) -> Result<Records, Error> {
        if let RecordsPlace::Folder(folder) = &self.records {
            return Ok(Records::Folder(folder.clone()));
        }
        let (profile, region) = (self.profile.clone(), self.records_region.clone());
        let access = Access { profile, region, ask: question::ask, role_name: String::new(), external_id: None };
        match Connection::open(access, self.records.clone()).await {
            Ok(connection) => Ok(connection.records),
            Err(Error::NoRegion) => Err(Error::NoRecordsRegion),
            Err(error) => Err(error),
        }
    }
}

/// Writes the page, which appears whole or not at all. It tells where the doors are, so others may not read it.
fn store(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.persist(file).map_err(|failed| failed.error)?;
    Ok(())
}

fn print(summary: &Summary, args: &ReportArgs, page: &mut Page<'_>) -> Result<(), Error> {
    if args.output.format == Format::Json {
        return Ok(page.json(summary)?);
    }
    if args.output.format == Format::Csv {
        let mut lines = Vec::new();
        csv::write(summary, &mut lines)?;
        return Ok(page.csv_lines(&lines)?);
    }
    let Summary { scope, totals, by_rule, days, problems, .. } = summary;
    page.line(format!("{} to {} (UTC): {}", scope.from, scope.to, counted(totals.counts.findings, "finding")))?;
    if totals.counts.findings > 0 {
        let total = Group { id: "all".to_owned(), numbers: totals.clone() };
        page.table(&numbers("rule", by_rule.iter().chain([&total])))?;
        let mut accounts: Vec<_> = summary.by_account.iter().collect();
        accounts.sort_by_key(|group| Reverse(group.numbers.counts.unsolved()));
        page.table(&numbers("account", accounts.iter().copied().take(MOST_ACCOUNTS)))?;
        if let Some(more) = accounts.len().checked_sub(MOST_ACCOUNTS).filter(|more| *more > 0) {
            page.line(format!("and {}: --json and --html have all", counted(more, "more account")))?;
        }
        if totals.confirmed + totals.contested > 0 {
            let (confirmed, contested) = (totals.confirmed, totals.contested);
            page.line(format!("Netskope has confirmed the fixes of {confirmed}, and contests those of {contested}."))?;
        }
        let mut table = Table::new(["day", "found", "fixed", "undone", "open at its end", "held", "failed"]);
        for day in days {
            let counts =
                [day.found, day.fixed, day.undone, day.open_at_end, day.held_at_end, day.failed_at_end].map(number);
            let [found, fixed, undone, open, held, failed] = counts;
            table.row([Cell::text(day.day.to_string()), found, fixed, undone, open, held, failed]);
        }
        page.table(&table)?;
    }
    for problem in problems.iter().take(MOST_PROBLEMS) {
        page.line(format!("not read: {problem}"))?;
    }
    if let Some(more) = problems.len().checked_sub(MOST_PROBLEMS).filter(|more| *more > 0) {
        page.line(format!("and {}: --json names all", counted(more, "more problem")))?;
    }
    if let Some(file) = &args.html {
        page.line(format!("page: {}", file.display()))?;
    }
    Ok(())
}

/// A line for each group.
fn numbers<'a>(of: &'static str, groups: impl IntoIterator<Item = &'a Group>) -> Table {
    let mut table = Table::new([
        of,
        "findings",
        "open",
        "held",
        "failed",
        "fixed",
        "undone",
        "exempt",
        "closed",
        "median to fix",
        "p95",
    ]);
    // An ID, to copy, and numbers.
    table.keep_whole(0..11);
    for Group { id, numbers: Numbers { counts, first_seen_to_fixed: times, .. } } in groups {
        let Counts { findings, open, held, failed, fixed, undone, exempt, closed } = *counts;
        let time = |seconds: Option<i64>| Cell::text(seconds.map(duration).unwrap_or_default());
        let [findings, open, held, failed, fixed, undone, exempt, closed] =
            [findings, open, held, failed, fixed, undone, exempt, closed].map(number);
        let (median, p95) = (time(times.median), time(times.p95));
        table.row([Cell::text(id), findings, open, held, failed, fixed, undone, exempt, closed, median, p95]);
    }
    table
}

fn number(number: usize) -> Cell {
    Cell::text(number.to_string())
}

fn day(text: &str) -> Result<Date, Error> {
    text.parse().map_err(|_| Error::Day(text.to_owned()))
}

fn region(text: &str) -> Result<Region, Error> {
    match netskope::Region::parse(text) {
        netskope::Region::Global if !text.trim().is_empty() => Ok(Region::global()),
        netskope::Region::Code(code) => Ok(Region::code(code)),
        _ => Err(Error::Region(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use remediation::{Approval, Batch, BatchId, Finding, Outcome, Report, Resource, RunId, StoredPlan};
    use serde_json::{Value, json};

    use super::*;

    const RULE: &str = "s3-public-bucket";

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ReportArgs,
    }

    fn args(words: &[&str]) -> Result<ReportArgs, clap::Error> {
        Ok(Line::try_parse_from(["x"].iter().chain(words))?.args)
    }

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn a_span_has_a_first_day_and_a_last_and_is_bounded() {
        let today = date("2026-03-04");
        let days = |words: &[&str]| args(words).unwrap().scope(today).map(|scope| (scope.from, scope.to));
        for (words, from, to) in [
            (&[][..], "2026-02-26", "2026-03-04"),
            (&["--days", "1"], "2026-03-04", "2026-03-04"),
            (&["--days", "3", "--to", "2026-03-01"], "2026-02-27", "2026-03-01"),
            (&["--from", "2025-03-04"], "2025-03-04", "2026-03-04"),
        ] {
            assert_eq!(days(words).unwrap(), (date(from), date(to)), "{words:?}");
        }
        for words in [&["--from", "2026-03-05"][..], &["--from", "2025-03-03"], &["--from", "0001-01-01"]] {
            assert!(matches!(days(words), Err(Error::Days { most: 366, .. })), "{words:?}");
        }
        for words in
            [&["--days", "0"][..], &["--days", "367"], &["--days", "2", "--from", "2026-03-01"], &["--csv", "--json"]]
        {
            assert!(args(words).is_err(), "{words:?}");
        }
        let error = args(&["--to", "30.11.2026"]).unwrap_err().to_string();
        assert!(error.contains("`30.11.2026` is not a day") && error.contains("YYYY-MM-DD"), "{error}");
    }

    #[test]
    fn a_region_is_a_code_a_name_or_global() {
        for (text, code) in [("eu-west-1", "eu-west-1"), ("Europe (Ireland)", "eu-west-1"), ("global", "global")] {
            assert_eq!(region(text).unwrap().as_ref(), code);
        }
        assert!(region("").is_err() && region("Atlantis").is_err());
    }

    /// Stores the report of a batch whose findings are held, with the resource `name`.
    async fn store(records: &Records, name: &str) -> Report {
        let finding = Finding {
            control: "Ensure S3 Bucket is not publicly accessible.".into(),
            account: "222222222222".parse().unwrap(),
            region: Region::code("eu-west-1"),
            resource: name.into(),
            first_seen: None,
            last_scanned: None,
        };
        let id = BatchId { rule: RULE.into(), run: RunId::start(), batch: 1 };
        let plan = StoredPlan { key: id.plan_key(), digest: "d".into() };
        let mut report = Report::untouched(Batch::new(id, vec![finding]), Outcome::Held, "a reason");
        let arn = format!("arn:aws:s3:eu-west-1:222222222222:bucket/{name}");
        report.findings[0].resource = Some(Resource::of_arn("x", arn, name).unwrap());
        report.findings[0].changes = vec!["close it".into()];
        report.plan = Some(plan);
        records.store_report(&report).await.unwrap();
        report
    }

    async fn printed(folder: &Path, words: &[&str]) -> (String, Exit) {
        let place = ["--records", folder.to_str().unwrap()];
        let mut out = Vec::new();
        let args = args(&[&place, words].concat()).unwrap();
        let exit = report(&args, &mut Page::new(&mut out)).await.unwrap();
        (String::from_utf8(out).unwrap(), exit)
    }

    #[tokio::test]
    async fn records_of_a_folder_are_told_in_each_form_alike() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::Folder(folder.path().into());
        let held = store(&records, "=data\u{1b}[2J").await;
        store(&records, "other").await;
        let page = folder.path().join("page.html");
        let (text, exit) = printed(folder.path(), &["--html", page.to_str().unwrap()]).await;
        assert_eq!(exit, Exit::NothingLeft);
        for part in ["2 findings", RULE, "222222222222", "page: "] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("not read") && std::fs::read_to_string(page).unwrap().contains("Remediation report"));
        let json: Value = serde_json::from_str(&printed(folder.path(), &["--json"]).await.0).unwrap();
        assert_eq!((&json["totals"]["held"], &json["findings"][0]["resource"]), (&json!(2), &json!("=data\u{1b}[2J")));
        assert_eq!(json["findings"][0]["steps"][0]["report"], json!(held.id.report_key()));
        let (lines, _) = printed(folder.path(), &["--csv"]).await;
        assert!(lines.lines().count() == 3 && lines.contains(",'=data\\u{1b}[2J,"), "{lines}");
        let none = printed(folder.path(), &["--json", "--account", "333333333333"]).await.0;
        assert_eq!(serde_json::from_str::<Value>(&none).unwrap()["totals"]["findings"], 0);
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_is_named_and_stops_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::Folder(folder.path().into());
        let held = store(&records, "data").await;
        let other = BatchId { rule: RULE.into(), run: RunId::start(), batch: 1 };
        for key in [other.report_key(), other.plan_key(), Approval::key(&other.plan_key())] {
            records.create(&key, b"{}".into()).await.unwrap();
        }
        let (text, exit) = printed(folder.path(), &[]).await;
        assert_eq!((exit, text.matches("not read: ").count()), (Exit::Failed, 3), "{text}");
        assert!(text.contains("1 finding") && text.contains(&other.report_key()), "{text}");
        // An approval of what is held is told, too.
        let plan = held.plan.unwrap().key;
        let approval = Approval::new(&held.id, &plan, "d", "arn:aws:iam::111111111111:user/a".into(), "r".into());
        records.create(&Approval::key(&plan), serde_json::to_vec(&approval).unwrap()).await.unwrap();
        let json: Value = serde_json::from_str(&printed(folder.path(), &["--json"]).await.0).unwrap();
        assert_eq!(json["findings"][0]["approved"]["by"], "arn:aws:iam::111111111111:user/a");
        assert_eq!(json["problems"].as_array().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_listed_at_all_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let args = args(&["--records", file.path().to_str().unwrap()]).unwrap();
        let error = report(&args, &mut Page::new(&mut Vec::new())).await.unwrap_err();
        assert!(matches!(error, Error::Unreadable(_)), "{error}");
    }
}
