//! What is sent to STS, and what a session then is.

use std::time::Duration;

use remediation::{
    Access, Error, ErrorKind, Manifest, Mode, Region, RunId, SessionKind, Sessions, Target, TargetRole, call,
};

use super::run;
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

/// The session of this kind in a world's only account, from one place that remembers.
async fn ask(sessions: &Sessions, kind: SessionKind) -> Result<Target, Error> {
    sessions.target(&ACCOUNT.parse().unwrap(), &Region::code("us-east-1"), kind).await
}

async fn list_buckets(target: &Target) -> Result<(), Error> {
    let s3 = aws_sdk_s3::Client::new(&target.config);
    call("s3:ListAllMyBuckets", || s3.list_buckets().send()).await.map(drop)
}

#[tokio::test]
async fn only_an_undo_takes_the_role_that_can_open_again() {
    let world = World::new();
    let sessions = world.sessions("us-east-1");
    for (kind, suffix, is_read_only) in [
        (SessionKind::Read, "", true),
        (SessionKind::Write, "", false),
        (SessionKind::ReadForUndo, "-undo", true),
        (SessionKind::Undo, "-undo", false),
    ] {
        let target = ask(&sessions, kind).await.unwrap();
        let request = world.sts.requests().pop().unwrap();
        assert_eq!(request.form["RoleArn"], format!("{}{suffix}", target.role_arn));
        assert_eq!(request.form.contains_key("Policy"), is_read_only, "{kind:?}");
        assert!(target.service_role_arn().ends_with("-service") && !target.service_role_arn().contains("undo"));
    }
}

#[tokio::test]
async fn a_session_is_asked_for_as_long_as_it_is_said() {
    let world = World::new();
    for length in [None, Some(Duration::from_secs(900))] {
        let access = Access { session_length: length, ..world.access() };
        ask(&Sessions::new(world.sts.config("us-east-1"), access), SessionKind::Read).await.unwrap();
        let seconds = world.sts.requests().pop().unwrap().form.get("DurationSeconds").cloned();
        assert_eq!(seconds, length.map(|length| length.as_secs().to_string()));
    }
}

#[tokio::test]
async fn a_session_that_is_about_to_end_is_renewed_and_no_other() {
    let world = World::new();
    for (lasting, requests) in [(3600, 1), (120, 1), (30, 4)] {
        world.sts.give(Duration::from_secs(lasting));
        let (sessions, before) = (world.sessions("us-east-1"), world.sts.requests().len());
        let target = ask(&sessions, SessionKind::Write).await.unwrap();
        for _ in 0..3 {
            list_buckets(&target).await.unwrap();
        }
        assert_eq!(world.sts.requests().len() - before, requests, "{lasting} s");
    }
}

#[tokio::test]
async fn a_session_that_has_ended_is_renewed_and_the_call_tried_again_once() {
    for code in ["ExpiredToken", "ExpiredTokenException", "RequestExpired"] {
        let world = World::new();
        world.sts.give(Duration::from_secs(3600));
        let sessions = world.sessions("us-east-1");
        let target = ask(&sessions, SessionKind::Write).await.unwrap();
        let (account, region) = (ACCOUNT.parse().unwrap(), Region::code("eu-west-1"));
        let elsewhere = sessions.target(&account, &region, SessionKind::Write).await.unwrap();
        world.sts.end(&format!("WRITE-{ACCOUNT}-0"), code);
        // All at once meet the old one, and one of them renews it for all.
        let calls = [&target, &elsewhere, &target, &target].map(list_buckets);
        futures::future::try_join_all(calls).await.unwrap();
        assert_eq!(world.sts.requests().len(), 2, "{code}");
        // The new one has ended as well, and so will the next: nobody goes on for ever.
        world.sts.end(&format!("WRITE-{ACCOUNT}-1"), code);
        world.sts.end(&format!("WRITE-{ACCOUNT}-2"), code);
        let error = list_buckets(&target).await.unwrap_err();
        assert_eq!((error.code.as_deref(), world.sts.requests().len()), (Some(code), 3), "{error}");
    }
    let world = World::new();
    world.sts.give(Duration::from_secs(3600));
    let target = ask(&world.sessions("us-east-1"), SessionKind::Write).await.unwrap();
    world.sts.end(&format!("WRITE-{ACCOUNT}-0"), "AccessDenied");
    assert_eq!(list_buckets(&target).await.unwrap_err().kind, ErrorKind::AccessDenied);
    assert_eq!(world.sts.requests().len(), 1, "that is no end of a session");
}

