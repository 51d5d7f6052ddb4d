//! What a rule is: the trait that it implements, and the manifest (`rule.json`) that describes it to the rest.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Finding, Result, Target};

/// One unit of remediation.
pub trait Rule: Send + Sync + 'static {
    /// `rule.json`, embedded.
    const MANIFEST: &'static str;
    /// The rule's own part of the policy, with its defaults.
    type Settings: DeserializeOwned + JsonSchema + Default + Send + Sync;
    /// The SDK client or clients that the rule needs, made once for each account, region and session.
    type Client: Send + Sync;
    /// One idempotent write with the state that it found. Everything that undo needs is in here.
    type Change: Serialize + DeserializeOwned + Display + Clone + Send + Sync;

    /// Makes the client for a session.
    fn client(target: &Target) -> Self::Client;

    /// What would make the finding's resource comply. Reads only. An empty proposal: it complies.
    ///
    /// # Errors
    ///
    /// The call that failed; [`crate::ErrorKind::Gone`] where the resource does not exist any more.
    fn plan(
        client: &Self::Client,
        finding: &Finding,
        settings: &Self::Settings,
    ) -> impl Future<Output = Result<Proposal<Self::Change>>> + Send;

    /// The tags of the finding's resource, for exemptions by tag. Reads only, and only where the policy asks for tags.
    ///
    /// # Errors
    ///
    /// The call that failed; [`crate::ErrorKind::Gone`] where the resource does not exist any more.
    fn tags(client: &Self::Client, finding: &Finding) -> impl Future<Output = Result<BTreeMap<String, String>>> + Send;

    /// Writes one change. Writing it again changes nothing more.
    ///
    /// # Errors
    ///
    /// The call that failed.
    fn apply(client: &Self::Client, change: &Self::Change) -> impl Future<Output = Result<()>> + Send;

    /// The change that takes `change` back, from its data alone; none where it cannot be taken back.
    fn undo(change: &Self::Change) -> Option<Self::Change>;
}

/// What `plan` found out about one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal<C> {
    /// The changes that make it comply, in the order in which they are written.
    pub changes: Vec<C>,
    /// What violates and is left as it is because the rule's settings say so, each with the reason.
    pub held: Vec<String>,
    /// What a guard saw that keeps every change back until a person approves them.
    pub guarded: Vec<String>,
    /// What a person should know of it, and what cannot be kept as it was.
    pub notes: Vec<String>,
}

/// What a guard does with what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Guard {
    /// It does not even look.
    Off,
    /// The plan says what it saw, and the fix goes on.
    #[default]
    Warn,
    /// The plan says what it saw, and nothing is written until a person approves it.
    Hold,
}

impl Guard {
    /// Whether it looks.
    pub fn is_on(self) -> bool {
        self != Self::Off
    }
}

impl<C> Proposal<C> {
    /// Whether the resource complies.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.held.is_empty()
    }

    /// Adds what a guard saw.
    pub fn guard(&mut self, guard: Guard, saw: String) {
        if guard == Guard::Hold {
            self.guarded.push(saw.clone());
        }
        if guard.is_on() {
            self.notes.push(saw);
        }
    }
}

impl<C> Default for Proposal<C> {
    fn default() -> Self {
        Self { changes: Vec::new(), held: Vec::new(), guarded: Vec::new(), notes: Vec::new() }
    }
}

impl<C> From<Vec<C>> for Proposal<C> {
    fn from(changes: Vec<C>) -> Self {
        Self { changes, ..Self::default() }
    }
}

/// Where a rule's resources live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// In a region.
    Regional,
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
    /// When it holds, in the form of an IAM policy's `Condition`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<String, BTreeMap<String, String>>,
}

/// A role of the target account that the rule passes on to an AWS service, named [`ServiceRole::NAME_SUFFIX`] after the
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

