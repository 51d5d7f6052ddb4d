//! The batches in which the poller hands findings to a rule: newline-delimited JSON, one header line, then one finding a
//! line, compressed by gzip.
//!
//! A line with `passed` asks for no fix: it is what Netskope says of a finding that an earlier run has fixed.

use std::io::{Read as _, Write as _};

use escape::brief;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::{Finding, RunId};
use crate::text::utf8;

/// The longest name of a resource, in bytes: an ARN has at most 2,048.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html> (`ResourceArns`)
const MOST_OF_RESOURCE: usize = 2_048;
/// The longest name of a control or region, in bytes.
const MOST_OF_NAME: usize = 512;
/// The most bytes of a batch, compressed or not. The 200 findings of the poller's batches have less than one million,
/// however long their names are; the 1,000 that its settings allow have less than three, as long as their names are not made
/// of quotes.
pub const MOST_OF_BATCH: usize = 4 * 1024 * 1024;
/// How everything begins that gzip has compressed.
/// <https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1>
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// So many bad lines are told one by one; the others are counted.
const MOST_BAD_LINES: usize = 100;

/// The version of the batch format that this build writes and reads.
pub const BATCH_SCHEMA: u32 = 1;

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

#[derive(Serialize, Deserialize)]
struct Header {
    schema: u32,
    #[serde(flatten)]
    id: BatchId,
    findings: usize,
    /// None in batches of before there were such lines.
    #[serde(default, skip_serializing_if = "is_none")]
    passed: usize,
}

/// What of a line says that it is no finding.
#[derive(Deserialize)]
struct Marked<'a> {
    #[serde(borrow, default)]
    passed: Option<&'a RawValue>,
}

/// A line that asks for no fix.
#[derive(Serialize)]
struct PassedLine<'a> {
    passed: &'a Finding,
}

/// Findings of one rule, as the poller wrote them.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Which batch it is.
    pub id: BatchId,
    /// Its findings.
    pub findings: Vec<Finding>,
    /// Findings of before, which Netskope lists as Passed: nothing is fixed because of them.
    pub passed: Vec<Finding>,
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
    /// It begins as what gzip has compressed, and cannot be decompressed.
    #[error("the batch cannot be decompressed: {0}")]
    Compressed(String),
    /// It is small only as long as it is compressed.
    #[error("the batch has more than {MOST_OF_BATCH} bytes when it is decompressed: split it into several batches")]
    TooLong,
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
        Self { id, findings, passed: Vec::new(), bad_lines: Vec::new() }
    }

    /// A batch without findings, of what Netskope lists as Passed.
    pub fn of_passed(id: BatchId, passed: Vec<Finding>) -> Self {
        Self { passed, ..Self::new(id, Vec::new()) }
    }

    /// The batch as newline-delimited JSON.
    ///
    /// # Errors
    ///
    /// A finding that JSON cannot carry; none is known.
    pub fn to_ndjson(&self) -> serde_json::Result<Vec<u8>> {
        let (findings, passed) = (self.findings.len(), self.passed.len());
        let header = Header { schema: BATCH_SCHEMA, id: self.id.clone(), findings, passed };
        let mut text = serde_json::to_vec(&header)?;
        text.push(b'\n');
        for finding in &self.findings {
            serde_json::to_writer(&mut text, finding)?;
            text.push(b'\n');
        }
        for passed in &self.passed {
            serde_json::to_writer(&mut text, &PassedLine { passed })?;
            text.push(b'\n');
        }
        Ok(text)
    }

    /// The batch as it is stored: as newline-delimited JSON, compressed by gzip. The same batch has the same bytes.
    ///
    /// # Errors
    ///
    /// A finding that JSON cannot carry; none is known.
    pub fn to_stored(&self) -> serde_json::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.to_ndjson()?).map_err(serde_json::Error::io)?;
        encoder.finish().map_err(serde_json::Error::io)
    }

    /// Reads a batch as it is stored, or as [`Batch::from_ndjson`] does where it is not compressed.
    ///
    /// # Errors
    ///
    /// It cannot be decompressed, or is longer than [`MOST_OF_BATCH`] then; or that of [`Batch::from_ndjson`].
    pub fn from_stored(bytes: &[u8], rule: &str) -> Result<Self, BatchError> {
        if !bytes.starts_with(&GZIP) {
            return Self::from_ndjson(bytes, rule);
        }
        let mut text = Vec::new();
        let read = MultiGzDecoder::new(bytes).take(MOST_OF_BATCH as u64 + 1).read_to_end(&mut text);
        read.map_err(|error| BatchError::Compressed(brief(&error.to_string())))?;
        if text.len() > MOST_OF_BATCH { Err(BatchError::TooLong) } else { Self::from_ndjson(&text, rule) }
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
        let (mut last, mut bad) = (1, 0_usize);
        for (line, text) in (2..).zip(lines).filter(|(_, text)| !text.trim_ascii().is_empty()) {
            last = line;
            match row(text) {
                Ok(Row::Finding(finding)) => batch.findings.push(finding),
                Ok(Row::Passed(finding)) => batch.passed.push(finding),
                Err(reason) => {
                    bad += 1;
                    if bad <= MOST_BAD_LINES {
                        batch.bad_lines.push(BatchLineError { line, reason });
                    }
                }
            }
        }
        if bad > MOST_BAD_LINES {
            let reason = format!("{} more lines, up to this one, are not findings", bad - MOST_BAD_LINES);
            batch.bad_lines.push(BatchLineError { line: last, reason });
        }
        let read = batch.findings.len().saturating_add(batch.passed.len()).saturating_add(bad);
        let promised = header.findings.saturating_add(header.passed);
        if read != promised {
            let reason = format!("the header promises {promised} findings, but the batch ends after {read}");
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

/// What a line below the header is.
enum Row {
    Finding(Finding),
    Passed(Finding),
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

/// What a line is. What Netskope lists as Passed says nothing without the time of the scan.
fn row(line: &[u8]) -> Result<Row, String> {
    let error = |error: serde_json::Error| brief(&error.to_string());
    let Some(passed) = serde_json::from_slice::<Marked<'_>>(line).map_err(error)?.passed else {
        return finding(line).map(Row::Finding);
    };
    let passed = finding(passed.get().as_bytes())?;
    if passed.last_scanned.is_none() {
        return Err("it has passed, but nobody says when it was scanned".into());
    }
    Ok(Row::Passed(passed))
}

/// The finding that JSON is. A name longer than any is none: what comes of it would be as long.
fn finding(line: &[u8]) -> Result<Finding, String> {
    let finding: Finding = serde_json::from_slice(line).map_err(|error| brief(&error.to_string()))?;
    for (name, text, most) in [
        ("resource", finding.resource.as_str(), MOST_OF_RESOURCE),
        ("control", &finding.control, MOST_OF_NAME),
        ("region", finding.region.as_ref(), MOST_OF_NAME),
    ] {
        if text.len() > most {
            return Err(format!("its {name} has {} bytes, and at most {most} are allowed", text.len()));
        }
    }
    Ok(finding)
}

#[cfg(test)]
mod tests;
