//! What is read: the group, its rules, its lists, and what it protects.

use aws_sdk_ec2::operation::describe_network_interfaces::{
    DescribeNetworkInterfacesError, DescribeNetworkInterfacesOutput,
};
use aws_sdk_ec2::operation::describe_security_group_rules::DescribeSecurityGroupRulesError;
use aws_sdk_ec2::operation::describe_security_groups::DescribeSecurityGroupsError;
use aws_sdk_ec2::operation::describe_vpcs::DescribeVpcsError;
use aws_sdk_ec2::operation::get_managed_prefix_list_entries::{
    GetManagedPrefixListEntriesError, GetManagedPrefixListEntriesOutput,
};
use aws_sdk_ec2::types::{GroupIdentifier, NetworkInterface, NetworkInterfaceAttachment, PrefixListEntry, Tag};

use super::*;
use crate::look::interfaces_in_use;

/// The page of the group's network interfaces in use that `token` asks for, and the token of the next.
fn interfaces(token: Option<&'static str>, listed: Vec<NetworkInterface>, next: Option<&'static str>) -> MockRule {
    mock!(Ec2::describe_network_interfaces)
        .match_requests(move |request| {
            let filters = request.filters().iter().map(|of| (of.name().unwrap(), of.values()));
            let expected = [("group-id", &[GROUP.to_owned()][..]), ("status", &["in-use".to_owned()])];
            filters.eq(expected) && request.next_token() == token
        })
        .then_output(move || {
            let output = DescribeNetworkInterfacesOutput::builder().set_network_interfaces(Some(listed.clone()));
            output.set_next_token(next.map(str::to_owned)).build()
        })
}

fn interface(id: &str, instance: Option<&str>, description: &str) -> NetworkInterface {
    let attachment = NetworkInterfaceAttachment::builder().set_instance_id(instance.map(str::to_owned)).build();
    let interface = NetworkInterface::builder().network_interface_id(id).attachment(attachment);
    interface.description(description).subnet_id("subnet-1").build()
}

/// The page of a list's entries that `token` asks for, and the token of the next.
fn entries(list: &'static str, token: Option<&'static str>, cidrs: &[&str], next: Option<&'static str>) -> MockRule {
    let entries = cidrs.iter().map(|cidr| PrefixListEntry::builder().cidr(*cidr).build());
    let page = GetManagedPrefixListEntriesOutput::builder().set_entries(Some(entries.collect()));
    let page = page.set_next_token(next.map(str::to_owned)).build();
    mock!(Ec2::get_managed_prefix_list_entries)
        .match_requests(move |request| request.prefix_list_id() == Some(list) && request.next_token() == token)
        .then_output(move || page.clone())
}

async fn impact(client: &Client) -> Result<Vec<Sighting>> {
    SecurityGroupOpenAdminPort::impact(client, &seen(Inbound::default()), &[], &Settings::default()).await
}

#[tokio::test]
async fn a_group_is_what_ec2_says_it_is_however_it_was_named() {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let arn = format!("arn:aws:ec2:{REGION}:{OURS}:security-group/{GROUP}");
    for resource in [GROUP, &arn, "web"] {
        let found = SecurityGroup::builder().group_id(GROUP).group_name("web").owner_id(OURS);
        let found = found.tags(tag("Name", "front")).tags(tag("aws:cloudformation:stack-name", "s")).build();
        let group = mock!(Ec2::describe_security_groups)
            .match_requests(move |request| request.group_ids() == [GROUP] || request.filters()[0].values() == ["web"])
            .then_output(move || DescribeSecurityGroupsOutput::builder().security_groups(found.clone()).build());
        let client = client_in("aws-us-gov", &[&group, &looks(&[&["tcp 0-65535 ::/0"]])], &[]);
        let seen = look(&client, resource).await.unwrap();
        let Resource { owner, region, names, .. } = &seen.resource;
        assert_eq!(seen.resource.arn, arn);
        assert_eq!((owner.as_ref(), region.to_string().as_str(), seen.resource.id.as_str()), (OURS, REGION, GROUP));
        assert!(names.iter().eq(["front", "web"]), "{names:?}");
        let tags = SecurityGroupOpenAdminPort::tags(&client, &seen).await.unwrap();
        assert!(tags.keys().eq(["Name", "aws:cloudformation:stack-name"]), "{tags:?}");
        assert_eq!(seen.state.everyone.len(), 1);
    }
}

