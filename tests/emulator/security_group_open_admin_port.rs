//! The rule `security-group-open-admin-port` through the engine.

use remediation::{ErrorKind, Guard, Mode, Outcome, ReportedFinding, Rule, Seen, Side, Sighting};
use rules::security_group_open_admin_port::{
    AdminPort, Change, Protocol, SecurityGroupOpenAdminPort, Settings, State, WideRules,
};
use testkit::Result;
use testkit::account::Account;
use testkit::emulator::Emulator;
use testkit::organization::Organization;
use testkit::subjects::security_group_open_admin_port::SecurityGroups;

const SSH: usize = 0;
const RDP: usize = 1;
/// What everyone may do in a group that complies.
const WEB: &str = "tcp 443-443 0.0.0.0/0";

async fn organization() -> Organization {
    Organization::new::<SecurityGroupOpenAdminPort>(Emulator::shared().await.unwrap()).await.unwrap()
}

fn groups(of: &Organization) -> SecurityGroups {
    SecurityGroups::of(&of.target)
}

fn arn(of: &Organization, id: &str) -> String {
    format!("arn:aws:ec2:us-east-1:{}:security-group/{id}", of.target.id)
}

async fn in_default_vpc(of: &Organization, name: &str, rules: &[&str]) -> Result<String> {
    groups(of).make_in_default_vpc(name, rules).await
}

async fn in_other_vpc(of: &Organization, name: &str, rules: &[&str]) -> Result<String> {
    groups(of).make_in_other_vpc(name, rules).await
}

/// What is planned for a group that is listed by both controls.
fn plan_of_both(seen: &Seen<State>) -> Vec<Change> {
    let [ssh, rdp] = [(22, vec![Protocol::Tcp]), (3389, vec![Protocol::Tcp, Protocol::Udp])];
    let [ssh, rdp] = [ssh, rdp].map(|(port, protocols)| AdminPort { port, protocols });
    SecurityGroupOpenAdminPort::plan(seen, &[&ssh, &rdp], &Settings::default()).changes
}

/// Fixes a group for one control.
async fn fix(of: &Organization, control: usize, settings: Settings, group: &str) -> ReportedFinding {
    let batch = of.batch_of(control, &[group]);
    let mut report = of.run_with::<SecurityGroupOpenAdminPort>(settings, batch, Mode::Apply).await;
    assert_eq!(report.findings.len(), 1, "{report:?}");
    report.findings.remove(0)
}

/// How often the runbook was started.
async fn starts(of: &Organization) -> usize {
    let decisions = of.decisions().await.unwrap().into_iter();
    let decisions = decisions.filter(|of| of.action == "ssm:StartAutomationExecution");
    // Each start is decided for the runbook, too.
    decisions.filter(|of| of.resource.as_ref().is_some_and(|arn| arn.contains(":automation-execution/"))).count()
}

/// A group with the rules `before`, in the default VPC or in another, has the rules `after` when it is fixed for a
/// control; gives how often the runbook was started for it.
async fn becomes(control: usize, is_default: bool, before: &[&str], after: &[&str]) -> usize {
    let of = organization().await;
    let group = if is_default { in_default_vpc(&of, "g", before).await } else { in_other_vpc(&of, "g", before).await };
    let group = group.unwrap();
    let finding = fix(&of, control, Settings::default(), &group).await;
    assert_eq!(finding.outcome, Outcome::Fixed, "{before:?}: {finding:?}");
    let mut after: Vec<_> = after.to_vec();
    after.sort();
    assert_eq!(groups(&of).rules(&group).await.unwrap(), after, "{before:?}");
    starts(&of).await
}

#[tokio::test]
async fn the_runbook_is_used_where_it_does_what_the_plan_says_and_nowhere_else() {
    let (ipv4, ipv6) = ("tcp 22-22 0.0.0.0/0", "tcp 22-22 ::/0");
    for rules in [&[ipv4][..], &[ipv6], &[ipv4, ipv6]] {
        assert_eq!(becomes(SSH, true, rules, &[]).await, 1, "{rules:?}");
        assert_eq!(becomes(SSH, false, rules, &[]).await, 0, "{rules:?}");
    }
    // A part of what the plan says, and the rest is done directly.
    let (tcp, udp) = ("tcp 3389-3389 0.0.0.0/0", "udp 3389-3389 0.0.0.0/0");
    assert_eq!(becomes(RDP, true, &[tcp, udp], &[]).await, 1);
    assert_eq!(becomes(RDP, true, &[udp], &[]).await, 0);
}