impl ServiceRole {
    /// What its name has after the name of the rule's own role.
    pub const NAME_SUFFIX: &'static str = "-service";
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
    /// What `plan` calls.
    pub read: Vec<Permission>,
    /// What `apply` calls, undo included.
    pub write: Vec<Permission>,
    /// What else the role needs, such as `iam:PassRole`.
    #[serde(default)]
    pub extra: Vec<Permission>,
    /// The role that the rule passes on to an AWS service, if any.
    #[serde(default)]
    pub service_role: Option<ServiceRole>,
    /// The Systems Manager runbook that it starts, if any.
    pub runbook: Option<String>,
    /// What an operator should know.
    pub docs: Docs,
}

/// A `rule.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("rule.json: {0}")]
pub struct ManifestError(#[from] serde_json::Error);

impl Manifest {
    /// Reads a `rule.json`.
    ///
    /// # Errors
    ///
    /// A key that is missing or unknown, with its line.
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        Ok(serde_json::from_str(text)?)
    }

    /// The control of which `rule_name` is an accepted spelling.
    pub fn control(&self, rule_name: &str) -> Option<&Control> {
        self.controls.iter().find(|control| control.rule_names.iter().any(|name| name == rule_name))
    }
}

impl Finding {
    /// The parameters of the finding's control, as the manifest of the rule `R` gives them.
    ///
    /// # Errors
    ///
    /// The finding's control is not one of the rule's, or its parameters are not of the form `P`.
    pub fn parameters<R: Rule, P: DeserializeOwned>(&self) -> Result<P> {
        let unknown = |message: String| Error::invalid_finding("control", message);
        let manifest = Manifest::from_json(R::MANIFEST).map_err(|error| unknown(error.to_string()))?;
        let control = manifest.control(&self.control);
        let control =
            control.ok_or_else(|| unknown(format!("`{}` is not a control of {}", self.control, manifest.id)))?;
        let parameters = serde_json::Value::Object(control.parameters.clone());
        serde_json::from_value(parameters)
            .map_err(|error| unknown(format!("rule.json: the parameters of `{}`: {error}", self.control)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ErrorKind;
    use crate::fake::{CONTROL, OpenDoor, Script, World, manifest};

    /// The manifest's JSON, changed.
    fn changed(change: impl FnOnce(&mut Value)) -> Result<Manifest, ManifestError> {
        let mut value: Value = serde_json::from_str(OpenDoor::MANIFEST).unwrap();
        change(&mut value);
        Manifest::from_json(&serde_json::to_string_pretty(&value).unwrap())
    }

    #[test]
    fn a_key_that_is_unknown_or_missing_is_refused_wherever_it_is() {
        for place in ["", "/controls/0", "/read/0", "/write/0", "/extra/0", "/docs"] {
            let error = changed(|value| value.pointer_mut(place).unwrap()["reed"] = json!("x")).unwrap_err();
            let error = error.to_string();
            assert!(
                error.starts_with("rule.json: unknown field `reed`") && error.contains(" at line "),
                "{place}: {error}"
            );
        }
        for (place, key) in [("", "read"), ("/controls/0", "rule_names"), ("/docs", "undo")] {
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

    #[tokio::test]
    async fn a_resource_has_its_own_tags_until_it_is_gone() {
        let mut world = World::new();
        let house = world.house("222222222222", "us-east-1", &[true], Script::Works);
        world.tag(&house, "exempt", "yes");
        let sessions = world.sessions("us-east-1");
        let session = sessions.target(&house.account, &house.region, crate::SessionKind::Read).await.unwrap();
        let (client, finding) = (OpenDoor::client(&session), world.batch().findings.remove(0));
        let tags = OpenDoor::tags(&client, &finding).await.unwrap();
        assert_eq!(tags, [("exempt".to_owned(), "yes".to_owned())].into());
        world.tear_down(&house);
        assert_eq!(OpenDoor::tags(&client, &finding).await.unwrap_err().kind, ErrorKind::Gone);
    }

    #[test]
    fn a_manifest_is_written_as_it_was_read() {
        let text = serde_json::to_string(&manifest()).unwrap();
        assert_eq!(Manifest::from_json(&text).unwrap(), manifest());
    }
}
