//! What other systems send: a page of Netskope's list, an event of S3, a message of the failure queue.

use std::collections::BTreeMap;

use aws_lambda_events::event::s3::S3Event;
use failure_queue::{Deployment, Failure, Received};
use netskope::Page;
use remediation::{BatchId, Folder};
use rule_lambda::Object;
use secrecy::SecretString;

use crate::{RULE, texts};

/// A page: every row is counted once, and what is taken from one can be a name.
pub(crate) fn page(data: &[u8]) {
    let token = SecretString::from("a-token-of-a-tenant");
    let page = match Page::from_body(data, "Ensure S3 Bucket is not publicly accessible.", &token) {
        Ok(page) => page,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(page.received, page.violations.len() + page.invalid.len() + page.skipped.total());
    for row in &page.violations {
        assert!(row.account_id.len() == 12 && row.account_id.bytes().all(|byte| byte.is_ascii_digit()));
        assert!(!row.resource.is_empty() && !row.resource.contains(char::is_control));
    }
    assert!(page.invalid.iter().all(|row| !row.reason.is_empty()));
}

/// An event: of each of its objects, the key and who stored it.
pub(crate) fn event(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<S3Event>(data) else { return };
    for object in event.records.into_iter().map(Object::of) {
        if let Some(id) = BatchId::from_findings_key(&object.key, RULE) {
            assert_eq!(id.rule, RULE);
        }
        let is_printable = |by: String| by.chars().count() <= 257 && !by.contains(escape::is_unsafe);
        assert!(object.stored_by.is_none_or(is_printable));
    }
}

/// The body of a message, and attributes, which are an object of strings: what it is about is of this deployment, and what
/// is shown of it is short and printable.
pub(crate) fn failure(data: &[u8]) {
    let [body, attributes] = texts(data);
    let (Ok(account), Ok(body)) = ("111111111111".parse(), str::from_utf8(body)) else { return };
    let attributes: BTreeMap<String, String> = serde_json::from_slice(attributes).unwrap_or_default();
    let (prefix, region) = ("autoremediate".to_owned(), "eu-west-1".to_owned());
    let deployment = Deployment { prefix, account, region, rules: [RULE.to_owned()].into() };
    let received = Received { id: "id".into(), since: None, body: body.to_owned(), attributes };
    let failure = Failure::of(&received, &deployment);
    if let Some(object) = failure.what.object() {
        let folders = [Folder::Findings, Folder::Approvals].map(|folder| folder.of(RULE));
        assert!(object.rule == RULE && folders.iter().any(|folder| object.key.starts_with(folder)));
    }
    assert!(failure.what.rule().is_none_or(|rule| rule == RULE));
    assert!(failure.error.is_none_or(|error| !error.contains(escape::is_unsafe)));
    assert!(failure.condition.is_none_or(|condition| !condition.name().contains(escape::is_unsafe)));
}