#[tokio::test]
async fn a_group_that_violates_both_is_fixed_for_the_findings_control_only() {
    let (ssh, rdp) = (["tcp 22-22 0.0.0.0/0", "tcp 22-22 ::/0"], ["tcp 3389-3389 0.0.0.0/0", "tcp 3389-3389 ::/0"]);
    for is_default in [true, false] {
        assert_eq!(becomes(SSH, is_default, &[ssh, rdp].concat(), &rdp).await, 0);
        assert_eq!(becomes(RDP, is_default, &[ssh, rdp].concat(), &ssh).await, 0);
    }
    let of = organization().await;
    let group = in_default_vpc(&of, "g", &[ssh, rdp].concat()).await.unwrap();
    // The second has the default VPC's group to itself, so the runbook does it.
    for (control, runbooks) in [(SSH, 0), (RDP, 1)] {
        assert_eq!(fix(&of, control, Settings::default(), &group).await.outcome, Outcome::Fixed);
        assert_eq!(starts(&of).await, runbooks);
    }
    assert!(groups(&of).rules(&group).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wide_rule_that_is_found_for_both_ports_at_once_loses_both() {
    let of = organization().await;
    let group = in_default_vpc(&of, "both", &["-1 -1 0.0.0.0/0 everything"]).await.unwrap();
    let mut batch = of.batch_of(SSH, &[&group]);
    batch.findings.push(of.finding_of(RDP, &group));
    let report = of.run::<SecurityGroupOpenAdminPort>(batch, Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 2, "{report:?}");
    let plan = of.plan::<SecurityGroupOpenAdminPort>(&report).await.unwrap();
    assert_eq!((plan.resources.len(), plan.resources[0].findings.len()), (1, 2), "one plan for both: {plan:?}");
    let left = [
        "icmp -1 0.0.0.0/0",
        "tcp 0-21 0.0.0.0/0",
        "tcp 23-3388 0.0.0.0/0",
        "tcp 3390-65535 0.0.0.0/0",
        "udp 0-3388 0.0.0.0/0",
        "udp 3390-65535 0.0.0.0/0",
    ];
    assert_eq!(groups(&of).rules(&group).await.unwrap(), left);
}

#[tokio::test]
async fn both_controls_together_are_one_change_that_an_undo_takes_back() {
    let of = organization().await;
    let group = in_other_vpc(&of, "joint", &["tcp 0-65535 0.0.0.0/0 for now"]).await.unwrap();
    let before = groups(&of).describe(&group).await.unwrap();
    let client = of.write_client::<SecurityGroupOpenAdminPort>().await.unwrap();
    let look = async || of.look::<SecurityGroupOpenAdminPort>(&client, &group).await.unwrap();
    let seen = look().await;
    let [change] = &plan_of_both(&seen)[..] else { panic!("one change") };
    SecurityGroupOpenAdminPort::apply(&client, &seen.resource, change).await.unwrap();
    let left = ["tcp 0-21 0.0.0.0/0", "tcp 23-3388 0.0.0.0/0", "tcp 3390-65535 0.0.0.0/0"];
    assert_eq!(groups(&of).rules(&group).await.unwrap(), left);
    assert_eq!(SecurityGroupOpenAdminPort::side(change, &look().await.state), Side::After);
    let undo = SecurityGroupOpenAdminPort::undo(change);
    SecurityGroupOpenAdminPort::apply(&client, &seen.resource, &undo).await.unwrap();
    assert_eq!(SecurityGroupOpenAdminPort::side(change, &look().await.state), Side::Before);
    assert_eq!(groups(&of).describe(&group).await.unwrap(), before);
}

#[tokio::test]
async fn both_controls_together_are_the_runbooks_in_any_vpc_where_all_its_rules_are_there() {
    let all = ["tcp 22-22 0.0.0.0/0", "tcp 22-22 ::/0", "tcp 3389-3389 0.0.0.0/0", "tcp 3389-3389 ::/0"];
    for (is_default, rules, started) in
        [(true, &all[..], 1), (true, &all[1..], 1), (false, &all, 1), (false, &all[1..], 0)]
    {
        let of = organization().await;
        let group =
            if is_default { in_default_vpc(&of, "g", rules).await } else { in_other_vpc(&of, "g", rules).await };
        let group = group.unwrap();
        let client = of.write_client::<SecurityGroupOpenAdminPort>().await.unwrap();
        let seen = of.look::<SecurityGroupOpenAdminPort>(&client, &group).await.unwrap();
        for change in &plan_of_both(&seen) {
            SecurityGroupOpenAdminPort::apply(&client, &seen.resource, change).await.unwrap();
        }
        assert_eq!(groups(&of).rules(&group).await.unwrap(), [""; 0], "{rules:?}");
        assert_eq!(starts(&of).await, started, "{is_default} {rules:?}");
    }
}

#[tokio::test]
async fn an_undo_does_not_open_what_somebody_else_has_closed() {
    let of = organization().await;
    let group = in_other_vpc(&of, "closed", &["tcp 0-65535 0.0.0.0/0"]).await.unwrap();
    let client = of.write_client::<SecurityGroupOpenAdminPort>().await.unwrap();
    let seen = of.look::<SecurityGroupOpenAdminPort>(&client, &group).await.unwrap();
    let [change] = &plan_of_both(&seen)[..] else { panic!("one change") };
    SecurityGroupOpenAdminPort::apply(&client, &seen.resource, change).await.unwrap();
    let ids = groups(&of).ids(&group).await.unwrap();
    let revoke = groups(&of).ec2.revoke_security_group_ingress().group_id(&group);
    revoke.security_group_rule_ids(&ids[0]).send().await.unwrap();
    let left = groups(&of).rules(&group).await.unwrap();
    let undo = SecurityGroupOpenAdminPort::undo(change);
    let error = SecurityGroupOpenAdminPort::apply(&client, &seen.resource, &undo).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permanent, "{error}");
    assert_eq!(groups(&of).rules(&group).await.unwrap(), left);
}

#[tokio::test]
async fn a_range_loses_the_port_and_keeps_the_rest() {
    let case = async |before, after: &[&str]| {
        for is_default in [true, false] {
            assert_eq!(becomes(SSH, is_default, &[before], after).await, 0);
        }
    };
    case("tcp 0-65535 0.0.0.0/0", &["tcp 0-21 0.0.0.0/0", "tcp 23-65535 0.0.0.0/0"]).await;
    case("tcp 20-25 ::/0", &["tcp 20-21 ::/0", "tcp 23-25 ::/0"]).await;
    case("tcp 22-25 0.0.0.0/0", &["tcp 23-25 0.0.0.0/0"]).await;
    case("tcp 20-22 0.0.0.0/0", &["tcp 20-21 0.0.0.0/0"]).await;
    let udp = ["udp 3000-3388 0.0.0.0/0", "udp 3390-4000 0.0.0.0/0"];
    becomes(RDP, false, &["udp 3000-4000 0.0.0.0/0"], &udp).await;
}

#[tokio::test]
async fn all_traffic_loses_the_port_and_keeps_what_a_rule_can_keep() {
    let ssh = ["tcp 0-21 0.0.0.0/0", "tcp 23-65535 0.0.0.0/0", "udp 0-65535 0.0.0.0/0", "icmp -1 0.0.0.0/0"];
    assert_eq!(becomes(SSH, true, &["-1 - 0.0.0.0/0"], &ssh).await, 0);
    let rdp = ["tcp 0-3388 ::/0", "tcp 3390-65535 ::/0", "udp 0-3388 ::/0", "udp 3390-65535 ::/0", "icmpv6 -1 ::/0"];
    assert_eq!(becomes(RDP, false, &["-1 - ::/0"], &rdp).await, 0);
    let of = organization().await;
    let group = in_other_vpc(&of, "g", &["-1 - 0.0.0.0/0"]).await.unwrap();
    let finding = fix(&of, SSH, Settings::default(), &group).await;
    assert!(finding.notes.iter().any(|note| note.contains("GRE and ESP")), "{finding:?}");
}

#[tokio::test]
async fn narrower_rules_that_are_there_are_no_error_and_undo_leaves_them() {
    let of = organization().await;
    let there = ["tcp 0-21 0.0.0.0/0 there before", "tcp 0-65535 ::/0", "-1 - ::/0"];
    let group = in_other_vpc(&of, "g", &there).await.unwrap();
    groups(&of).allow(&group, "tcp 0-65535 0.0.0.0/0", &[]).await.unwrap();
    let before = groups(&of).describe(&group).await.unwrap();
    let batch = of.batch(&[&group]);
    let key = batch.id.plan_key();
    let report = of.run::<SecurityGroupOpenAdminPort>(batch, Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    let after = [
        "icmpv6 -1 ::/0",
        "tcp 0-21 0.0.0.0/0",
        "tcp 0-21 ::/0",
        "tcp 23-65535 0.0.0.0/0",
        "tcp 23-65535 ::/0",
        "udp 0-65535 ::/0",
    ];
    assert_eq!(groups(&of).rules(&group).await.unwrap(), after);
    let client = of.write_client::<SecurityGroupOpenAdminPort>().await.unwrap();
    let plan = of.central.json(&of.bucket, &key).await.unwrap();
    let resource = of.look::<SecurityGroupOpenAdminPort>(&client, &group).await.unwrap().resource;
    for planned in plan["resources"][0]["changes"].as_array().unwrap().iter().rev() {
        let change = serde_json::from_value(planned["change"].clone()).unwrap();
        let undo = SecurityGroupOpenAdminPort::undo(&change);
        SecurityGroupOpenAdminPort::apply(&client, &resource, &undo).await.unwrap();
    }
    assert_eq!(groups(&of).describe(&group).await.unwrap(), before);
}

#[tokio::test]
async fn rules_for_somebody_in_particular_and_outbound_rules_are_not_touched() {
    let of = organization().await;
    let groups = groups(&of);
    let other = in_other_vpc(&of, "other", &[]).await.unwrap();
    let list = groups.ec2.create_managed_prefix_list().prefix_list_name("l").max_entries(1).address_family("IPv4");
    let list = list.send().await.unwrap().prefix_list.unwrap().prefix_list_id.unwrap();
    let (referenced, listed) = (format!("tcp 22-22 {other}"), format!("tcp 22-22 {list}"));
    let kept = [&referenced, &listed, "-1 -1 172.16.0.0/12", "tcp 22-22 10.0.0.0/8", "tcp 22-22 fd00::/8"];
    for is_default in [true, false] {
        let vpc = if is_default { groups.default_vpc().await.unwrap() } else { groups.make_vpc().await.unwrap() };
        let group = groups.make(&format!("kept-{is_default}"), &vpc, &kept).await.unwrap();
        let outbound = async || {
            let answer = groups.ec2.describe_security_groups().group_ids(&group).send().await.unwrap();
            answer.security_groups()[0].ip_permissions_egress().to_vec()
        };
        groups.allow(&group, "tcp 22-22 0.0.0.0/0", &[]).await.unwrap();
        groups.allow(&group, "-1 - ::/0", &[]).await.unwrap();
        let before = outbound().await;
        assert_eq!(fix(&of, SSH, Settings::default(), &group).await.outcome, Outcome::Fixed);
        let after = groups.rules(&group).await.unwrap();
        assert!(kept.iter().all(|rule| after.iter().any(|left| left == rule)), "{after:?}");
        assert_eq!(outbound().await, before);
    }
    assert_eq!(groups.rules(&other).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn held_wide_rules_stay_and_exact_ones_go() {
    let of = organization().await;
    let settings = Settings { wide_rules: WideRules::Hold, ..Settings::default() };
    let group = in_default_vpc(&of, "g", &["tcp 22-22 0.0.0.0/0", "tcp 0-65535 ::/0"]).await.unwrap();
    let finding = fix(&of, SSH, settings, &group).await;
    assert_eq!((finding.outcome, finding.written), (Outcome::Held, 1), "{finding:?}");
    let detail = finding.detail.unwrap();
    assert!(detail.contains("tcp 0-65535 from ::/0 opens more than port 22"), "{detail}");
    assert_eq!(groups(&of).rules(&group).await.unwrap(), ["tcp 0-65535 ::/0"]);
    let finding = fix(&of, SSH, settings, &group).await;
    assert_eq!((finding.outcome, finding.written), (Outcome::Held, 0), "{finding:?}");
}

#[tokio::test]
async fn wide_rules_can_be_revoked_whole() {
    let of = organization().await;
    let settings = Settings { wide_rules: WideRules::Revoke, ..Settings::default() };
    let group = in_other_vpc(&of, "g", &[WEB, "-1 - ::/0", "tcp 0-65535 0.0.0.0/0"]).await.unwrap();
    let finding = fix(&of, SSH, settings, &group).await;
    assert_eq!((finding.outcome, finding.notes.len()), (Outcome::Fixed, 2), "{finding:?}");
    assert_eq!(groups(&of).rules(&group).await.unwrap(), [WEB]);
}

#[tokio::test]
async fn without_ipv6_its_rules_stay_and_are_noted() {
    let of = organization().await;
    let settings = Settings { ipv6: false, ..Settings::default() };
    let stays = ["-1 -1 ::/0", "tcp 22-22 ::/0"];
    let group = in_default_vpc(&of, "g", &[&stays[..], &["tcp 22-22 0.0.0.0/0"]].concat()).await.unwrap();
    for outcome in [Outcome::Fixed, Outcome::AlreadyCompliant] {
        let finding = fix(&of, SSH, settings, &group).await;
        assert_eq!((finding.outcome, finding.notes.len()), (outcome, 2), "{finding:?}");
        assert_eq!(groups(&of).rules(&group).await.unwrap(), stays);
    }
    // The runbook would have revoked that of IPv6, too.
    assert_eq!(starts(&of).await, 0);
    assert_eq!(fix(&of, SSH, Settings::default(), &group).await.outcome, Outcome::Fixed);
}

#[tokio::test]
async fn the_guard_warns_of_interfaces_in_use_holds_them_or_does_not_look() {
    let of = organization().await;
    let vpc = groups(&of).default_vpc().await.unwrap();
    let open = async |name: &str| in_default_vpc(&of, name, &["tcp 22-22 0.0.0.0/0"]).await.unwrap();
    let settings = |guard_in_use| Settings { guard_in_use, ..Settings::default() };
    let action = "ec2:DescribeNetworkInterfaces";
    let (unseen, used, unused) = (open("unseen").await, open("used").await, open("unused").await);
    groups(&of).run_instance(&vpc, &unseen).await.unwrap();
    let interface = groups(&of).run_instance(&vpc, &used).await.unwrap();

    let finding = fix(&of, SSH, settings(Guard::Off), &unseen).await;
    assert_eq!((finding.outcome, finding.notes.len()), (Outcome::Fixed, 0), "{finding:?}");
    assert!(!of.used(&of.target_role()).await.unwrap().contains(action));

    let instance = interface.attachment().unwrap().instance_id().unwrap();
    let (id, subnet) = (interface.network_interface_id().unwrap(), interface.subnet_id().unwrap());
    let saw = Sighting::new(format!("the group protects {instance}")).with(format!("{id} in {subnet}"));
    let proposed = of.propose::<SecurityGroupOpenAdminPort>(settings(Guard::Hold), &used).await.unwrap();
    assert_eq!(proposed.sights, std::slice::from_ref(&saw));
    let finding = fix(&of, SSH, settings(Guard::Warn), &used).await;
    assert_eq!((finding.outcome, finding.notes), (Outcome::Fixed, vec![saw.to_string()]));
    assert!(of.used(&of.target_role()).await.unwrap().contains(action));

    let proposed = of.propose::<SecurityGroupOpenAdminPort>(settings(Guard::Hold), &unused).await.unwrap();
    assert_eq!((proposed.proposal.changes.len(), proposed.sights), (1, Vec::new()));
}

#[tokio::test]
async fn every_page_is_read() {
    let of = organization().await;
    of.target.set_page_size(Emulator::shared().await.unwrap(), 1).await.unwrap();
    let wide = "tcp 20-30 0.0.0.0/0";
    let group = in_other_vpc(&of, "paged", &[WEB, wide, "tcp 22-22 0.0.0.0/0", "tcp 22-22 ::/0"]).await.unwrap();
    for _ in 0..2 {
        in_other_vpc(&of, "other", &[]).await.unwrap();
    }
    let finding = fix(&of, SSH, Settings::default(), "paged").await;
    assert_eq!((finding.outcome, finding.written), (Outcome::Fixed, 2), "{finding:?}");
    let after = ["tcp 20-21 0.0.0.0/0", "tcp 23-30 0.0.0.0/0", WEB];
    assert_eq!(groups(&of).rules(&group).await.unwrap(), after);
}

#[tokio::test]
async fn a_name_that_several_groups_have_is_said() {
    let of = organization().await;
    let first = in_default_vpc(&of, "web", &["tcp 22-22 0.0.0.0/0"]).await.unwrap();
    let second = in_other_vpc(&of, "web", &["tcp 22-22 0.0.0.0/0"]).await.unwrap();
    in_default_vpc(&of, "w*", &["tcp 22-22 0.0.0.0/0"]).await.unwrap();
    let report = of.run::<SecurityGroupOpenAdminPort>(of.batch(&["web", "w*", &first]), Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Fixed, Outcome::Fixed], "{report:?}");
    let detail = report.findings[0].detail.as_ref().unwrap();
    assert!(detail.contains(&first) && detail.contains(&second), "{detail}");
    assert_eq!(groups(&of).rules(&second).await.unwrap(), ["tcp 22-22 0.0.0.0/0"]);
}

#[tokio::test]
async fn a_name_that_nothing_has_is_no_proof_that_it_is_gone() {
    let of = organization().await;
    in_default_vpc(&of, "web", &["tcp 22-22 0.0.0.0/0"]).await.unwrap();
    for name in ["gone", "w*", "WEB", "web (old) + $[1]"] {
        let finding = fix(&of, SSH, Settings::default(), name).await;
        assert_eq!(finding.outcome, Outcome::Failed, "{finding:?}");
        let says =
            format!("no security group of the account {} in us-east-1 has the group name `{name}`", of.target.id);
        assert!(finding.detail.as_ref().is_some_and(|detail| detail.contains(&says)), "{finding:?}");
    }
}

#[tokio::test]
async fn another_region_or_account_in_the_arn_is_said_and_stops_nobody() {
    let of = organization().await;
    let stranger = Account::fresh(Emulator::shared().await.unwrap());
    let group = in_default_vpc(&of, "g", &["tcp 22-22 0.0.0.0/0"]).await.unwrap();
    let theirs = arn(&of, &group).replace(&of.target.id, &stranger.id);
    let elsewhere = arn(&of, &group).replace("us-east-1", "eu-west-1");
    let instance = arn(&of, "i-0123").replace("security-group", "instance");
    let resources = [theirs.as_str(), &elsewhere, &instance, "sg-XYZ", "", &group];
    let report = of.run::<SecurityGroupOpenAdminPort>(of.batch(&resources), Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [[Outcome::Failed; 5].as_slice(), &[Outcome::Fixed]].concat(), "{report:?}");
    let says = ["belongs to the account", "is in the region eu-west-1", "is neither", "is neither", "is neither"];
    for (finding, says) in report.findings.iter().zip(says) {
        assert!(finding.detail.as_ref().unwrap().contains(says), "{finding:?}");
    }
}

#[tokio::test]
async fn the_fix_for_one_control_does_not_open_what_the_other_has_closed() {
    let of = organization().await;
    let group = in_other_vpc(&of, "g", &["-1 - 0.0.0.0/0"]).await.unwrap();
    let client = of.write_client::<SecurityGroupOpenAdminPort>().await.unwrap();
    // Both are planned before one of them is written, as they are where both findings are in one batch.
    let seen = of.look::<SecurityGroupOpenAdminPort>(&client, &group).await.unwrap();
    let rdp = AdminPort { port: 3389, protocols: vec![Protocol::Tcp, Protocol::Udp] };
    let stale = SecurityGroupOpenAdminPort::plan(&seen, &[&rdp], &Settings::default());
    assert_eq!(fix(&of, SSH, Settings::default(), &group).await.outcome, Outcome::Fixed);
    let without_ssh = groups(&of).rules(&group).await.unwrap();
    for change in &stale.changes {
        let error = SecurityGroupOpenAdminPort::apply(&client, &seen.resource, change).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unneeded, "{error}");
    }
    assert_eq!(groups(&of).rules(&group).await.unwrap(), without_ssh);
    assert_eq!(fix(&of, RDP, Settings::default(), &group).await.outcome, Outcome::Fixed);
    let after = [
        "icmp -1 0.0.0.0/0",
        "tcp 0-21 0.0.0.0/0",
        "tcp 23-3388 0.0.0.0/0",
        "tcp 3390-65535 0.0.0.0/0",
        "udp 0-3388 0.0.0.0/0",
        "udp 3390-65535 0.0.0.0/0",
    ];
    assert_eq!(groups(&of).rules(&group).await.unwrap(), after);
}

/// A group with so many rules for somebody in particular, and these; what a fix makes of it, and its undo.
async fn in_a_full_group(others: usize, rules: &[&str], left: &[&str]) {
    let of = organization().await;
    let group = in_other_vpc(&of, "full", rules).await.unwrap();
    groups(&of).fill(&group, others).await.unwrap();
    let before = groups(&of).describe(&group).await.unwrap();
    let report = of.run::<SecurityGroupOpenAdminPort>(of.batch(&[&group]), Mode::Apply).await;
    assert_eq!(report.findings[0].outcome, Outcome::Fixed, "{rules:?}: {report:?}");
    let now = groups(&of).rules(&group).await.unwrap();
    let now: Vec<_> = now.iter().filter(|rule| !rule.contains(" 10.0.")).map(String::as_str).collect();
    assert_eq!(now, left, "{rules:?}");
    let undone = of.undo::<SecurityGroupOpenAdminPort>(&report, Mode::Apply).await.unwrap();
    assert_eq!(undone.findings[0].outcome, Outcome::Undone, "{rules:?}: {undone:?}");
    assert_eq!(groups(&of).describe(&group).await.unwrap(), before, "{rules:?}");
}

#[tokio::test]
async fn a_full_group_is_fixed_where_the_end_fits_its_quota_and_so_is_the_undo() {
    let halves = ["tcp 0-21 0.0.0.0/0", "tcp 23-65535 0.0.0.0/0"];
    in_a_full_group(58, &["tcp 0-65535 0.0.0.0/0 for now"], &halves).await;
    in_a_full_group(59, &["tcp 22-65535 0.0.0.0/0"], &halves[1..]).await;
    // The rule for the port alone makes room.
    in_a_full_group(58, &["tcp 0-65535 0.0.0.0/0", "tcp 22-22 0.0.0.0/0"], &halves).await;
    // What a rule for all traffic needs beside.
    let all = ["icmp -1 0.0.0.0/0", "tcp 0-21 0.0.0.0/0", "tcp 23-65535 0.0.0.0/0", "udp 0-65535 0.0.0.0/0"];
    in_a_full_group(56, &["-1 - 0.0.0.0/0"], &all).await;
    in_a_full_group(56, &["-1 - 0.0.0.0/0", "tcp 0-65535 0.0.0.0/0", "tcp 0-21 0.0.0.0/0 there"], &all).await;
    // Four rules become four others.
    let four = ["tcp 5-30 0.0.0.0/0", "tcp 5-40 0.0.0.0/0", "tcp 20-30 0.0.0.0/0", "tcp 20-40 0.0.0.0/0"];
    let after = ["tcp 20-21 0.0.0.0/0", "tcp 23-30 0.0.0.0/0", "tcp 23-40 0.0.0.0/0", "tcp 5-21 0.0.0.0/0"];
    in_a_full_group(56, &four, &after).await;
    // IPv6 has a quota of its own.
    in_a_full_group(60, &["tcp 0-65535 ::/0"], &["tcp 0-21 ::/0", "tcp 23-65535 ::/0"]).await;
}

#[tokio::test]
async fn a_full_group_that_cannot_be_narrowed_is_held_and_stays_as_it_is() {
    for (others, rule) in [(59, "tcp 0-65535 0.0.0.0/0"), (57, "-1 - 0.0.0.0/0"), (59, "tcp 20-30 0.0.0.0/0")] {
        let of = organization().await;
        let group = in_other_vpc(&of, "full", &[rule]).await.unwrap();
        groups(&of).fill(&group, others).await.unwrap();
        let before = groups(&of).describe(&group).await.unwrap();
        let finding = fix(&of, SSH, Settings::default(), &group).await;
        assert_eq!((finding.outcome, finding.written), (Outcome::Held, 0), "{finding:?}");
        let detail = finding.detail.unwrap();
        assert!(detail.contains("L-0EA8095F") && detail.contains("have the quota raised"), "{detail}");
        assert_eq!(groups(&of).describe(&group).await.unwrap(), before);
    }
}

#[tokio::test]
async fn what_is_refused_on_the_way_leaves_the_group_as_it_was() {
    let of = organization().await;
    let group = in_other_vpc(&of, "g", &["tcp 0-65535 0.0.0.0/0"]).await.unwrap();
    let before = groups(&of).describe(&group).await.unwrap();
    let modify = of.take_away("ec2:ModifySecurityGroupRules").await.unwrap();
    let finding = fix(&of, SSH, Settings::default(), &group).await;
    assert_eq!(finding.outcome, Outcome::Failed, "{finding:?}");
    let detail = finding.detail.unwrap();
    assert!(detail.contains("ec2:ModifySecurityGroupRules") && detail.contains("was taken back: tcp 23"), "{detail}");
    assert_eq!(groups(&of).describe(&group).await.unwrap(), before);

    let revoke = of.take_away("ec2:RevokeSecurityGroupIngress").await.unwrap();
    let finding = fix(&of, SSH, Settings::default(), &group).await;
    assert_eq!(finding.outcome, Outcome::Failed, "{finding:?}");
    let detail = finding.detail.unwrap();
    assert!(detail.contains("could not be taken back") && detail.contains("ec2:RevokeSecurity"), "{detail}");
    assert_eq!(groups(&of).rules(&group).await.unwrap(), ["tcp 0-65535 0.0.0.0/0", "tcp 23-65535 0.0.0.0/0"]);

    of.give_back(revoke).await.unwrap();
    of.give_back(modify).await.unwrap();
    assert_eq!(fix(&of, SSH, Settings::default(), &group).await.outcome, Outcome::Fixed);
    assert_eq!(groups(&of).rules(&group).await.unwrap(), ["tcp 0-21 0.0.0.0/0", "tcp 23-65535 0.0.0.0/0"]);
}

#[tokio::test]
async fn what_is_as_wide_as_the_world_by_other_means_is_held() {
    let of = organization().await;
    let make = async |name: &str, entries: &[&str]| groups(&of).make_prefix_list(name, entries).await.unwrap();
    let (world, ipv6) = (make("world", &["0.0.0.0/0"]).await, make("ipv6", &["::/0"]).await);
    let halves = make("halves", &["0.0.0.0/1", "10.0.0.0/8", "128.0.0.0/1"]).await;
    let half = make("half", &["128.0.0.0/1"]).await;
    let office = make("office", &["10.0.0.0/8", "192.168.0.0/16"]).await;
    let from = |ports: &str, list: &str| format!("{ports} {list}");
    let (first, second) = ("tcp 22-22 0.0.0.0/1".to_owned(), "-1 -1 128.0.0.0/1".to_owned());
    let quarters = [0, 64, 128, 192].map(|start| format!("tcp 0-100 {start}.0.0.0/2"));
    for (number, (rules, outcome)) in [
        (vec![from("tcp 22-22", &world)], Outcome::Held),
        (vec![from("-1 -1", &world)], Outcome::Held),
        (vec![from("tcp 0-65535", &ipv6)], Outcome::Held),
        (vec![from("tcp 22-22", &halves)], Outcome::Held),
        (vec![first.clone(), second.clone()], Outcome::Held),
        (vec![first.clone(), from("tcp 20-30", &half)], Outcome::Held),
        (quarters.to_vec(), Outcome::Held),
        (vec!["tcp 22-22 ::/1".into(), "tcp 22-22 8000::/1".into()], Outcome::Held),
        (vec![first.clone(), from("udp 22-22", &half)], Outcome::AlreadyCompliant),
        (vec![first.clone(), from("tcp 22-22", &office)], Outcome::AlreadyCompliant),
        (vec![from("tcp 443-443", &world)], Outcome::AlreadyCompliant),
        (quarters[1..].to_vec(), Outcome::AlreadyCompliant),
    ]
    .into_iter()
    .enumerate()
    {
        let texts: Vec<_> = rules.iter().map(String::as_str).collect();
        let group = in_other_vpc(&of, &format!("g{number}"), &texts).await.unwrap();
        let before = groups(&of).describe(&group).await.unwrap();
        let finding = fix(&of, SSH, Settings::default(), &group).await;
        assert_eq!(finding.outcome, outcome, "{rules:?}: {finding:?}");
        assert_eq!(groups(&of).describe(&group).await.unwrap(), before);
        let named = groups(&of).ids(&group).await.unwrap();
        let detail = finding.detail.unwrap_or_default();
        assert!(named.iter().all(|id| detail.contains(id) == (outcome == Outcome::Held)), "{rules:?}: {detail}");
    }
}

#[tokio::test]
async fn what_can_be_fixed_is_fixed_beside_a_list_that_cannot() {
    let of = organization().await;
    let list = groups(&of).make_prefix_list("world", &["0.0.0.0/0"]).await.unwrap();
    let listed = format!("tcp 22-22 {list}");
    let group = in_other_vpc(&of, "g", &["tcp 22-22 0.0.0.0/0", &listed]).await.unwrap();
    let finding = fix(&of, SSH, Settings::default(), &group).await;
    assert_eq!((finding.outcome, finding.written), (Outcome::Held, 1), "{finding:?}");
    assert!(finding.detail.unwrap().contains(&list));
    assert_eq!(groups(&of).rules(&group).await.unwrap(), [listed]);
    // A list that this account does not see any more.
    groups(&of).ec2.delete_managed_prefix_list().prefix_list_id(&list).send().await.unwrap();
    let finding = fix(&of, SSH, Settings::default(), &group).await;
    assert_eq!(finding.outcome, Outcome::Held, "{finding:?}");
    let detail = finding.detail.unwrap();
    assert!(detail.contains(&list) && detail.contains("InvalidPrefixListID.NotFound"), "{detail}");
}

#[tokio::test]
async fn lists_of_aws_are_read_as_well() {
    let of = organization().await;
    let listed = groups(&of).ec2.describe_managed_prefix_lists().send().await.unwrap().prefix_lists.unwrap();
    let of_aws = listed.iter().find(|list| list.owner_id() == Some("AWS") && list.address_family() == Some("IPv4"));
    let list = of_aws.unwrap().prefix_list_id().unwrap();
    let group = in_other_vpc(&of, "g", &[&format!("tcp 22-22 {list}")]).await.unwrap();
    let finding = fix(&of, SSH, Settings::default(), &group).await;
    assert_eq!(finding.outcome, Outcome::AlreadyCompliant, "{finding:?}");
    assert!(of.used(&of.target_role()).await.unwrap().contains("ec2:GetManagedPrefixListEntries"));
}
