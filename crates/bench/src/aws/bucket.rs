//! The bucket of records, in memory, with S3's conditional writes.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Bound;

use hyper::body::Bytes;
use md5::{Digest, Md5};

use super::call::{Call, Output, Refusal, Result, unknown, xml};
use crate::server::Answer;

/// Its name.
pub(crate) const NAME: &str = "records";
/// The most keys of a page.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
const PAGE: usize = 1_000;

/// The bucket.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    objects: BTreeMap<String, Object>,
}

#[derive(Debug)]
struct Object {
    bytes: Bytes,
    tag: String,
}

impl Object {
    /// The ETag of an object is its content's MD5: equal content, equal ETag.
    fn new(bytes: Bytes) -> Self {
        let digest = Md5::digest(&bytes);
        let tag = digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self { bytes, tag }
    }
}

impl Bucket {
    /// Stores an object without a condition.
    pub(crate) fn put(&mut self, key: String, bytes: impl Into<Bytes>) {
        self.objects.insert(key, Object::new(bytes.into()));
    }

    /// How many keys begin with `prefix`.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        self.objects.keys().filter(|key| key.starts_with(prefix)).count()
    }

    pub(crate) fn answer(&mut self, call: &Call) -> Result<Output> {
        let path = call.request.path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket != NAME {
            return Err(Refusal::new(404, "NoSuchBucket", bucket));
        }
        let is_encoded = key.contains('%');
        match call.operation.as_str() {
            _ if is_encoded => Err(unknown("keys that a URL cannot hold as they are")),
            "GetObject" => self.get(key),
            "PutObject" => self.put_if(key, call),
            "ListObjectsV2" => Ok(self.list(call)),
            other => Err(unknown(other)),
        }
    }

    fn get(&self, key: &str) -> Result<Output> {
        let object = self.objects.get(key).ok_or_else(|| Refusal::new(404, "NoSuchKey", key))?;
        Ok(Output::Whole(Answer::new(200, object.bytes.clone()).with("etag", format!("\"{}\"", object.tag))))
    }

    fn put_if(&mut self, key: &str, call: &Call) -> Result<Output> {
        let is_streamed = |text: &str| text.starts_with("STREAMING-");
        if call.request.header("x-amz-content-sha256").is_some_and(is_streamed) {
            return Err(unknown("uploads in signed chunks"));
        }
        let found = self.objects.get(key);
        let is_unmet = || Refusal::new(412, "PreconditionFailed", "At least one of the pre-conditions did not hold");
        if call.request.header("if-none-match").is_some() && found.is_some() {
            return Err(is_unmet());
        }
        match (call.request.header("if-match").map(|tag| tag.trim_matches('"')), found) {
            (Some(_), None) => return Err(Refusal::new(404, "NoSuchKey", key)),
            (Some(tag), Some(found)) if tag != found.tag => return Err(is_unmet()),
            _ => {}
        }
        let object = Object::new(call.request.body.clone());
        let tag = format!("\"{}\"", object.tag);
        self.objects.insert(key.to_owned(), object);
        Ok(Output::Whole(Answer::new(200, "").with("etag", tag)))
    }

    /// The token of the next page is the last key of this one.
    fn list(&self, call: &Call) -> Output {
        let prefix = call.request.parameter("prefix").unwrap_or_default();
        let after = call.request.parameter("continuation-token").or_else(|| call.request.parameter("start-after"));
        // A list must cost the stand-in what it gives, and not all that there is.
        let from = match &after {
            Some(after) if *after >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix.as_str()),
        };
        let objects = self.objects.range::<str, _>((from, Bound::Unbounded));
        let mut found = objects.take_while(|(key, _)| key.starts_with(&prefix));
        let page: Vec<_> = found.by_ref().take(PAGE).collect();
        let is_truncated = found.next().is_some();
        let contents = page.iter().fold(String::new(), |mut text, (key, Object { bytes, tag })| {
            let (key, size) = (xml(key), bytes.len());
            let _ = write!(text, "<Contents><Key>{key}</Key><ETag>\"{tag}\"</ETag><Size>{size}</Size></Contents>");
            text
        });
        let next = page.last().filter(|_| is_truncated).map(|(key, _)| xml(key));
        let next = next.map(|key| format!("<NextContinuationToken>{key}</NextContinuationToken>")).unwrap_or_default();
        let result = format!("<IsTruncated>{is_truncated}</IsTruncated>{next}{contents}");
        Output::Whole(Answer::new(200, format!("<ListBucketResult>{result}</ListBucketResult>")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::tests::{central, s3, with_header};

    fn put(bucket: &mut Bucket, body: &str, condition: Option<(&'static str, &str)>) -> Result<String, u16> {
        let call = central(s3("PUT", "/records/resources/card.json", body));
        let call = match condition {
            Some((header, value)) => with_header(call, header, value),
            None => call,
        };
        match bucket.answer(&call) {
            Ok(Output::Whole(answer)) => Ok(answer.headers[0].1.clone()),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.status),
        }
    }

    fn read(bucket: &mut Bucket, path: &str) -> Result<String, &'static str> {
        match bucket.answer(&central(s3("GET", path, ""))) {
            Ok(Output::Whole(answer)) => Ok(String::from_utf8(answer.body.to_vec()).unwrap()),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.code),
        }
    }

    #[test]
    fn a_conditional_write_is_done_only_where_the_condition_holds() {
        let mut bucket = Bucket::default();
        let card = "/records/resources/card.json";
        assert_eq!(read(&mut bucket, card), Err("NoSuchKey"));
        assert_eq!(put(&mut bucket, "one", Some(("if-match", "\"0\""))), Err(404));
        let one = put(&mut bucket, "one", Some(("if-none-match", "*"))).unwrap();
        assert_eq!(put(&mut bucket, "other", Some(("if-none-match", "*"))), Err(412));
        let two = put(&mut bucket, "two", Some(("if-match", &one))).unwrap();
        assert_eq!(put(&mut bucket, "late", Some(("if-match", &one))), Err(412));
        assert_ne!(one, two);
        assert_eq!(read(&mut bucket, card).as_deref(), Ok("two"));
        // Equal content, equal ETag.
        assert_eq!(put(&mut bucket, "one", None), Ok(one));
        // The MD5 digest of "one".
        assert_eq!(put(&mut bucket, "one", None), Ok("\"f97c5d29941bfb1b2fdab0874906ab82\"".into()));
    }

    #[test]
    fn a_list_has_pages_of_a_thousand_keys_of_the_prefix() {
        let mut bucket = Bucket::default();
        (0..2_500).for_each(|n| bucket.put(format!("cards/{n:04}"), "card"));
        bucket.put("other/key".into(), "other");
        let (mut keys, mut after) = (Vec::new(), String::new());
        for expected in [1_000, 1_000, 500] {
            let page = read(&mut bucket, &format!("/records/?list-type=2&prefix=cards%2F{after}")).unwrap();
            let listed: Vec<_> = page.split("<Key>").skip(1).map(|rest| rest[..10].to_owned()).collect();
            assert_eq!(listed.len(), expected);
            after = format!("&continuation-token={}", listed.last().unwrap().replace('/', "%2F"));
            assert_eq!(page.contains("NextContinuationToken"), expected == 1_000);
            keys.extend(listed);
        }
        assert_eq!(keys, (0..2_500).map(|n| format!("cards/{n:04}")).collect::<Vec<_>>());
        assert_eq!(bucket.count("cards/"), 2_500);
    }
}
