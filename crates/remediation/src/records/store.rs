//! Where batches, plans and reports are kept: the bucket, or a folder when a person runs the command line without one.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use std::collections::BTreeMap;
use std::fs::File;

use aws_sdk_s3::primitives::ByteStream;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::task;

use super::schema::{Record, SchemaError, read};
use super::{Report, Retention, hexadecimal};
use crate::aws::{AccountId, Error, again_if_passing, call, of_no_account};
use crate::domain::Outcome;
use crate::text::read_at_most;

const GET: &str = "s3:GetObject";
const LIST: &str = "s3:ListBucket";
const PUT: &str = "s3:PutObject";
/// The codes of a condition that does not hold: the record is another, is there, or is not there.
const UNMET: [&str; 2] = ["PreconditionFailed", "NoSuchKey"];
/// The file in a folder of records that whoever replaces a record locks.
const LOCK: &str = ".lock";
/// The most bytes that are read of a record: the plan of a batch has a few million.
pub const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How many runs of the same batch keep records of their own before something must be wrong.
const MOST_ATTEMPTS: usize = 1_000;

/// A store of records.
#[derive(Debug, Clone)]
pub enum Records {
    /// An S3 bucket.
    Bucket {
        /// The client for the bucket's region.
        client: aws_sdk_s3::Client,
        /// The bucket's name.
        bucket: String,
        /// The account that must have it: S3 refuses every call to a bucket of this name that is another's.
        /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>
        owner: AccountId,
        /// For how long plans, reports and approvals are locked.
        retention: Option<Retention>,
    },
    /// A local folder, made when needed.
    Folder(PathBuf),
}

/// Which version of a record it is: its ETag, or the digest of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

/// A record with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Which version that is.
    pub version: Version,
}

/// A record, as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// When it was stored last, by the store's own clock.
    pub stored: Timestamp,
}

/// Where a record is that replaces no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Its key.
    pub key: String,
    /// The number in that, from 1, which is left out.
    pub number: u32,
}

/// On which condition a record is stored.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// There is none of that name.
    Absent,
    /// It is still of this version.
    Unchanged(Version),
}

/// A record that could not be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// An S3 call failed.
    #[error("s3://{bucket}/{key}: {source}")]
    Bucket {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// The call that failed.
        source: Error,
    },
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The record cannot be written as JSON.
    #[error("the record cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is not what it should be.
    #[error("{key}: {source}")]
    Unusable {
        /// The record's key.
        key: String,
        /// What is wrong with it.
        source: SchemaError,
    },
    /// It is longer than any such record.
    #[error("{key} has more than {most} bytes, so it was not read")]
    TooLong {
        /// The record's key.
        key: String,
        /// The most bytes that are read.
        most: usize,
    },
    /// A ledger has its last page.
    #[error("{key} is the last page that a ledger can have: no run writes so many, so look at who wrote them")]
    Full {
        /// The page's key.
        key: String,
    },
    /// Every name that the record could have is taken.
    #[error("{key} and {MOST_ATTEMPTS} names after it are taken: the same batch runs again and again")]
    Taken {
        /// The first name.
        key: String,
    },
}

impl RecordError {
    /// Whether another try helps, without anybody's doing.
    pub fn passes(&self) -> bool {
        self.outcome() == Outcome::Deferred
    }

    /// What is reported of findings for which nothing was done because of this.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Bucket { source, .. } if source.kind.outcome() == Outcome::Deferred => Outcome::Deferred,
            _ => Outcome::Failed,
        }
    }
}

impl Records {
    /// Reads the record `key`.
    ///
    /// # Errors
    ///
    /// It is not there or cannot be read.
    pub async fn get(&self, key: &str) -> Result<Vec<u8>, RecordError> {
        Ok(self.fetch(key).await?.bytes)
    }

    /// Reads the record `key` as what it must be, and no further than such a record can be long.
    ///
    /// # Errors
    ///
    /// It is not there, cannot be read, or is something else.
    pub async fn get_as<R: Record>(&self, key: &str) -> Result<R, RecordError> {
        let unusable = |source| RecordError::Unusable { key: key.to_owned(), source };
        read(&self.get_at_most(key, R::MOST_BYTES).await?).map_err(unusable)
    }

