use aws_sdk_s3::error::ErrorMetadata;
use aws_sdk_s3::operation::get_bucket_tagging::{GetBucketTaggingError, GetBucketTaggingOutput};
use aws_sdk_s3::operation::get_bucket_website::GetBucketWebsiteError;
use aws_sdk_s3::operation::get_public_access_block::{GetPublicAccessBlockError, GetPublicAccessBlockOutput};
use aws_sdk_s3::operation::put_public_access_block::PutPublicAccessBlockOutput;
use aws_sdk_s3::types::{IndexDocument, RedirectAllRequestsTo, Tag};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use proptest::prelude::*;
use remediation::{ErrorKind, Manifest, Region};

use super::*;

fn finding(resource: &str) -> Finding {
    Finding {
        control: "Ensure S3 Bucket is not publicly accessible.".into(),
        account: "222222222222".parse().unwrap(),
        region: Region::code("us-east-1"),
        resource: resource.into(),
        first_seen: None,
        last_scanned: None,
    }
}

fn block(settings: [bool; 4]) -> PublicAccessBlock {
    let [block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets] = settings;
    PublicAccessBlock { block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets }
}

fn found(settings: [bool; 4]) -> MockRule {
    mock!(aws_sdk_s3::Client::get_public_access_block)
        .match_requests(|request| {
            request.bucket() == Some("data") && request.expected_bucket_owner() == Some("222222222222")
        })
        .then_output(move || {
            let configuration = block(settings).into();
            GetPublicAccessBlockOutput::builder().public_access_block_configuration(configuration).build()
        })
}

fn refused(code: &'static str) -> MockRule {
    mock!(aws_sdk_s3::Client::get_public_access_block).then_error(move || {
        GetPublicAccessBlockError::generic(ErrorMetadata::builder().code(code).message("told so").build())
    })
}

fn no_website(code: &'static str) -> MockRule {
    mock!(aws_sdk_s3::Client::get_bucket_website).then_error(move || {
        GetBucketWebsiteError::generic(ErrorMetadata::builder().code(code).message("told so").build())
    })
}

fn website(website: GetBucketWebsiteOutput) -> MockRule {
    mock!(aws_sdk_s3::Client::get_bucket_website)
        .match_requests(|request| {
            request.bucket() == Some("data") && request.expected_bucket_owner() == Some("222222222222")
        })
        .then_output(move || website.clone())
}

async fn planned(rules: &[&MockRule], guard_website: Guard) -> Result<Proposal<Change>> {
    let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, rules);
    S3PublicBucket::plan(&client, &finding("data"), &Settings { guard_website }).await
}

/// The plan for a bucket without a website.
async fn plan(rule: &MockRule, resource: &str) -> Result<Vec<Change>> {
    let none = no_website("NoSuchWebsiteConfiguration");
    let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [rule, &none]);
    Ok(S3PublicBucket::plan(&client, &finding(resource), &Settings::default()).await?.changes)
}

#[tokio::test]
async fn only_the_two_settings_that_end_public_access_change() {
    let changes = plan(&found([true, false, false, false]), "data").await.unwrap();
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(change.before, Some(block([true, false, false, false])));
    assert_eq!(change.after, Some(block([true, true, false, true])));
    assert_eq!(change.to_string(), "bucket data: IgnorePublicAcls false → true, RestrictPublicBuckets false → true");
}

#[tokio::test]
async fn a_bucket_with_both_settings_complies() {
    assert_eq!(plan(&found([false, true, false, true]), "data").await.unwrap(), []);
}

#[tokio::test]
async fn no_configuration_is_a_violation() {
    let changes = plan(&refused("NoSuchPublicAccessBlockConfiguration"), "data").await.unwrap();
    assert_eq!(changes[0].before, None);
    assert_eq!(changes[0].after, Some(block([false, true, false, true])));
}

#[tokio::test]
async fn errors_name_the_action() {
    for (code, kind) in [
        ("NoSuchBucket", ErrorKind::Gone),
        ("AccessDenied", ErrorKind::AccessDenied),
        ("SlowDown", ErrorKind::Throttled),
        ("MethodNotAllowed", ErrorKind::Permanent),
    ] {
        let error = plan(&refused(code), "data").await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, "s3:GetBucketPublicAccessBlock"), "{error}");
    }
}

#[tokio::test]
async fn the_guard_warns_of_a_website_holds_it_or_does_not_look() {
    let index = IndexDocument::builder().suffix("index.html").build().unwrap();
    let index = GetBucketWebsiteOutput::builder().index_document(index).build();
    let to = RedirectAllRequestsTo::builder().host_name("example.com").build().unwrap();
    let redirect = GetBucketWebsiteOutput::builder().redirect_all_requests_to(to).build();
    for (configuration, says) in [
        (index, "the bucket serves a website (index document index.html)"),
        (redirect, "the bucket serves a website (redirects all requests to host example.com)"),
    ] {
        for (guard, notes, guarded) in
            [(Guard::Off, &[][..], &[][..]), (Guard::Warn, &[says], &[]), (Guard::Hold, &[says], &[says])]
        {
            let website = website(configuration.clone());
            let proposal = planned(&[&found([false; 4]), &website], guard).await.unwrap();
            assert_eq!((proposal.changes.len(), website.num_calls()), (1, usize::from(guard.is_on())), "{guard:?}");
            assert_eq!((&proposal.notes[..], &proposal.guarded[..]), (&to_owned(notes)[..], &to_owned(guarded)[..]));
        }
    }
}

