//! Reading what was stored: nothing is believed before its version is known.

use escape::brief;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A kind of record, with a version of its own.
pub trait Record: DeserializeOwned {
    /// What it is called in errors.
    const KIND: &'static str;
    /// The version that this build writes and reads.
    const SCHEMA: u32;
    /// The most bytes that one has.
    const MOST_BYTES: usize = super::store::MOST_BYTES;
}

/// A record that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is longer than any.
    #[error("the {kind} has {found} bytes, more than the {most} that one can have")]
    TooLong {
        /// The kind of record.
        kind: &'static str,
        /// Its length.
        found: usize,
        /// The most.
        most: usize,
    },
    /// It is of another version.
    #[error(
        "the {kind} has schema version {found}, but this build reads {expected}: it was written by another version of autoremediate"
    )]
    Version {
        /// The kind of record.
        kind: &'static str,
        /// The version that it names.
        found: u64,
        /// The version that this build reads.
        expected: u32,
    },
    /// It is no such record.
    #[error("the {kind} cannot be read: {why}")]
    Json {
        /// The kind of record.
        kind: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// All that is read of a record whose version is not known yet.
#[derive(Deserialize)]
struct Version {
    schema: u64,
}

/// Reads a record.
///
/// # Errors
///
/// It is too long, of another version, or no such record.
pub fn read<R: Record>(bytes: &[u8]) -> Result<R, SchemaError> {
    let (kind, expected, most) = (R::KIND, R::SCHEMA, R::MOST_BYTES);
    if bytes.len() > most {
        return Err(SchemaError::TooLong { kind, found: bytes.len(), most });
    }
    let broken = |error: serde_json::Error| SchemaError::Json { kind, why: brief(&error.to_string()) };
    let Version { schema } = serde_json::from_slice(bytes).map_err(broken)?;
    if schema != u64::from(expected) {
        return Err(SchemaError::Version { kind, found: schema, expected });
    }
    serde_json::from_slice(bytes).map_err(broken)
}