#[tokio::test]
async fn a_resource_that_is_no_security_group_is_a_fault_of_the_finding() {
    let arn = |service: &str, region: &str, account: &str, resource: &str| {
        format!("arn:{service}:{region}:{account}:{resource}").replacen("arn:", "arn:aws:", 1)
    };
    let ours = format!("security-group/{GROUP}");
    for (resource, says) in [
        (String::new(), "is neither"),
        ("sg-".into(), "is neither"),
        ("sg-web".into(), "is neither"),
        ("wéb".into(), "is neither"),
        (arn("ec2", REGION, OURS, "instance/i-1"), "is neither"),
        (arn("ec2", REGION, OURS, "security-group/web"), "is neither"),
        (arn("rds", REGION, OURS, &ours), "service rds, not of ec2"),
        (arn("ec2", "eu-west-1", OURS, &ours), "is in the region eu-west-1"),
        (arn("ec2", REGION, "333333333333", &ours), "belongs to the account 333333333333"),
    ] {
        let error = look(&client(&[], &[]), &resource).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
        assert!(error.message.contains(says), "{error}");
    }
}

#[tokio::test]
async fn an_id_that_ec2_does_not_know_is_gone_and_a_name_that_nothing_has_is_not() {
    let refused = |code: &'static str| {
        mock!(Ec2::describe_security_groups).then_error(move || DescribeSecurityGroupsError::generic(metadata(code)))
    };
    let none = || mock!(Ec2::describe_security_groups).then_output(|| DescribeSecurityGroupsOutput::builder().build());
    for (resource, answer, kind) in [
        (GROUP, refused("InvalidGroup.NotFound"), ErrorKind::Gone),
        (GROUP, refused("InvalidSecurityGroupID.NotFound"), ErrorKind::Gone),
        (GROUP, refused("InvalidGroupId.Malformed"), ErrorKind::InvalidFinding),
        (GROUP, none(), ErrorKind::Transient),
        ("web", none(), ErrorKind::InvalidFinding),
        ("web", refused("InvalidGroup.NotFound"), ErrorKind::Permanent),
        // A filter takes the `*` in it for any text, and finds the group `web`.
        ("w*b", group(OURS), ErrorKind::InvalidFinding),
    ] {
        let error = look(&client(&[&answer], &[]), resource).await.unwrap_err();
        assert_eq!(error.kind, kind, "{resource}: {error}");
    }
    let error = look(&client(&[&none()], &[]), "web").await.unwrap_err();
    let says = format!("no security group of the account {OURS} in {REGION} has the group name `web`");
    assert!(error.message.starts_with(&says), "{error}");
}

#[tokio::test]
async fn of_the_groups_of_a_name_the_accounts_own_counts() {
    let named = |ids: &'static [(&'static str, &'static str)]| {
        mock!(Ec2::describe_security_groups).then_output(move || {
            let group = |(id, owner): &(&str, &str)| {
                SecurityGroup::builder().group_id(*id).group_name("web").owner_id(*owner).build()
            };
            DescribeSecurityGroupsOutput::builder().set_security_groups(Some(ids.iter().map(group).collect())).build()
        })
    };
    const THEIRS: (&str, &str) = ("sg-0000000000000000f", "333333333333");
    for (groups, owner) in [(&[THEIRS, (GROUP, OURS)][..], OURS), (&[(GROUP, "333333333333")], "333333333333")] {
        let seen = look(&client(&[&named(groups), &looks(&[&[]])], &[]), "web").await.unwrap();
        assert_eq!((seen.resource.id.as_str(), seen.resource.owner.as_ref()), (GROUP, owner));
    }
    let error = look(&client(&[&named(&[(GROUP, OURS), ("sg-1", OURS), THEIRS])], &[]), "web").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidFinding);
    assert!(error.message.ends_with(&format!("give the ID of one of {GROUP}, sg-1")), "{error}");
}