fn to_owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn the_guard_is_silent_without_a_website_and_does_not_look_where_nothing_changes() {
    let none = no_website("NoSuchWebsiteConfiguration");
    let proposal = planned(&[&found([false; 4]), &none], Guard::Hold).await.unwrap();
    assert_eq!((proposal.changes.len(), proposal.notes, proposal.guarded), (1, vec![], vec![]));
    assert_eq!(none.num_calls(), 1);
    assert!(planned(&[&found([true; 4]), &none], Guard::Hold).await.unwrap().is_empty());
    assert_eq!(none.num_calls(), 1);
    for (code, kind) in [("AccessDenied", ErrorKind::AccessDenied), ("NoSuchBucket", ErrorKind::Gone)] {
        let error = planned(&[&found([false; 4]), &no_website(code)], Guard::Warn).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, "s3:GetBucketWebsite"), "{error}");
    }
}

#[tokio::test]
async fn its_tags_are_the_owners_buckets() {
    let tagged = mock!(aws_sdk_s3::Client::get_bucket_tagging)
        .match_requests(|request| {
            request.bucket() == Some("data") && request.expected_bucket_owner() == Some("222222222222")
        })
        .then_output(|| {
            let tag = Tag::builder().key("keep").value("yes").build().unwrap();
            GetBucketTaggingOutput::builder().tag_set(tag).build().unwrap()
        });
    let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&tagged]);
    let tags = S3PublicBucket::tags(&client, &finding("arn:aws:s3:::data")).await.unwrap();
    assert_eq!(tags, [("keep".to_owned(), "yes".to_owned())].into());
    let refused = |code: &'static str| async move {
        let refused = mock!(aws_sdk_s3::Client::get_bucket_tagging).then_error(move || {
            GetBucketTaggingError::generic(ErrorMetadata::builder().code(code).message("told so").build())
        });
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&refused]);
        S3PublicBucket::tags(&client, &finding("data")).await
    };
    assert_eq!(refused("NoSuchTagSet").await, Ok(BTreeMap::new()));
    for (code, kind) in [("AccessDenied", ErrorKind::AccessDenied), ("NoSuchBucket", ErrorKind::Gone)] {
        let error = refused(code).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, "s3:GetBucketTagging"), "{error}");
    }
}

#[test]
fn the_guard_warns_unless_the_policy_says_otherwise() {
    let read = |text: &str| serde_json::from_str::<Settings>(text);
    assert_eq!(read("{}").unwrap(), Settings { guard_website: Guard::Warn });
    assert_eq!(read(r#"{"guard_website": "off"}"#).unwrap(), Settings { guard_website: Guard::Off });
    assert!(read(r#"{"guard_website": false}"#).is_err() && read(r#"{"guard": "off"}"#).is_err());
}

#[tokio::test]
async fn an_arn_is_as_good_as_a_name() {
    assert_eq!(plan(&found([true; 4]), "arn:aws-us-gov:s3:::data").await.unwrap(), []);
    for resource in ["", "arn:aws:s3:::", "arn:aws:ec2:::data", "arn:aws:s3:::data/key", "Data", "a:b"] {
        let error = plan(&found([true; 4]), resource).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
    }
}

#[tokio::test]
async fn apply_writes_all_four_settings_to_the_owners_bucket() {
    let put = mock!(aws_sdk_s3::Client::put_public_access_block)
        .match_requests(|request| {
            let written = request.public_access_block_configuration().cloned().map(PublicAccessBlock::from);
            request.bucket() == Some("data")
                && request.expected_bucket_owner() == Some("222222222222")
                && written == Some(block([true, true, false, true]))
        })
        .then_output(|| PutPublicAccessBlockOutput::builder().build());
    let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&put]);
    let owner = "222222222222".parse().unwrap();
    let after = Some(block([true, true, false, true]));
    S3PublicBucket::apply(&client, &Change { bucket: "data".into(), owner, before: None, after }).await.unwrap();
    assert_eq!(put.num_calls(), 1);
}

#[test]
fn the_manifest_can_be_read_and_serves_the_control() {
    let manifest = Manifest::from_json(S3PublicBucket::MANIFEST).unwrap();
    assert!(manifest.control(&finding("data").control).is_some());
}

proptest! {
    #[test]
    fn undo_of_undo_is_the_change_itself(before: Option<[bool; 4]>, after: [bool; 4]) {
        let owner: AccountId = "222222222222".parse().unwrap();
        let (before, after) = (before.map(block), Some(block(after)));
        let change = Change { bucket: "data".into(), owner, before, after };
        let stored: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
        let undo = S3PublicBucket::undo(&stored).unwrap();
        prop_assert_eq!((undo.before, undo.after), (change.after, change.before));
        prop_assert_eq!(S3PublicBucket::undo(&undo), Some(change));
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String) {
        let _ = bucket_name(&finding(&resource));
    }
}
