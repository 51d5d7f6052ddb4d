//! The rule `security-group-open-admin-port` through the engine.

use remediation::{Guard, Mode, Outcome, ReportedFinding, Rule};
use security_group_open_admin_port::{SecurityGroupOpenAdminPort, Settings, WideRules};
use serde_json::Value;
use testkit::Result;
use testkit::account::Account;
use testkit::cases::Subject;
use testkit::emulator::Emulator;
use testkit::organization::Organization;
use testkit::rule_cases;
use testkit::security_groups::SecurityGroups;

const SSH: usize = 0;
const RDP: usize = 1;
/// What everyone may do in a group that complies.
const WEB: &str = "tcp 443-443 0.0.0.0/0";

/// A group in the default VPC with a rule for the port alone: the runbook's.
mod by_runbook {
    use super::*;

    struct Group;

    impl Subject for Group {
        type Rule = SecurityGroupOpenAdminPort;
        const THROTTLED: (&str, &[&str]) = (
            "RequestLimitExceeded",
            &[
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSecurityGroupRules",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeVpcs",
                "ec2:RevokeSecurityGroupIngress",
            ],
        );

        async fn violating(of: &Organization, name: &str) -> Result<String> {
            let group = in_default_vpc(of, name, &[WEB, "tcp 22-22 ::/0 from home, too"]).await?;
            groups(of).allow(&group, "tcp 22-22 0.0.0.0/0 from home", &[("owner", "ops")]).await?;
            Ok(group)
        }

        async fn complying(of: &Organization, name: &str) -> Result<String> {
            in_default_vpc(of, name, &[WEB, "tcp 22-22 10.0.0.0/8"]).await
        }

        fn gone(_: &Organization) -> String {
            "sg-00000000000000000".into()
        }

        fn names(of: &Organization, resource: &str) -> Vec<String> {
            vec![resource.to_owned(), arn(of, resource), "named".into()]
        }

        async fn tag(of: &Organization, resource: &str, key: &str, value: &str) -> Result<()> {
            of.target.tag_ec2(resource, key, value).await
        }

        async fn describe(of: &Organization, resource: &str) -> Result<Value> {
            groups(of).describe(resource).await
        }
    }

    rule_cases!(Group: a_violating_resource_is_fixed, a_complying_resource_is_left_alone,
        a_resource_that_is_gone_is_gone, every_form_of_the_name_works, throttled_and_then_fine,
        run_twice_the_second_finds_nothing_to_do, two_runs_at_once_end_in_the_same_state,
        undone_it_is_as_it_was_also_twice, mode_plan_writes_nothing, its_tags_are_read);
}

/// A group in another VPC with a wide rule.
mod narrowed {
    use super::*;

    struct Group;

    impl Subject for Group {
        type Rule = SecurityGroupOpenAdminPort;
        const THROTTLED: (&str, &[&str]) = (
            "RequestLimitExceeded",
            &[
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSecurityGroupRules",
                "ec2:DescribeNetworkInterfaces",
                "ec2:AuthorizeSecurityGroupIngress",
                "ec2:RevokeSecurityGroupIngress",
            ],
        );

        async fn violating(of: &Organization, name: &str) -> Result<String> {
            let group = in_other_vpc(of, name, &[WEB, "tcp 22-22 10.0.0.0/8"]).await?;
            groups(of).allow(&group, "-1 - 0.0.0.0/0 for now", &[("owner", "ops"), ("until", "")]).await?;
            groups(of).allow(&group, "tcp 20-30 ::/0", &[]).await?;
            Ok(group)
        }

        async fn complying(of: &Organization, name: &str) -> Result<String> {
            in_other_vpc(of, name, &[WEB, "tcp 0-21 0.0.0.0/0", "tcp 23-65535 0.0.0.0/0", "udp 22-22 ::/0"]).await
        }

        fn gone(of: &Organization) -> String {
            arn(of, "sg-00000000000000000")
        }

        fn names(of: &Organization, resource: &str) -> Vec<String> {
            vec![resource.to_owned(), arn(of, resource), "named".into()]
        }

        async fn tag(of: &Organization, resource: &str, key: &str, value: &str) -> Result<()> {
            of.target.tag_ec2(resource, key, value).await
        }

        async fn describe(of: &Organization, resource: &str) -> Result<Value> {
            groups(of).describe(resource).await
        }
    }

