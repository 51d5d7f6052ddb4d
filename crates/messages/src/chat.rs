//! The custom notifications of Amazon Q Developer in chat applications, which shows them in Slack and Teams.
//! <https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html>

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::detail::{Kind, Text};
use crate::text::plain;

/// The most characters of a line of the description, so that all of them fit into what a chat shows of one.
const MOST_OF_LINE: usize = 600;

/// A custom notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chat {
    /// The version of that form: `1.0`.
    pub version: String,
    /// `custom`.
    pub source: String,
    /// What is shown.
    pub content: ChatContent,
    /// What it belongs to.
    pub metadata: ChatMetadata,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatContent {
    /// `client-markdown`: the Markdown of the chat.
    pub text_type: String,
    /// Its title.
    pub title: String,
    /// Lines in Markdown. What others named is in code, so that no name is a link or a mention.
    pub description: String,
    /// What to do, with commands to copy.
    pub next_steps: Vec<String>,
    /// The rule and the kind.
    pub keywords: Vec<String>,
}

/// What it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatMetadata {
    /// Notifications of one thread are shown together: those of a rule in a run.
    pub thread_id: String,
    /// What a push notification shows.
    pub summary: String,
    /// The event's detail-type.
    pub event_type: String,
    /// ARNs of the first resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related_resources: Vec<String>,
    /// What custom actions can use: the bucket, the report and the plan.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub additional_context: BTreeMap<String, String>,
}

impl Chat {
    /// The notification of a message with these texts.
    pub(crate) fn new(
        kind: Kind,
        text: &Text,
        further_steps: Vec<String>,
        thread: &str,
        rule: Option<&str>,
        resources: &[String],
        context: BTreeMap<String, String>,
    ) -> Self {
        let in_code = |line: &str| format!("`{}`", plain(line, MOST_OF_LINE));
        let description = [text.what.clone(), in_code(&text.which), in_code(&text.why), in_code(&text.origin)];
        let keywords = rule.into_iter().chain([kind.detail_type()]);
        Self {
            version: "1.0".into(),
            source: "custom".into(),
            content: ChatContent {
                text_type: "client-markdown".into(),
                title: text.title.clone(),
                description: description.join("\n"),
                next_steps: [format!("`{}`", text.command)].into_iter().chain(further_steps).collect(),
                keywords: keywords.map(str::to_owned).collect(),
            },
            metadata: ChatMetadata {
                thread_id: thread.to_owned(),
                summary: text.title.clone(),
                event_type: kind.detail_type().into(),
                related_resources: resources.to_vec(),
                additional_context: context,
            },
        }
    }
}
