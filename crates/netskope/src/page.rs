//! One page of the list: the envelope of the API's answer, and its rows.

use std::fmt;

use escape::brief;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::list::Asked;
use crate::redact::Forms;
use crate::violation::Row;
use crate::{Filter, InvalidItem, MAX_PAGE_SIZE, PageError, Skipped, Violation};

/// One page of violations. Each of its rows is in exactly one of `violations`, `invalid` and `skipped`.
#[derive(Debug)]
pub struct Page {
    /// Its number, from 1.
    pub number: usize,
    /// How many bytes the API's answer has.
    pub bytes: usize,
    /// How many rows it holds, invalid ones included.
    pub received: usize,
    /// The rows that can be used.
    pub violations: Vec<Violation>,
    /// The rows that cannot.
    pub invalid: Vec<InvalidItem>,
    /// The rows to leave alone.
    pub skipped: Skipped,
}

/// Where in the list a page begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The page's number, from 1.
    pub(crate) number: usize,
    /// How many rows were before it.
    pub(crate) skip: usize,
}

impl Place {
    /// The place of the page after one that begins here and has so many rows.
    pub(crate) fn after(self, received: usize) -> Self {
        Self { number: self.number.saturating_add(1), skip: self.skip.saturating_add(received) }
    }
}

/// The most bytes of JSON that are parsed to learn what went wrong: twice what is searched for the token. As values, a
/// longer text would take many times its size.
const MOST_SAID: usize = 128 * 1024;

/// What every answer of the API has around its data.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow)]
    pub(crate) status: Option<&'a RawValue>,
    #[serde(borrow, rename = "errorCode")]
    pub(crate) error_code: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) errors: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) msg: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "rows")]
    pub(crate) data: Option<Vec<&'a RawValue>>,
}

/// The rows, at most as many as can be asked for: pointers to a page of junk would take many times its size. A `data`
/// that is `null` is a list without rows; a missing `data` is no list.
fn rows<'de, D: Deserializer<'de>>(data: D) -> Result<Option<Vec<&'de RawValue>>, D::Error> {
    let rows: Option<Rows<'de>> = Option::deserialize(data)?;
    Ok(Some(rows.map(|Rows(rows)| rows).unwrap_or_default()))
}

struct Rows<'de>(Vec<&'de RawValue>);

impl<'de> Deserialize<'de> for Rows<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(RowsVisitor)
    }
}

struct RowsVisitor;

impl<'de> Visitor<'de> for RowsVisitor {
    type Value = Rows<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of at most {MAX_PAGE_SIZE} rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Rows<'de>, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = items.next_element()? {
            if rows.len() >= MAX_PAGE_SIZE as usize {
                return Err(A::Error::invalid_length(rows.len().saturating_add(1), &self));
            }
            rows.push(row);
        }
        Ok(Rows(rows))
    }
}

/// What the API says, as a value; where it is too long for one, the beginning of its JSON.
fn value(json: Option<&RawValue>) -> Value {
    let Some(json) = json.map(RawValue::get) else { return Value::Null };
    let beginning = || Value::String(json[..json.floor_char_boundary(MOST_SAID)].to_owned());
    if json.len() > MOST_SAID { beginning() } else { serde_json::from_str(json).unwrap_or_else(|_| beginning()) }
}

impl<'a> Envelope<'a> {
    pub(crate) fn from_json(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The rows of an answer that says that it succeeded.
    fn rows(self) -> Result<Vec<&'a RawValue>, PageError> {
        if !self.is_success() {
            return Err(self.error());
        }
        self.data.ok_or_else(|| PageError::Malformed("it has no `data`".into()))
    }

    pub(crate) fn is_success(&self) -> bool {
        value(self.status).as_str().is_some_and(|status| status.eq_ignore_ascii_case("success"))
    }

    pub(crate) fn error(&self) -> PageError {
        let said = self.said().unwrap_or_else(|| "it gave no reason".into());
        let code = value(self.error_code);
        let is_refused = code.as_str().is_some_and(|code| code.starts_with("Auth"))
            || matches!(text(&code).as_deref(), Some("401" | "403"));
        if is_refused { PageError::Refused(said) } else { PageError::Api(said) }
    }

    /// What the API says of an error, if it says anything.
    pub(crate) fn said(&self) -> Option<String> {
        let errors = match &value(self.errors) {
            Value::Array(errors) => errors.iter().filter_map(text).collect(),
            other => text(other).into_iter().collect::<Vec<_>>(),
        };
        let said: Vec<_> =
            text(&value(self.error_code)).into_iter().chain(text(&value(self.msg))).chain(errors).collect();
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

/// What is wrong with a row that echoes the request.
const ECHO: &str = "it holds the Netskope token: the API, or a proxy in front of it, echoes the request";

/// The page that `text` is, of a list that was `asked` for behind `filter`, and the rows of it that say
/// something, as they stand there, to know them again: junk such as `null` is alike wherever it comes.
///
/// A row that holds the token in any of `forms` cannot be used: the token must not get into a record, and what would be
/// left of such a name is nobody's.
pub(crate) fn read<'a>(
    text: &'a str,
    asked: &Asked,
    filter: &Filter,
    place: Place,
    forms: &Forms,
) -> Result<(Page, Vec<&'a str>), PageError> {
    let envelope = Envelope::from_json(text).map_err(|error| {
        let what = if error.is_eof() { "it ends early" } else { "it is not the documented JSON" };
        PageError::Malformed(format!("{what} ({error})"))
    })?;
    let rows = envelope.rows()?;
    let mut page = Page {
        number: place.number,
        bytes: text.len(),
        received: rows.len(),
        violations: Vec::with_capacity(rows.len()),
        invalid: Vec::new(),
        skipped: Skipped::default(),
    };
    let mut known = Vec::with_capacity(rows.len());
    for (position, row) in (place.skip.saturating_add(1)..).zip(rows.into_iter().map(RawValue::get)) {
        match Row::from_json(row, asked, filter, position) {
            Row::Violation(row) if row.texts().into_iter().any(|text| forms.is_in(text)) => {
                page.invalid.push(InvalidItem { position, reason: ECHO.into() });
            }
            Row::Violation(violation) => page.violations.push(violation),
            Row::Skip(skip) => page.skipped.add(skip),
            Row::Invalid(InvalidItem { reason, .. }) => {
                page.invalid.push(InvalidItem { position, reason: brief(&forms.redact(&reason)) });
            }
        }
        if row.starts_with('{') && row != "{}" {
            known.push(row);
        }
    }
    Ok((page, known))
}
