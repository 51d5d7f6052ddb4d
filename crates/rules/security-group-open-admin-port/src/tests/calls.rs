//! What is written: the calls of a change, and what is done where one of them is refused.

use aws_sdk_ec2::operation::authorize_security_group_ingress::{
    AuthorizeSecurityGroupIngressError, AuthorizeSecurityGroupIngressOutput,
};
use aws_sdk_ec2::operation::describe_network_interfaces::DescribeNetworkInterfacesOutput;
use aws_sdk_ec2::operation::modify_security_group_rules::{
    ModifySecurityGroupRulesError, ModifySecurityGroupRulesOutput,
};
use aws_sdk_ec2::operation::revoke_security_group_ingress::RevokeSecurityGroupIngressError;
use aws_sdk_ec2::types::Tag;
use aws_sdk_ssm::operation::get_automation_execution::GetAutomationExecutionOutput;
use aws_sdk_ssm::operation::start_automation_execution::{
    StartAutomationExecutionError, StartAutomationExecutionOutput,
};
use aws_sdk_ssm::types::{AutomationExecution, AutomationExecutionStatus};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

use super::*;

const WIDE: &str = "tcp 0-65535 0.0.0.0/0";
const BELOW: &str = "tcp 0-21 0.0.0.0/0";
const ABOVE: &str = "tcp 23-65535 0.0.0.0/0";
/// What the wide rule becomes.
const BELOW_IN_ITS_PLACE: &str = "tcp 0-21 0.0.0.0/0 is tcp 0-65535 0.0.0.0/0";
const DENIED: &str = "UnauthorizedOperation";

fn started() -> MockRule {
    mock!(Ssm::start_automation_execution)
        .match_requests(|request| {
            let parameters = request.parameters().unwrap();
            request.document_name() == Some(RUNBOOK) && parameters.len() == 1 && parameters["GroupId"] == [GROUP]
        })
        .then_output(|| StartAutomationExecutionOutput::builder().automation_execution_id("e-1").build())
}

fn not_started(code: &'static str) -> MockRule {
    mock!(Ssm::start_automation_execution).then_error(move || StartAutomationExecutionError::generic(metadata(code)))
}

fn ended(status: AutomationExecutionStatus) -> MockRule {
    mock!(Ssm::get_automation_execution).then_output(move || {
        let execution = AutomationExecution::builder().automation_execution_status(status.clone()).build();
        GetAutomationExecutionOutput::builder().automation_execution(execution).build()
    })
}