    /// Reads the record `key`, if there is one.
    ///
    /// In a bucket, only who may list all of it is told that a record is not there.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub async fn find(&self, key: &str) -> Result<Option<Stored>, RecordError> {
        self.find_at_most(key, MOST_BYTES).await
    }

    /// Reads the record `key`, of at most `most` bytes, if there is one.
    ///
    /// # Errors
    ///
    /// It is larger, or cannot be read.
    pub async fn find_at_most(&self, key: &str, most: usize) -> Result<Option<Stored>, RecordError> {
        match self.fetch_at_most(key, most).await {
            Ok(stored) => Ok(Some(stored)),
            Err(RecordError::Bucket { source, .. }) if source.code.as_deref() == Some("NoSuchKey") => Ok(None),
            Err(RecordError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the record `key` with its version.
    ///
    /// # Errors
    ///
    /// It is not there or cannot be read.
    pub async fn fetch(&self, key: &str) -> Result<Stored, RecordError> {
        self.fetch_at_most(key, MOST_BYTES).await
    }

    /// Reads the record `key`, of at most `most` bytes, where there is little memory for it.
    ///
    /// # Errors
    ///
    /// It is not there, is larger, or cannot be read.
    pub async fn get_at_most(&self, key: &str, most: usize) -> Result<Vec<u8>, RecordError> {
        Ok(self.fetch_at_most(key, most).await?.bytes)
    }

    /// Reads the record `key`, of at most `most` bytes, with its version. No more than that is kept of a longer one, and
    /// nothing after it is read.
    ///
    /// # Errors
    ///
    /// It is not there, is larger, or cannot be read.
    pub async fn fetch_at_most(&self, key: &str, most: usize) -> Result<Stored, RecordError> {
        match self {
            Self::Bucket { client, bucket, owner, .. } => {
                let failed = |source| RecordError::Bucket { bucket: bucket.clone(), key: key.to_owned(), source };
                let read = || async {
                    let object =
                        client.get_object().bucket(bucket).expected_bucket_owner(owner.as_ref()).key(key).send();
                    // The SDK's futures are large: without a box, so would be whatever reads.
                    let object = Box::pin(object).await.map_err(|error| Error::api(GET, error))?;
                    let version = version(GET, object.e_tag())?;
                    let (mut body, mut bytes) = (object.body, Vec::new());
                    // By what comes: the length that is announced is only that.
                    while let Some(part) = body.try_next().await.map_err(|error| Error::broken_off(GET, &error))? {
                        if bytes.len().saturating_add(part.len()) > most {
                            return Ok(None);
                        }
                        bytes.extend_from_slice(&part);
                    }
                    Ok(Some(Stored { bytes, version }))
                };
                let stored = of_no_account(again_if_passing(read)).await.map_err(failed)?;
                stored.ok_or_else(|| RecordError::TooLong { key: key.to_owned(), most })
            }
            Self::Folder(folder) => {
                let path = folder.join(key);
                let file = path.clone();
                let bytes = in_background(move || read_at_most(File::open(file)?, most)).await;
                let bytes = bytes.map_err(|source| match source.kind() {
                    io::ErrorKind::FileTooLarge => RecordError::TooLong { key: key.to_owned(), most },
                    _ => RecordError::Folder { path, source },
                })?;
                let version = version_of(&bytes);
                Ok(Stored { bytes, version })
            }
        }
    }

    /// Stores a record that never replaces another: where `key` is taken, a number is added to it. Gives the key that
    /// it was stored under. A batch that is run again so keeps the plan of what the first run wrote.
    ///
    /// # Errors
    ///
    /// It could not be stored.
    pub async fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<String, RecordError> {
        Ok(self.put_new_from(1, key, bytes).await?.key)
    }

    /// The same from the number `first` on, for whoever knows that the names before it are taken.
    ///
    /// # Errors
    ///
    /// It could not be stored.
    pub async fn put_new_from(&self, first: u32, key: &str, bytes: Vec<u8>) -> Result<Numbered, RecordError> {
        for number in (first..).take(MOST_ATTEMPTS) {
            let name = numbered(key, number);
            if self.create(&name, bytes.clone()).await? {
                return Ok(Numbered { key: name, number });
            }
        }
        Err(RecordError::Taken { key: key.to_owned() })
    }

    /// Stores a report and gives its key.
    ///
    /// # Errors
    ///
    /// It could not be stored.
    pub async fn store_report(&self, report: &Report) -> Result<String, RecordError> {
        self.put_new(&report.id.report_key(), serde_json::to_vec(report)?).await
    }

    /// The keys that begin with `prefix`, in their order.
    ///
    /// # Errors
    ///
    /// They cannot be listed.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, RecordError> {
        Ok(self.versions(prefix).await?.into_keys().collect())
    }

    /// The records whose keys begin with `prefix` and come after `after` in their order, the first `most` of them.
    ///
    /// # Errors
    ///
    /// They cannot be listed.
    pub async fn list_after(&self, prefix: &str, after: &str, most: usize) -> Result<Vec<Listed>, RecordError> {
        match self {
            Self::Bucket { client, bucket, owner, .. } => {
                let list = || client.list_objects_v2().bucket(bucket).expected_bucket_owner(owner.as_ref());
                let failed = |source| RecordError::Bucket { bucket: bucket.clone(), key: prefix.to_owned(), source };
                let (mut listed, mut next) = (Vec::new(), None::<String>);
                loop {
                    let page = || {
                        let list = list().prefix(prefix).set_continuation_token(next.clone());
                        // A list that goes on knows where.
                        if next.is_none() { list.start_after(after).send() } else { list.send() }
                    };
                    let page = call(LIST, page).await.map_err(failed)?;
                    for object in page.contents.unwrap_or_default() {
                        let stored = object.last_modified.and_then(|at| Timestamp::from_second(at.secs()).ok());
                        if let (Some(key), Some(stored)) = (object.key, stored) {
                            listed.push(Listed { key, stored });
                        }
                    }
                    next = page.next_continuation_token;
                    if next.is_none() || listed.len() >= most {
                        listed.truncate(most);
                        return Ok(listed);
                    }
                }
            }
            Self::Folder(folder) => {
                let (root, start) = (folder.clone(), prefix.to_owned());
                let keys = in_background(move || list_folder(&root, &start)).await;
                let keys = keys.map_err(|source| RecordError::Folder { path: folder.join(prefix), source })?;
                let (root, after) = (folder.clone(), after.to_owned());
                let listed = in_background(move || {
                    let keys = keys.into_keys().filter(|key| key.as_str() > after.as_str()).take(most);
                    keys.map(|key| {
                        let stored = Timestamp::try_from(root.join(&key).metadata()?.modified()?);
                        Ok(Listed { key, stored: stored.map_err(io::Error::other)? })
                    })
                    .collect()
                });
                listed.await.map_err(|source| RecordError::Folder { path: folder.join(prefix), source })
            }
        }
    }

    /// The keys that begin with `prefix`, each with its version.
    ///
    /// # Errors
    ///
    /// They cannot be listed.
    pub async fn versions(&self, prefix: &str) -> Result<BTreeMap<String, Version>, RecordError> {
        match self {
            Self::Bucket { client, bucket, owner, .. } => {
                let list = || client.list_objects_v2().bucket(bucket).expected_bucket_owner(owner.as_ref());
                let pages = || list().prefix(prefix).into_paginator().send().collect();
                let failed = |source| RecordError::Bucket { bucket: bucket.clone(), key: prefix.to_owned(), source };
                let pages: Vec<_> = of_no_account(call(LIST, pages)).await.map_err(failed)?;
                let objects = pages.into_iter().flat_map(|page| page.contents.unwrap_or_default());
                let listed = objects.filter_map(|object| Some((object.key?, object.e_tag)));
                let listed = listed.map(|(key, tag)| Ok((key, version(LIST, tag.as_deref())?)));
                listed.collect::<Result<_, _>>().map_err(failed)
            }
            Self::Folder(folder) => {
                let (root, start) = (folder.clone(), prefix.to_owned());
                let listed = in_background(move || list_folder(&root, &start)).await;
                listed.map_err(|source| RecordError::Folder { path: folder.join(prefix), source })
            }
        }
    }

    /// Whether the record could be made; not where one of that name exists.
    ///
    /// # Errors
    ///
    /// It could not be stored.
    pub async fn create(&self, key: &str, bytes: Vec<u8>) -> Result<bool, RecordError> {
        Ok(self.put_if(&Condition::Absent, key, bytes).await?.is_some())
    }

    /// Stores a record on a condition, and gives its version; none where the condition does not hold. That the record is
    /// there already, as it is to be stored, is its own success whose answer was lost.
    ///
    /// # Errors
    ///
    /// It could not be stored.
    pub async fn put_if(
        &self,
        condition: &Condition,
        key: &str,
        bytes: Vec<u8>,
    ) -> Result<Option<Version>, RecordError> {
        match self {
            Self::Bucket { client, bucket, owner, retention } => {
                let retention = retention.as_ref().filter(|_| Retention::is_of(key));
                let failed = |source| RecordError::Bucket { bucket: bucket.clone(), key: key.to_owned(), source };
                let put = || {
                    let put = client.put_object().bucket(bucket).expected_bucket_owner(owner.as_ref()).key(key);
                    let put = match condition {
                        Condition::Absent => put.if_none_match("*"),
                        Condition::Unchanged(Version(tag)) => put.if_match(tag),
                    };
                    let put = put
                        .set_object_lock_mode(retention.map(Retention::mode))
                        .set_object_lock_retain_until_date(retention.map(|of| of.until(ambient::now())));
                    put.body(ByteStream::from(bytes.clone())).send()
                };
                match of_no_account(call(PUT, put)).await {
                    Ok(answer) => version(PUT, answer.e_tag()).map(Some).map_err(failed),
                    Err(Error { code: Some(code), .. }) if UNMET.contains(&code.as_str()) => {
                        let found = match self.find_at_most(key, bytes.len()).await {
                            // What is longer is not this record.
                            Err(RecordError::TooLong { .. }) => None,
                            found => found?,
                        };
                        Ok(found.filter(|found| found.bytes == bytes).map(|found| found.version))
                    }
                    Err(source) => Err(failed(source)),
                }
            }
            Self::Folder(folder) => {
                let path = folder.join(key);
                let (root, file, condition) = (folder.clone(), path.clone(), condition.clone());
                let stored = in_background(move || match condition {
                    Condition::Absent => create_file(&file, &bytes),
                    Condition::Unchanged(version) => replace_file(&root, &file, &bytes, &version),
                });
                stored.await.map_err(|source| RecordError::Folder { path, source })
            }
        }
    }
}

/// An ETag, without which nothing can be stored on condition of it.
fn version(action: &str, tag: Option<&str>) -> Result<Version, Error> {
    tag.map(|tag| Version(tag.to_owned())).ok_or_else(|| Error::unusable(action, "no ETag"))
}

fn version_of(bytes: &[u8]) -> Version {
    Version(hexadecimal(&Sha256::digest(bytes)))
}

/// The version of a file, of which never more than a part is in memory.
fn version_of_file(path: &Path) -> io::Result<Version> {
    let (mut file, mut sum) = (BufReader::new(File::open(path)?), Sha256::new());
    loop {
        let part = file.fill_buf()?;
        if part.is_empty() {
            return Ok(Version(hexadecimal(&sum.finalize())));
        }
        sum.update(part);
        let length = part.len();
        file.consume(length);
    }
}

/// Runs what blocks where it may.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    task::spawn_blocking(work).await.unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
}

