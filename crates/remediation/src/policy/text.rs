//! Reading the policy: every error names the line, and the word that was probably meant.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{DeserializeOwned, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{POLICY_SCHEMA, Policy};
use crate::domain::Outcome;
use crate::text::utf8;

/// From which likeness on (0 to 1) a known word is taken for the one that was meant.
const LIKE: f64 = 0.7;

/// A policy that cannot be used. Nothing is written while it is so.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It could not be read from where it is kept.
    #[error("the policy cannot be read, so nothing is written: {why}")]
    Unread {
        /// What failed.
        why: String,
        /// Whether another try helps, without anybody's doing.
        passes: bool,
    },
    /// It is not a policy.
    #[error("the policy cannot be used, so nothing is written: {0}")]
    Syntax(String),
    /// A rule does not know its settings.
    #[error("the policy's settings of {rule} cannot be used, so nothing is written: {message}")]
    Settings {
        /// The rule.
        rule: String,
        /// What is wrong, and in which line.
        message: String,
    },
    /// What is paused beside it cannot be told.
    #[error(
        "what is paused cannot be read, so nothing is written: {key}: {why}. Put its last good version back, or end every \
         pause with `autoremediate resume --all`"
    )]
    Pauses {
        /// The key of the pauses.
        key: &'static str,
        /// What is wrong with them.
        why: String,
    },
    /// It was to be narrowed by an operator's own, whose setting of a rule is another.
    #[error(
        "the policy cannot be narrowed, so nothing is written: the setting `{setting}` of {rule} is {own} in the file, and \
         {here} in the bucket's policy. Leave it out of the file, or set it there to the same value"
    )]
    Differs {
        /// The rule.
        rule: String,
        /// The setting.
        setting: String,
        /// What the operator's own says.
        own: String,
        /// What the policy says, or what the rule does where it says nothing.
        here: String,
    },
    /// It is of another version of the format.
    #[error("the policy has schema version {found}, but this build reads {POLICY_SCHEMA}, so nothing is written")]
    Schema {
        /// The version that it names.
        found: u32,
    },
}

impl PolicyError {
    /// Whether another try helps, without anybody's doing.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unread { passes: true, .. })
    }

    /// What is reported of findings for which nothing was done because of this.
    pub fn outcome(&self) -> Outcome {
        if self.passes() { Outcome::Deferred } else { Outcome::Held }
    }
}

impl Policy {
    /// The most bytes of a policy: more than ten thousand exemptions have, and far less than a Lambda has memory for.
    pub const MOST_BYTES: usize = 4 * 1024 * 1024;

    /// Reads a policy, in UTF-8 or with a byte order mark.
    ///
    /// # Errors
    ///
    /// It is too long, or has a typo (with its line and the nearest known word) or another schema version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PolicyError> {
        let syntax = |error: String| PolicyError::Syntax(error);
        if bytes.len() > Self::MOST_BYTES {
            let (found, most) = (bytes.len(), Self::MOST_BYTES);
            return Err(syntax(format!("it has {found} bytes, more than the {most} that one can have")));
        }
        let bytes = utf8(bytes);
        let json = str::from_utf8(&bytes).map_err(|error| syntax(error.to_string()))?;
        let policy: Self = serde_json::from_str(json).map_err(|error| syntax(with_nearest(&error.to_string())))?;
        if policy.schema != POLICY_SCHEMA {
            return Err(PolicyError::Schema { found: policy.schema });
        }
        Ok(Self { json: json.to_owned(), ..policy })
    }
}

/// The policy's rules with the very text of their settings.
#[derive(Default, Deserialize)]
struct Texts<'a> {
    #[serde(borrow, default)]
    rules: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct RuleText<'a> {
    #[serde(borrow, default)]
    settings: Option<&'a RawValue>,
}

/// The settings of a rule; none where the policy has none.
pub(super) fn settings<T: DeserializeOwned>(json: &str, rule: &str) -> Result<Option<T>, PolicyError> {
    let failed = |message: String| PolicyError::Settings { rule: rule.to_owned(), message };
    let texts: Texts<'_> = serde_json::from_str(json).map_err(|error| failed(error.to_string()))?;
    let Some(text) = texts.rules.get(rule) else { return Ok(None) };
    let text: RuleText<'_> = serde_json::from_str(text.get()).map_err(|error| failed(error.to_string()))?;
    let Some(settings) = text.settings else { return Ok(None) };
    serde_json::from_str(settings.get()).map(Some).map_err(|error| {
        let line = line_at(json, settings.get()).saturating_add(error.line()).saturating_sub(1);
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        failed(format!("{} in line {line}", with_nearest(message)))
    })
}

/// The IDs of the rules that have an entry, each with the line in which that starts.
pub(super) fn rules(json: &str) -> Vec<(String, Option<usize>)> {
    let texts: Texts<'_> = serde_json::from_str(json).unwrap_or_default();
    texts.rules.into_iter().map(|(rule, text)| (rule, Some(line_at(json, text.get())))).collect()
}

/// The first line that holds `word` as a string.
pub(super) fn line_of_string(json: &str, word: &str) -> Option<usize> {
    json.find(&format!("\"{word}\"")).map(|at| line(json, at))
}

/// The line, from 1, in which `part` starts, which is a part of `json` itself.
pub fn line_at(json: &str, part: &str) -> usize {
    line(json, (part.as_ptr() as usize).saturating_sub(json.as_ptr() as usize))
}

fn line(json: &str, at: usize) -> usize {
    json.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// The message, and which of the known words that it lists is like the unknown one.
fn with_nearest(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    let Some(unknown) = words.next().filter(|_| message.starts_with("unknown ")) else { return message.to_owned() };
    match nearest(unknown, words) {
        Some(word) => format!("{message}; is `{word}` meant?"),
        None => message.to_owned(),
    }
}

/// The word that is most like `unknown`, if one is.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |word: &str| strsim::normalized_damerau_levenshtein(&unknown.to_lowercase(), word);
    let known = known.into_iter().map(|word| (likeness(word), word)).filter(|(like, _)| *like >= LIKE);
    known.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, word)| word)
}

/// A whole number of this range; as a visitor, so that its error has the number's own line.
pub(super) struct WholeNumber(pub(super) RangeInclusive<u32>);

impl Visitor<'_> for WholeNumber {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<u32, E> {
        let fits = u32::try_from(number).ok().filter(|number| self.0.contains(number));
        fits.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}

/// A whole number of a range, or nothing.
pub(super) struct Optional(pub(super) WholeNumber);

impl<'de> Visitor<'de> for Optional {
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Option<u32>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u32>, D::Error> {
        deserializer.deserialize_u32(self.0).map(Some)
    }
}

pub(super) fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_u32(WholeNumber(1..=u32::MAX))
}

pub(super) fn hours_of_a_year<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_u32(WholeNumber(1..=8_760))
}

pub(super) fn days_of_a_year<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_u32(WholeNumber(1..=365))
}

pub(super) fn remembered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_u32(WholeNumber(1..=50))
}

pub(super) fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_u32(WholeNumber(1..=100))
}
