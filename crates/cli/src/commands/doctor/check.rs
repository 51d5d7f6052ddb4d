//! One check, its result, and how all of them are printed.

use std::collections::BTreeMap;

use remediation::AccountId;
use serde::Serialize;

use crate::error::Error;
use crate::exit::Exit;
use crate::print::line::Line;
use crate::print::list::{Entry, List};
use crate::print::page::{Format, Page};
use crate::print::table::{Cell, Table};
use crate::print::text::{Count, counted, listed};

/// The version of the JSON document that `doctor` prints.
const CHECKS_SCHEMA: u32 = 1;

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Area {
    /// Who runs this, and where.
    Caller,
    Netskope,
    Bucket,
    /// A target account.
    Account,
}

impl Area {
    /// In the order in which they are shown.
    const ALL: [Self; 4] = [Self::Caller, Self::Netskope, Self::Bucket, Self::Account];

    fn word(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Netskope => "netskope",
            Self::Bucket => "bucket",
            Self::Account => "account",
        }
    }
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckResult {
    Ok,
    Failed,
    Warn,
    Skipped,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) area: Area,
    pub(super) account: Option<AccountId>,
    pub(super) rule: Option<String>,
    pub(super) check: &'static str,
    pub(super) result: CheckResult,
    /// What was found, or why nothing was checked.
    pub(super) found: Option<String>,
    /// What to do about it.
    pub(super) fix: Option<String>,
}

impl Check {
    /// A check that passes unless one of the methods below changes that.
    pub(super) fn of(area: Area, check: &'static str) -> Self {
        Self { area, account: None, rule: None, check, result: CheckResult::Ok, found: None, fix: None }
    }

    pub(super) fn in_account(self, account: &AccountId) -> Self {
        Self { account: Some(account.clone()), ..self }
    }

    pub(super) fn for_rule(self, rule: &str) -> Self {
        Self { rule: Some(rule.to_owned()), ..self }
    }

    /// It passes, with what was found.
    pub(super) fn ok(self, found: impl Into<String>) -> Self {
        Self { found: Some(found.into()), ..self }
    }

    pub(super) fn failed(self, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { result: CheckResult::Failed, found: Some(found.into()), fix: Some(fix.into()), ..self }
    }

    pub(super) fn warn(self, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { result: CheckResult::Warn, found: Some(found.into()), fix: Some(fix.into()), ..self }
    }

    pub(super) fn skipped(self, why: impl Into<String>) -> Self {
        Self { result: CheckResult::Skipped, found: Some(why.into()), ..self }
    }

    /// A text with `{rule}` in the place of the rule's ID, as `--role-name` has it.
    fn of_any_rule(&self, text: Option<&String>) -> Option<String> {
        let text = text?;
        Some(self.rule.as_ref().map_or_else(|| text.clone(), |rule| text.replace(rule, "{rule}")))
    }
}

impl CheckResult {
    /// In the order in which they are counted.
    const ALL: [Self; 4] = [Self::Ok, Self::Warn, Self::Failed, Self::Skipped];

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Warn => "warn",
            Self::Skipped => "skipped",
        }
    }

    fn cell(self) -> Cell {
        match self {
            Self::Ok => Cell::judged(self.word(), Exit::NothingLeft),
            Self::Warn => Cell::judged(self.word(), Exit::Left),
            Self::Failed => Cell::judged(self.word(), Exit::Failed),
            Self::Skipped => Cell::text(self.word()),
        }
    }
}

/// Which checks are shown to people. JSON and CSV have all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShownChecks {
    /// Those that failed or warn; the others are counted.
    WithAFix,
    All,
}

/// Every check.
pub(super) struct Checks(pub(super) Vec<Check>);

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    exit_code: u8,
    checks: &'a [Check],
}

impl Checks {
    /// Prints them; returns how the command ended.
    pub(super) fn print(&self, format: Format, shown: ShownChecks, page: &mut Page<'_>) -> Result<Exit, Error> {
        let exit = if self.count(CheckResult::Failed) > 0 { Exit::Failed } else { Exit::NothingLeft };
        match format {
            Format::Json => {
                page.json(&Document { schema: CHECKS_SCHEMA, exit_code: exit.code(), checks: &self.0 })?;
            }
            Format::Csv => page.csv(&self.table())?,
            Format::Table => {
                match shown {
                    ShownChecks::All => page.table(&self.table())?,
                    ShownChecks::WithAFix => Area::ALL.into_iter().try_for_each(|area| self.print_area(area, page))?,
                }
                page.line(format!(
                    "{}: {}",
                    counted(self.0.len(), "check"),
                    counts(&self.0.iter().collect::<Vec<_>>())
                ))?;
                if shown == ShownChecks::WithAFix {
                    page.line("--all shows every check")?;
                }
            }
        }
        Ok(exit)
    }

    /// A line for each group, and below it what is to be fixed there.
    fn print_area(&self, area: Area, page: &mut Page<'_>) -> Result<(), Error> {
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for check in self.0.iter().filter(|check| check.area == area) {
            groups.entry(&check.account).or_default().push(check);
        }
        let mut list = List::default();
        for (account, checks) in groups {
            let account = account.as_ref().map(|account| format!(" {account}")).unwrap_or_default();
            let title = format!("{}{account}: {}", area.word(), counts(&checks));
            list.group(&title);
            for alike in alike(&checks) {
                list.add(&title, entry(&alike));
            }
        }
        if list.is_empty() { Ok(()) } else { Ok(page.table(&list)?) }
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["area", "account", "rule", "check", "result", "found", "fix"]);
        // An account, to copy.
        table.keep_whole(1..2);
        let text = |text: &Option<String>| Cell::text(text.as_deref().unwrap_or_default());
        for Check { area, account, rule, check, result, found, fix } in &self.0 {
            table.row([
                Cell::text(area.word()),
                Cell::text(account.as_ref().map(AccountId::as_ref).unwrap_or_default()),
                text(rule),
                Cell::text(check),
                result.cell(),
                text(found),
                text(fix),
            ]);
        }
        table
    }

    fn count(&self, result: CheckResult) -> usize {
        self.0.iter().filter(|check| check.result == result).count()
    }
}

