use proptest::prelude::*;
use remediation::{Manifest, Region as FindingRegion};

use super::*;

fn finding(region: &str, resource: &str) -> Finding {
    let manifest = Manifest::from_json(CloudTrailUnvalidatedLogs::MANIFEST).unwrap();
    Finding {
        control: manifest.controls[0].rule_names[0].clone(),
        account: "222222222222".parse().unwrap(),
        region: FindingRegion::code(region),
        resource: resource.into(),
        first_seen: None,
        last_scanned: None,
    }
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
    let arn = "arn:aws:cloudtrail:eu-west-1:222222222222:trail/audit";
    // A trail of another region can log in the finding's: whether it does, only CloudTrail knows.
    for region in ["eu-west-1", "us-east-1"] {
        assert_eq!(parse(&finding(region, arn)).unwrap(), Named::Arn(arn));
    }
    assert_eq!(parse(&finding("us-east-1", "audit")).unwrap(), Named::Name("audit"));
    for resource in [
        "",
        "ab",
        "a/b/c",
        "arn:aws:cloudtrail:eu-west-1:222222222222:channel/audit",
        "arn:aws:cloudtrail:eu-west-1:333333333333:trail/audit",
        "arn:aws:s3:::audit",
    ] {
        let error = parse(&finding("us-east-1", resource)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
    }
}

proptest! {
    #[test]
    fn undo_of_undo_is_the_change_itself(trail: String, home_region: String, before: bool, after: bool) {
        let change = Change { trail, home_region, before, after };
        let stored: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
        let undo = CloudTrailUnvalidatedLogs::undo(&stored).unwrap();
        prop_assert_eq!((undo.before, undo.after), (after, before));
        prop_assert_eq!(CloudTrailUnvalidatedLogs::undo(&undo), Some(change));
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String) {
        let _ = parse(&finding("us-east-1", &resource));
    }
}
