use proptest::prelude::*;
use remediation::{ErrorKind, Manifest, Region};

use super::*;

const OURS: &str = "222222222222";
const MANAGEMENT: &str = "111111111111";

fn finding(region: &str, resource: &str) -> Finding {
    let manifest = Manifest::from_json(CloudTrailUnvalidatedLogs::MANIFEST).unwrap();
    Finding {
        control: manifest.controls[0].rule_names[0].clone(),
        account: OURS.parse().unwrap(),
        region: Region::code(region),
        resource: resource.into(),
        first_seen: None,
        last_scanned: None,
    }
}

fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:cloudtrail:{region}:{account}:trail/{name}")
}

/// A trail as DescribeTrails gives it.
fn trail(region: &str, account: &str, name: &str) -> Trail {
    let trail = Trail::builder().name(name).trail_arn(arn(region, account, name)).home_region(region);
    trail.log_file_validation_enabled(false).build()
}

/// The ARN of the trail among `trails` that a finding of `resource` means, in the region that is looked at.
fn found(resource: &str, trails: Vec<Trail>) -> Result<String> {
    let finding = finding("us-east-1", resource);
    let named = Named::parse(&finding)?;
    let region = named.home_region().unwrap_or("us-east-1");
    Ok(seen(named.only(&finding, region, trails)?)?.resource.arn)
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
    // In whatever region it was found: an ARN is looked for at home. And in whatever account: an organization's trail
    // has the management account's ARN also where a member sees it.
    for account in [OURS, MANAGEMENT] {
        let arn = arn("eu-west-1", account, "audit");
        for region in ["eu-west-1", "us-east-1"] {
            let expected = Named::Arn { arn: &arn, home_region: "eu-west-1" };
            assert_eq!(Named::parse(&finding(region, &arn)).unwrap(), expected);
            assert_eq!(expected.home_region(), Some("eu-west-1"));
        }
    }
    assert_eq!(Named::parse(&finding("us-east-1", "audit")).unwrap(), Named::Name("audit"));
    for resource in [
        "",
        "ab",
        "a/b/c",
        "arn:aws:cloudtrail:eu-west-1:222222222222:channel/audit",
        "arn:aws:cloudtrail::222222222222:trail/audit",
        "arn:aws:cloudtrail:eu-west-1::trail/audit",
        "arn:aws:s3:::audit",
    ] {
        let error = Named::parse(&finding("us-east-1", resource)).unwrap_err();
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
    let error = found(&arn("eu-west-1", OURS, "audit"), vec![trail("us-east-1", OURS, "audit")]).unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, DESCRIBE), "{error}");
    assert!(error.message.contains("in eu-west-1, its home region"), "{error}");
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
    let cut: [fn(&mut Trail); 4] = [
        |trail| trail.log_file_validation_enabled = None,
        |trail| trail.trail_arn = None,
        |trail| trail.name = None,
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
    assert_eq!(state, State { home_region: "us-east-1".into(), validated: false });
}

fn planned(seen: &Seen<State>) -> Proposal<Change> {
    CloudTrailUnvalidatedLogs::plan(seen, &[&NoParameters {}], &Settings {})
}

#[test]
fn a_trail_that_does_not_validate_is_changed_at_home() {
    let mut looked = seen(trail("eu-west-1", OURS, "audit")).unwrap();
    let change =
        Change { trail: arn("eu-west-1", OURS, "audit"), home_region: "eu-west-1".into(), before: false, after: true };
    assert_eq!(planned(&looked), vec![change.clone()].into());
    assert_eq!(
        change.to_string(),
        "trail arn:aws:cloudtrail:eu-west-1:222222222222:trail/audit (home region eu-west-1): log file validation \
         false → true"
    );
    looked.state.validated = true;
    assert!(planned(&looked).complies());
}

#[test]
fn the_manifest_names_a_runbook_and_where_there_is_none() {
    let runbook = runbook::of_rule::<CloudTrailUnvalidatedLogs>().unwrap();
    assert_eq!(runbook.name, "AWSConfigRemediation-EnableCloudTrailLogFileValidation");
    for partition in ["aws-us-gov", "aws-cn"] {
        assert!(runbook.missing_in.iter().any(|missing| missing == partition), "{partition}");
    }
}

proptest! {
    #[test]
    fn what_is_changed_complies_and_undo_gives_back_what_was(validated: bool, region in "[a-z]{2}-[a-z]{4}-[1-9]") {
        let mut looked = seen(trail(&region, OURS, "audit")).unwrap();
        looked.state.validated = validated;
        let before = looked.state.clone();
        for change in planned(&looked).changes {
            prop_assert_eq!((change.before, &change.trail), (before.validated, &looked.resource.arn));
            looked.state.validated = change.after;
            prop_assert!(planned(&looked).complies());
            let undo = CloudTrailUnvalidatedLogs::undo(&change).unwrap();
            looked.state.validated = undo.after;
            prop_assert_eq!(CloudTrailUnvalidatedLogs::undo(&undo), Some(change));
        }
        prop_assert_eq!(looked.state, before);
    }

    #[test]
    fn a_stored_change_is_read_as_it_was(trail: String, home_region: String, before: bool, after: bool) {
        let change = Change { trail, home_region, before, after };
        let stored: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
        prop_assert_eq!(stored, change);
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String) {
        let _ = Named::parse(&finding("us-east-1", &resource));
    }
}