#[tokio::test]
async fn a_renewal_that_is_refused_is_what_the_call_fails_with() {
    let world = World::new();
    world.sts.give(Duration::from_secs(30));
    let sessions = world.sessions("us-east-1");
    let target = ask(&sessions, SessionKind::Write).await.unwrap();
    world.sts.refuse(ACCOUNT);
    for _ in 0..2 {
        let error = list_buckets(&target).await.unwrap_err();
        assert_eq!((error.action.as_str(), error.kind), ("sts:AssumeRole", ErrorKind::AccessDenied), "{error}");
        assert!(error.is_of_account());
    }
    assert!(ask(&sessions, SessionKind::Write).await.is_err());
    // The first session; its renewal, with the rule's source identity and with the caller's own.
    assert_eq!(world.sts.requests().len(), 3, "a refusal is remembered");
}

#[tokio::test]
async fn a_lost_answer_is_not_remembered_and_is_shared_by_those_who_waited_for_it() {
    let world = World::new();
    let sessions = world.sessions("us-east-1");
    world.sts.lose(1);
    let asked = futures::future::join_all((0..5).map(|_| ask(&sessions, SessionKind::Read))).await;
    for answer in asked {
        let error = answer.unwrap_err();
        assert_eq!((error.action.as_str(), error.kind), ("sts:AssumeRole", ErrorKind::Transient), "{error}");
    }
    assert_eq!(world.sts.requests().len(), 1);
    ask(&sessions, SessionKind::Read).await.unwrap();
    ask(&sessions, SessionKind::Read).await.unwrap();
    assert_eq!(world.sts.requests().len(), 2);
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

/// The session of this kind in an account, and with which source identities it was asked for.
async fn identities(world: &World, sessions: &Sessions, account: &str) -> Vec<Option<String>> {
    let before = world.sts.requests().len();
    let region = Region::code("us-east-1");
    sessions.target(&account.parse().unwrap(), &region, SessionKind::Read).await.unwrap();
    world.sts.requests()[before..].iter().map(|request| request.form.get("SourceIdentity").cloned()).collect()
}

#[tokio::test]
async fn a_caller_with_a_source_identity_keeps_it_and_is_asked_once() {
    let (world, ours) = (World::new(), Some("autoremediate-open-door".to_owned()));
    world.sts.name_caller("alice");
    let sessions = world.sessions("us-east-1");
    assert_eq!(identities(&world, &sessions, ACCOUNT).await, [ours, None]);
    assert_eq!(identities(&world, &sessions, "333333333333").await, [None]);
    let said = sessions.other_identity().unwrap().to_string();
    assert_eq!(said, "source identity: the caller's own, alice, and not autoremediate-open-door");
}

#[tokio::test]
async fn a_role_that_lets_nobody_set_a_source_identity_costs_no_other_account_its_own() {
    let (world, ours) = (World::new(), Some("autoremediate-open-door".to_owned()));
    world.sts.let_nobody_name(ACCOUNT);
    let sessions = world.sessions("us-east-1");
    assert_eq!(sessions.other_identity(), None);
    assert_eq!(identities(&world, &sessions, ACCOUNT).await, [ours.clone(), None]);
    assert_eq!(identities(&world, &sessions, "333333333333").await, [ours]);
    let said = sessions.other_identity().unwrap().to_string();
    assert!(said.contains("sts:SetSourceIdentity is not allowed"), "{said}");
}

#[tokio::test]
async fn the_report_says_whose_source_identity_its_sessions_have() {
    let mut world = World::new();
    world.open_houses(ACCOUNT, "us-east-1", 1);
    assert_eq!(run(&world, Mode::Plan).await.source_identity, None);
    world.sts.name_caller("alice");
    let held = run(&world, Mode::Plan).await.source_identity.and_then(|identity| identity.held);
    assert_eq!(held.as_deref(), Some("alice"));
}
