//! Findings, and the batches in which the poller hands them to a rule: newline-delimited JSON, one header line, then
//! one finding a line.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::text::{brief, utf8};

/// The version of the batch format that this build writes and reads.
pub const BATCH_SCHEMA: u32 = 1;

/// An AWS account ID: twelve digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

/// A text that is not twelve digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an AWS account ID: twelve digits")]
pub struct InvalidAccountId(String);

impl JsonSchema for AccountId {
    fn schema_name() -> Cow<'static, str> {
        "AccountId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "An AWS account ID.", "type": "string", "pattern": "^[0-9]{12}$"})
    }
}

impl FromStr for AccountId {
    type Err = InvalidAccountId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { Ok(Self(text.to_owned())) } else { Err(InvalidAccountId(text.to_owned())) }
    }
}

impl TryFrom<String> for AccountId {
    type Error = InvalidAccountId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AccountId> for String {
    fn from(account: AccountId) -> Self {
        account.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for AccountId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Where a finding's resource is: a region's code, or global.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Region(String);

impl Region {
    /// The region of services that have one control plane, such as IAM.
    pub fn global() -> Self {
        Self("global".into())
    }

    /// A region by its code, such as `eu-central-1`.
    pub fn code(code: impl Into<String>) -> Self {
        Self(code.into())
    }

    /// Whether this is [`Region::global`].
    pub fn is_global(&self) -> bool {
        self.0 == "global"
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One control that one resource fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The exact name of the Netskope rule.
    pub control: String,
    /// The account that owns the resource.
    pub account: AccountId,
    /// The resource's region.
    pub region: Region,
    /// The resource's ID, name or ARN, as Netskope gave it.
    pub resource: String,
    /// Since when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// When Netskope last looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scanned: Option<Timestamp>,
}

/// One poll, or one call of the command line: a UUID of version 7, so that runs sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(uuid::Uuid);

impl RunId {
    /// A new run that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    /// When the run started, from the UUID itself.
    pub fn started(&self) -> Timestamp {
        let (seconds, _) = self.0.get_timestamp().map_or((0, 0), |timestamp| timestamp.to_unix());
        let started = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        started.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The UTC date on which the run started.
    pub fn date(&self) -> String {
        self.started().strftime("%Y-%m-%d").to_string()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which batch of which run of which rule: names the objects that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchId {
    /// The rule's ID.
    pub rule: String,
    /// The run that made the batch.
    pub run: RunId,
    /// The batch's number in the run, from 1.
    pub batch: u32,
}

impl BatchId {
    /// The key of the batch's findings.
    pub fn findings_key(&self) -> String {
        self.key("findings", "ndjson")
    }

    /// The batch of `rule` that has `key` as its [`BatchId::findings_key`]; none where it is not such a key.
    pub fn from_findings_key(key: &str, rule: &str) -> Option<Self> {
        let name = key.strip_prefix(&format!("findings/{rule}/"))?.split_once('/')?.1;
        Self::from_name(rule, name.strip_suffix(".ndjson")?)
    }

    /// The batch of `rule` that is named `<run>-<batch>`.
    pub(crate) fn from_name(rule: &str, name: &str) -> Option<Self> {
        let (run, batch) = name.rsplit_once('-')?;
        Some(Self { rule: rule.to_owned(), run: RunId(run.parse().ok()?), batch: batch.parse().ok()? })
    }

    /// The key of the batch's plan.
    pub fn plan_key(&self) -> String {
        self.key("plans", "json")
    }

    /// The key of what the batch, an undo, exempts.
    pub fn exemptions_key(&self) -> String {
        self.key("exemptions", "json")
    }

    /// The key of the batch's report.
    pub fn report_key(&self) -> String {
        self.key("reports", "json")
    }

    fn key(&self, kind: &str, extension: &str) -> String {
        format!("{kind}/{}/{}/{}-{}.{extension}", self.rule, self.run.date(), self.run, self.batch)
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    schema: u32,
    #[serde(flatten)]
    id: BatchId,
    findings: usize,
}

/// Findings of one rule, as the poller wrote them.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Which batch it is.
    pub id: BatchId,
    /// Its findings.
    pub findings: Vec<Finding>,
    /// The lines that are not findings.
    pub bad_lines: Vec<BatchLineError>,
}

/// A line of a batch that is not a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("line {line} of the batch: {reason}")]
pub struct BatchLineError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it, in some hundred characters at most.
    pub reason: String,
}

/// A batch of which not even the header can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The first line is missing or is no header.
    #[error("line 1 of the batch is not a batch header: {0}")]
    Header(String),
    /// The header is of another version of the format.
    #[error(
        "line 1 of the batch: schema version {found}, but this build reads {BATCH_SCHEMA}: deploy poller and rules of the same version"
    )]
    Schema {
        /// The version that the header names.
        found: u64,
    },
    /// The batch belongs to another rule.
    #[error("line 1 of the batch: it is for the rule `{found}`, not for `{expected}`")]
    Rule {
        /// The rule that the header names.
        found: String,
        /// The rule that was asked to read it.
        expected: String,
    },
}

impl Batch {
    /// A batch of `findings`, all of them good.
    pub fn new(id: BatchId, findings: Vec<Finding>) -> Self {
        Self { id, findings, bad_lines: Vec::new() }
    }

    /// The batch as newline-delimited JSON.
    ///
    /// # Errors
    ///
    /// A finding that JSON cannot carry; none is known.
    pub fn to_ndjson(&self) -> serde_json::Result<Vec<u8>> {
        let header = Header { schema: BATCH_SCHEMA, id: self.id.clone(), findings: self.findings.len() };
        let mut text = serde_json::to_vec(&header)?;
        text.push(b'\n');
        for finding in &self.findings {
            serde_json::to_writer(&mut text, finding)?;
            text.push(b'\n');
        }
        Ok(text)
    }

    /// Reads a batch of the rule `rule`, in UTF-8 or with a byte order mark. A broken line, or lines missing at the end, are in [`Batch::bad_lines`].
    ///
    /// # Errors
    ///
    /// The header is missing, is of another schema version, or names another rule.
    pub fn from_ndjson(bytes: &[u8], rule: &str) -> Result<Self, BatchError> {
        let bytes = utf8(bytes);
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let header = Self::header(lines.next().unwrap_or_default())?;
        if header.id.rule != rule {
            return Err(BatchError::Rule { found: brief(&header.id.rule), expected: rule.to_owned() });
        }
        let mut batch = Self::new(header.id, Vec::new());
        let mut last = 1;
        for (line, text) in (2..).zip(lines).filter(|(_, text)| !text.trim_ascii().is_empty()) {
            last = line;
            match serde_json::from_slice(text) {
                Ok(finding) => batch.findings.push(finding),
                Err(error) => batch.bad_lines.push(BatchLineError { line, reason: brief(&error.to_string()) }),
            }
        }
        let read = batch.findings.len() + batch.bad_lines.len();
        if read != header.findings {
            let reason = format!("the header promises {} findings, but the batch ends after {read}", header.findings);
            batch.bad_lines.push(BatchLineError { line: last + 1, reason });
        }
        Ok(batch)
    }

    fn header(line: &[u8]) -> Result<Header, BatchError> {
        let header_error = |error: serde_json::Error| BatchError::Header(brief(&error.to_string()));
        let value: serde_json::Value = serde_json::from_slice(line).map_err(header_error)?;
        match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(schema) if schema == u64::from(BATCH_SCHEMA) => serde_json::from_value(value).map_err(header_error),
            Some(found) => Err(BatchError::Schema { found }),
            None => Err(BatchError::Header("it has no `schema` number".into())),
        }
    }
}

#[cfg(test)]
mod tests;
