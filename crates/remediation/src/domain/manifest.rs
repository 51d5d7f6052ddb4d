//! The manifest (`rule.json`) that describes a rule to the rest.

use std::collections::{BTreeMap, HashMap};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::RunId;
use crate::aws::{Access, TargetRole};

/// Where a rule's resources live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// In a region, which a finding must name: what is looked for in another one seems to be gone.
    Regional,
    /// In a region, to which the name alone leads, such as a bucket's.
    Located,
    /// In the account, without a region.
    Global,
}

/// A Netskope rule that a rule of ours serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Its exact name; where tenants spell it differently, every accepted spelling.
    pub rule_names: Vec<String>,
    /// Netskope's short name for it.
    pub short_name: String,
    /// What distinguishes it from the rule's other controls, such as the port.
    #[serde(default)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
}

/// An IAM action on a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// The IAM action, such as `s3:GetBucketPublicAccessBlock`.
    pub action: String,
    /// The ARN, with `{partition}`, `{region}`, `{account}` and `{prefix}` to fill in.
    pub resource: String,
    /// When it holds, in the form of an IAM policy's `Condition`; its values have the same parts to fill in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<String, BTreeMap<String, String>>,
}

/// A role of the target account that the rule passes on to an AWS service, named [`crate::SERVICE_ROLE_SUFFIX`] after the
/// rule's own role.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_terms-and-concepts.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRole {
    /// The service that may take it, such as `ssm.amazonaws.com`.
    pub service: String,
    /// The ARN of what the service may take it for (`aws:SourceArn`), with the same parts to fill in as a permission.
    pub source: String,
    /// What the service may do with it.
    pub permissions: Vec<Permission>,
}

/// The [`Rule::Control`] of a rule whose controls differ in nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

/// A Systems Manager runbook that a rule starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunbookUse {
    /// Its name.
    pub name: String,
    /// The partitions that do not have it. There the rule calls the API itself.
    #[serde(default)]
    pub missing_in: Vec<String>,
}

/// What an operator should know of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Docs {
    /// Why the violation matters.
    pub why: String,
    /// What the fix changes for those who use the resource.
    pub impact: String,
    /// What undo puts back.
    pub undo: String,
    /// How a person puts back what a change has in `before`, without us: a command, in Markdown.
    pub by_hand: String,
}

/// A rule's `rule.json`: the one place that says what it is called, serves and may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The rule's ID: the violation, not the fix.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// The AWS service of the resource.
    pub service: String,
    /// Where its resources live.
    pub scope: Scope,
    /// The ARNs that such a resource can have, with `{partition}`, `{region}`, `{account}` and `{id}` to fill in.
    #[serde(default)]
    pub arns: Vec<String>,
    /// The Netskope rules that it serves.
    pub controls: Vec<Control>,
    /// What `look`, `impact` and `tags` call.
    pub read: Vec<Permission>,
    /// What `apply` calls to fix.
    pub write: Vec<Permission>,
    /// What `apply` calls to fix where there is no runbook, and only there ([`RunbookUse::missing_in`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directly: Vec<Permission>,
    /// What else a fix needs, such as `iam:PassRole`.
    #[serde(default)]
    pub extra: Vec<Permission>,
    /// What `apply` calls to undo. The rule's own role has none of it that a fix does not need.
    pub undo: Vec<Permission>,
    /// The role that the rule passes on to an AWS service, if any.
    #[serde(default)]
    pub service_role: Option<ServiceRole>,
    /// The Systems Manager runbook that it starts, if any.
    pub runbook: Option<RunbookUse>,
    /// What an operator should know.
    pub docs: Docs,
}

/// A `rule.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("rule.json: {0}")]
pub struct ManifestError(#[from] serde_json::Error);

/// The parameters of a rule's controls, by every accepted spelling of their names.
pub type Controls<P> = HashMap<String, P>;

impl Manifest {
    /// Reads a `rule.json`.
    ///
    /// # Errors
    ///
    /// A key that is missing or unknown, with its line.
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        Ok(serde_json::from_str(text)?)
    }

    /// The parameters of each control.
    ///
    /// # Errors
    ///
    /// Those of a control do not have the form `P`.
    pub fn parameters<P: DeserializeOwned>(&self) -> Result<Controls<P>, ManifestError> {
        let named = self.controls.iter().flat_map(|control| control.rule_names.iter().map(move |name| (name, control)));
        let read = |(name, control): (&String, &Control)| {
            let parameters = serde_json::Value::Object(control.parameters.clone());
            Ok((name.clone(), serde_json::from_value(parameters)?))
        };
        named.map(read).collect()
    }

    /// What the rule's role may do in a partition.
    pub fn to_fix(&self, partition: &str) -> impl Iterator<Item = &Permission> {
        let directly: &[Permission] = if self.has_runbook_in(partition) { &[] } else { &self.directly };
        self.read.iter().chain(&self.write).chain(directly).chain(&self.extra)
    }

    /// What the role that takes a fix back may do.
    pub fn to_undo(&self) -> impl Iterator<Item = &Permission> {
        self.read.iter().chain(&self.undo)
    }

    /// Whether the rule has a runbook in a partition.
    pub fn has_runbook_in(&self, partition: &str) -> bool {
        self.runbook.as_ref().is_some_and(|runbook| !runbook.missing_in.iter().any(|missing| missing == partition))
    }

    /// What the sessions of one run of the rule are asked for with.
    pub fn access(&self, role: TargetRole, run: RunId) -> Access {
        Access {
            role,
            read_policy: read_policy(self),
            source_identity: format!("autoremediate-{}", self.id),
            session_name: format!("autoremediate-{run}"),
            session_length: None,
        }
    }

    /// The control of which `rule_name` is an accepted spelling.
    pub fn control(&self, rule_name: &str) -> Option<&Control> {
        self.controls.iter().find(|control| control.rule_names.iter().any(|name| name == rule_name))
    }
}

