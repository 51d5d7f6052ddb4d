//! What is sent to STS, and what a session then is.

use remediation::{Manifest, Region, RunId, SessionKind, Target, TargetRole};

use crate::fake::{World, manifest};

const ACCOUNT: &str = "222222222222";

/// Asks for a session from the central account's `region` for a resource in `of`.
async fn target(world: &World, region: &str, of: &Region, kind: SessionKind) -> Target {
    world.sessions(region).target(&ACCOUNT.parse().unwrap(), of, kind).await.unwrap()
}

#[tokio::test]
async fn a_session_says_who_it_is_and_asks_sts_in_its_own_region() {
    for (region, of) in
        [("us-east-1", "ap-south-1"), ("eu-central-1", "ap-south-1"), ("us-gov-west-1", "us-gov-east-1")]
    {
        let world = World::new();
        target(&world, region, &Region::code(of), SessionKind::Write).await;
        let [request] = &world.sts.requests()[..] else { panic!("one request") };
        assert_eq!(request.host, format!("sts.{region}.amazonaws.com"));
        assert_eq!(request.form["Action"], "AssumeRole");
        assert_eq!(request.form["RoleSessionName"], format!("autoremediate-{}", world.run));
        assert_eq!(request.form["SourceIdentity"], "autoremediate-open-door");
        assert_eq!(request.form["ExternalId"], "shared-with-the-role");
        // https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
        for name in ["RoleSessionName", "SourceIdentity"] {
            assert!(request.form[name].len() <= 64, "{name}");
        }
    }
}

#[tokio::test]
async fn only_the_read_session_is_held_to_exactly_the_manifests_read_actions() {
    let world = World::new();
    target(&world, "us-east-1", &Region::code("us-east-1"), SessionKind::Read).await;
    target(&world, "us-east-1", &Region::code("us-east-1"), SessionKind::Write).await;
    let [read, write] = &world.sts.requests()[..] else { panic!("two requests") };
    assert_eq!(write.form.get("Policy"), None);
    let policy: serde_json::Value = serde_json::from_str(&read.form["Policy"]).unwrap();
    let expected = serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "test:GetDoors", "Resource": "arn:aws:test:*:*:house/*-x"},
        {"Effect": "Allow", "Action": "test:ListHouses", "Resource": "*"},
    ]});
    assert_eq!(policy, expected);
}

#[tokio::test]
async fn a_target_has_the_resources_region_and_the_sessions_credentials() {
    use aws_sdk_s3::config::ProvideCredentials;
    let world = World::new();
    for (region, expected) in [(Region::code("ap-south-1"), "ap-south-1"), (Region::global(), "us-west-2")] {
        let target = target(&world, "us-west-2", &region, SessionKind::Read).await;
        assert_eq!(target.region, expected);
        assert_eq!(target.config.region().unwrap().as_ref(), expected);
        let credentials = target.config.credentials_provider().unwrap().provide_credentials().await.unwrap();
        assert_eq!(credentials.access_key_id(), format!("READ-{ACCOUNT}"));
        assert!(credentials.session_token().is_some() && credentials.expiry().is_some());
    }
}

#[tokio::test]
async fn the_roles_arn_is_in_the_regions_partition() {
    for (region, arn) in [("cn-north-1", "arn:aws-cn:iam::"), ("eu-west-1", "arn:aws:iam::")] {
        let world = World::new();
        let target = target(&world, region, &Region::code(region), SessionKind::Read).await;
        assert!(target.role_arn.starts_with(&format!("{arn}{ACCOUNT}:role/role-")), "{}", target.role_arn);
        assert_eq!(world.sts.requests()[0].form["RoleArn"], target.role_arn);
        assert!(target.role_arn.contains(target.partition));
    }
}

/// And the refusal is not taken for the account's: its other findings get their session.
#[tokio::test]
async fn another_partitions_region_asks_nobody() {
    let world = World::new();
    let sessions = world.sessions("us-east-1");
    let account = ACCOUNT.parse().unwrap();
    for region in ["cn-north-1", "us-gov-west-1"] {
        let error = sessions.target(&account, &Region::code(region), SessionKind::Read).await.unwrap_err();
        assert_eq!(error.kind, remediation::ErrorKind::InvalidFinding);
        assert!(error.message.contains(region) && error.message.contains("this deployment is in aws"), "{error}");
    }
    assert_eq!(world.sts.requests().len(), 0);
    assert!(sessions.target(&account, &Region::code("eu-west-1"), SessionKind::Read).await.is_ok());
}

#[tokio::test]
async fn many_askers_at_once_share_one_session() {
    let world = World::new();
    let sessions = world.sessions("us-east-1");
    let account = ACCOUNT.parse().unwrap();
    let regions: Vec<_> = (0..20).map(|number| Region::code(format!("eu-west-{number}"))).collect();
    let ask = |region| sessions.target(&account, region, SessionKind::Read);
    futures::future::try_join_all(regions.iter().map(ask)).await.unwrap();
    assert_eq!(world.sts.requests().len(), 1);
}

#[test]
fn every_rules_session_policy_fits_into_a_request() {
    let role = TargetRole { name: "role".into(), external_id: None };
    let rules = format!("{}/../rules", std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let manifests = std::fs::read_dir(rules).unwrap().filter_map(|rule| {
        let path = rule.unwrap().path().join("rule.json");
        Some(Manifest::from_json(&std::fs::read_to_string(&path).ok()?).unwrap())
    });
    let manifests: Vec<_> = manifests.collect();
    assert!(!manifests.is_empty());
    for manifest in manifests.into_iter().chain([manifest()]) {
        let policy = manifest.access(role.clone(), RunId::start()).read_policy.replace("{partition}", "aws-us-gov");
        // https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
        assert!(policy.len() <= 2_048, "{}: {} characters", manifest.id, policy.len());
        for permission in &manifest.read {
            assert!(policy.contains(&format!("\"{}\"", permission.action)), "{}: {}", manifest.id, permission.action);
        }
        let resources_left = ["{partition}", "{region}", "{account}", "{prefix}"].map(|key| policy.contains(key));
        assert_eq!(resources_left, [false; 4], "{policy}");
    }
}
