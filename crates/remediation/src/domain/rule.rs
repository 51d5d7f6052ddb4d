//! What a rule is: the trait that it implements.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::future::Future;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Finding, Resource, Seen};
use crate::aws::{Result, Target};

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

    /// What is still at work on the resource beyond the calls of whoever set it going, such as a runbook's execution; none
    /// where nothing is. Reads only, and only where whoever claimed the resource never let go of it.
    ///
    /// # Errors
    ///
    /// The call that failed.
    fn under_way(_client: &Self::Client, _resource: &Resource) -> impl Future<Output = Result<Option<String>>> + Send {
        async { Ok(None) }
    }

    /// Writes one change of `resource`. Writing it again changes nothing more, and it may be cut off anywhere. What it
    /// opened for a change whose rest then fails, or is not wanted any more, it takes back.
    ///
    /// # Errors
    ///
    /// The call that failed; [`crate::ErrorKind::Unneeded`] where a look before the first write shows that somebody else
    /// has made the change: then it is none of ours, and no undo takes it back.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
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

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Hold => "hold",
        })
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
