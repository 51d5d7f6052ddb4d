use aws_config::SdkConfig;
use aws_sdk_s3::config::Region as SdkRegion;
use aws_sdk_s3::error::ErrorMetadata;
use aws_sdk_s3::operation::delete_public_access_block::DeletePublicAccessBlockOutput;
use aws_sdk_s3::operation::get_bucket_tagging::{GetBucketTaggingError, GetBucketTaggingOutput};
use aws_sdk_s3::operation::get_bucket_website::GetBucketWebsiteError;
use aws_sdk_s3::operation::get_public_access_block::{GetPublicAccessBlockError, GetPublicAccessBlockOutput};
use aws_sdk_s3::operation::put_public_access_block::PutPublicAccessBlockOutput;
use aws_sdk_s3::types::{IndexDocument, RedirectAllRequestsTo, Tag};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use proptest::prelude::*;
use remediation::{ErrorKind, Manifest};
use rule_testing::{ACCOUNT, World, finding, hold, poll, target};

use super::*;

const CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";

/// The bucket `data`.
fn data() -> Resource {
    let (region, id, names) = (Region::code("us-east-1"), "data".to_owned(), BTreeSet::new());
    Resource { arn: "arn:aws:s3:::data".into(), owner: ACCOUNT.parse().unwrap(), region, id, names }
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

fn session() -> Target {
    let config = SdkConfig::builder().region(SdkRegion::from_static("us-east-1")).build();
    let (account, region, session_name) =
        ("222222222222".parse().unwrap(), "us-east-1".into(), "autoremediate-a-test".to_owned());
    Target {
        config,
        account,
        region,
        partition: "aws",
        role_arn: "arn:aws:iam::222222222222:role/r".into(),
        session_name,
    }
}

fn client(rules: &[&MockRule]) -> Client {
    Client { target: session(), s3: mock_client!(aws_sdk_s3, RuleMode::MatchAny, rules) }
}

async fn look(rule: &MockRule, resource: &str) -> Result<Seen<Option<PublicAccessBlock>>> {
    S3PublicBucket::look(&client(&[rule]), &finding(CONTROL, resource)).await
}

async fn plan(rule: &MockRule, resource: &str) -> Result<Vec<Change>> {
    Ok(S3PublicBucket::plan(&look(rule, resource).await?, &[], &Settings::default()).changes)
}

/// What the guard sees of the bucket.
async fn sights(website: &MockRule) -> Result<Vec<Sighting>> {
    let seen = look(&found([false; 4]), "data").await?;
    let settings = Settings::default();
    let changes = S3PublicBucket::plan(&seen, &[], &settings).changes;
    S3PublicBucket::impact(&client(&[website]), &seen, &changes, &settings).await
}

#[tokio::test]
async fn only_the_two_settings_that_end_public_access_change() {
    let changes = plan(&found([true, false, false, false]), "data").await.unwrap();
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(change.before, Some(block([true, false, false, false])));
    assert_eq!(change.after, Some(block([true, true, false, true])));
    assert_eq!(change.to_string(), "IgnorePublicAcls false → true, RestrictPublicBuckets false → true");
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
async fn an_answer_without_all_four_settings_is_an_error_and_no_configuration() {
    let partly = PublicAccessBlockConfiguration::builder().ignore_public_acls(true).restrict_public_buckets(true);
    for configuration in [None, Some(PublicAccessBlockConfiguration::builder().build()), Some(partly.build())] {
        let empty = mock!(aws_sdk_s3::Client::get_public_access_block).then_output(move || {
            let output = GetPublicAccessBlockOutput::builder();
            output.set_public_access_block_configuration(configuration.clone()).build()
        });
        let error = look(&empty, "data").await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, GET), "{error}");
    }
}

