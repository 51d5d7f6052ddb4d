//! `inbox`: what waits for a person, or for a time, by the cards of the resources; what waits longest comes first.

use clap::Args;
use remediation::Records;
use serde::Serialize;

use crate::commands::arguments::OutputArgs;
use crate::commands::help::{self, RUN_EXIT_CODES};
use crate::commands::selection::{RecordsArgs, WaitingArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page, complain};
use crate::print::table::{Cell, Table};
use crate::print::text::counted;
use crate::print::time;
use crate::session::cards;
use crate::session::decisions::Asked;
use crate::session::records::locate;
use crate::session::waiting::{Together, together, waits, words};

/// The version of the JSON document.
const OUTPUT_SCHEMA: u32 = 1;

/// What to show. Without a filter: everything that waits.
#[derive(Debug, Args)]
pub(crate) struct InboxArgs {
    #[command(flatten)]
    waiting: WaitingArgs,
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn help() -> String {
    help::below(
        RUN_EXIT_CODES,
        "
  See what is waiting, what waits longest first:
    autoremediate inbox --records s3://bucket

  Only what has waited for a week in one account; only one rule, for a script:
    autoremediate inbox --records s3://bucket --account 222222222222 --older-than 7d
    autoremediate inbox --records s3://bucket --rule s3-public-bucket --json",
    )
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Inbox {
    schema: u32,
    exit_code: u8,
    /// How many resources wait.
    resources: usize,
    waiting: Vec<Together>,
    problems: Vec<String>,
}

/// Shows what waits.
pub(crate) async fn inbox(args: &InboxArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    let asked = args.waiting.asked(&[])?;
    let records = args.records.read(args.records.place(&[])?).await?;
    let inbox = Inbox::of(&records, &asked).await?;
    inbox.print(args.output.format, page)?;
    Ok(inbox.exit())
}

impl Inbox {
    async fn of(records: &Records, asked: &Asked) -> Result<Self, Error> {
        let now = ambient::now();
        let cards::Cards { cards, problems } = cards::read(records, &asked.which).await?;
        let waits = cards.iter().filter_map(|card| waits(card, now));
        let mut waiting = together(waits.filter(|waits| asked.is_old_enough(waits.waiting.since, now)));
        for group in &mut waiting {
            group.plan = locate(records, &group.plan);
            group.report = group.report.as_ref().map(|report| locate(records, report));
        }
        let resources = waiting.iter().map(|group| group.resources.len()).sum();
        let inbox = Self { schema: OUTPUT_SCHEMA, exit_code: 0, resources, waiting, problems };
        Ok(Self { exit_code: inbox.exit().code(), ..inbox })
    }

    fn exit(&self) -> Exit {
        match (self.problems.is_empty(), self.waiting.is_empty()) {
            (false, _) => Exit::Failed,
            (true, false) => Exit::Left,
            (true, true) => Exit::NothingLeft,
        }
    }

    fn print(&self, format: Format, page: &mut Page<'_>) -> Result<(), Error> {
        for problem in &self.problems {
            complain(format!("error: {problem}"));
        }
        if format == Format::Json {
            return Ok(page.json(self)?);
        }
        if format == Format::Csv {
            return Ok(page.csv(&table(&self.waiting))?);
        }
        for group in &self.waiting {
            for line in lines(group) {
                page.line(line)?;
            }
        }
        let Some(oldest) = self.waiting.first() else { return Ok(page.line("Nothing is waiting.")?) };
        let (resources, since) = (counted(self.resources, "resource"), time::shown(oldest.since));
        page.line(format!("{resources} waiting, the first since {since}"))?;
        if let Some(group) = self.waiting.iter().find(|group| group.needs_approval) {
            page.line(format!("To see one: autoremediate show {}", group.plan))?;
            page.line("To decide: autoremediate approve PLAN --reason WHY, or autoremediate reject PLAN --reason WHY")?;
        }
        Ok(())
    }
}

/// A row for each resource.
fn table(waiting: &[Together]) -> Table {
    let mut table = Table::new(["since", "until", "rule", "account", "region", "resource", "waits because", "plan"]);
    for Together { plan, rule, account, why, until, resources, .. } in waiting {
        let (until, why) = (until.map(|until| until.to_string()).unwrap_or_default(), words(why));
        for of in resources {
            let since = of.since.to_string();
            let cells = [&since, &until, rule, account.as_ref(), of.region.as_ref(), &of.resource, &why, plan];
            table.row(cells.map(Cell::text));
        }
    }
    table
}

/// A group, for people: what waits and where, why, the resources and the plan, each in one piece.
fn lines(group: &Together) -> Vec<String> {
    let Together { plan, rule, account, why, since, until, approved_until, resources, .. } = group;
    let what =
        format!("{rule}, account {account}: {}, since {}", counted(resources.len(), "resource"), time::shown(*since));
    let until = until.map(|until| format!(" (until {})", time::shown(until))).unwrap_or_default();
    let why = match approved_until {
        None => format!("  waits because {}{until}", words(why)),
        Some(end) => {
            format!("  approved, and waits for a change window{until}; the approval expires at {}", time::shown(*end))
        }
    };
    let resources = resources.iter().map(|of| format!("    {} {}", of.region, of.resource));
    [what, why].into_iter().chain(resources).chain([format!("  plan: {plan}")]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::{SignedDuration, Timestamp};
    use remediation::records::{ApprovedToWait, Rejected, Waiting, WaitsFor, card_key};
    use remediation::{Card, Resource};
    use serde_json::Value;
    use tempfile::TempDir;

    use super::*;
    use crate::session::cards::Which;

    const RULE: &str = "s3-public-bucket";

    struct Desk {
        records: Records,
        folder: TempDir,
    }

    impl Desk {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self { records: Records::Folder(folder.path().into()), folder }
        }

        async fn card(&self, rule: &str, resource: &Resource, edit: impl FnOnce(&mut Card)) {
            let mut card = Card::new(rule, resource);
            edit(&mut card);
            self.records.put_new(&card_key(rule, resource), card.to_json().unwrap()).await.unwrap();
        }

        async fn inbox(&self, asked: Asked) -> Inbox {
            Inbox::of(&self.records, &asked).await.unwrap()
        }
    }

    fn resource(account: &str, region: &str, name: &str) -> Resource {
        Resource::of_arn("x", format!("arn:aws:test:{region}:{account}:door/{name}"), name).unwrap()
    }

    fn hours_ago(hours: i64) -> Timestamp {
        ambient::now() - SignedDuration::from_hours(hours)
    }

    fn waiting(plan: &str, hours: i64, why: &[WaitsFor]) -> Waiting {
        Waiting {
            plan: format!("plans/{RULE}/2026-01-02/{plan}.json"),
            digest: "d".into(),
            changes: Some("c".into()),
            since: hours_ago(hours),
            why: why.iter().copied().collect(),
            until: None,
            report: None,
        }
    }

    fn names(inbox: &Inbox) -> Vec<&str> {
        let resources = inbox.waiting.iter().flat_map(|group| &group.resources);
        resources.map(|of| of.resource.rsplit('/').next().unwrap()).collect()
    }

    #[tokio::test]
    async fn what_waits_is_put_together_and_the_oldest_comes_first() {
        let desk = Desk::new();
        for (name, plan, hours, why) in [
            ("new", "p1", 1, WaitsFor::Mode),
            ("old", "p2", 50, WaitsFor::Guard),
            ("older", "p2", 60, WaitsFor::Guard),
            ("told", "p2", 20, WaitsFor::Grace),
        ] {
            let door = resource("222222222222", "eu-west-1", name);
            desk.card(RULE, &door, |card| card.waiting = Some(waiting(plan, hours, &[why]))).await;
        }
        desk.card(RULE, &resource("222222222222", "eu-west-1", "idle"), |_| {}).await;
        let inbox = desk.inbox(Asked::default()).await;
        assert_eq!(names(&inbox), ["older", "old", "told", "new"]);
        let needs: Vec<_> = inbox.waiting.iter().map(|group| (group.resources.len(), group.needs_approval)).collect();
        assert_eq!(needs, [(2, true), (1, false), (1, true)]);
        assert_eq!((inbox.exit(), inbox.resources), (Exit::Left, 4));
        assert!(inbox.waiting[0].plan.ends_with("plans/s3-public-bucket/2026-01-02/p2.json"));
        assert!(inbox.waiting[0].plan.starts_with(desk.folder.path().to_str().unwrap()), "a place to copy");

        let mut out = Vec::new();
        inbox.print(Format::Table, &mut Page::new(&mut out)).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "s3-public-bucket, account 222222222222: 2 resources, since ",
            "  waits because a guard holds it\n",
            "    eu-west-1 arn:aws:test:eu-west-1:222222222222:door/older\n",
            "4 resources waiting, the first since ",
            "autoremediate show ",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let mut out = Vec::new();
        inbox.print(Format::Json, &mut Page::new(&mut out)).unwrap();
        let document: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&document["exit_code"], &document["waiting"][0]["why"][0]), (&2.into(), &"guard".into()));
        assert_eq!(document["waiting"][0]["resources"][0]["region"], "eu-west-1");
    }