#[tokio::test]
async fn whether_the_runbook_does_it_is_asked_only_where_that_matters() {
    let (ssh, rdp, wide) = (&["tcp 22-22 0.0.0.0/0"][..], &["tcp 3389-3389 ::/0"][..], &["tcp 0-65535 0.0.0.0/0"][..]);
    let all: &[_] = &["tcp 22-22 0.0.0.0/0", "tcp 22-22 ::/0", "tcp 3389-3389 0.0.0.0/0", "tcp 3389-3389 ::/0"];
    for (partition, is_default, present, is_runbooks, asked) in [
        ("aws", true, ssh, true, 1),
        ("aws", true, rdp, true, 1),
        ("aws-us-gov", true, ssh, true, 1),
        ("aws", false, ssh, false, 1),
        ("aws-cn", true, ssh, false, 0),
        ("aws", true, wide, false, 0),
        // Where the group has all four of its rules, it revokes them in any VPC.
        ("aws", false, all, true, 0),
        ("aws-cn", false, all, false, 0),
    ] {
        let vpc = vpc(is_default);
        let client = client_in(partition, &[&group(OURS), &looks(&[present]), &vpc], &[]);
        let seen = look(&client, GROUP).await.unwrap();
        assert_eq!((seen.state.is_runbooks, vpc.num_calls()), (is_runbooks, asked), "{partition} {present:?}");
    }
}

#[tokio::test]
async fn lists_are_read_to_the_end_once_and_only_where_they_matter() {
    let first = entries("pl-1", None, &["0.0.0.0/1"], Some("more"));
    let second = entries("pl-1", Some("more"), &["128.0.0.0/1"], None);
    let other = entries("pl-2", None, &["::/0"], None);
    let present = ["tcp 22-22 pl-1", "udp 3389-3389 pl-1", "-1 - pl-2", "tcp 443-443 pl-3", "icmp - pl-4"];
    let client = client(&[&group(OURS), &looks(&[&present]), &first, &second, &other], &[]);
    let seen = look(&client, GROUP).await.unwrap();
    assert_eq!([first.num_calls(), second.num_calls(), other.num_calls()], [1; 3]);
    let read =
        |list: &str| seen.state.lists[list].as_ref().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((read("pl-1"), read("pl-2")), (vec!["0.0.0.0/1".into(), "128.0.0.0/1".into()], vec!["::/0".into()]));
    assert_eq!(seen.state.lists.len(), 2);
}

#[tokio::test]
async fn a_list_that_is_not_seen_is_kept_as_that_and_a_refusal_is_an_error() {
    for (code, kind) in [
        ("InvalidPrefixListID.NotFound", None),
        ("InvalidPrefixListId.Malformed", None),
        ("UnauthorizedOperation", Some(ErrorKind::AccessDenied)),
        ("RequestLimitExceeded", Some(ErrorKind::Throttled)),
    ] {
        let refused = mock!(Ec2::get_managed_prefix_list_entries)
            .then_error(move || GetManagedPrefixListEntriesError::generic(metadata(code)));
        let client = client(&[&group(OURS), &looks(&[&["tcp 22-22 pl-1"]]), &refused], &[]);
        match (look(&client, GROUP).await, kind) {
            (Ok(seen), None) => {
                let [held] = &plan_of(&seen, &[SSH], &Settings::default()).held[..] else { panic!("held") };
                assert!(held.contains("ec2:GetManagedPrefixListEntries") && held.contains(code), "{held}");
            }
            (Err(error), Some(kind)) => {
                assert_eq!((error.kind, error.action.as_str()), (kind, "ec2:GetManagedPrefixListEntries"));
            }
            (found, _) => panic!("{code}: {found:?}"),
        }
    }
    let odd = entries("pl-1", None, &["somewhere"], None);
    let error = look(&client(&[&group(OURS), &looks(&[&["tcp 22-22 pl-1"]]), &odd], &[]), GROUP).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient, "{error}");
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_an_error_and_not_compliance() {
    for rule in [
        changed("tcp 22-22 0.0.0.0/0", |rule| rule.is_egress = None),
        changed("tcp 22-22 0.0.0.0/0", |rule| rule.ip_protocol = None),
        changed("tcp 22-22 0.0.0.0/0", |rule| rule.security_group_rule_id = None),
        changed("tcp 22-22 0.0.0.0/0", |rule| rule.cidr_ipv4 = Some("everywhere".into())),
    ] {
        let listed = mock!(Ec2::describe_security_group_rules).then_output(move || {
            DescribeSecurityGroupRulesOutput::builder().security_group_rules(rule.clone()).build()
        });
        let error = look(&client(&[&group(OURS), &listed], &[]), GROUP).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "ec2:DescribeSecurityGroupRules"));
    }
    for (id, owner) in [(None, Some(OURS)), (Some(GROUP), None), (Some(GROUP), Some("nobody"))] {
        let found = SecurityGroup::builder().group_name("web");
        let found = found.set_group_id(id.map(str::to_owned)).set_owner_id(owner.map(str::to_owned)).build();
        let group = mock!(Ec2::describe_security_groups)
            .then_output(move || DescribeSecurityGroupsOutput::builder().security_groups(found.clone()).build());
        let error = look(&client(&[&group], &[]), "web").await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "ec2:DescribeSecurityGroups"));
    }
}