/// How many checks came out how.
fn counts(checks: &[&Check]) -> String {
    let count = |result| checks.iter().filter(|check| check.result == result).count();
    listed(CheckResult::ALL.map(|result| Count::of(count(result), result.word())))
}

/// The checks that have something to fix, those together that say the same of several rules.
fn alike<'a>(checks: &[&'a Check]) -> Vec<Vec<&'a Check>> {
    let mut groups = Vec::<Vec<&Check>>::new();
    for check in checks.iter().filter(|check| matches!(check.result, CheckResult::Failed | CheckResult::Warn)) {
        let said =
            |of: &Check| (of.check, of.result, of.of_any_rule(of.found.as_ref()), of.of_any_rule(of.fix.as_ref()));
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| said(first) == said(check))) {
            Some(group) => group.push(check),
            None => groups.push(vec![check]),
        }
    }
    groups
}

fn entry(checks: &[&Check]) -> Entry {
    let Some(first) = checks.first() else { return Entry { head: Line::default(), body: Vec::new() } };
    let how = if first.result == CheckResult::Failed { Exit::Failed } else { Exit::Left };
    let rules: Vec<_> = checks.iter().filter_map(|check| check.rule.as_deref()).collect();
    let of = if rules.is_empty() { String::new() } else { format!(" ({})", rules.join(", ")) };
    let head = Line::default().judged(first.result.word(), how).words(format!("{}{of}", first.check));
    let said = |text: &Option<String>| if rules.len() > 1 { first.of_any_rule(text.as_ref()) } else { text.clone() };
    let fix = said(&first.fix).map(|fix| format!("fix: {fix}"));
    let body = said(&first.found).into_iter().chain(fix).map(|text| Line::default().words(text)).collect();
    Entry { head, body }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn check() -> Check {
        Check::of(Area::Account, "role").in_account(&"111111111111".parse().unwrap()).for_rule("open-door")
    }

    fn printed(checks: Vec<Check>, format: Format) -> (Exit, String) {
        shown(checks, format, ShownChecks::WithAFix)
    }

    fn shown(checks: Vec<Check>, format: Format, shown: ShownChecks) -> (Exit, String) {
        let mut out = Vec::new();
        let exit = Checks(checks).print(format, shown, &mut Page::new(&mut out)).unwrap();
        (exit, String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_passed_is_counted_in_a_line_and_shown_on_demand() {
        let mut checks = vec![check().failed("it is missing", "apply it")];
        checks.push(checks[0].clone().for_rule("open-window"));
        checks.extend((0..200).map(|_| check()));
        let text = printed(checks.clone(), Format::Table).1;
        let expected = "account 111111111111: 200 ok, 2 failed\n  failed  role (open-door, open-window)\n    it is missing\n    \
                        fix: apply it\n202 checks: 200 ok, 2 failed\n--all shows every check\n";
        assert_eq!(text, expected);
        let text = shown(checks.clone(), Format::Table, ShownChecks::All).1;
        assert_eq!(text.matches("111111111111").count(), 202);
        assert_eq!(printed(checks, Format::Csv).1.lines().count(), 203);
    }

    #[test]
    fn what_differs_in_the_rules_own_name_alone_is_shown_once() {
        let refused = |rule: &str| {
            let found = format!("not authorized to assume role/autoremediate-{rule}");
            check().for_rule(rule).failed(found, "apply it")
        };
        let checks = vec![refused("open-door"), refused("open-window")];
        let text = printed(checks.clone(), Format::Table).1;
        let expected =
            "  failed  role (open-door, open-window)\n    not authorized to assume role/autoremediate-{rule}\n";
        assert!(text.contains(expected), "{text}");
        let text = printed(checks[..1].to_vec(), Format::Table).1;
        assert!(text.contains("assume role/autoremediate-open-door\n"), "{text}");
        let text = shown(checks, Format::Table, ShownChecks::All).1;
        assert!(!text.contains("{rule}"), "{text}");
    }

    #[test]
    fn only_a_failed_check_is_a_failure() {
        let fine = vec![check(), check().warn("a bit late", "be on time"), check().skipped("nobody asked")];
        assert_eq!(printed(fine.clone(), Format::Table).0, Exit::NothingLeft);
        let failed = [fine, vec![check().failed("it is missing", "apply it")]].concat();
        let (exit, text) = printed(failed.clone(), Format::Table);
        assert_eq!(exit, Exit::Failed);
        for part in
            ["111111111111", "open-door", "it is missing", "apply it", "4 checks: 1 ok, 1 warn, 1 failed, 1 skipped"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let (exit, text) = printed(failed, Format::Json);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((exit, &document["exit_code"]), (Exit::Failed, &Value::from(1)));
        assert_eq!(document["checks"][3]["result"], "failed");
        assert_eq!(document["checks"][3]["fix"], "apply it");
    }

    #[test]
    fn a_terminal_is_sent_no_commands_from_what_was_found() {
        let (_, text) = printed(vec![check().failed("x\u{1b}[2J", "y\u{1b}")], Format::Table);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
