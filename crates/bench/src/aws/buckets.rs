//! Buckets of the target accounts: their public access block.

use std::collections::HashMap;

use super::call::{Call, Output, Refusal, Result, unknown, xml};
use crate::server::Answer;

const SETTINGS: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

/// The buckets, by their names, which are everybody's.
#[derive(Debug, Default)]
pub(crate) struct Buckets(HashMap<String, Bucket>);

#[derive(Debug)]
struct Bucket {
    owner: String,
    block: Option<[bool; 4]>,
}

impl Buckets {
    /// Makes a bucket that nothing keeps from being public, and gives its name.
    pub(crate) fn violate(&mut self, owner: &str, n: usize) -> String {
        let name = format!("bucket-{n:06}");
        self.0.insert(name.clone(), Bucket { owner: owner.to_owned(), block: None });
        name
    }

    pub(crate) fn answer(&mut self, call: &Call, account: &str) -> Result<Output> {
        let name = call.request.path.trim_matches('/');
        let bucket = self.0.get_mut(name).ok_or_else(|| Refusal::new(404, "NoSuchBucket", name))?;
        let expected = call.request.header("x-amz-expected-bucket-owner");
        if bucket.owner != account || expected.is_some_and(|expected| expected != account) {
            return Err(Refusal::new(403, "AccessDenied", "Access Denied"));
        }
        match call.operation.as_str() {
            "GetPublicAccessBlock" => match bucket.block {
                Some(block) => Ok(Output::Whole(Answer::new(200, configuration(block)))),
                None => Err(Refusal::new(404, "NoSuchPublicAccessBlockConfiguration", xml(name))),
            },
            "PutPublicAccessBlock" => {
                let body = String::from_utf8_lossy(&call.request.body);
                bucket.block = Some(SETTINGS.map(|name| body.contains(&format!("<{name}>true</{name}>"))));
                Ok(Output::Whole(Answer::new(200, "")))
            }
            "GetBucketWebsite" => Err(Refusal::new(404, "NoSuchWebsiteConfiguration", xml(name))),
            other => Err(unknown(other)),
        }
    }
}

fn configuration(block: [bool; 4]) -> String {
    let settings: String = SETTINGS.iter().zip(block).map(|(name, on)| format!("<{name}>{on}</{name}>")).collect();
    format!("<PublicAccessBlockConfiguration>{settings}</PublicAccessBlockConfiguration>")
}
