//! What a rule is: the trait that it implements, and the manifest (`rule.json`) that describes it to the rest.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};
use std::future::Future;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Arn, Error, Finding, Region, Resource, Result, Seen, Target};

/// One unit of remediation. Reading is apart from thinking: [`Rule::look`] reads, [`Rule::plan`], [`Rule::undo`] and
/// [`Rule::side`] are pure, and [`Rule::apply`] alone writes.
pub trait Rule: Send + Sync + 'static {
    /// `rule.json`, embedded.
    const MANIFEST: &'static str;
    /// The rule's own part of the policy, with its defaults.
    type Settings: DeserializeOwned + JsonSchema + Default + Send + Sync;
    /// What distinguishes its controls: their parameters in `rule.json`.
    type Control: DeserializeOwned + Send + Sync;
    /// The SDK client or clients that the rule needs, made once for each account, region and session.
    type Client: Send + Sync;
    /// How a resource stands: all that a plan needs to know.
    type State: Send + Sync;
    /// One idempotent write with the state that it found. Everything that undo needs is in here, and never whose it is:
    /// the resource is beside it.
    type Change: Serialize + DeserializeOwned + Display + Clone + Eq + Send + Sync;

    /// Makes the client for a session.
    fn client(target: &Target) -> Self::Client;

    /// What the finding's resource is, and how it stands. Reads only.
    ///
    /// # Errors
    ///
    /// The call that failed; [`crate::ErrorKind::Gone`] where AWS says of this very resource that it does not exist.
    /// A name that nothing has is no proof of that: it is an error of the finding.
    fn look(client: &Self::Client, finding: &Finding) -> impl Future<Output = Result<Seen<Self::State>>> + Send;

    /// What would make the resource comply with all of `controls` together, so that no change undoes another. An empty
    /// proposal: it complies.
    fn plan(seen: &Seen<Self::State>, controls: &[&Self::Control], settings: &Self::Settings)
    -> Proposal<Self::Change>;

    /// What is done with what [`Rule::impact`] sees.
    fn guard(_settings: &Self::Settings) -> Guard {
        Guard::Off
    }

    /// What the changes would break. Reads only, where there are changes and the guard is on.
    ///
    /// # Errors
    ///
    /// The call that failed: the guard could not see.
    fn impact(
        _client: &Self::Client,
        _seen: &Seen<Self::State>,
        _changes: &[Self::Change],
        _settings: &Self::Settings,
    ) -> impl Future<Output = Result<Vec<Sighting>>> + Send {
        async { Ok(Vec::new()) }
    }

    /// The resource's tags, for exemptions by tag. Reads only, and only where the policy asks for tags.
    ///
    /// # Errors
    ///
    /// The call that failed; [`crate::ErrorKind::Gone`] where the resource does not exist any more.
    fn tags(client: &Self::Client, seen: &Seen<Self::State>) -> impl Future<Output = Result<Tags>> + Send;

    /// Writes one change of `resource`. Writing it again changes nothing more, and it may be cut off anywhere. What it
    /// opened for a change whose rest then fails, or is not wanted any more, it takes back.
    ///
    /// # Errors
    ///
    /// The call that failed.
    fn apply(
        client: &Self::Client,
        resource: &Resource,
        change: &Self::Change,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The change that takes `change` back, from its data alone.
    fn undo(change: &Self::Change) -> Self::Change;

    /// Where a state stands with regard to a change. This, and not a second plan, says whether an approved change may
    /// still be written, and whether an undo may begin and has ended: the settings of today do not judge it.
    fn side(change: &Self::Change, state: &Self::State) -> Side;
}

/// Where a state stands with regard to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// As the change found it.
    Before,
    /// As the change leaves it.
    After,
    /// Neither: somebody else has changed it.
    Neither,
}

impl Side {
    /// The side of a value that a change takes from `before` to `after`.
    pub fn of<T: PartialEq + ?Sized>(now: &T, before: &T, after: &T) -> Self {
        if now == after {
            Self::After
        } else if now == before {
            Self::Before
        } else {
            Self::Neither
        }
    }
}

