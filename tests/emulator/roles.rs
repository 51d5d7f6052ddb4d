//! Who may do what in a target account: a rule's own role fixes, an operator's takes back, a reader's looks, and none of
//! them is of use for an account that is out of scope.

use aws_sdk_ec2::types::RuleAction::Allow;
use remediation::{ErrorKind, Finding, Guard, Mode, Outcome, Rule, RunId, SessionKind, UNDO_ROLE_SUFFIX};
use rules::network_acl_open_ingress::{NetworkAclOpenIngress, Settings};
use rules::s3_public_bucket::S3PublicBucket;
use serde_json::{Value, json};
use testkit::account::{Account, REGION};
use testkit::emulator::Emulator;
use testkit::organization::Organization;
use testkit::subjects::network_acl_open_ingress::NetworkAcls;

/// A bucket without a block, whose policy lets everyone in.
const OPEN: Option<[bool; 4]> = Some([false; 4]);

/// The name of the central role of the rule's Lambda.
fn lambda_role(of: &Organization) -> String {
    format!("autoremediate-{}-{REGION}", of.manifest.id)
}

/// Sets what a role of the central account may assume: only what `condition` says, of all roles.
async fn may_assume(of: &Organization, condition: &Value) {
    let role = lambda_role(of);
    let mut policies = of.central.take_away(&role, "none:Nothing").await.unwrap();
    for (_, document) in &mut policies {
        for statement in document["Statement"].as_array_mut().unwrap() {
            if statement["Action"].to_string().contains("sts:AssumeRole") {
                statement["Condition"] = condition.clone();
            }
        }
    }
    of.central.give_back(&role, policies).await.unwrap();
}

#[tokio::test]
async fn only_an_operator_can_open_again() {
    let of = Organization::new::<NetworkAclOpenIngress>(Emulator::shared().await.unwrap()).await.unwrap();
    let acls = NetworkAcls::of(&of.target);
    of.choose_control(1);
    let acl = acls.make_in_use("closed").await.unwrap();
    acls.add(&acl, 100, Allow, "-1", "0.0.0.0/0").await.unwrap();
    let settings = Settings { guard_last_allow: Guard::Warn, ..Settings::default() };
    let report = of.run_with::<NetworkAclOpenIngress>(settings, of.batch(&[&acl]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    let plan = of.plan::<NetworkAclOpenIngress>(&report).await.unwrap();
    let planned = &plan.resources[0];
    let undo = NetworkAclOpenIngress::undo(&planned.changes[0].change);

    let client = of.write_client::<NetworkAclOpenIngress>().await.unwrap();
    let error = NetworkAclOpenIngress::apply(&client, &planned.resource, &undo).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::AccessDenied, "ec2:CreateNetworkAclEntry"), "{error}");

    // The Lambda's role is not let in, also where its own policy would let it go anywhere.
    let anywhere = json!([{"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"], "Resource": "*"}]);
    let document = json!({"Version": "2012-10-17", "Statement": anywhere}).to_string();
    let put = of.central.iam.put_role_policy().role_name(lambda_role(&of)).policy_name("anywhere");
    put.policy_document(document).send().await.unwrap();
    let Finding { account, region, .. } = of.finding(&acl);
    let sessions = of.sessions(RunId::start());
    for kind in [SessionKind::ReadForUndo, SessionKind::Undo] {
        let error = sessions.target(&account, &region, kind).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::AccessDenied, "sts:AssumeRole"), "{error}");
    }
    assert!(sessions.target(&account, &region, SessionKind::Write).await.is_ok());
    assert!(acls.allowed(&acl).await.unwrap().is_empty());

    let undone = of.undo::<NetworkAclOpenIngress>(&report, Mode::Apply).await.unwrap();
    assert_eq!(undone.count(Outcome::Undone), 1, "{undone:?}");
    let used = of.used(&of.undo_role()).await.unwrap();
    assert!(used.contains("ec2:CreateNetworkAclEntry") && of.undo_role().ends_with(UNDO_ROLE_SUFFIX), "{used:?}");
    assert!(!acls.allowed(&acl).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_account_out_of_scope_is_not_reached_whatever_roles_it_has() {
    let emulator = Emulator::shared().await.unwrap();
    let management = Account::fresh(emulator);
    let member = Account::new(emulator, &management.make_organization(emulator).await.unwrap());
    let organization = management.organization_id(emulator).await.unwrap();
    let of = Organization::with_target::<S3PublicBucket>(emulator, member).await.unwrap();

    // Somebody has made a role of that name, which does and lets in whatever and whomever.
    let outsider = Account::fresh(emulator);
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"},
        "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"]}]});
    let all = json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]);
    outsider.make_role(&of.target_role(), &trust, &all).await.unwrap();

    let conditions = [
        (json!({}), true),
        (json!({"StringEquals": {"aws:ResourceOrgID": organization}}), false),
        (json!({"ForAnyValue:StringLike": {"aws:ResourceOrgPaths": [format!("{organization}/r-*/*")]}}), false),
        (json!({"StringEquals": {"aws:ResourceAccount": [of.target.id]}}), false),
        (json!({"StringEquals": {"aws:ResourceOrgID": organization, "aws:ResourceAccount": [of.target.id]}}), false),
    ];
    for (number, (condition, reaches)) in conditions.iter().enumerate() {
        if *condition != json!({}) {
            may_assume(&of, condition).await;
        }
        let (inside, outside) = (format!("in-{number}-{}", of.target.id), format!("out-{number}-{}", outsider.id));
        of.target.make_bucket(&inside, OPEN).await.unwrap();
        outsider.make_bucket(&outside, OPEN).await.unwrap();
        let mut batch = of.batch(&[&inside, &outside]);
        batch.findings[1].account = outsider.id.parse().unwrap();
        let report = of.run::<S3PublicBucket>(batch, Mode::Apply).await;
        let expected = [Outcome::Fixed, if *reaches { Outcome::Fixed } else { Outcome::Failed }];
        let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
        assert_eq!(outcomes, expected, "{condition}: {report:?}");
        if !reaches {
            let detail = report.findings[1].detail.as_ref().unwrap();
            assert!(detail.starts_with("sts:AssumeRole: AccessDenied"), "{condition}: {detail}");
            assert_eq!(outsider.public_access_block(&outside).await.unwrap(), OPEN);
        }
    }
}
