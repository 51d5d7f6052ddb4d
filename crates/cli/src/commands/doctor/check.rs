//! One check, its result, and how all of them are printed.

use remediation::AccountId;
use serde::Serialize;

use crate::error::Error;
use crate::exit::Exit;
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
    pub(super) fn print(&self, format: Format, page: &mut Page<'_>) -> Result<Exit, Error> {
        let exit = if self.count(CheckResult::Failed) > 0 { Exit::Failed } else { Exit::NothingLeft };
        match format {
            Format::Json => {
                page.json(&Document { schema: CHECKS_SCHEMA, exit_code: exit.code(), checks: &self.0 })?;
            }
            Format::Table => {
                page.table(&self.table())?;
                let counts = CheckResult::ALL.map(|result| Count::of(self.count(result), result.word()));
                page.line(format!("{}: {}", counted(self.0.len(), "check"), listed(counts)))?;
            }
        }
        Ok(exit)
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["area", "account", "rule", "check", "result", "found", "fix"]);
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn check() -> Check {
        Check::of(Area::Account, "role").in_account(&"111111111111".parse().unwrap()).for_rule("open-door")
    }

    fn printed(checks: Vec<Check>, format: Format) -> (Exit, String) {
        let mut out = Vec::new();
        let exit = Checks(checks).print(format, &mut Page::new(&mut out)).unwrap();
        (exit, String::from_utf8(out).unwrap())
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
