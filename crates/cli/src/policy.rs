//! `policy`: whether a policy can be used, and the JSON Schema of every policy.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use remediation::{Policy, line_at, nearest, utf8};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::error::Error;
use crate::output::{Exit, print_json};
use crate::rules::{self, LoadedRule};

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

/// Says what is wrong with the policies in `files`.
pub(crate) fn check(files: &[PathBuf], json: bool, out: &mut impl Write) -> Result<Exit, Error> {
    let rules = rules::all()?;
    let mut checked = Vec::new();
    for file in files {
        let text = read(file).map_err(|source| Error::PolicyFile { path: file.clone(), source })?;
        checked.push(Checked { file: file.clone(), problems: problems(&policy_text(file, &text)?, &rules) });
    }
    if json {
        print_json(&checked, out)?;
    } else {
        for Checked { file, problems } in &checked {
            print_checked(file, problems, out)?;
        }
    }
    let is_fine = checked.iter().all(|checked| checked.problems.is_empty());
    Ok(if is_fine { Exit::NothingLeft } else { Exit::Failed })
}

fn print_checked(file: &Path, problems: &[String], out: &mut impl Write) -> io::Result<()> {
    if problems.is_empty() {
        writeln!(out, "{}: fine", file.display())?;
    }
    problems.iter().try_for_each(|problem| writeln!(out, "{}: {problem}", file.display()))
}

fn read(file: &Path) -> io::Result<String> {
    String::from_utf8(utf8(&fs::read(file)?).into_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The policy of the file: all of it, or the variable `policy` of a `.tfvars.json`, in the lines where it stands.
fn policy_text(file: &Path, text: &str) -> Result<String, Error> {
    if !file.to_string_lossy().ends_with(".tfvars.json") {
        return Ok(text.to_owned());
    }
    let broken = |source| Error::Broken { place: file.display().to_string(), source };
    let Variables { policy } = serde_json::from_str(text).map_err(broken)?;
    Ok("\n".repeat(line_at(text, policy.get()) - 1) + policy.get())
}

fn problems(text: &str, rules: &[LoadedRule]) -> Vec<String> {
    let policy = match Policy::from_json(text.as_bytes()) {
        Ok(policy) => policy,
        Err(error) => return vec![error.to_string()],
    };
    let known = || rules.iter().map(|rule| rule.manifest.id.as_str());
    let named = policy.rules_named().into_iter().filter(|(rule, _)| !known().any(|known| known == rule));
    let unknown = named.map(|(rule, line)| {
        let meant = nearest(&rule, known())
            .map_or_else(|| format!("there are: {}", rules::ids(rules)), |meant| format!("is `{meant}` meant?"));
        let line = line.map(|line| format!(" in line {line}")).unwrap_or_default();
        format!("there is no rule `{rule}`{line}; {meant}")
    });
    let settings = rules.iter().filter_map(|rule| rule.guard(&policy).err()).map(|error| error.to_string());
    unknown.chain(settings).collect()
}

/// Prints the JSON Schema of a policy.
pub(crate) fn print_schema(out: &mut impl Write) -> Result<Exit, Error> {
    print_json(&schema(&rules::all()?), out)?;
    Ok(Exit::NothingLeft)
}

/// The JSON Schema of a policy, with the settings of each of the rules.
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
    root
}

/// The schema of what a policy says of one rule: that of any rule, with the rule's own settings.
fn rule_schema(rule: &LoadedRule, settings: &Schema) -> Value {
    json!({
        "description": rule.manifest.title,
        "type": "object",
        "properties": {"mode": {"$ref": "#/$defs/RulePolicy/properties/mode"}, "settings": settings},
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        problems(text, &rules::all().unwrap())
    }

    /// Where it fails, `autoremediate policy schema` prints what the file must be.
    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let crates = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let file = Path::new(&crates).join("../../terraform/modules/catalog/policy.schema.json");
        let published: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(published, schema(&rules::all().unwrap()), "run autoremediate policy schema > {}", file.display());
    }

    #[test]
    fn a_policy_without_fault_has_no_problems() {
        assert!(of(r#"{"mode": "apply", "rules": {"iam-stale-access-key": {"settings": {"days": 60}}}}"#).is_empty());
    }

    #[test]
    fn a_typo_is_told_with_its_line_and_the_nearest_known_word() {
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
                ["no rule `nonsense`", "line 2", "there are: cloudtrail"],
            ),
        ] {
            let problems = of(text);
            assert!(says.iter().all(|part| problems[0].contains(part)), "{problems:?}");
        }
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
                assert_eq!(check(&[file], false, &mut Vec::new()).unwrap(), Exit::NothingLeft);
            }
        }
    }

    #[test]
    fn terraforms_variables_are_checked_in_their_own_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("eu-west-1.tfvars.json");
        fs::write(&file, "{\n\"home_region\": \"eu-west-1\",\n\"policy\": {\n\"mood\": \"plan\"}}").unwrap();
        let mut out = Vec::new();
        assert_eq!(check(std::slice::from_ref(&file), false, &mut out).unwrap(), Exit::Failed);
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("unknown field `mood`") && out.contains("line 4"), "{out}");
    }
}
