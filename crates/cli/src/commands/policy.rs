//! `policy`: what is in effect, what is wrong with a policy, and the JSON Schema of policies.

mod show;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use remediation::records::{self, MOST_BYTES, Record};
use remediation::{Organization, OrganizationRecord, Policy, line_at, read_at_most, sorted, utf8};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::commands::arguments::OutputArgs;
use crate::commands::help::{self, SIMPLE_EXIT_CODES};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page};
use crate::print::pager::Paging;
use crate::print::table::{Cell, Table};
use crate::session::rules::{self, LoadedRule};
use crate::session::typos;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show what is in effect, from where, and where it differs from what Terraform wrote.
    Show(show::ShowArgs),
    /// Report what is wrong with a policy: the line, and what was probably meant.
    Check {
        /// A policy.json, or a .tfvars.json that sets the variable `policy`; can be repeated.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The bucket's organization.json: report organizational units that it does not have, too.
        #[arg(long, value_name = "FILE")]
        organization: Option<PathBuf>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print the JSON Schema of policies.
    Schema,
}

impl PolicyCommand {
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Show(args) => args.output.format,
            Self::Check { output, .. } => output.format,
            Self::Schema => Format::Json,
        }
    }

    pub(crate) fn paging(&self) -> Paging {
        match self {
            Self::Show(args) => args.output.paging,
            Self::Check { output, .. } => output.paging,
            Self::Schema => Paging::Off,
        }
    }
}

pub(crate) fn help() -> String {
    help::below(
        SIMPLE_EXIT_CODES,
        "
  Show what is in effect in a deployment; and the modes in one account, with what says so:
    autoremediate policy show --records s3://bucket
    autoremediate policy show --records s3://bucket --account 222222222222

  Check a policy before it is deployed:
    autoremediate policy check policy.json
    autoremediate policy check eu-west-1.tfvars.json
    autoremediate policy check --organization organization.json policy.json

  Let an editor complete and check the keys of a policy:
    autoremediate policy schema > policy.schema.json",
    )
}

/// Carries out a command on policies.
pub(crate) async fn policy(command: &PolicyCommand, page: &mut Page<'_>) -> Result<Exit, Error> {
    match command {
        PolicyCommand::Show(args) => show::show(args, page).await,
        PolicyCommand::Check { files, organization, output } => {
            check(files, organization.as_deref(), output.format, page)
        }
        PolicyCommand::Schema => {
            page.json(&schema(&rules::all()?))?;
            Ok(Exit::NothingLeft)
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, Serialize)]
struct Checked {
    file: PathBuf,
    problems: Vec<String>,
}

/// A file of Terraform's variables.
#[derive(Deserialize)]
struct Variables<'a> {
    #[serde(borrow)]
    policy: &'a RawValue,
}

fn check(files: &[PathBuf], organization: Option<&Path>, format: Format, page: &mut Page<'_>) -> Result<Exit, Error> {
    let rules = rules::all()?;
    let organization = organization.map(read_organization).transpose()?.flatten();
    let mut checked = Vec::new();
    for file in files {
        let text = read(file).map_err(|source| Error::PolicyFile { path: file.clone(), source })?;
        checked.push(Checked {
            file: file.clone(),
            problems: problems(&policy_text(file, &text)?, &rules, organization.as_ref()),
        });
    }
    match format {
        Format::Json => page.json(&checked)?,
        Format::Csv => page.csv(&table(&checked))?,
        Format::Table => checked.iter().try_for_each(|checked| checked.print(page))?,
    }
    let is_usable = checked.iter().all(|checked| checked.problems.is_empty());
    Ok(if is_usable { Exit::NothingLeft } else { Exit::Failed })
}

/// A row for each problem.
fn table(checked: &[Checked]) -> Table {
    let mut table = Table::new(["file", "problem"]);
    for Checked { file, problems } in checked {
        for problem in problems {
            table.row([Cell::text(file.display().to_string()), Cell::text(problem)]);
        }
    }
    table
}

impl Checked {
    fn print(&self, page: &mut Page<'_>) -> io::Result<()> {
        let file = self.file.display();
        if self.problems.is_empty() {
            page.line(format!("{file}: ok"))?;
        }
        self.problems.iter().try_for_each(|problem| page.line(format!("{file}: {problem}")))
    }
}