#[tokio::test]
async fn what_groups_at_one_moment_protect_is_one_call_and_each_is_told_its_own() {
    const OTHER: &str = "sg-0123456789abcdef1";
    let of = |id: &str, instance: &str, groups: &[&str]| {
        let groups = groups.iter().map(|group| GroupIdentifier::builder().group_id(*group).build()).collect();
        let NetworkInterface { network_interface_id, attachment, .. } = interface(id, Some(instance), "");
        let interface = NetworkInterface::builder().set_network_interface_id(network_interface_id);
        interface.set_attachment(attachment).set_groups(Some(groups)).build()
    };
    let listing = |listed: Vec<NetworkInterface>| {
        mock!(Ec2::describe_network_interfaces)
            .match_requests(|request| request.filters()[0].values().len() == 2)
            .then_output(move || {
                DescribeNetworkInterfacesOutput::builder().set_network_interfaces(Some(listed.clone())).build()
            })
    };
    let both = async |interfaces: &MockRule| {
        let client = client(&[interfaces], &[]);
        let of = [GROUP, OTHER].map(|group| interfaces_in_use(&client.ec2, &client.interfaces, group));
        let found = futures::future::join_all(of).await.into_iter().collect::<Result<Vec<_>>>();
        found.map(|found| found.into_iter().map(|of| of.into_iter().map(|of| of.id).collect()).collect())
    };
    let listed = listing(vec![
        of("eni-3", "i-3", &[OTHER]),
        of("eni-2", "i-2", &["sg-elses", OTHER, GROUP]),
        of("eni-1", "i-1", &[OTHER]),
    ]);
    let found: Vec<Vec<String>> = both(&listed).await.unwrap();
    assert_eq!(found, [vec!["eni-2"], vec!["eni-1", "eni-2", "eni-3"]]);
    assert_eq!(listed.num_calls(), 1);
    for groups in [&["sg-elses"][..], &[]] {
        let error = both(&listing(vec![of("eni-1", "i-1", groups)])).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "ec2:DescribeNetworkInterfaces"));
    }
}

#[tokio::test]
async fn errors_name_the_action() {
    let (code, kind) = ("UnauthorizedOperation", ErrorKind::AccessDenied);
    let present: &[&str] = &["tcp 22-22 0.0.0.0/0"];
    let groups =
        mock!(Ec2::describe_security_groups).then_error(move || DescribeSecurityGroupsError::generic(metadata(code)));
    let listed = mock!(Ec2::describe_security_group_rules)
        .then_error(move || DescribeSecurityGroupRulesError::generic(metadata(code)));
    let vpcs = mock!(Ec2::describe_vpcs).then_error(move || DescribeVpcsError::generic(metadata(code)));
    for (mocks, action) in [
        (vec![&groups], "ec2:DescribeSecurityGroups"),
        (vec![&group(OURS), &listed], "ec2:DescribeSecurityGroupRules"),
        (vec![&group(OURS), &looks(&[present]), &vpcs], "ec2:DescribeVpcs"),
    ] {
        let error = look(&client(&mocks, &[]), GROUP).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, action), "{error}");
    }
    let denied = mock!(Ec2::describe_network_interfaces)
        .then_error(move || DescribeNetworkInterfacesError::generic(metadata(code)));
    let error = impact(&client(&[&denied], &[])).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (kind, "ec2:DescribeNetworkInterfaces"), "{error}");
}

