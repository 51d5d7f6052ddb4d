//! Where batches, plans and reports are kept: the bucket, or a folder when a person runs the command line without one.

use std::io::ErrorKind as IoErrorKind;
use std::path::PathBuf;

use aws_sdk_s3::primitives::ByteStream;
use tokio::fs;
use tokio::io::AsyncWriteExt;

use crate::{Error, Report};

/// How many runs of the same batch keep records of their own before something must be wrong.
const MOST_ATTEMPTS: u32 = 1_000;

/// A store of records.
#[derive(Debug, Clone)]
pub enum Records {
    /// An S3 bucket.
    Bucket {
        /// The client for the bucket's region.
        client: aws_sdk_s3::Client,
        /// The bucket's name.
        bucket: String,
    },
    /// A local folder, made when needed.
    Folder(PathBuf),
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
    /// Every name that the record could have is taken.
    #[error("{key} and {MOST_ATTEMPTS} names after it are taken: the same batch runs again and again")]
    Taken {
        /// The first name.
        key: String,
    },
}

impl Records {
    /// Reads the record `key`.
    ///
    /// # Errors
    ///
    /// It is not there or cannot be read.
    pub async fn get(&self, key: &str) -> Result<Vec<u8>, RecordError> {
        match self {
            Self::Bucket { client, bucket } => {
                let failed = |source| RecordError::Bucket { bucket: bucket.clone(), key: key.to_owned(), source };
                let object = client.get_object().bucket(bucket).key(key).send().await;
                let body = object.map_err(|error| failed(Error::api("s3:GetObject", error)))?.body.collect().await;
                let broken = |error: aws_sdk_s3::primitives::ByteStreamError| Error {
                    action: "s3:GetObject".into(),
                    kind: crate::ErrorKind::Transient,
                    code: None,
                    message: format!("the object's body broke off: {error}"),
                };
                Ok(body.map_err(|error| failed(broken(error)))?.to_vec())
            }
            Self::Folder(folder) => {
                let path = folder.join(key);
                fs::read(&path).await.map_err(|source| RecordError::Folder { path, source })
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
        for attempt in 1..=MOST_ATTEMPTS {
            let name = numbered(key, attempt);
            if self.create(&name, bytes.clone()).await? {
                return Ok(name);
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
        self.put_new(&report.id.report_key(), serde_json::to_vec_pretty(report)?).await
    }

    /// Whether the record could be made; not where one of that name exists.
    async fn create(&self, key: &str, bytes: Vec<u8>) -> Result<bool, RecordError> {
        match self {
            // Conditional writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
            Self::Bucket { client, bucket } => {
                let put = client.put_object().bucket(bucket).key(key).body(ByteStream::from(bytes)).if_none_match("*");
                match put.send().await.map_err(|error| Error::api("s3:PutObject", error)) {
                    Ok(_) => Ok(true),
                    Err(error) if error.code.as_deref() == Some("PreconditionFailed") => Ok(false),
                    Err(source) => Err(RecordError::Bucket { bucket: bucket.clone(), key: key.to_owned(), source }),
                }
            }
            Self::Folder(folder) => {
                let path = folder.join(key);
                match create_file(&path, &bytes).await {
                    Ok(()) => Ok(true),
                    Err(error) if error.kind() == IoErrorKind::AlreadyExists => Ok(false),
                    Err(source) => Err(RecordError::Folder { path, source }),
                }
            }
        }
    }
}

async fn create_file(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).await?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path).await?;
    file.write_all(bytes).await?;
    file.sync_all().await
}

/// `plans/x.json`, then `plans/x.2.json`, `plans/x.3.json`, …
fn numbered(key: &str, attempt: u32) -> String {
    match (attempt, key.rsplit_once('.')) {
        (1, _) => key.to_owned(),
        (_, Some((stem, extension))) => format!("{stem}.{attempt}.{extension}"),
        (_, None) => format!("{key}.{attempt}"),
    }
}