/// One thing that a guard saw: it would break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    /// What is in the way, in words that stay the same as long as it does. An approval covers it.
    pub what: String,
    /// What moves by itself, such as a time or a count: shown, and in no digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

impl Sighting {
    /// A sighting of which nothing moves.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), now: None }
    }

    /// The same, with what moves by itself.
    #[must_use]
    pub fn with(self, now: impl Into<String>) -> Self {
        Self { now: Some(now.into()), ..self }
    }
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.now.as_ref().map_or(Ok(()), |now| write!(f, " ({now})"))
    }
}

/// A resource's tags.
pub type Tags = BTreeMap<String, String>;

/// What a rule makes of one resource's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal<C> {
    /// The changes that make it comply, in the order in which they are written.
    pub changes: Vec<C>,
    /// What violates and is not changed, because the rule's settings say so or because nobody but a person can change
    /// it, each with the reason.
    pub held: Vec<String>,
    /// What violates and cannot be changed now, but later without anybody's help, each with the reason.
    pub not_now: Vec<String>,
    /// What has been changed and is not shown to work yet, each with what is missing.
    pub unproved: Vec<String>,
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
    pub fn complies(&self) -> bool {
        let Self { changes, held, not_now, unproved, notes: _ } = self;
        changes.is_empty() && held.is_empty() && not_now.is_empty() && unproved.is_empty()
    }
}

impl<C> Default for Proposal<C> {
    fn default() -> Self {
        let (changes, held, not_now, unproved, notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { changes, held, not_now, unproved, notes }
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
    pub runbook: Option<RunbookUse>,
    /// What an operator should know.
    pub docs: Docs,
}

/// A `rule.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("rule.json: {0}")]
pub struct ManifestError(#[from] serde_json::Error);

/// The parameters of a rule's controls, by every accepted spelling of their names.
pub(crate) type Controls<P> = HashMap<String, P>;

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
    pub(crate) fn parameters<P: DeserializeOwned>(&self) -> Result<Controls<P>, ManifestError> {
        let named = self.controls.iter().flat_map(|control| control.rule_names.iter().map(move |name| (name, control)));
        let read = |(name, control): (&String, &Control)| {
            let parameters = serde_json::Value::Object(control.parameters.clone());
            Ok((name.clone(), serde_json::from_value(parameters)?))
        };
        named.map(read).collect()
    }

    /// The control of which `rule_name` is an accepted spelling.
    pub fn control(&self, rule_name: &str) -> Option<&Control> {
        self.controls.iter().find(|control| control.rule_names.iter().any(|name| name == rule_name))
    }
}

impl Finding {
    /// The finding with the region that its resource is in: its own, else the one in its ARN.
    ///
    /// # Errors
    ///
    /// The resource is in a region, and neither the finding nor its ARN says which.
    pub(crate) fn located(&self, scope: Scope) -> Result<Cow<'_, Self>> {
        if scope != Scope::Regional || !self.region.is_global() {
            return Ok(Cow::Borrowed(self));
        }
        match Arn::parse(&self.resource).map(|arn| arn.region) {
            Some(region) if !region.is_empty() => Ok(Cow::Owned(Self { region: Region::code(region), ..self.clone() })),
            _ => {
                let message = format!(
                    "it names no region, and `{}` is in one: what is looked for in the wrong region seems to be gone",
                    self.resource
                );
                Err(Error::invalid_finding("region", message))
            }
        }
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
        let seen = OpenDoor::look(&client, &finding).await.unwrap();
        let tags = OpenDoor::tags(&client, &seen).await.unwrap();
        assert_eq!(tags, [("exempt".to_owned(), "yes".to_owned())].into());
        world.tear_down(&house);
        assert_eq!(OpenDoor::tags(&client, &seen).await.unwrap_err().kind, ErrorKind::Gone);
    }

    #[test]
    fn a_manifest_is_written_as_it_was_read() {
        let text = serde_json::to_string(&manifest()).unwrap();
        assert_eq!(Manifest::from_json(&text).unwrap(), manifest());
    }
}