fn read(file: &Path) -> io::Result<String> {
    String::from_utf8(utf8(&read_at_most(File::open(file)?, MOST_BYTES)?).into_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The organization in a copy of the bucket's record; none where nobody has read it so far.
fn read_organization(file: &Path) -> Result<Option<Organization>, Error> {
    let failed = |source| Error::OrganizationFile { path: file.to_owned(), source };
    let bytes = File::open(file).and_then(|file| read_at_most(file, OrganizationRecord::MOST_BYTES)).map_err(failed)?;
    let record = records::read::<OrganizationRecord>(&bytes);
    let record = record.map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    Ok(record.organization)
}

/// The policy in the file: all of it, or the variable `policy` of a `.tfvars.json`, on the lines where it stands.
fn policy_text(file: &Path, text: &str) -> Result<String, Error> {
    if !file.to_string_lossy().ends_with(".tfvars.json") {
        return Ok(text.to_owned());
    }
    let broken = |source| Error::Broken { place: file.display().to_string(), source };
    let Variables { policy } = serde_json::from_str(text).map_err(broken)?;
    Ok("\n".repeat(line_at(text, policy.get()) - 1) + policy.get())
}

fn problems(text: &str, rules: &[LoadedRule], organization: Option<&Organization>) -> Vec<String> {
    let typos::Read { policy, problems } = typos::read(text, rules);
    let astray = policy.zip(organization).map(|(policy, organization)| policy.units_astray(organization));
    let astray = astray.unwrap_or_default().into_iter().map(|(why, line)| {
        let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        format!("{why}{line}")
    });
    problems.into_iter().chain(astray).collect()
}

/// The JSON Schema of a policy, with the settings of each rule.
fn schema(rules: &[LoadedRule]) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut root = Policy::json_schema(&mut generator).to_value();
    let mut of_rules = serde_json::Map::new();
    for rule in rules {
        let settings = rule.settings_schema(&mut generator);
        of_rules.insert(rule.manifest.id.clone(), rule_schema(rule, &settings));
    }
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Policy of the auto-remediation");
    root["properties"]["rules"]["properties"] = Value::Object(of_rules);
    root["properties"]["rules"]["additionalProperties"] = json!(false);
    root["$defs"] = Value::Object(generator.take_definitions(true));
    sorted(root)
}

/// The schema of a policy's part for one rule: that of any rule, with the rule's own settings.
fn rule_schema(rule: &LoadedRule, settings: &Schema) -> Value {
    json!({
        "description": rule.manifest.title,
        "type": "object",
        "properties": {
            "mode": {"$ref": "#/$defs/RulePolicy/properties/mode"},
            "grace_days": {"$ref": "#/$defs/RulePolicy/properties/grace_days"},
            "settings": settings,
        },
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn of(text: &str) -> Vec<String> {
        problems(text, &rules::all().unwrap(), None)
    }

    /// Where it fails, `autoremediate policy schema` prints what the file must be.
    #[tokio::test]
    async fn the_published_schema_is_what_is_printed() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../terraform/modules/catalog/policy.schema.json");
        let mut printed = Vec::new();
        policy(&PolicyCommand::Schema, &mut Page::new(&mut printed)).await.unwrap();
        let published = fs::read_to_string(&file).unwrap();
        let is_same = published == String::from_utf8(printed).unwrap();
        assert!(is_same, "run: autoremediate policy schema > {}", file.display());
    }

    #[test]
    fn a_policy_without_fault_has_no_problems() {
        assert!(of(r#"{"mode": "apply", "rules": {"iam-stale-access-key": {"settings": {"days": 60}}}}"#).is_empty());
    }

    #[test]
    fn a_typo_is_reported_with_its_line_and_the_nearest_known_word() {
        for (text, says) in [
            ("{\n\"pauzed\": true}", ["unknown field `pauzed`", "line 2", "is `paused` meant?"]),
            (
                "{\"rules\": {\n\"s3-public-buckets\": {}}}",
                ["no rule `s3-public-buckets`", "line 2", "is `s3-public-bucket` meant?"],
            ),
            (
                "{\"rules\": {\"iam-stale-access-key\": {\n\"settings\": {\n\"day\": 3}}}}",
                ["unknown field `day`", "line 3", "is `days` meant?"],
            ),
            (
                "{\"exemptions\": [\n{\"rules\": [\"nonsense\"], \"reason\": \"r\", \"owner\": \"o\"}]}",
                ["no rule `nonsense`", "line 2", "the rules are: cloudtrail"],
            ),
        ] {
            let problems = of(text);
            assert!(says.iter().all(|part| problems[0].contains(part)), "{problems:?}");
        }
    }

    #[test]
    fn units_that_the_organization_lacks_are_reported_where_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let policy = r#"{"overrides": [
            {"organizational_units": ["Sandbox", "Sandpit"], "mode": "apply"}]}"#;
        let policy = put("p.json", policy);
        let organization = put(
            "organization.json",
            r#"{"schema": 1, "refreshing_until": null, "organization": {"id": "o-a1b2c3d4e5",
            "read_at": "2026-11-29T06:00:00Z", "root": "r-ab12", "tag_keys": [], "accounts": {},
            "units": {"ou-ab12-11111111": {"name": "Sandbox", "parent": "r-ab12"}}}}"#,
        );
        let mut out = Vec::new();
        let exit =
            check(std::slice::from_ref(&policy), Some(&organization), Format::Table, &mut Page::new(&mut out)).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(exit == Exit::Failed && out.contains("had no unit `Sandpit`") && out.contains("(line 2)"), "{out}");
        assert!(!out.contains("`Sandbox`"), "{out}");
        let without =
            check(std::slice::from_ref(&policy), None, Format::Table, &mut Page::new(&mut Vec::new())).unwrap();
        assert_eq!(without, Exit::NothingLeft);
        let broken = put("broken.json", "{}");
        let error = check(&[policy], Some(&broken), Format::Table, &mut Page::new(&mut Vec::new())).unwrap_err();
        assert!(error.to_string().contains("broken.json"), "{error}");
    }

    #[test]
    fn files_that_windows_wrote_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("p.json", r#"{"mode": "plan"}"#), ("p.tfvars.json", r#"{"policy": {"mode": "plan"}}"#)] {
            let text = format!("\u{feff}{text}\r\n");
            let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            for bytes in [text.into_bytes(), utf16] {
                let file = folder.path().join(name);
                fs::write(&file, bytes).unwrap();
                let exit = check(&[file], None, Format::Table, &mut Page::new(&mut Vec::new())).unwrap();
                assert_eq!(exit, Exit::NothingLeft);
            }
        }
    }

    #[test]
    fn terraforms_variables_are_checked_on_their_own_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("eu-west-1.tfvars.json");
        fs::write(&file, "{\n\"home_region\": \"eu-west-1\",\n\"policy\": {\n\"mood\": \"plan\"}}").unwrap();
        let mut out = Vec::new();
        assert_eq!(check(&[file], None, Format::Table, &mut Page::new(&mut out)).unwrap(), Exit::Failed);
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("unknown field `mood`") && out.contains("line 4"), "{out}");
    }
}