    #[tokio::test]
    async fn everything_that_is_asked_for_must_apply() {
        let desk = Desk::new();
        let rule = "security-group-open-admin-port";
        for (rule, account, region, name, hours) in [
            (RULE, "222222222222", "eu-west-1", "a", 1),
            (RULE, "222222222222", "us-east-1", "b", 30),
            (RULE, "333333333333", "eu-west-1", "c", 60),
            (rule, "222222222222", "eu-west-1", "d", 90),
        ] {
            let door = resource(account, region, name);
            desk.card(rule, &door, |card| card.waiting = Some(waiting("p", hours, &[WaitsFor::Mode]))).await;
        }
        let which = |rules: &[&str], accounts: &[&str], regions: &[&str], resources: &[&str]| Which {
            rules: rules.iter().map(ToString::to_string).collect(),
            accounts: accounts.iter().map(|of| of.parse().unwrap()).collect(),
            regions: regions.iter().map(|of| remediation::Region::code(*of)).collect(),
            resources: resources.iter().map(ToString::to_string).collect(),
        };
        for (which, expected) in [
            (which(&[], &[], &[], &[]), vec!["d", "c", "b", "a"]),
            (which(&[RULE], &[], &[], &[]), vec!["c", "b", "a"]),
            (which(&[], &["222222222222"], &[], &[]), vec!["d", "b", "a"]),
            (which(&[RULE], &["222222222222"], &["eu-west-1", "us-east-1"], &[]), vec!["b", "a"]),
            (which(&[], &[], &["eu-west-1"], &["a", "door/b", "d"]), vec!["d", "a"]),
            (which(&[], &[], &[], &["arn:aws:test:us-east-1:222222222222:door/b", "oor/a", ""]), vec!["b"]),
        ] {
            assert_eq!(names(&desk.inbox(Asked { which, ..Asked::default() }).await), expected);
        }
        let older_than = Some(SignedDuration::from_hours(48));
        assert_eq!(names(&desk.inbox(Asked { older_than, ..Asked::default() }).await), ["d", "c"]);
    }