/// Answers each call to add rules with the next code; none: they are added.
fn adds(codes: &[Option<&'static str>]) -> MockRule {
    let mut sequence = mock!(Ec2::authorize_security_group_ingress).sequence();
    for code in codes.iter().copied() {
        sequence = match code {
            Some(code) => sequence.error(move || AuthorizeSecurityGroupIngressError::generic(metadata(code))),
            None => sequence.output(|| AuthorizeSecurityGroupIngressOutput::builder().build()),
        };
    }
    sequence.build()
}

/// Modifies of the rule `id` alone, into these ports; with a code, it is refused.
fn modified(id: &'static str, ports: (Option<i32>, Option<i32>), code: Option<&'static str>) -> MockRule {
    let mock = mock!(Ec2::modify_security_group_rules).match_requests(move |request| {
        let [update] = request.security_group_rules() else { return false };
        let Some(rule) = update.security_group_rule() else { return false };
        request.group_id() == Some(GROUP)
            && update.security_group_rule_id() == Some(id)
            && (rule.from_port(), rule.to_port()) == ports
            && rule.cidr_ipv4() == Some("0.0.0.0/0")
    });
    match code {
        Some(code) => mock.then_error(move || ModifySecurityGroupRulesError::generic(metadata(code))),
        None => mock.then_output(|| ModifySecurityGroupRulesOutput::builder().r#return(true).build()),
    }
}

fn narrowed() -> Change {
    change(&[WIDE], &[BELOW, ABOVE])
}

#[tokio::test]
async fn a_wide_rule_changes_in_place_after_the_rest_was_added() {
    let (added, modify) = (adds(&[None]), modified(WIDE, (Some(0), Some(21)), None));
    let client = client(&[&looks(&[&[WIDE, WEB], &[WIDE, WEB, ABOVE]]), &added, &modify], &[]);
    apply(&client, &narrowed()).await.unwrap();
    assert_eq!((added.num_calls(), modify.num_calls()), (1, 1));
}

#[tokio::test]
async fn an_undo_changes_it_back_and_revokes_what_was_added() {
    let undo = narrowed().undo();
    for (present, back, revokes) in [
        (&[BELOW, ABOVE][..], Some(BELOW), Some(ABOVE)),
        (&[BELOW, WIDE], None, Some(BELOW)),
        (&[WIDE, WEB], None, None),
    ] {
        let modify = back.map(|id| modified(id, (Some(0), Some(65535)), None));
        let revoke = mock!(Ec2::revoke_security_group_ingress)
            .match_requests(move |request| request.security_group_rule_ids().iter().map(String::as_str).eq(revokes))
            .then_output(|| RevokeSecurityGroupIngressOutput::builder().build());
        let looked = looks(&[present]);
        let mocks: Vec<_> = [Some(&looked), modify.as_ref(), Some(&revoke)].into_iter().flatten().collect();
        let written = apply(&client(&mocks, &[]), &undo).await.map_err(|error| error.kind);
        let is_needed = back.is_some() || revokes.is_some();
        assert_eq!(written, if is_needed { Ok(()) } else { Err(ErrorKind::Unneeded) }, "{present:?}");
        assert_eq!(modify.map_or(1, |modify| modify.num_calls()), 1, "{present:?}");
        assert_eq!(revoke.num_calls(), usize::from(revokes.is_some()), "{present:?}");
    }
}

#[tokio::test]
async fn an_undo_does_not_open_what_somebody_else_has_closed() {
    for present in [&[ABOVE][..], &[BELOW], &[]] {
        let error = apply(&client(&[&looks(&[present])], &[]), &narrowed().undo()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Permanent, "{present:?}: {error}");
        assert!(error.message.contains("tcp 0-65535 from 0.0.0.0/0 would open that again"), "{error}");
    }
    // What was only revoked is added again.
    let added = adds(&[None]);
    apply(&client(&[&looks(&[&[]]), &added], &[]), &change(&[WIDE], &[]).undo()).await.unwrap();
    assert_eq!(added.num_calls(), 1);
}

#[tokio::test]
async fn a_rule_for_all_traffic_has_no_ports_in_a_call() {
    let undo = change(&["-1 - 0.0.0.0/0"], &[BELOW]).undo();
    let modify = modified(BELOW, (None, None), None);
    apply(&client(&[&looks(&[&[BELOW]]), &modify], &[]), &undo).await.unwrap();
    assert_eq!(modify.num_calls(), 1);
}

#[tokio::test]
async fn the_description_and_the_tags_of_a_rule_go_on_to_the_narrower_ones() {
    let tag = |key: &str| Tag::builder().key(key).value("v").build();
    let wide = changed(WIDE, |rule| {
        rule.description = Some("for now".into());
        rule.tags = Some(vec![tag("owner"), tag("aws:cloudformation:stack-name")]);
    });
    let mut inbound = Inbound::default();
    inbound.take(wide).unwrap();
    let plan = plan_of(&seen(inbound), &[SSH], &Settings::default());
    let added = mock!(Ec2::authorize_security_group_ingress)
        .match_requests(|request| {
            let descriptions = request.ip_permissions().iter().flat_map(|of| of.ip_ranges());
            let [tags] = request.tag_specifications() else { return false };
            descriptions.map(|range| range.description()).eq([Some("for now")])
                && tags.tags().iter().map(|tag| (tag.key(), tag.value())).eq([(Some("owner"), Some("v"))])
        })
        .then_output(|| AuthorizeSecurityGroupIngressOutput::builder().build());
    let modify = mock!(Ec2::modify_security_group_rules)
        .match_requests(|request| {
            let rule = request.security_group_rules()[0].security_group_rule().unwrap();
            rule.description() == Some("for now")
        })
        .then_output(|| ModifySecurityGroupRulesOutput::builder().build());
    apply(&client(&[&looks(&[&[WIDE], &[WIDE, ABOVE]]), &added, &modify], &[]), &plan.changes[0]).await.unwrap();
    assert_eq!((added.num_calls(), modify.num_calls()), (1, 1));
}

#[tokio::test]
async fn nothing_is_written_where_the_wide_rule_is_gone() {
    for present in [&[BELOW][..], &["tcp 0-65535 ::/0"], &["-1 - 0.0.0.0/0"], &[]] {
        let error = apply(&client(&[&looks(&[present])], &[]), &narrowed()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unneeded, "{present:?}: {error}");
    }
}

#[tokio::test]
async fn nothing_is_written_where_something_else_would_be_closed_by_now() {
    let change = Change { keep: rules(&[ABOVE]), ..change(&[WIDE], &[BELOW]) };
    let error = apply(&client(&[&looks(&[&[WIDE]])], &[]), &change).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotNow);
    assert!(error.message.contains("tcp 23-65535 from 0.0.0.0/0 would be closed as well"), "{error}");
    // What opens it may be another rule than it was.
    for other in [ABOVE, "-1 - 0.0.0.0/0", "tcp 22-65535 0.0.0.0/0"] {
        let modify = modified(WIDE, (Some(0), Some(21)), None);
        apply(&client(&[&looks(&[&[WIDE, other]]), &modify], &[]), &change).await.unwrap();
        assert_eq!(modify.num_calls(), 1, "{other}");
    }
}

#[tokio::test]
async fn of_rules_that_are_partly_there_each_missing_one_is_added() {
    const THERE: Option<&str> = Some("InvalidPermission.Duplicate");
    let two = change(&[], &[BELOW, ABOVE]);
    let added = adds(&[THERE, THERE, None]);
    apply(&client(&[&looks(&[&[]]), &added], &[]), &two).await.unwrap();
    assert_eq!(added.num_calls(), 3);
    let added = adds(&[THERE]);
    apply(&client(&[&looks(&[&[BELOW]]), &added], &[]), &two).await.unwrap();
    assert_eq!(added.num_calls(), 1);
}

#[tokio::test]
async fn rules_with_other_tags_are_added_by_calls_of_their_own() {
    let mut two = change(&[], &["tcp 22-22 0.0.0.0/0", "tcp 22-22 ::/0"]);
    two.give[1].tags.insert("owner".into(), "ops".into());
    let added = adds(&[None, None]);
    apply(&client(&[&looks(&[&[]]), &added], &[]), &two).await.unwrap();
    assert_eq!(added.num_calls(), 2);
}

#[tokio::test]
async fn a_full_group_is_held_and_the_quota_is_named() {
    let client = client(&[&looks(&[&[WIDE]]), &adds(&[Some("RulesPerSecurityGroupLimitExceeded")])], &[]);
    let error = apply(&client, &narrowed()).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::OutOfReach, "ec2:AuthorizeSecurityGroupIngress"));
    assert!(error.message.contains("L-0EA8095F") && error.message.contains("1 more rule"), "{error}");
}

