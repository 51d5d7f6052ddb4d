//! One page of the list: the envelope of the API's answer, and its rows.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::violation::Row;
use crate::{InvalidItem, PageError, Skipped, Violation};

/// One page of violations. Each of its rows is in exactly one of `violations`, `invalid` and `skipped`.
#[derive(Debug)]
pub struct Page {
    /// Its number, from 1.
    pub number: usize,
    /// How many rows it holds, invalid ones included.
    pub received: usize,
    /// The rows that can be used.
    pub violations: Vec<Violation>,
    /// The rows that cannot.
    pub invalid: Vec<InvalidItem>,
    /// The rows to leave alone.
    pub skipped: Skipped,
}

impl Page {
    /// Makes the rows of which a text is a secret invalid ones: a server that echoes what it was asked for must not bring
    /// it into a record, and what is left of such a name is nobody's.
    pub(crate) fn without(&mut self, is_secret: impl Fn(&str) -> bool) {
        let is_echo = |row: &mut Violation| row.texts().into_iter().any(&is_secret);
        let echoes = self.violations.extract_if(.., is_echo);
        let reason = "one of its texts holds the Netskope token: the API, or a proxy before it, echoes the request";
        self.invalid.extend(echoes.map(|row| InvalidItem { position: row.position, reason: reason.into() }));
    }
}

/// Where in the list a page begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The page's number, from 1.
    pub(crate) number: usize,
    /// How many rows were before it.
    pub(crate) skip: usize,
}

/// What every answer of the API has around its data.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Envelope<'a> {
    status: Value,
    #[serde(rename = "errorCode")]
    error_code: Value,
    errors: Value,
    msg: Value,
    #[serde(borrow, deserialize_with = "null_is_empty")]
    data: Option<Vec<&'a RawValue>>,
}

/// A `data` that is `null` is a list without rows; a missing one is none.
fn null_is_empty<'de, D: Deserializer<'de>>(data: D) -> Result<Option<Vec<&'de RawValue>>, D::Error> {
    Ok(Some(Option::deserialize(data)?.unwrap_or_default()))
}

impl<'a> Envelope<'a> {
    pub(crate) fn from_json(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The rows of an answer that says that it succeeded.
    fn rows(self) -> Result<Vec<&'a RawValue>, PageError> {
        let is_success = self.status.as_str().is_some_and(|status| status.eq_ignore_ascii_case("success"));
        if !is_success {
            return Err(self.error());
        }
        self.data.ok_or_else(|| PageError::Malformed("it has no `data`".into()))
    }

    fn error(&self) -> PageError {
        let said = self.said().unwrap_or_else(|| "it names no reason".into());
        let is_refused = self.error_code.as_str().is_some_and(|code| code.starts_with("Auth"))
            || matches!(text(&self.error_code).as_deref(), Some("401" | "403"));
        if is_refused { PageError::Refused(said) } else { PageError::Api(said) }
    }

    /// What the API says of an error, if it says anything.
    pub(crate) fn said(&self) -> Option<String> {
        let errors = match &self.errors {
            Value::Array(errors) => errors.iter().filter_map(text).collect(),
            other => text(other).into_iter().collect::<Vec<_>>(),
        };
        let said: Vec<_> = text(&self.error_code).into_iter().chain(text(&self.msg)).chain(errors).collect();
        (!said.is_empty()).then(|| said.join(": "))
    }
}

/// A value that says something, as text.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

/// The page that `text` is, of a list that was asked for the violations of `rule_name`, and the rows of it that say
/// something, as they stand there, to know them again: junk such as `null` is alike wherever it comes.
pub(crate) fn read<'a>(text: &'a str, rule_name: &str, place: Place) -> Result<(Page, Vec<&'a str>), PageError> {
    let envelope = Envelope::from_json(text).map_err(|error| {
        let what = if error.is_eof() { "it ends early" } else { "it is not the documented JSON" };
        PageError::Malformed(format!("{what} ({error})"))
    })?;
    let rows = envelope.rows()?;
    let mut page = Page {
        number: place.number,
        received: rows.len(),
        violations: Vec::with_capacity(rows.len()),
        invalid: Vec::new(),
        skipped: Skipped::default(),
    };
    let mut known = Vec::with_capacity(rows.len());
    for (position, row) in (place.skip + 1..).zip(rows.into_iter().map(RawValue::get)) {
        match Row::from_json(row, rule_name, position) {
            Row::Violation(violation) => page.violations.push(violation),
            Row::Skip(skip) => page.skipped.add(skip),
            Row::Invalid(item) => page.invalid.push(item),
        }
        if row.starts_with('{') && row != "{}" {
            known.push(row);
        }
    }
    Ok((page, known))
}