    #[tokio::test]
    async fn what_was_rejected_waits_no_more_until_that_ends_or_the_changes_differ() {
        let desk = Desk::new();
        for (name, digest, hours) in [("rejected", "c", 5), ("ended", "c", -5), ("differs", "other", 5)] {
            let until = ambient::now() + SignedDuration::from_hours(hours);
            let (reason, by) = ("why".to_owned(), "who".to_owned());
            let rejected = Rejected { digest: digest.to_owned(), reason, by, since: hours_ago(9), until };
            desk.card(RULE, &resource("222222222222", "eu-west-1", name), |card| {
                card.waiting = Some(waiting("p", 1, &[WaitsFor::Mode]));
                card.rejected = Some(rejected);
            })
            .await;
        }
        let found: BTreeSet<_> = names(&desk.inbox(Asked::default()).await).into_iter().map(str::to_owned).collect();
        assert_eq!(found, BTreeSet::from(["differs".to_owned(), "ended".to_owned()]));
    }

    #[tokio::test]
    async fn what_is_approved_waits_for_the_window_and_for_nobody() {
        let desk = Desk::new();
        let window = waiting("p", 1, &[WaitsFor::Mode]);
        let approved = |hours| {
            let until = ambient::now() + SignedDuration::from_hours(hours);
            ApprovedToWait { plan: window.plan.clone(), approval: None, until, stored_by: None }
        };
        for (name, hours) in [("approved", 5), ("expired", -5)] {
            desk.card(RULE, &resource("222222222222", "eu-west-1", name), |card| {
                (card.waiting, card.approved) = (Some(window.clone()), Some(approved(hours)));
            })
            .await;
        }
        let inbox = desk.inbox(Asked::default()).await;
        let mut found: Vec<_> =
            inbox.waiting.iter().map(|of| (of.approved_until.is_some(), of.needs_approval)).collect();
        found.sort_unstable();
        assert_eq!(found, [(false, true), (true, false)]);
        let text = inbox.waiting.iter().flat_map(lines).collect::<Vec<_>>().join("\n");
        assert_eq!(
            text.matches("approved, and waits for a change window; the approval expires at").count(),
            1,
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_card_that_cannot_be_read_is_named_and_hides_no_other() {
        let desk = Desk::new();
        for name in 0..300 {
            let door = resource("222222222222", "eu-west-1", &name.to_string());
            desk.card(RULE, &door, |card| card.waiting = Some(waiting("p", 1, &[WaitsFor::Mode]))).await;
        }
        let broken = card_key(RULE, &resource("222222222222", "eu-west-1", "broken"));
        desk.records.put_new(&broken, br#"{"schema": 99}"#.into()).await.unwrap();
        let swapped = card_key(RULE, &resource("222222222222", "eu-west-1", "swapped"));
        let other = Card::new(RULE, &resource("222222222222", "eu-west-1", "other")).to_json().unwrap();
        desk.records.put_new(&swapped, other).await.unwrap();
        desk.records.put_new("resources/odd", b"{}".into()).await.unwrap();
        let inbox = desk.inbox(Asked::default()).await;
        assert_eq!((inbox.resources, inbox.exit(), inbox.exit_code), (300, Exit::Failed, 1));
        let problems = inbox.problems.join("\n");
        for part in [&broken, "version 99", &swapped, "door/other", "resources/odd"] {
            assert!(problems.contains(part), "{part}: {problems}");
        }
        assert_eq!(inbox.problems.len(), 3);
    }
}