#[tokio::test]
async fn the_guard_sees_a_website() {
    let index = IndexDocument::builder().suffix("index.html").build().unwrap();
    let index = GetBucketWebsiteOutput::builder().index_document(index).build();
    let to = RedirectAllRequestsTo::builder().host_name("example.com").build().unwrap();
    let redirect = GetBucketWebsiteOutput::builder().redirect_all_requests_to(to).build();
    for (configuration, says) in [
        (index, "the bucket serves a website (index document index.html)"),
        (redirect, "the bucket serves a website (redirects all requests to host example.com)"),
    ] {
        assert_eq!(sights(&website(configuration)).await.unwrap(), [Sighting::new(says)]);
    }
    assert_eq!(sights(&no_website("NoSuchWebsiteConfiguration")).await.unwrap(), []);
    for (code, kind) in [("AccessDenied", ErrorKind::AccessDenied), ("NoSuchBucket", ErrorKind::Gone)] {
        let error = sights(&no_website(code)).await.unwrap_err();
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
    let seen = look(&found([false; 4]), "arn:aws:s3:::data").await.unwrap();
    let tags = S3PublicBucket::tags(&client(&[&tagged]), &seen).await.unwrap();
    assert_eq!(tags, [("keep".to_owned(), "yes".to_owned())].into());
    let refused = async |code: &'static str| {
        let refused = mock!(aws_sdk_s3::Client::get_bucket_tagging).then_error(move || {
            GetBucketTaggingError::generic(ErrorMetadata::builder().code(code).message("told so").build())
        });
        S3PublicBucket::tags(&client(&[&refused]), &seen).await
    };
    assert_eq!(refused("NoSuchTagSet").await, Ok(Tags::new()));
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
    assert_eq!(plan(&found([true; 4]), "arn:aws:s3:::data").await.unwrap(), []);
    let seen = look(&found([true; 4]), "data").await.unwrap();
    assert_eq!((seen.resource.arn.as_str(), seen.resource.region), ("arn:aws:s3:::data", Region::code("us-east-1")));
}

#[test]
fn what_is_no_bucket_is_refused_by_its_name_and_old_names_are_not() {
    for (resource, says) in [
        ("", "neither a bucket's name"),
        ("arn:aws:s3:::", "not an ARN"),
        ("arn:aws:ec2:::data", "the service ec2"),
        ("arn:aws:s3:::data/key", "neither a bucket's name"),
        ("a:b", "neither a bucket's name"),
        ("arn:aws-us-gov:s3:::data", "partition aws-us-gov, but the finding is of aws"),
        ("arn:aws:s3:eu-central-1:222222222222:data", "neither a region nor an account"),
        ("arn:aws:s3:eu-central-1:222222222222:accesspoint/data", "neither a bucket's name"),
        ("Not A Bucket", "neither a bucket's name"),
        ("data--use1-az4--x-s3", "a directory bucket"),
        ("arn:aws:s3:::data--use1-az4--x-s3", "a directory bucket"),
        ("my-ap-abc123-s3alias", "an access point"),
        ("my-olap-abc123--ol-s3", "an Object Lambda access point"),
        ("mfzwi23gnjvgw.mrap", "a Multi-Region Access Point"),
    ] {
        let error = name::of(&finding(CONTROL, resource), "aws").unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
        assert!(error.message.contains(says), "{error}");
    }
    let long = "A".repeat(255);
    for resource in ["data", "Data_2010", "a.dotted.name", long.as_str()] {
        assert_eq!(name::of(&finding(CONTROL, resource), "aws").unwrap(), resource);
    }
    assert!(name::of(&finding(CONTROL, &"a".repeat(256)), "aws").is_err());
}

/// An answer of S3: a status, headers, and a body.
fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> HttpResponse {
    let mut answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    for (name, value) in headers {
        answer.headers_mut().insert(*name, *value);
    }
    answer
}

/// S3 as it is for a bucket of eu-west-1, asked wherever.
fn europe(request: &HttpRequest) -> HttpResponse {
    if !request.headers().get("authorization").unwrap().contains("/eu-west-1/s3/") {
        let body = "<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>";
        return answer(301, &[("x-amz-bucket-region", "eu-west-1")], body);
    }
    let block = "<BlockPublicAcls>false</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls>\
        <BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets>";
    let block = format!("<PublicAccessBlockConfiguration>{block}</PublicAccessBlockConfiguration>");
    HttpResponse::new(200.try_into().unwrap(), SdkBody::from(block))
}

#[derive(Debug)]
struct Europe;

impl HttpConnector for Europe {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Ok(europe(&request)))
    }
}

#[tokio::test]
async fn a_bucket_is_found_in_its_own_region_wherever_it_is_listed() {
    let client = S3PublicBucket::client(&target("us-east-1", Europe));
    let seen = S3PublicBucket::look(&client, &finding(CONTROL, "data")).await.unwrap();
    assert_eq!(seen.resource.region, Region::code("eu-west-1"));
    let changes = S3PublicBucket::plan(&seen, &[], &Settings::default()).changes;
    assert_eq!(changes[0].before, Some(block([false, false, true, false])));
    // Written there, too: elsewhere it would be redirected.
    S3PublicBucket::apply(&client, &seen.resource, &changes[0]).await.unwrap();
}