/// The session policy of a read-only session: the manifest's read actions, nothing else.
fn read_policy(manifest: &Manifest) -> String {
    let statements: Vec<_> = manifest
        .read
        .iter()
        .map(|permission| {
            let wild = ["{region}", "{account}", "{prefix}"];
            let resource = wild.iter().fold(permission.resource.clone(), |text, key| text.replace(key, "*"));
            serde_json::json!({"Effect": "Allow", "Action": permission.action, "Resource": resource})
        })
        .collect();
    serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CONTROL: &str = "Ensure every door is closed.";

    fn json() -> Value {
        json!({
            "id": "open-door", "title": "Door that is open", "service": "test", "scope": "regional",
            "controls": [{"rule_names": [CONTROL], "short_name": "T-1", "parameters": {}}],
            "read": [{"action": "test:GetDoors", "resource": "*"}],
            "write": [{"action": "test:CloseDoor", "resource": "*"}],
            "directly": [{"action": "test:PushDoor", "resource": "*"}],
            "undo": [{"action": "test:OpenDoor", "resource": "*"}],
            "extra": [{"action": "iam:PassRole", "resource": "arn:{partition}:iam::{account}:role/x"}],
            "runbook": null,
            "docs": {"why": "w", "impact": "i", "undo": "u", "by_hand": "h"}
        })
    }

    /// The manifest's JSON, changed.
    fn changed(change: impl FnOnce(&mut Value)) -> Result<Manifest, ManifestError> {
        let mut value = json();
        change(&mut value);
        Manifest::from_json(&serde_json::to_string_pretty(&value).unwrap())
    }

    #[test]
    fn a_key_that_is_unknown_or_missing_is_refused_wherever_it_is() {
        for place in ["", "/controls/0", "/read/0", "/write/0", "/directly/0", "/undo/0", "/extra/0", "/docs"] {
            let error = changed(|value| value.pointer_mut(place).unwrap()["reed"] = json!("x")).unwrap_err();
            let error = error.to_string();
            assert!(
                error.starts_with("rule.json: unknown field `reed`") && error.contains(" at line "),
                "{place}: {error}"
            );
        }
        let missing =
            [("", "read"), ("", "undo"), ("/controls/0", "rule_names"), ("/docs", "undo"), ("/docs", "by_hand")];
        for (place, key) in missing {
            let error = changed(|value| drop(value.pointer_mut(place).unwrap().as_object_mut().unwrap().remove(key)));
            assert!(error.unwrap_err().to_string().contains(&format!("missing field `{key}`")), "{place}");
        }
    }

    #[test]
    fn a_control_is_found_by_each_of_its_spellings_and_by_nothing_else() {
        let manifest =
            changed(|value| value["controls"][0]["rule_names"] = json!([CONTROL, "Close your doors."])).unwrap();
        for (name, found) in
            [(CONTROL, true), ("Close your doors.", true), ("close your doors.", false), ("", false), ("T-1", false)]
        {
            assert_eq!(manifest.control(name).is_some(), found, "{name}");
        }
    }

    #[test]
    fn a_fix_has_what_only_an_undo_needs_nowhere_and_the_api_only_where_there_is_no_runbook() {
        let runbook = json!({"name": "AWS-CloseDoor", "missing_in": ["aws-cn"]});
        let manifest = changed(|value| value["runbook"] = runbook).unwrap();
        let actions = |listed: Vec<&Permission>| listed.iter().map(|of| of.action.clone()).collect::<Vec<_>>();
        assert_eq!(actions(manifest.to_fix("aws").collect()), ["test:GetDoors", "test:CloseDoor", "iam:PassRole"]);
        let in_china = ["test:GetDoors", "test:CloseDoor", "test:PushDoor", "iam:PassRole"];
        assert_eq!(actions(manifest.to_fix("aws-cn").collect()), in_china);
        assert_eq!(actions(manifest.to_undo().collect()), ["test:GetDoors", "test:OpenDoor"]);
    }

    #[test]
    fn a_manifest_is_written_as_it_was_read() {
        let text = serde_json::to_string(&changed(|_| ()).unwrap()).unwrap();
        assert_eq!(Manifest::from_json(&text).unwrap(), changed(|_| ()).unwrap());
    }
}
