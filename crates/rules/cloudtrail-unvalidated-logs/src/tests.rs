use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use proptest::prelude::*;
use remediation::{Arn, ErrorKind, Manifest, Named};
use rule_testing::{ACCOUNT, World, finding, hold, poll, target};
use serde_json::{Value, json};

use super::*;

const OURS: &str = ACCOUNT;
const MANAGEMENT: &str = "111111111111";

const CONTROL: &str = "Secure audit trails so they cannot be altered: CloudTrail Log Files Lack Integrity Validation";

/// A finding of `resource` that is listed in `region`.
fn listed(region: &str, resource: &str) -> Finding {
    Finding { region: Region::code(region), ..finding(CONTROL, resource) }
}

fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:cloudtrail:{region}:{account}:trail/{name}")
}

/// A trail as DescribeTrails gives it.
fn trail(region: &str, account: &str, name: &str) -> Trail {
    let trail = Trail::builder().name(name).trail_arn(arn(region, account, name)).home_region(region);
    trail.log_file_validation_enabled(false).build()
}

/// The ARN of the trail that a finding of `resource` in `region` means, among `trails`, which log there.
fn found_in(region: &str, resource: &str, trails: Vec<Trail>) -> Result<String> {
    let finding = listed(region, resource);
    Ok(seen(named::only(named::parse(&finding)?, &finding, region, trails)?)?.resource.arn)
}

/// The same in us-east-1.
fn found(resource: &str, trails: Vec<Trail>) -> Result<String> {
    found_in("us-east-1", resource, trails)
}

#[test]
fn both_spellings_of_the_control_are_served() {
    let manifest = Manifest::from_json(CloudTrailUnvalidatedLogs::MANIFEST).unwrap();
    for name in ["altered : CloudTrail", "altered: CloudTrail"] {
        let name = format!("Secure audit trails so they cannot be {name} Log Files Lack Integrity Validation");
        assert!(manifest.control(&name).is_some(), "{name}");
    }
}

#[test]
fn a_name_and_an_arn_name_a_trail_and_nothing_else_does() {
    // In whatever region it was found: a trail of several logs in each. And in whatever account: an organization's trail
    // has the management account's ARN also where a member sees it.
    for account in [OURS, MANAGEMENT] {
        let arn = arn("eu-west-1", account, "audit");
        for region in ["eu-west-1", "us-east-1"] {
            let finding = listed(region, &arn);
            let named = named::parse(&finding).unwrap();
            assert_eq!((named.name, named.arn), ("audit", Arn::parse(&arn)));
        }
    }
    let finding = listed("us-east-1", "audit");
    assert_eq!(named::parse(&finding).unwrap(), Named { name: "audit", arn: None });
    for resource in [
        "",
        "ab",
        "a/b/c",
        "arn:aws:cloudtrail:eu-west-1:222222222222:channel/audit",
        "arn:aws:cloudtrail::222222222222:trail/audit",
        "arn:aws:cloudtrail:eu-west-1::trail/audit",
        "arn:aws:s3:::audit",
    ] {
        let finding = listed("us-east-1", resource);
        let error = named::parse(&finding).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
    }
}

#[test]
fn an_arn_means_that_trail_alone() {
    let (east, west) = (arn("us-east-1", OURS, "audit"), arn("eu-west-1", OURS, "audit"));
    let trails = || vec![trail("us-east-1", OURS, "audit"), trail("eu-west-1", OURS, "audit")];
    assert_eq!(found(&east, trails()), Ok(east.clone()));
    assert_eq!(found(&west, trails()), Ok(west.clone()));
    // A member account is shown the organization's.
    let organizations = arn("us-east-1", MANAGEMENT, "audit");
    assert_eq!(found(&organizations, vec![trail("us-east-1", MANAGEMENT, "audit")]), Ok(organizations));
}