#[tokio::test]
async fn what_is_refused_takes_back_what_was_added_for_it() {
    let taken_back = revoked_same(&[ABOVE]);
    let looked = looks(&[&[WIDE], &[WIDE, ABOVE]]);
    let refused = modified(WIDE, (Some(0), Some(21)), Some(DENIED));
    let client = client(&[&looked, &adds(&[None]), &refused, &taken_back], &[]);
    let error = apply(&client, &narrowed()).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::AccessDenied, "ec2:ModifySecurityGroupRules"));
    assert!(error.message.contains("was taken back: tcp 23-65535 from 0.0.0.0/0"), "{error}");
    assert_eq!(taken_back.num_calls(), 1);
}

#[tokio::test]
async fn of_adds_that_are_refused_in_part_the_others_are_taken_back() {
    let mut wide = change(&[WIDE], &["tcp 1-1 0.0.0.0/0", BELOW, ABOVE]);
    // Two calls, for the tags.
    wide.give[2].tags.insert("owner".into(), "ops".into());
    let taken_back = revoked_same(&[BELOW]);
    let added = adds(&[None, Some("RulesPerSecurityGroupLimitExceeded")]);
    let client = client(&[&looks(&[&[WIDE]]), &added, &taken_back], &[]);
    let error = apply(&client, &wide).await.unwrap_err();
    assert!(error.message.contains("L-0EA8095F") && error.message.contains("taken back: tcp 0-21"), "{error}");
    assert_eq!((error.kind, taken_back.num_calls()), (ErrorKind::OutOfReach, 1));
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_said() {
    let looked = looks(&[&[WIDE], &[WIDE, ABOVE]]);
    let refused = modified(WIDE, (Some(0), Some(21)), Some(DENIED));
    let also = mock!(Ec2::revoke_security_group_ingress)
        .then_error(|| RevokeSecurityGroupIngressError::generic(metadata(DENIED)));
    let error = apply(&client(&[&looked, &adds(&[None]), &refused, &also], &[]), &narrowed()).await.unwrap_err();
    for says in
        ["UnauthorizedOperation: told so", "still there: tcp 23-65535 from 0.0.0.0/0", "ec2:RevokeSecurityGroupIngress"]
    {
        assert!(error.message.contains(says), "{error}");
    }
    assert_eq!(error.action, "ec2:ModifySecurityGroupRules");
}

#[tokio::test]
async fn where_nobody_answers_to_a_step_back_it_may_still_come() {
    for refused in [DENIED, "InternalError"] {
        let looked = looks(&[&[WIDE], &[WIDE, ABOVE], &[BELOW_IN_ITS_PLACE]]);
        let refused = modified(WIDE, (Some(0), Some(21)), Some(refused));
        let also = mock!(Ec2::revoke_security_group_ingress)
            .then_http_response(|| HttpResponse::new(500.try_into().unwrap(), SdkBody::empty()));
        let error = apply(&client(&[&looked, &adds(&[None]), &refused, &also], &[]), &narrowed()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unfinished, "{error}");
        assert!(error.message.contains("still there: tcp 23-65535 from 0.0.0.0/0"), "{error}");
    }
}

fn unanswered() -> MockRule {
    mock!(Ec2::modify_security_group_rules)
        .then_http_response(|| HttpResponse::new(500.try_into().unwrap(), SdkBody::empty()))
}

#[tokio::test]
async fn without_an_answer_nothing_is_taken_back_while_the_wide_rule_is_there() {
    // The call may still be under way, and then only what was added keeps the other ports open.
    let looked = looks(&[&[WIDE], &[WIDE, ABOVE], &[WIDE, ABOVE]]);
    let error = apply(&client(&[&looked, &adds(&[None]), &unanswered()], &[]), &narrowed()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient, "{error}");
    assert!(error.message.contains("still there: tcp 23-65535 from 0.0.0.0/0"), "{error}");
}

#[tokio::test]
async fn without_an_answer_a_look_tells_what_became_of_the_rule() {
    let looked = looks(&[&[WIDE], &[WIDE, ABOVE], &[BELOW_IN_ITS_PLACE, ABOVE]]);
    apply(&client(&[&looked, &adds(&[None]), &unanswered()], &[]), &narrowed()).await.unwrap();
    let (looked, taken_back) = (looks(&[&[WIDE], &[WIDE, ABOVE], &[ABOVE]]), revoked_same(&[ABOVE]));
    let client = client(&[&looked, &adds(&[None]), &unanswered(), &taken_back], &[]);
    assert_eq!(apply(&client, &narrowed()).await.unwrap_err().kind, ErrorKind::NotNow);
    assert_eq!(taken_back.num_calls(), 1);
}

#[tokio::test]
async fn an_add_without_an_answer_is_taken_back() {
    let added = mock!(Ec2::authorize_security_group_ingress)
        .then_http_response(|| HttpResponse::new(500.try_into().unwrap(), SdkBody::empty()));
    let taken_back = revoked_same(&[ABOVE]);
    let error = apply(&client(&[&looks(&[&[WIDE]]), &added, &taken_back], &[]), &narrowed()).await.unwrap_err();
    assert_eq!((error.kind, taken_back.num_calls()), (ErrorKind::Transient, 1), "{error}");
}

#[tokio::test]
async fn what_was_added_is_taken_back_where_the_wide_rule_vanished_or_changed_since() {
    // Removed; narrowed for another port, as by another run; made one for somebody in particular; put there anew.
    let by_port = "tcp 0-3388 0.0.0.0/0 is tcp 0-65535 0.0.0.0/0";
    let by_peer = "tcp 0-65535 10.0.0.0/8 is tcp 0-65535 0.0.0.0/0";
    let anew = "tcp 0-65535 0.0.0.0/0 is another";
    // The wide rule is still there, but somebody is adding what only narrows it.
    let other_run = "tcp 3390-65535 0.0.0.0/0";
    for now in [
        &[WEB, ABOVE][..],
        &[WEB, by_port, ABOVE, other_run],
        &[WEB, by_peer, ABOVE],
        &[WEB, anew, ABOVE],
        &[WEB, WIDE, ABOVE, other_run],
        // Another rule of the group was removed, which may have been to stay open.
        &[WIDE, ABOVE],
    ] {
        let (looked, taken_back) = (looks(&[&[WEB, WIDE], now]), revoked_same(&[ABOVE]));
        let client = client(&[&looked, &adds(&[None]), &taken_back], &[]);
        let error = apply(&client, &narrowed()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotNow, "{now:?}: {error}");
        for says in ["somebody else changed the group", "was taken back: tcp 23-65535 from 0.0.0.0/0"] {
            assert!(error.message.contains(says), "{now:?}: {error}");
        }
        assert_eq!(taken_back.num_calls(), 1, "{now:?}");
    }
}

#[tokio::test]
async fn what_was_added_is_taken_back_where_the_wide_rule_vanishes_at_the_last_moment() {
    for code in ["InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.Duplicate"] {
        let refused = modified(WIDE, (Some(0), Some(21)), Some(code));
        let (looked, taken_back) = (looks(&[&[WIDE], &[WIDE, ABOVE], &[ABOVE]]), revoked_same(&[ABOVE]));
        let client = client(&[&looked, &adds(&[None]), &refused, &taken_back], &[]);
        let error = apply(&client, &narrowed()).await.unwrap_err();
        assert_eq!((error.kind, taken_back.num_calls()), (ErrorKind::NotNow, 1), "{code}: {error}");
    }
}

#[tokio::test]
async fn what_stays_open_because_it_cannot_be_taken_back_is_no_matter_of_time() {
    let refused = mock!(Ec2::revoke_security_group_ingress)
        .then_error(|| RevokeSecurityGroupIngressError::generic(metadata(DENIED)));
    let client = client(&[&looks(&[&[WIDE], &[ABOVE]]), &adds(&[None]), &refused], &[]);
    let error = apply(&client, &narrowed()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AccessDenied, "{error}");
    assert!(error.message.contains("it is still there: tcp 23-65535 from 0.0.0.0/0"), "{error}");
}

#[tokio::test]
async fn of_an_undo_that_is_refused_in_part_the_rest_is_taken_back() {
    let mut undo = change(&["tcp 22-22 0.0.0.0/0", "tcp 3389-3389 0.0.0.0/0"], &[]).undo();
    undo.give[1].tags.insert("owner".into(), "ops".into());
    let taken_back = revoked_same(&["tcp 22-22 0.0.0.0/0"]);
    let added = adds(&[None, Some(DENIED)]);
    let error = apply(&client(&[&looks(&[&[]]), &added, &taken_back], &[]), &undo).await.unwrap_err();
    assert_eq!((error.kind, taken_back.num_calls()), (ErrorKind::AccessDenied, 1), "{error}");
}

#[tokio::test]
async fn another_run_of_the_same_plan_is_no_reason_to_take_anything_back() {
    let looked = looks(&[&[WIDE], &[BELOW_IN_ITS_PLACE, ABOVE]]);
    apply(&client(&[&looked, &adds(&[None])], &[]), &narrowed()).await.unwrap();
    // A rule that is not seen yet right after its add.
    let (looked, modify) = (looks(&[&[WIDE], &[WIDE]]), modified(WIDE, (Some(0), Some(21)), None));
    apply(&client(&[&looked, &adds(&[None]), &modify], &[]), &narrowed()).await.unwrap();
    assert_eq!(modify.num_calls(), 1);
}

#[tokio::test]
async fn a_narrower_rule_that_came_in_between_is_no_reason_to_keep_the_wide_one() {
    let there = modified(WIDE, (Some(0), Some(21)), Some("InvalidPermission.Duplicate"));
    for (last_look, revokes) in [(&[WIDE, BELOW, ABOVE][..], 1), (&[BELOW, ABOVE], 0)] {
        let revoke = revoked(&[WIDE]);
        let looked = looks(&[&[WIDE], &[WIDE, ABOVE], last_look]);
        apply(&client(&[&looked, &adds(&[None]), &there, &revoke], &[]), &narrowed()).await.unwrap();
        assert_eq!(revoke.num_calls(), revokes, "{last_look:?}");
    }
}

#[tokio::test]
async fn a_rule_that_was_changed_since_it_was_planned_is_not_revoked() {
    const IPV6: &str = "tcp 22-22 ::/0";
    let revoke = revoked(&[IPV6]);
    // The same IDs, but one is for somebody in particular now, and one for another port.
    let theirs = changed("tcp 22-22 0.0.0.0/0", |rule| rule.cidr_ipv4 = Some("10.0.0.0/8".into()));
    let web = changed("tcp 22-22 0.0.0.0/0", |rule| (rule.from_port, rule.to_port) = (Some(443), Some(443)));
    let look = mock!(Ec2::describe_security_group_rules).then_output(move || {
        let rules = vec![theirs.clone(), web.clone(), listed(IPV6)];
        DescribeSecurityGroupRulesOutput::builder().set_security_group_rules(Some(rules)).build()
    });
    apply(&client(&[&look, &revoke], &[]), &change(&["tcp 22-22 0.0.0.0/0", IPV6], &[])).await.unwrap();
    assert_eq!(revoke.num_calls(), 1);
}

#[tokio::test]
async fn a_rule_that_goes_while_it_is_revoked_does_not_keep_the_others() {
    let present: &[&str] = &["tcp 22-22 0.0.0.0/0", "tcp 22-22 ::/0"];
    for code in ["InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound"] {
        let revoke = mock!(Ec2::revoke_security_group_ingress)
            .sequence()
            .error(move || RevokeSecurityGroupIngressError::generic(metadata(code)))
            .error(move || RevokeSecurityGroupIngressError::generic(metadata(code)))
            .output(|| RevokeSecurityGroupIngressOutput::builder().build())
            .build();
        apply(&client(&[&looks(&[present]), &revoke], &[]), &change(present, &[])).await.unwrap();
        assert_eq!(revoke.num_calls(), 3);
    }
}

#[tokio::test]
async fn a_refused_revoke_names_its_action() {
    let present: &[&str] = &["tcp 22-22 0.0.0.0/0"];
    let revoke = mock!(Ec2::revoke_security_group_ingress)
        .then_error(move || RevokeSecurityGroupIngressError::generic(metadata(DENIED)));
    let error = apply(&client(&[&looks(&[present]), &revoke], &[]), &change(present, &[])).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::AccessDenied, "ec2:RevokeSecurityGroupIngress"));
}

