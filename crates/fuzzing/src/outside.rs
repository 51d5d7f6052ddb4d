//! What other systems send: a page of Netskope's list, an event of S3.

use aws_lambda_events::event::s3::S3Event;
use netskope::Page;
use remediation::BatchId;
use rule_lambda::Object;
use secrecy::SecretString;

use crate::RULE;

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