#[test]
fn an_arn_that_its_home_region_does_not_know_is_gone_and_a_strangers_is_not() {
    let ours = arn("eu-west-1", OURS, "audit");
    let error = found_in("eu-west-1", &ours, vec![trail("us-east-1", OURS, "audit")]).unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, DESCRIBE), "{error}");
    assert!(error.message.contains("in eu-west-1, its home region"), "{error}");
    let error = found(&ours, vec![trail("us-east-1", OURS, "audit")]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidFinding);
    assert!(error.message.contains("is in the region eu-west-1, but the finding is of us-east-1"), "{error}");
    let error = found(&arn("us-east-1", MANAGEMENT, "audit"), vec![trail("us-east-1", OURS, "audit")]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidFinding);
    assert!(error.message.contains("belongs to the account 111111111111"), "{error}");
}

#[test]
fn a_name_means_the_accounts_own_trail_of_the_region_first() {
    let (ours, elsewhere) = (trail("us-east-1", OURS, "audit"), trail("eu-west-1", OURS, "audit"));
    let (organizations, third) = (trail("us-east-1", MANAGEMENT, "audit"), trail("eu-west-2", OURS, "audit"));
    let other = trail("us-east-1", OURS, "other");
    for (trails, expected) in [
        (vec![&other, &organizations, &elsewhere, &ours], &ours),
        (vec![&organizations, &elsewhere], &elsewhere),
        (vec![&other, &organizations], &organizations),
    ] {
        let trails = trails.into_iter().cloned().collect();
        assert_eq!(found("audit", trails).ok(), expected.trail_arn);
    }
    let error = found("audit", vec![elsewhere, third]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidFinding);
    assert!(error.message.contains("several trails have the name `audit`"), "{error}");
}

#[test]
fn a_name_that_no_trail_has_is_no_proof_that_it_is_gone() {
    let error = found("audit", vec![trail("us-east-1", OURS, "audit2")]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidFinding);
    assert!(error.message.contains("no trail named `audit` logs in us-east-1 of the account 222222222222"), "{error}");
}

#[test]
fn an_answer_that_does_not_say_how_a_trail_stands_concludes_nothing() {
    let whole = || trail("us-east-1", OURS, "audit");
    let cut: [fn(&mut Trail); 5] = [
        |trail| trail.log_file_validation_enabled = None,
        |trail| trail.trail_arn = None,
        |trail| trail.name = None,
        |trail| trail.home_region = Some("eu-west-1".into()),
        |trail| trail.trail_arn = Some("arn:aws:cloudtrail:us-east-1::trail/audit".into()),
    ];
    for cut in cut {
        let mut trail = whole();
        cut(&mut trail);
        let error = seen(trail).unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, DESCRIBE), "{error}");
    }
    let Seen { resource, state, .. } = seen(whole()).unwrap();
    assert_eq!((resource.owner.as_ref(), resource.id.as_str()), (OURS, "audit"));
    assert!(!state.validated);
    assert_eq!(resource.region, Region::code("us-east-1"));
}

fn planned(seen: &Seen<State>) -> Proposal<Change> {
    CloudTrailUnvalidatedLogs::plan(seen, &[&NoParameters {}], &Settings {})
}

#[test]
fn a_trail_that_does_not_validate_is_changed_and_one_that_does_complies() {
    let mut looked = seen(trail("eu-west-1", OURS, "audit")).unwrap();
    let change = Change { before: false, after: true };
    assert_eq!(planned(&looked), vec![change].into());
    assert_eq!(change.to_string(), "log file validation false → true");
    looked.state.validated = true;
    assert!(planned(&looked).complies());
}

/// CloudTrail and Systems Manager for one trail, with the calls that came: the action, the region and the body.
#[derive(Debug, Clone)]
struct Aws {
    validated: bool,
    calls: Arc<Mutex<Vec<(String, String, Value)>>>,
}

impl Aws {
    fn new(validated: bool) -> Self {
        Self { validated, calls: Arc::default() }
    }