#[tokio::test]
async fn what_the_runbook_does_not_do_is_done_directly() {
    const SSH_RULE: &str = "tcp 22-22 0.0.0.0/0";
    let present: &[&str] = &[SSH_RULE];
    let missing = not_started(runbook::NO_SUCH_RUNBOOK);
    let failed = ended(AutomationExecutionStatus::Failed);
    let succeeded = ended(AutomationExecutionStatus::Success);
    for (ssm, left, revokes) in [
        (&[&missing][..], present, 1),
        (&[&started(), &failed], present, 1),
        (&[&started(), &succeeded], present, 1),
        (&[&started(), &succeeded], &[], 0),
    ] {
        let revoke = revoked(&[SSH_RULE]);
        let client = client(&[&looks(&[present, left]), &revoke], ssm);
        apply(&client, &by_runbook(present)).await.unwrap();
        assert_eq!(revoke.num_calls(), revokes);
    }
}

#[tokio::test]
async fn a_start_that_is_refused_stays_an_error_and_nothing_is_revoked() {
    let present: &[&str] = &["tcp 22-22 0.0.0.0/0"];
    for (code, kind) in [
        ("AccessDeniedException", ErrorKind::AccessDenied),
        ("ThrottlingException", ErrorKind::Throttled),
        ("AutomationExecutionLimitExceededException", ErrorKind::NotNow),
    ] {
        let revoke = revoked(&["tcp 22-22 0.0.0.0/0"]);
        let client = client(&[&looks(&[present, present]), &revoke], &[&not_started(code)]);
        let error = apply(&client, &by_runbook(present)).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, runbook::START), "{error}");
        assert_eq!(revoke.num_calls(), 0);
    }
}