#[tokio::test]
async fn the_guard_sees_each_thing_that_the_group_protects_once() {
    let web = vec![
        interface("eni-4", None, "ELB app/web/1"),
        interface("eni-1", Some("i-1"), ""),
        interface("eni-3", None, "ELB app/web/1"),
        interface("eni-5", None, "arn:aws:ecs:eu-central-1:222222222222:attachment/0a"),
        interface("eni-6", None, "arn:aws:ecs:eu-central-1:222222222222:attachment/0b"),
        NetworkInterface::builder().network_interface_id("eni-2").build(),
    ];
    let saw = impact(&client(&[&interfaces(None, web, None)], &[])).await.unwrap();
    let expected = [
        ("ELB app/web/1", "eni-3 in subnet-1, eni-4 in subnet-1"),
        ("eni-2", "eni-2"),
        ("i-1", "eni-1 in subnet-1"),
        ("tasks of ECS", "eni-5 in subnet-1, eni-6 in subnet-1"),
    ];
    let expected = expected.map(|(thing, now)| Sighting::new(format!("the group protects {thing}")).with(now));
    assert_eq!(saw, expected);
    assert_eq!(impact(&client(&[&interfaces(None, vec![], None)], &[])).await, Ok(vec![]));
    let settings = Settings { guard_in_use: Guard::Hold, ..Settings::default() };
    assert_eq!(SecurityGroupOpenAdminPort::guard(&settings), Guard::Hold);
}

#[tokio::test]
async fn the_guard_reads_every_page_and_says_no_more_than_a_person_reads() {
    let listed = |numbers: std::ops::Range<u32>| {
        numbers.map(|number| interface(&format!("eni-{number}"), Some("i-1"), "")).collect::<Vec<_>>()
    };
    let (first, second) = (interfaces(None, listed(0..3), Some("more")), interfaces(Some("more"), listed(3..7), None));
    let [saw] = &impact(&client(&[&first, &second], &[])).await.unwrap()[..] else { panic!("one thing") };
    let named = (0..5).map(|number| format!("eni-{number} in subnet-1")).collect::<Vec<_>>().join(", ");
    assert_eq!((saw.what.as_str(), saw.now.clone()), ("the group protects i-1", Some(format!("{named}, and 2 more"))));
    let many = (100..300).map(|number| interface(&format!("eni-{number}"), Some(&format!("i-{number}")), ""));
    let saw = impact(&client(&[&interfaces(None, many.collect(), None)], &[])).await.unwrap();
    assert_eq!(
        (saw.len(), saw[20].to_string().as_str()),
        (21, "the group protects 180 more resources that are in use")
    );
}

#[test]
fn one_thing_more_is_a_sighting_that_nobody_was_shown() {
    let interface = |number: u32, of: Option<&str>| Interface {
        id: format!("eni-{number}"),
        of: of.map(str::to_owned),
        subnet: None,
    };
    let whats = |interfaces: &[Interface]| in_use(interfaces).into_iter().map(|of| of.what).collect::<BTreeSet<_>>();
    for shown in [0, 1, 19, 20, 21, 50] {
        let before: Vec<_> = (0..shown).map(|number| interface(number, Some(&format!("i-{number:02}")))).collect();
        for joins in [Some("i-0"), Some("i-99"), Some("ELB app/web/1"), None] {
            let after = [&before[..], &[interface(99, joins)]].concat();
            assert!(whats(&after).difference(&whats(&before)).next().is_some(), "{shown}: {joins:?}");
        }
    }
    // A service that gets one more interface is the same service.
    let one = [interface(1, Some("ELB app/web/1"))];
    assert_eq!(whats(&one), whats(&[&one[..], &[interface(2, Some("ELB app/web/1"))]].concat()));
}

#[tokio::test]
async fn a_group_that_closes_the_ports_by_its_own_description_is_asked_for_nothing_more() {
    let closed: &[&str] = &[
        "tcp 0-21 0.0.0.0/0",
        "udp 23-3388 ::/0",
        "icmp - 0.0.0.0/0",
        "47 - 0.0.0.0/0",
        "tcp 22-22 sg-0123abcd",
        "tcp 443-443 pl-1",
        "tcp 443-443 10.0.0.0/8",
    ];
    let client = client(&[&groups_with(&[closed])], &[]);
    let seen = look(&client, GROUP).await.unwrap();
    assert_eq!(
        seen.state.everyone,
        inbound(&closed[..3]).everyone.into_iter().map(|(rule, _)| rule).collect::<Vec<_>>()
    );
    assert!(plan_of(&seen, &[SSH, RDP], &Settings::default()).complies());
}