/// Makes the file; not where one of that name exists. It appears whole or not at all.
fn create_file(path: &Path, bytes: &[u8]) -> io::Result<Option<Version>> {
    match write_beside(path, bytes)?.persist_noclobber(path) {
        Ok(_) => Ok(Some(version_of(bytes))),
        Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(failed) => Err(failed.error),
    }
}

/// Replaces the file where it is still of `version`. Whoever replaces holds the lock of the whole folder.
fn replace_file(root: &Path, path: &Path, bytes: &[u8], version: &Version) -> io::Result<Option<Version>> {
    let lock = File::options().create(true).truncate(false).write(true).open(root.join(LOCK))?;
    lock.lock()?;
    match version_of_file(path) {
        Ok(found) if found == *version => {
            write_beside(path, bytes)?.persist(path).map_err(|failed| failed.error)?;
            Ok(Some(version_of(bytes)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file of another name in the same folder, written and synchronized.
fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// The keys below `root` that begin with `prefix`, of which only the last part may be a part of a name. What begins with a
/// dot is no record: it is the lock, or what a write that was cut off has left.
fn list_folder(root: &Path, prefix: &str) -> io::Result<BTreeMap<String, Version>> {
    let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (mut keys, mut folders) = (BTreeMap::new(), vec![root.join(folder)]);
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let (path, is_record) = (entry.path(), !entry.file_name().as_encoded_bytes().starts_with(b"."));
            if path.is_dir() {
                folders.push(path);
            } else if let Some(key) = path.strip_prefix(root).ok().and_then(Path::to_str)
                && is_record
                && key.starts_with(prefix)
            {
                keys.insert(key.to_owned(), version_of_file(&path)?);
            }
        }
    }
    Ok(keys)
}

/// `plans/x.json`, then `plans/x.2.json`, `plans/x.3.json`, …; `findings/x.ndjson.gz`, then `findings/x.2.ndjson.gz`.
fn numbered(key: &str, attempt: u32) -> String {
    let name = key.rfind('/').map_or(0, |slash| slash + 1);
    match (attempt, key[name..].find('.')) {
        (1, _) => key.to_owned(),
        (_, Some(dot)) => format!("{}.{attempt}{}", &key[..name + dot], &key[name + dot..]),
        (_, None) => format!("{key}.{attempt}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_sdk_s3::Client;
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
    use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
    use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
    use aws_sdk_s3::types::ObjectLockMode;
    use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
    use tempfile::{NamedTempFile, TempDir};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::domain::RunId;
    use crate::records::{BatchId, Card};

    const OWNER: &str = "111111111111";

    fn bucket(rules: &[&MockRule]) -> Records {
        of_owner(mock_client!(aws_sdk_s3, RuleMode::MatchAny, rules))
    }

    fn of_owner(client: Client) -> Records {
        Records::Bucket { client, bucket: "records".into(), owner: OWNER.parse().unwrap(), retention: None }
    }

    fn metadata(code: &'static str) -> ErrorMetadata {
        ErrorMetadata::builder().code(code).message("told so").build()
    }

    /// The answer to a put of `key`, which must not replace anything.
    fn put(key: &'static str, refused: Option<&'static str>) -> MockRule {
        let rule = mock!(Client::put_object).match_requests(move |request| {
            (request.bucket(), request.key(), request.if_none_match()) == (Some("records"), Some(key), Some("*"))
        });
        match refused {
            None => rule.then_output(|| PutObjectOutput::builder().e_tag("\"1\"").build()),
            Some(code) => rule.then_error(move || PutObjectError::generic(metadata(code))),
        }
    }

    /// The answer to reading any record: these bytes.
    fn stored(bytes: &'static [u8]) -> MockRule {
        mock!(Client::get_object)
            .then_output(move || GetObjectOutput::builder().e_tag("\"1\"").body(ByteStream::from_static(bytes)).build())
    }

    #[test]
    fn a_later_attempt_has_its_number_before_all_that_says_what_it_is() {
        for (key, second) in [
            ("plans/a.b/x-1.json", "plans/a.b/x-1.2.json"),
            ("findings/r/x-1.ndjson.gz", "findings/r/x-1.2.ndjson.gz"),
            ("a.b/x", "a.b/x.2"),
        ] {
            assert_eq!((numbered(key, 1), numbered(key, 2)), (key.to_owned(), second.to_owned()));
        }
    }

    #[tokio::test]
    async fn a_folder_keeps_every_record_under_a_name_of_its_own() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        for (key, names) in [
            ("plans/r/x.json", ["plans/r/x.json", "plans/r/x.2.json", "plans/r/x.3.json"]),
            ("plain", ["plain", "plain.2", "plain.3"]),
        ] {
            for name in names {
                assert_eq!(records.put_new(key, name.into()).await.unwrap(), name);
            }
            for name in names {
                assert_eq!(records.get(name).await.unwrap(), name.as_bytes(), "{name} was replaced");
            }
        }
    }

    #[tokio::test]
    async fn records_written_at_once_all_stay() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        let put = |number: u8| records.put_new("x.json", vec![number]);
        let keys = futures::future::try_join_all((0..20).map(put)).await.unwrap();
        for (number, key) in (0..20).zip(keys) {
            assert_eq!(records.get(&key).await.unwrap(), [number], "{key}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_used_is_named() {
        let file = NamedTempFile::new().unwrap();
        let records = Records::Folder(file.path().into());
        for error in [records.put_new("x.json", vec![]).await.unwrap_err(), records.get("x.json").await.unwrap_err()] {
            assert!(error.to_string().starts_with(&format!("{}/x.json: ", file.path().display())), "{error}");
        }
    }

    #[tokio::test]
    async fn a_name_that_is_taken_in_the_bucket_gets_a_number() {
        let first = put("x.json", Some("PreconditionFailed"));
        let second = put("x.2.json", Some("PreconditionFailed"));
        let third = put("x.3.json", None);
        let others = stored(b"another run's");
        let records = bucket(&[&first, &second, &third, &others]);
        assert_eq!(records.put_new("x.json", b"ours".into()).await.unwrap(), "x.3.json");
        assert_eq!([first, second, third].map(|rule| rule.num_calls()), [1; 3]);
    }

    #[tokio::test]
    async fn a_record_that_was_stored_although_the_answer_was_lost_is_stored_once() {
        let (again, ours) = (put("x.json", Some("PreconditionFailed")), stored(b"ours"));
        let records = bucket(&[&again, &ours]);
        assert_eq!(records.put_new("x.json", b"ours".into()).await.unwrap(), "x.json");
        assert_eq!(again.num_calls(), 1);
    }

    #[tokio::test]
    async fn a_record_that_somebody_else_writes_at_this_moment_is_asked_for_again() {
        let put = mock!(Client::put_object).sequence();
        let put = put.error(|| PutObjectError::generic(metadata("ConditionalRequestConflict"))).times(2);
        let put = put.output(|| PutObjectOutput::builder().e_tag("\"1\"").build()).build();
        let records = of_owner(mock_client!(aws_sdk_s3, RuleMode::Sequential, &[&put]));
        assert_eq!(records.put_new("x.json", vec![]).await.unwrap(), "x.json");
        assert_eq!(put.num_calls(), 3);
    }

    /// The answers to a put on condition that the record is still of the version 1.
    fn replace(refused: Option<&'static str>) -> MockRule {
        let rule = mock!(Client::put_object)
            .match_requests(|request| (request.if_match(), request.if_none_match()) == (Some("\"1\""), None));
        match refused {
            None => rule.then_output(|| PutObjectOutput::builder().e_tag("\"2\"").build()),
            Some(code) => rule.then_error(move || PutObjectError::generic(metadata(code))),
        }
    }

    fn version_one() -> Condition {
        Condition::Unchanged(Version("\"1\"".into()))
    }

    #[tokio::test]
    async fn a_record_is_replaced_only_while_it_is_of_the_version_that_was_read() {
        let replaced = bucket(&[&replace(None)]).put_if(&version_one(), "x.json", b"new".into()).await.unwrap();
        assert_eq!(replaced, Some(Version("\"2\"".into())));
        for code in ["PreconditionFailed", "NoSuchKey"] {
            let (refused, others) = (replace(Some(code)), stored(b"another's"));
            let records = bucket(&[&refused, &others]);
            assert_eq!(records.put_if(&version_one(), "x.json", b"new".into()).await.unwrap(), None, "{code}");
        }
        let (lost, ours) = (replace(Some("PreconditionFailed")), stored(b"new"));
        let stored = bucket(&[&lost, &ours]).put_if(&version_one(), "x.json", b"new".into()).await.unwrap();
        assert!(stored.is_some(), "the answer was lost, and the record is ours");
        let error = bucket(&[&replace(Some("AccessDenied"))]).put_if(&version_one(), "x.json", vec![]).await;
        assert!(error.unwrap_err().to_string().contains("s3:PutObject: AccessDenied"));
    }

    #[tokio::test]
    async fn of_many_that_replace_a_file_of_one_version_one_does() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        assert!(records.create("a/x.json", b"0".into()).await.unwrap());
        for round in 0..20_u8 {
            let Stored { version, .. } = records.fetch("a/x.json").await.unwrap();
            let condition = Condition::Unchanged(version);
            let put = |number: u8| records.put_if(&condition, "a/x.json", vec![b'x', round, number]);
            let stored = futures::future::try_join_all((0..8).map(put)).await.unwrap();
            assert_eq!(stored.iter().flatten().count(), 1);
        }
        let gone = Condition::Unchanged(Version("0".into()));
        assert_eq!(records.put_if(&gone, "b.json", vec![]).await.unwrap(), None);
        assert_eq!(records.find("b.json").await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_begins_with_a_dot_is_no_record() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        assert!(records.create("a/x.json", b"{}".into()).await.unwrap());
        for left in [".lock", "a/.tmpAbC123", "a/.tmpx.json"] {
            std::fs::write(folder.path().join(left), "half").unwrap();
        }
        assert_eq!(records.list("").await.unwrap(), ["a/x.json"]);
    }

    #[tokio::test]
    async fn another_error_of_the_bucket_names_the_action_and_ends_it() {
        let refused = put("x.json", Some("AccessDenied"));
        let error = bucket(&[&refused]).put_new("x.json", vec![]).await.unwrap_err().to_string();
        assert!(error.starts_with("s3://records/x.json: s3:PutObject: AccessDenied: told so"), "{error}");
        let missing = mock!(Client::get_object).then_error(|| GetObjectError::generic(metadata("NoSuchKey")));
        let error = bucket(&[&missing]).get("x.json").await.unwrap_err().to_string();
        assert!(error.starts_with("s3://records/x.json: s3:GetObject: NoSuchKey: told so"), "{error}");
    }

    #[tokio::test]
    async fn names_run_out_in_the_end() {
        let taken = mock!(Client::put_object).then_error(|| PutObjectError::generic(metadata("PreconditionFailed")));
        let others = stored(b"another run's");
        let error = bucket(&[&taken, &others]).put_new("x.json", vec![]).await.unwrap_err();
        assert!(matches!(error, RecordError::Taken { key } if key == "x.json"));
        assert_eq!(taken.num_calls(), 1_000);
    }

    #[tokio::test]
    async fn what_is_kept_is_put_with_the_retention_and_nothing_else_is() {
        let put = |locked: bool| {
            mock!(Client::put_object)
                .match_requests(move |request| {
                    let until = request.object_lock_retain_until_date().map(|until| until.secs());
                    let left = until.map(|until| until - jiff::Timestamp::now().as_second());
                    let days = left.is_some_and(|left| (9 * 86_400..=10 * 86_400).contains(&left));
                    let asked = request.object_lock_mode() == Some(&ObjectLockMode::Governance) && days;
                    let none = request.object_lock_mode().is_none() && until.is_none();
                    if locked { asked } else { none }
                })
                .then_output(|| PutObjectOutput::builder().e_tag("\"1\"").build())
        };
        for (key, locked) in [("plans/r/x.json", true), ("resources/r/x.json", false), ("ledgers/r/1.json", false)] {
            let rule = put(locked);
            let records = Records::Bucket {
                client: mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&rule]),
                bucket: "records".into(),
                owner: OWNER.parse().unwrap(),
                retention: Some("GOVERNANCE/10".parse().unwrap()),
            };
            assert!(records.create(key, vec![]).await.unwrap(), "{key}");
            assert_eq!(rule.num_calls(), 1, "{key}");
        }
    }

    #[tokio::test]
    async fn every_call_says_whose_the_bucket_must_be() {
        let object = || GetObjectOutput::builder().e_tag("\"1\"").body(ByteStream::from_static(b"{}")).build();
        let rules = [
            mock!(Client::get_object)
                .match_requests(|request| request.expected_bucket_owner() == Some(OWNER))
                .then_output(object),
            mock!(Client::put_object)
                .match_requests(|request| request.expected_bucket_owner() == Some(OWNER))
                .then_output(|| PutObjectOutput::builder().e_tag("\"1\"").build()),
            mock!(Client::list_objects_v2)
                .match_requests(|request| request.expected_bucket_owner() == Some(OWNER))
                .then_output(|| ListObjectsV2Output::builder().build()),
        ];
        let records = bucket(&rules.iter().collect::<Vec<_>>());
        records.get("x.json").await.unwrap();
        records.put_new("x.json", vec![]).await.unwrap();
        records.list("x").await.unwrap();
        assert_eq!(rules.map(|rule| rule.num_calls()), [1; 3]);
    }

    #[tokio::test]
    async fn a_record_is_read_from_the_bucket() {
        let read = mock!(Client::get_object)
            .match_requests(|request| (request.bucket(), request.key()) == (Some("records"), Some("x.json")))
            .then_output(|| GetObjectOutput::builder().e_tag("\"1\"").body(ByteStream::from_static(b"{}")).build());
        assert_eq!(bucket(&[&read]).get("x.json").await.unwrap(), b"{}");
    }

    #[tokio::test]
    async fn a_record_longer_than_there_is_room_for_is_not_read_and_does_not_pass() {
        let records = bucket(&[&stored(b"12345")]);
        assert_eq!(records.get_at_most("x.json", 5).await.unwrap(), b"12345");
        let error = records.get_at_most("x.json", 4).await.unwrap_err();
        assert_eq!(error.to_string(), "x.json has more than 4 bytes, so it was not read");
        assert!(!error.passes());
    }

    #[tokio::test]
    async fn a_record_longer_than_its_kind_can_be_is_read_no_further_from_a_folder() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        let most = Card::MOST_BYTES;
        records.create("x.json", vec![b' '; most]).await.unwrap();
        assert_eq!(records.get_at_most("x.json", most).await.unwrap().len(), most);
        // A file that takes no room, and would not fit into any memory.
        let file = File::create(folder.path().join("y.json")).unwrap();
        file.set_len(1 << 40).unwrap();
        let says = |most: usize| format!("y.json has more than {most} bytes, so it was not read");
        assert_eq!(records.get_as::<Card>("y.json").await.unwrap_err().to_string(), says(most));
        assert_eq!(records.find_at_most("y.json", most).await.unwrap_err().to_string(), says(most));
        assert_eq!(records.fetch("y.json").await.unwrap_err().to_string(), says(MOST_BYTES));
    }

    #[tokio::test]
    async fn of_an_object_that_never_ends_no_more_is_read_than_its_kind_can_have() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 8192];
                let _ = stream.read(&mut request).await.unwrap();
                // No length is announced, and none could be believed.
                let head = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nTransfer-Encoding: chunked\r\n\r\n";
                let _ = stream.write_all(head.as_bytes()).await;
                let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
                while count.load(Ordering::Relaxed) < 1 << 30 && stream.write_all(&chunk).await.is_ok() {
                    count.fetch_add(0x10000, Ordering::Relaxed);
                }
            }
        });
        let config = aws_sdk_s3::Config::builder()
            .behavior_version_latest()
            .region(aws_sdk_s3::config::Region::new("us-east-1"))
            .allow_no_auth()
            .force_path_style(true)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(format!("http://{address}"))
            .build();
        let records = of_owner(Client::from_conf(config));
        let error = records.get_as::<Card>("x.json").await.unwrap_err();
        assert_eq!(error.to_string(), format!("x.json has more than {} bytes, so it was not read", Card::MOST_BYTES));
        drop(records);
        server.abort();
        // What the sockets hold is sent, too.
        let sent = sent.load(Ordering::Relaxed);
        assert!(sent < 16 << 20, "{sent} bytes were taken of a card");
    }

    #[tokio::test]
    async fn what_is_longer_than_was_announced_is_read_no_further_either() {
        let longer = mock!(Client::get_object).then_output(|| {
            let body = ByteStream::from(vec![b' '; Card::MOST_BYTES + 1]);
            GetObjectOutput::builder().e_tag("\"1\"").content_length(2).body(body).build()
        });
        let error = bucket(&[&longer]).get_as::<Card>("x.json").await.unwrap_err();
        assert!(matches!(error, RecordError::TooLong { most: Card::MOST_BYTES, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_name_that_a_longer_record_has_is_taken() {
        let taken = mock!(Client::put_object).then_error(|| PutObjectError::generic(metadata("PreconditionFailed")));
        let others = stored(b"ours, and more");
        assert!(!bucket(&[&taken, &others]).create("x.json", b"ours".into()).await.unwrap());
    }

    #[tokio::test]
    async fn a_report_is_stored_as_json_under_its_batchs_key() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        let id = BatchId { rule: "open-door".into(), run: RunId::start(), batch: 3 };
        let report = Report::unreadable(id.clone(), "broken".into());
        let key = records.store_report(&report).await.unwrap();
        assert_eq!(key, id.report_key());
        assert_eq!(serde_json::from_slice::<Report>(&records.get(&key).await.unwrap()).unwrap(), report);
        assert_eq!(records.store_report(&report).await.unwrap(), id.report_key().replace(".json", ".2.json"));
    }
}
