//! The bucket of records: S3, as far as the product asks it.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use jiff::Timestamp;
use remediation::Records;
use remediation::records::TURNS_KEY;

use crate::actor::Actor;
use crate::chance::Chance;
use crate::fault::Fault;
use crate::wire::{self, Answer, Arrived};
use crate::world::lock;

/// Its name.
pub(crate) const BUCKET: &str = "records";

/// The bucket.
#[derive(Debug)]
pub(crate) struct Store {
    objects: Mutex<BTreeMap<String, Object>>,
    asked: Mutex<Requests>,
    chance: Chance,
    /// Whether pages are as long as S3's, as far as that can be measured; else they are short, so that there are several.
    whole_pages: AtomicBool,
}

/// How many requests it has had, in the classes that S3 charges for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub(crate) struct Requests {
    pub(crate) put: i64,
    /// Listings, whose pages here are shorter than S3's: each counts once.
    pub(crate) list: i64,
    pub(crate) get: i64,
    /// Writes of the turns in which Netskope is asked, each of which comes with a read.
    pub(crate) turns: i64,
}

/// An object.
#[derive(Debug, Clone)]
struct Object {
    bytes: Arc<Vec<u8>>,
    /// When it was stored.
    stored: Timestamp,
    /// What it was before somebody spoilt it.
    sound: Option<Arc<Vec<u8>>>,
}

