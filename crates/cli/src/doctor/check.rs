//! One check, what came of it, and how all of them are told.

use std::io::Write;

use comfy_table::Cell;
use remediation::AccountId;
use serde::Serialize;

use crate::colour;
use crate::error::Error;
use crate::output::{self, Exit, printable};

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

/// What came of a check.
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
    /// What was found, or why it was not looked at.
    pub(super) found: Option<String>,
    /// What to do about it.
    pub(super) fix: Option<String>,
}

impl Check {
    /// A check that is in order unless something else is said.
    pub(super) fn of(area: Area, check: &'static str) -> Self {
        Self { area, account: None, rule: None, check, result: CheckResult::Ok, found: None, fix: None }
    }

    pub(super) fn in_account(self, account: &AccountId) -> Self {
        Self { account: Some(account.clone()), ..self }
    }

    pub(super) fn for_rule(self, rule: &str) -> Self {
        Self { rule: Some(rule.to_owned()), ..self }
    }

    /// In order, with what was found.
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

    /// The result, coloured on a terminal.
    fn cell(self) -> Cell {
        match self {
            Self::Ok => colour::cell(self.word(), Exit::NothingLeft),
            Self::Warn => colour::cell(self.word(), Exit::Left),
            Self::Failed => colour::cell(self.word(), Exit::Failed),
            Self::Skipped => Cell::new(self.word()),
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
    /// Prints them; gives how the command ended.
    pub(super) fn print(&self, json: bool, out: &mut impl Write) -> Result<Exit, Error> {
        let exit = if self.count(CheckResult::Failed) > 0 { Exit::Failed } else { Exit::NothingLeft };
        if json {
            output::print_json(&Document { schema: CHECKS_SCHEMA, exit_code: exit.code(), checks: &self.0 }, out)?;
            return Ok(exit);
        }
        let mut table = output::table(["area", "account", "rule", "check", "result", "found", "fix"]);
        for Check { area, account, rule, check, result, found, fix } in &self.0 {
            let text = |text: &Option<String>| Cell::new(printable(text.as_deref().unwrap_or_default()));
            let account = account.as_ref().map(ToString::to_string);
            let area = format!("{area:?}").to_lowercase();
            table.add_row([
                Cell::new(area),
                text(&account),
                text(rule),
                Cell::new(check),
                result.cell(),
                text(found),
                text(fix),
            ]);
        }
        writeln!(out, "{table}")?;
        let counts = CheckResult::ALL.map(|result| (self.count(result), result.word().to_owned()));
        writeln!(out, "{} check(s): {}", self.0.len(), output::listed(counts.into_iter()))?;
        Ok(exit)
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

    fn printed(checks: Vec<Check>, json: bool) -> (Exit, String) {
        let mut out = Vec::new();
        let exit = Checks(checks).print(json, &mut out).unwrap();
        (exit, String::from_utf8(out).unwrap())
    }

    #[test]
    fn only_a_failed_check_is_a_failure() {
        let fine = vec![check(), check().warn("a bit late", "be on time"), check().skipped("nobody asked")];
        assert_eq!(printed(fine.clone(), false).0, Exit::NothingLeft);
        let failed = [fine, vec![check().failed("it is missing", "apply it")]].concat();
        let (exit, text) = printed(failed.clone(), false);
        assert_eq!(exit, Exit::Failed);
        for part in
            ["111111111111", "open-door", "it is missing", "apply it", "4 check(s): 1 ok, 1 warn, 1 failed, 1 skipped"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let (exit, text) = printed(failed, true);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((exit, &document["exit_code"]), (Exit::Failed, &Value::from(1)));
        assert_eq!(document["checks"][3]["result"], "failed");
        assert_eq!(document["checks"][3]["fix"], "apply it");
    }

    #[test]
    fn a_terminal_is_sent_no_commands_from_what_was_found() {
        let (_, text) = printed(vec![check().failed("x\u{1b}[2J", "y\u{1b}")], false);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