    fn answer(&self, request: &HttpRequest) -> Value {
        let header = |name| request.headers().get(name).unwrap();
        let action = header("x-amz-target").rsplit('.').next().unwrap().to_owned();
        let region = header("authorization").split('/').nth(2).unwrap().to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let answer = match action.as_str() {
            "DescribeTrails" => json!({"trailList": [{
                "Name": "audit", "TrailARN": arn("eu-west-1", OURS, "audit"), "HomeRegion": "eu-west-1",
                "LogFileValidationEnabled": self.validated,
            }]}),
            "StartAutomationExecution" => json!({"AutomationExecutionId": "e"}),
            "GetAutomationExecution" => json!({"AutomationExecution": {"AutomationExecutionStatus": "Success"}}),
            "UpdateTrail" => json!({}),
            other => panic!("{other}"),
        };
        self.calls.lock().unwrap().push((action, region, body));
        answer
    }

    fn session(&self, partition: &'static str) -> Session {
        Session { target: Target { partition, ..target("us-east-1", self.clone()) }, together: Together::new(DESCRIBE) }
    }

    fn actions(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|(action, ..)| action.clone()).collect()
    }
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = SdkBody::from(self.answer(&request).to_string());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
    }
}

#[tokio::test]
async fn it_makes_the_fewest_calls() {
    let (look, start, end) = ("DescribeTrails", "StartAutomationExecution", "GetAutomationExecution");
    for (validated, partition, expected) in [
        (true, "aws", &[look][..]),
        (false, "aws", &[look, start, end, look]),
        (false, "aws-us-gov", &[look, "UpdateTrail", look]),
    ] {
        let aws = Aws::new(validated);
        let (session, finding) = (aws.session(partition), listed("us-east-1", "audit"));
        poll::<CloudTrailUnvalidatedLogs>(&session, &finding, &[NoParameters {}], &Settings {}).await.unwrap();
        assert_eq!(aws.actions(), expected, "{validated} {partition}");
    }
}

#[tokio::test]
async fn it_is_changed_by_its_arn_and_in_its_home_region() {
    let trail = arn("eu-west-1", OURS, "audit");
    let resource = seen(self::trail("eu-west-1", OURS, "audit")).unwrap().resource;
    let fix = Change { before: false, after: true };
    for (change, partition, named) in [
        (
            fix,
            "aws",
            json!({"TrailName": [trail], "AutomationAssumeRole": ["arn:aws:iam::222222222222:role/r-service"]}),
        ),
        (fix, "aws-us-gov", json!({"Name": trail, "EnableLogFileValidation": true})),
        (CloudTrailUnvalidatedLogs::undo(&fix), "aws", json!({"Name": trail, "EnableLogFileValidation": false})),
    ] {
        let aws = Aws::new(!change.after);
        CloudTrailUnvalidatedLogs::apply(&aws.session(partition), &resource, &change).await.unwrap();
        let calls = aws.calls.lock().unwrap();
        let (_, region, body) = &calls[0];
        assert_eq!((region.as_str(), body.get("Parameters").unwrap_or(body)), ("eu-west-1", &named), "{change}");
    }
}

#[test]
fn the_manifest_names_a_runbook_and_where_there_is_none() {
    let runbook = runbook::of_rule::<CloudTrailUnvalidatedLogs>().unwrap();
    assert_eq!(runbook.name, "AWSConfigRemediation-EnableCloudTrailLogFileValidation");
    for partition in ["aws-us-gov", "aws-cn"] {
        assert!(runbook.missing_in.iter().any(|missing| missing == partition), "{partition}");
    }
}

impl World for CloudTrailUnvalidatedLogs {
    fn write(state: &mut State, change: &Change) {
        state.validated = change.after;
    }

    fn open(state: &State) -> BTreeSet<String> {
        (!state.validated).then(|| "logs are altered unnoticed".to_owned()).into_iter().collect()
    }
}

proptest! {
    #[test]
    fn the_laws_hold(validated: bool, region in "[a-z]{2}-[a-z]{4}-[1-9]") {
        let resource = seen(trail(&region, OURS, "audit")).unwrap().resource;
        hold::<CloudTrailUnvalidatedLogs>(&resource, &State { validated }, &[NoParameters {}], &Settings {});
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String) {
        let _ = named::parse(&listed("us-east-1", &resource));
    }
}
