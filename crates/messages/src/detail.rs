//! The form of an event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use remediation::{AccountId, sorted};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::chat::Chat;

/// The version of the form of [`Detail`].
pub const DETAIL_SCHEMA: u32 = 1;
/// The source of our events.
pub const SOURCE: &str = "autoremediate";

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Changes wait for a person's approval.
    PlanWaits,
    /// Resources were fixed, each proved by a fresh look.
    Fixed,
    /// Resources could not be fixed, or the fix could not be proved, or the batch could not be read.
    Failed,
    /// Resources that were fixed again and again violate again: their changes wait for a person's approval.
    FoughtOver,
    /// Netskope still fails resources, by a scan after their fix, although the fix is in force.
    Contested,
    /// The grace of resources begins: they are fixed when it is over.
    GraceBegins,
    /// A person has paused everything.
    Paused,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::PlanWaits,
        Self::Fixed,
        Self::Failed,
        Self::FoughtOver,
        Self::Contested,
        Self::GraceBegins,
        Self::Paused,
    ];

    /// The event's detail-type.
    pub fn detail_type(self) -> &'static str {
        match self {
            Self::PlanWaits => "Plan Waits For Approval",
            Self::Fixed => "Run Has Fixed",
            Self::Failed => "Run Has Failed",
            Self::FoughtOver => "Resource Is Fought Over",
            Self::Contested => "Fix Is Contested",
            Self::GraceBegins => "Grace Begins",
            Self::Paused => "Everything Is Paused",
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its detail.
    pub detail: Detail,
    /// The ARNs of the first resources that it is about, for the event's `resources`.
    pub resources: Vec<String>,
}

/// The detail of an event of autoremediate. An event can come twice: two of the same `kind`, `bucket`, `rule`, `run` and
/// `batch` are one. Further fields can be added without another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detail {
    /// The version of this form.
    pub schema: u32,
    /// What is told.
    pub kind: Kind,
    /// Whether nothing of it has happened: `autoremediate notify --test` has sent it.
    pub test: bool,
    /// The bucket of the deployment.
    pub bucket: String,
    /// The ID of the rule; absent where it is about all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The ID of the run, a UUID of version 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The number of the batch in the run, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// The report of the batch: s3://bucket/key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// The plan of the batch: s3://bucket/key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// How many findings of the whole batch had each outcome.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, usize>,
    /// How many findings this event is about.
    pub findings: usize,
    /// The first accounts that it is about, those with the most findings first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountCount>,
    /// How many accounts there are beside them.
    pub further_accounts: usize,
    /// The first resources that it is about, in the order of the batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceTold>,
    /// How many resources there are beside them.
    pub further_resources: usize,
    /// The pause, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<PauseTold>,
    /// The same for people, in lines.
    pub text: Text,
    /// The same in the form of a custom notification of Amazon Q Developer in chat applications.
    pub chat: Chat,
}

/// How many findings an account has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountCount {
    /// The account.
    pub account: AccountId,
    /// How many findings of it the event is about.
    pub findings: usize,
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceTold {
    /// Its ARN; what the finding calls it, where nobody could look.
    pub resource: String,
    /// The account of the finding.
    pub account: AccountId,
    /// The code of its region; `global` for what has none.
    pub region: String,
    /// Its outcome in the report.
    pub outcome: String,
    /// Why; and for what was fixed, what was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Until when it is left alone, where its grace begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub grace_until: Option<Timestamp>,
    /// Who owns it, where the policy names tags that say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// A pause of everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseTold {
    /// What it is called by whoever ends it.
    pub id: String,
    /// Who has paused: an ARN.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// When it ends by itself; absent where somebody must end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
}

/// What people read, in the order in which they need it. None of it is empty, each is one line of at most 1,000
/// characters, and none has a double quote, a backslash, a backquote or an angle bracket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Text {
    /// What happened, in a few words.
    pub title: String,
    /// What happened, in a sentence, with its accounts.
    pub what: String,
    /// To which resources.
    pub which: String,
    /// Why.
    pub why: String,
    /// From where it comes: the run, or the person.
    pub origin: String,
    /// A command to copy, which shows more, or ends the pause.
    pub command: String,
}

/// The JSON Schema of [`Detail`].
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut root = Detail::json_schema(&mut generator).to_value();
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Detail of the events of autoremediate");
    root["$defs"] = Value::Object(generator.take_definitions(true));
    sorted(root)
}