#[tokio::test]
async fn the_runbook_is_not_started_where_it_would_do_more_or_nothing_any_more() {
    let start = started();
    let ssh = "tcp 22-22 0.0.0.0/0";
    let revoke = revoked(&["tcp 22-22 0.0.0.0/0"]);
    let more: &[&str] = &[ssh, "tcp 3389-3389 0.0.0.0/0"];
    for (present, written) in [(more, Ok(())), (&[], Err(ErrorKind::Unneeded))] {
        let client = client(&[&looks(&[present, present]), &revoke], &[&start]);
        assert_eq!(apply(&client, &by_runbook(&[ssh])).await.map_err(|error| error.kind), written);
    }
    assert_eq!((start.num_calls(), revoke.num_calls()), (0, 1));
}

/// The calls in the target account of a look, of what the guard sees, of each write, and of the look that proves it, for
/// both controls.
async fn calls(ec2: &[&MockRule], ssm: &[&MockRule], guard_in_use: Guard) -> usize {
    let (client, settings) = (client(ec2, ssm), Settings { guard_in_use, ..Settings::default() });
    let seen = look(&client, GROUP).await.unwrap();
    let changes = plan_of(&seen, &[SSH, RDP], &settings).changes;
    if !changes.is_empty() {
        SecurityGroupOpenAdminPort::impact(&client, &seen, &changes, &settings).await.unwrap();
    }
    if !changes.is_empty() && guard_in_use != Guard::Hold {
        for change in &changes {
            apply(&client, change).await.unwrap();
        }
        let proof = look(&client, GROUP).await.unwrap();
        assert!(plan_of(&proof, &[SSH, RDP], &settings).complies());
    }
    ec2.iter().chain(ssm).map(|mock| mock.num_calls()).sum()
}