    rule_cases!(Group: a_violating_resource_is_fixed, a_complying_resource_is_left_alone,
        a_resource_that_is_gone_is_gone, every_form_of_the_name_works, throttled_and_then_fine,
        run_twice_the_second_finds_nothing_to_do, two_runs_at_once_end_in_the_same_state,
        undone_it_is_as_it_was_also_twice, mode_plan_writes_nothing, its_tags_are_read);
}

/// A group that takes every call.
mod permissions {
    use super::*;

    struct Group;

    impl Subject for Group {
        type Rule = SecurityGroupOpenAdminPort;
        const THROTTLED: (&str, &[&str]) = ("ThrottlingException", &["ssm:StartAutomationExecution"]);

        async fn violating(of: &Organization, name: &str) -> Result<String> {
            let group = in_default_vpc(of, name, &[WEB, "tcp 22-22 0.0.0.0/0"]).await?;
            groups(of).allow(&group, "tcp 0-65535 ::/0 for now", &[("owner", "ops")]).await?;
            Ok(group)
        }

        async fn complying(of: &Organization, name: &str) -> Result<String> {
            in_default_vpc(of, name, &[WEB]).await
        }

        fn gone(_: &Organization) -> String {
            "gone".into()
        }

        fn names(_: &Organization, resource: &str) -> Vec<String> {
            vec![resource.to_owned()]
        }

        async fn tag(of: &Organization, resource: &str, key: &str, value: &str) -> Result<()> {
            of.target.tag_ec2(resource, key, value).await
        }

        async fn describe(of: &Organization, resource: &str) -> Result<Value> {
            groups(of).describe(resource).await
        }
    }

    rule_cases!(Group: each_permission_taken_away_is_named, a_violating_resource_is_fixed,
        a_resource_that_is_gone_is_gone, the_manifest_has_exactly_the_permissions_that_are_used, throttled_and_then_fine,
        undone_it_is_as_it_was_also_twice);
}

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
    let groups = groups(of);
    groups.make(name, &groups.default_vpc().await?, rules).await
}

async fn in_other_vpc(of: &Organization, name: &str, rules: &[&str]) -> Result<String> {
    let groups = groups(of);
    groups.make(name, &groups.make_vpc().await?, rules).await
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
    let decisions = of.decisions().await.unwrap();
    decisions.iter().filter(|of| of.action == "ssm:StartAutomationExecution").count()
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
    assert_eq!((report.count(Outcome::Fixed), report.plans.len()), (2, 2), "{report:?}");
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
    for planned in plan["findings"][0]["changes"].as_array().unwrap().iter().rev() {
        let change = serde_json::from_value(planned["change"].clone()).unwrap();
        let undo = SecurityGroupOpenAdminPort::undo(&change).unwrap();
        SecurityGroupOpenAdminPort::apply(&client, &undo).await.unwrap();
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
    let saw = format!("the group protects 1 network interface in use: {id} ({instance}, {subnet})");
    let proposal = of.propose::<SecurityGroupOpenAdminPort>(settings(Guard::Hold), &used).await.unwrap();
    assert_eq!((&proposal.guarded, &proposal.notes), (&vec![saw.clone()], &vec![saw.clone()]));
    let finding = fix(&of, SSH, settings(Guard::Warn), &used).await;
    assert_eq!((finding.outcome, finding.notes), (Outcome::Fixed, vec![saw]));
    assert!(of.used(&of.target_role()).await.unwrap().contains(action));

    let proposal = of.propose::<SecurityGroupOpenAdminPort>(settings(Guard::Hold), &unused).await.unwrap();
    assert_eq!((proposal.changes.len(), proposal.guarded, proposal.notes), (1, vec![], vec![]));
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
    assert_eq!((finding.outcome, finding.written), (Outcome::Fixed, 3), "{finding:?}");
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
    let finding = of.finding_of(RDP, &group);
    let stale = SecurityGroupOpenAdminPort::plan(&client, &finding, &Settings::default()).await.unwrap();
    assert_eq!(fix(&of, SSH, Settings::default(), &group).await.outcome, Outcome::Fixed);
    let without_ssh = groups(&of).rules(&group).await.unwrap();
    for change in &stale.changes {
        SecurityGroupOpenAdminPort::apply(&client, change).await.unwrap();
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