#[tokio::test]
async fn apply_writes_all_four_settings_to_the_owners_bucket() {
    let put = mock!(aws_sdk_s3::Client::put_public_access_block)
        .match_requests(|request| {
            let written = request.public_access_block_configuration().and_then(PublicAccessBlock::whole);
            request.bucket() == Some("data")
                && request.expected_bucket_owner() == Some("222222222222")
                && written == Some(block([true, true, false, true]))
        })
        .then_output(|| PutPublicAccessBlockOutput::builder().build());
    let change = Change { before: None, after: Some(block([true, true, false, true])) };
    S3PublicBucket::apply(&client(&[&put]), &data(), &change).await.unwrap();
    assert_eq!(put.num_calls(), 1);
}

#[tokio::test]
async fn undo_removes_a_configuration_that_was_not_there() {
    let delete = mock!(aws_sdk_s3::Client::delete_public_access_block)
        .match_requests(|request| request.bucket() == Some("data") && request.expected_bucket_owner() == Some(ACCOUNT))
        .then_output(|| DeletePublicAccessBlockOutput::builder().build());
    let undo = S3PublicBucket::undo(&Change { before: None, after: Some(block([false, true, false, true])) });
    assert_eq!(undo.to_string(), "remove the public access block");
    S3PublicBucket::apply(&client(&[&delete]), &data(), &undo).await.unwrap();
    assert_eq!(delete.num_calls(), 1);
}

/// How many calls a poll makes for a bucket that was found so, and that serves a website.
async fn calls(settings: [bool; 4], guard_website: Guard) -> usize {
    let index = IndexDocument::builder().suffix("index.html").build().unwrap();
    let website = website(GetBucketWebsiteOutput::builder().index_document(index).build());
    let put = mock!(aws_sdk_s3::Client::put_public_access_block)
        .then_output(|| PutPublicAccessBlockOutput::builder().build());
    let rules = [&found(settings), &website, &put];
    let settings = Settings { guard_website };
    let finding = finding(CONTROL, "data");
    poll::<S3PublicBucket>(&client(&rules), &finding, &[NoParameters {}], &settings).await.unwrap();
    rules.iter().map(|rule| rule.num_calls()).sum()
}

#[tokio::test]
async fn it_makes_the_fewest_calls() {
    for (settings, guard, expected) in [
        ([false, true, false, true], Guard::Hold, 1),
        ([false; 4], Guard::Off, 3),
        ([false; 4], Guard::Warn, 4),
        ([false; 4], Guard::Hold, 2),
    ] {
        assert_eq!(calls(settings, guard).await, expected, "{settings:?} {guard:?}");
    }
}

#[test]
fn the_manifest_can_be_read_and_serves_the_control() {
    let manifest = Manifest::from_json(S3PublicBucket::MANIFEST).unwrap();
    assert!(manifest.control(CONTROL).is_some());
}

impl World for S3PublicBucket {
    fn write(state: &mut Self::State, change: &Change) {
        *state = change.after;
    }

    fn open(state: &Self::State) -> BTreeSet<String> {
        let off = state.unwrap_or_default().settings().into_iter().filter(|(_, on)| !on);
        off.map(|(setting, _)| setting.to_owned()).collect()
    }
}

#[test]
fn a_state_that_somebody_else_made_is_on_neither_side() {
    let change = Change { before: Some(block([false; 4])), after: Some(block([false, true, false, true])) };
    for (state, side) in [
        (change.before, Side::Before),
        (change.after, Side::After),
        (Some(block([true, true, false, true])), Side::Neither),
        (None, Side::Neither),
    ] {
        assert_eq!(S3PublicBucket::side(&change, &state), side, "{state:?}");
    }
}

proptest! {
    #[test]
    fn the_laws_hold(before: Option<[bool; 4]>, guard in prop::sample::select(vec![Guard::Off, Guard::Hold])) {
        hold::<S3PublicBucket>(&data(), &before.map(block), &[NoParameters {}], &Settings { guard_website: guard });
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String) {
        let _ = name::of(&finding(CONTROL, &resource), "aws");
    }
}