#[tokio::test]
async fn no_call_is_made_too_many() {
    const EXACT: &str = "tcp 22-22 0.0.0.0/0";
    const IN_PLACE: &str = "tcp 22-30 0.0.0.0/0";
    let narrower: &[_] = &["tcp 0-21 0.0.0.0/0", "tcp 23-3388 0.0.0.0/0", "tcp 3390-65535 0.0.0.0/0"];
    let (protects, others) = (protects_nothing(), || vpc(false));
    let closed = calls(&[&groups_with(&[&[WEB]])], &[], Guard::Warn).await;
    let halves: &[_] = &["tcp 22-22 0.0.0.0/1", "tcp 22-22 128.0.0.0/1"];
    let held = calls(&[&groups_with(&[halves]), &looks(&[halves])], &[], Guard::Warn).await;
    let held_by_guard =
        calls(&[&groups_with(&[&[WIDE]]), &looks(&[&[WIDE]]), &protects_nothing()], &[], Guard::Hold).await;
    let groups = groups_with(&[&[EXACT], &[]]);
    let (looked, revoke) = (looks(&[&[EXACT], &[EXACT]]), revoked(&[EXACT]));
    let revoked = calls(&[&groups, &looked, &others(), &protects, &revoke], &[], Guard::Warn).await;
    let (groups, looked) = (groups_with(&[&[EXACT], &[]]), looks(&[&[EXACT], &[EXACT], &[]]));
    let (started, ended) = (started(), ended(AutomationExecutionStatus::Success));
    let by_runbook =
        calls(&[&groups, &looked, &vpc(true), &protects_nothing()], &[&started, &ended], Guard::Warn).await;
    let (groups, looked) = (groups_with(&[&[IN_PLACE], &["tcp 23-30 0.0.0.0/0"]]), looks(&[&[IN_PLACE], &[IN_PLACE]]));
    let modify = modified(IN_PLACE, (Some(23), Some(30)), None);
    let in_place = calls(&[&groups, &looked, &protects_nothing(), &modify], &[], Guard::Warn).await;
    let (groups, looked) = (groups_with(&[&[WIDE], narrower]), looks(&[&[WIDE], &[WIDE], &[WIDE]]));
    let (added, modify) = (adds(&[None]), modified(WIDE, (Some(0), Some(21)), None));
    let narrowed = calls(&[&groups, &looked, &protects_nothing(), &added, &modify], &[], Guard::Warn).await;
    assert_eq!([closed, held, held_by_guard, revoked, by_runbook, in_place, narrowed], [1, 2, 3, 7, 9, 6, 8]);
}

fn protects_nothing() -> MockRule {
    mock!(Ec2::describe_network_interfaces).then_output(|| DescribeNetworkInterfacesOutput::builder().build())
}