impl Object {
    /// S3's ETag follows from what the object holds.
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// The records of a process: the product's own code over this bucket.
pub(crate) fn records() -> Records {
    let config = aws_sdk_s3::config::Builder::from(&wire::config())
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    let owner = "999999999999".parse().expect("an account");
    Records::Bucket { client: aws_sdk_s3::Client::from_conf(config), bucket: BUCKET.into(), owner, retention: None }
}

impl Store {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            objects: Mutex::default(),
            asked: Mutex::default(),
            chance: Chance::new(seed, "store"),
            whole_pages: AtomicBool::new(false),
        }
    }

    /// Lists in pages as long as S3's from now on.
    #[cfg(test)]
    pub(crate) fn list_whole_pages(&self) {
        self.whole_pages.store(true, Ordering::Relaxed);
    }

    /// How many requests it has had so far.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> Requests {
        *lock(&self.asked)
    }

    fn count(&self, request: &Arrived) {
        let mut asked = lock(&self.asked);
        if request.url.path().ends_with(TURNS_KEY) {
            asked.turns += i64::from(request.method == "PUT");
            return;
        }
        match (request.query("prefix"), request.method.as_str()) {
            (Some(_), _) => asked.list += i64::from(request.query("continuation-token").is_none()),
            (None, "PUT") => asked.put += 1,
            (None, _) => asked.get += 1,
        }
    }

    pub(crate) fn answer(&self, actor: &Arc<Actor>, request: &Arrived) -> Answer {
        self.count(request);
        let world = &actor.world;
        if world.strikes(Fault::Throttled, &self.chance) {
            return error(503, "SlowDown");
        }
        if world.strikes(Fault::Failing, &self.chance) {
            return error(500, "InternalError");
        }
        if let Some(prefix) = request.query("prefix") {
            let after = request.query("continuation-token").or_else(|| request.query("start-after"));
            return self.list(&prefix, after.as_deref());
        }
        let path = request.url.path().strip_prefix(&format!("/{BUCKET}/")).unwrap_or_default();
        let key = path.replace("%20", " ");
        match request.method.as_str() {
            "PUT" => self.put(actor, key, request),
            _ => self.get_object(&key),
        }
    }

    fn put(&self, actor: &Arc<Actor>, key: String, request: &Arrived) -> Answer {
        let found = lock(&self.objects).get(&key).cloned();
        let absent = request.header("if-none-match").is_some();
        let unchanged = request.header("if-match").map(|tag| tag.trim_matches('"').to_owned());
        let conditional = absent || unchanged.is_some();
        if conditional && actor.world.strikes(Fault::Conflict, &self.chance) {
            return error(409, "ConditionalRequestConflict");
        }
        match (&found, unchanged) {
            (Some(_), _) if absent => return error(412, "PreconditionFailed"),
            (None, Some(_)) => return error(404, "NoSuchKey"),
            (Some(found), Some(tag)) if found.tag() != tag => return error(412, "PreconditionFailed"),
            _ => {}
        }
        let object = Object { bytes: Arc::new(request.body.clone()), stored: actor.world.now(), sound: None };
        let tag = object.tag();
        let before = found.map(|found| found.bytes);
        lock(&self.objects).insert(key.clone(), object);
        crate::invariants::stored(actor, &key, before.as_deref().map(Vec::as_slice), &request.body, conditional);
        actor.world.lambdas.stored(actor, &key);
        Answer::new(200, "").tagged(&tag)
    }

    fn get_object(&self, key: &str) -> Answer {
        match lock(&self.objects).get(key) {
            Some(object) => Answer::new(200, object.bytes.as_slice()).tagged(&object.tag()),
            None => error(404, "NoSuchKey"),
        }
    }

    /// Pages of a few keys, so that there are several.
    fn list(&self, prefix: &str, after: Option<&str>) -> Answer {
        let few = usize::try_from(self.chance.between(1, 8)).expect("a few");
        let most = if self.whole_pages.load(Ordering::Relaxed) { 1_000 } else { few };
        let objects = lock(&self.objects);
        let keys = objects.iter().filter(|(key, _)| key.starts_with(prefix));
        let mut keys = keys.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        let page: Vec<_> = keys.by_ref().take(most).collect();
        let next = keys.next().and(page.last());
        let object = |(key, object): &(&String, &Object)| {
            let (tag, size) = (object.tag(), object.bytes.len());
            let stored = format!("<LastModified>{}</LastModified>", object.stored.strftime("%Y-%m-%dT%H:%M:%S.000Z"));
            format!("<Contents><Key>{key}</Key>{stored}<ETag>\"{tag}\"</ETag><Size>{size}</Size></Contents>")
        };
        let contents: String = page.iter().map(object).collect();
        let next = next.map(|(key, _)| format!("<NextContinuationToken>{key}</NextContinuationToken>"));
        let truncated = next.is_some();
        let next = next.unwrap_or_default();
        let result = format!("<IsTruncated>{truncated}</IsTruncated>{next}{contents}");
        Answer::new(200, format!("<ListBucketResult>{result}</ListBucketResult>"))
    }

    /// What is stored under `key`, as root sees it.
    pub(crate) fn peek(&self, key: &str) -> Option<Arc<Vec<u8>>> {
        lock(&self.objects).get(key).map(|object| Arc::clone(&object.bytes))
    }

    /// The keys that begin so, as root sees them.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        lock(&self.objects).keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Somebody with the right to do so replaces an object, on no condition.
    pub(crate) fn overwrite(&self, key: &str, bytes: Vec<u8>, stored: Timestamp) {
        lock(&self.objects).insert(key.to_owned(), Object { bytes: Arc::new(bytes), stored, sound: None });
    }

    /// Somebody spoils an object.
    pub(crate) fn spoil(&self, key: &str, with: impl FnOnce(&[u8]) -> Vec<u8>) {
        if let Some(object) = lock(&self.objects).get_mut(key) {
            let sound = object.sound.take().unwrap_or_else(|| Arc::clone(&object.bytes));
            object.bytes = Arc::new(with(&object.bytes));
            object.sound = Some(sound);
        }
    }

    /// Somebody puts back what was spoilt, but for what was written anew since. Gives the keys.
    pub(crate) fn mend(&self) -> Vec<String> {
        let mut mended = Vec::new();
        for (key, object) in lock(&self.objects).iter_mut() {
            if let Some(sound) = object.sound.take() {
                object.bytes = sound;
                mended.push(key.clone());
            }
        }
        mended
    }
}

fn error(status: u16, code: &str) -> Answer {
    Answer::new(status, format!("<Error><Code>{code}</Code><Message>the simulation says so</Message></Error>"))
}