#[tokio::test]
async fn a_group_that_opens_an_admin_port_to_anybody_is_asked_for_all_its_rules() {
    for open in [
        "tcp 22-22 0.0.0.0/0",
        "tcp 0-65535 ::/0",
        "udp 3389-3389 10.0.0.0/8",
        "-1 - 128.0.0.0/1",
        "6 20-30 pl-1",
        "tcp - 0.0.0.0/0",
    ] {
        let (rules, lists) = (looks(&[&[WEB, open]]), entries("pl-1", None, &[], None));
        let client = client(&[&groups_with(&[&[WEB, open]]), &rules, &lists, &vpc(false)], &[]);
        look(&client, GROUP).await.unwrap();
        assert_eq!(rules.num_calls(), 1, "{open}");
    }
    let broken = mock!(Ec2::describe_security_groups).then_output(|| {
        let permission = IpPermission::builder().ip_protocol("tcp").from_port(80).to_port(80);
        let permission = permission.ip_ranges(IpRange::builder().build()).build();
        let found = SecurityGroup::builder().group_id(GROUP).owner_id(OURS).ip_permissions(permission).build();
        DescribeSecurityGroupsOutput::builder().security_groups(found).build()
    });
    let error = look(&client(&[&broken], &[]), GROUP).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "ec2:DescribeSecurityGroups"));
}

#[tokio::test]
async fn groups_at_one_moment_are_two_calls_and_one_that_is_gone_costs_the_others_nothing() {
    const OTHER: &str = "sg-0123456789abcdef1";
    const GONE: &str = "sg-0123456789abcdef2";
    let of = |id: &str| SecurityGroup::builder().group_id(id).group_name("web").vpc_id("vpc-1").owner_id(OURS).build();
    let groups = mock!(Ec2::describe_security_groups)
        .match_requests(|request| request.filters().iter().any(|of| of.values() == [GROUP, OTHER, GONE]))
        .then_output(move || {
            DescribeSecurityGroupsOutput::builder().security_groups(of(OTHER)).security_groups(of(GROUP)).build()
        });
    let gone = mock!(Ec2::describe_security_groups)
        .match_requests(|request| request.group_ids() == [GONE])
        .then_error(|| DescribeSecurityGroupsError::generic(metadata("InvalidGroup.NotFound")));
    let rules = |group: &'static str, of: &'static str| {
        let listed = changed(of, |rule| rule.group_id = Some(group.into()));
        mock!(Ec2::describe_security_group_rules)
            .match_requests(|request| request.filters()[0].values() == [GROUP, OTHER])
            .then_output(move || {
                DescribeSecurityGroupRulesOutput::builder().security_group_rules(listed.clone()).build()
            })
    };
    let listed = rules(OTHER, "tcp 22-22 0.0.0.0/0");
    let vpc = vpc(false);
    let looking = client(&[&groups, &gone, &listed, &vpc], &[]);
    let found = futures::future::join_all([GROUP, OTHER, GONE].map(|id| look(&looking, id))).await;
    let [ours, other, gone_one] = <[_; 3]>::try_from(found).unwrap();
    assert!(ours.unwrap().state.everyone.is_empty(), "a group without rules is in no list of them");
    let other = other.unwrap();
    assert_eq!((other.resource.id.as_str(), other.state.everyone.len()), (OTHER, 1));
    assert_eq!(gone_one.unwrap_err().kind, ErrorKind::Gone);
    assert_eq!((groups.num_calls(), listed.num_calls(), gone.num_calls()), (1, 1, 1));
    // What is of none of them belongs to no answer.
    let strangers = rules("sg-0123456789abcdef9", "tcp 22-22 0.0.0.0/0");
    let looking = client(&[&groups, &gone, &strangers, &vpc], &[]);
    for found in futures::future::join_all([GROUP, OTHER, GONE].map(|id| look(&looking, id))).await {
        assert!(found.is_err());
    }
}
