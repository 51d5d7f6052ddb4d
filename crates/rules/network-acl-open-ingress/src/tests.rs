use aws_sdk_ec2::error::ErrorMetadata;
use aws_sdk_ec2::operation::create_network_acl_entry::{CreateNetworkAclEntryError, CreateNetworkAclEntryOutput};
use aws_sdk_ec2::operation::delete_network_acl_entry::{DeleteNetworkAclEntryError, DeleteNetworkAclEntryOutput};
use aws_sdk_ec2::operation::describe_network_acls::{DescribeNetworkAclsError, DescribeNetworkAclsOutput};
use aws_sdk_ec2::operation::describe_subnets::{DescribeSubnetsError, DescribeSubnetsOutput};
use aws_sdk_ec2::types::{
    IcmpTypeCode, NetworkAcl, NetworkAclAssociation, NetworkAclEntry, PortRange, RuleAction, Subnet, Tag,
};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use proptest::prelude::*;
use remediation::{ErrorKind, Manifest, Region};
use rule_testing::{ACCOUNT, REGION};

use super::*;
use crate::acl::{Action, Protocol};

mod laws;
mod plan;

const ACL: &str = "acl-0123456789abcdef0";
const SUBNETS: [&str; 2] = ["subnet-00000000000000001", "subnet-00000000000000002"];

fn finding(resource: &str) -> Finding {
    let manifest = Manifest::from_json(NetworkAclOpenIngress::MANIFEST).unwrap();
    rule_testing::finding(&manifest.controls[0].rule_names[0], resource)
}

fn metadata(code: &'static str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message("told so").build()
}

/// An inbound entry of EC2's, from text such as `100 allow 6 22-22 0.0.0.0/0`; the ports may be missing.
fn entry(text: &str) -> NetworkAclEntry {
    let words: Vec<_> = text.split(' ').collect();
    let [number, action, protocol, .., source] = words[..] else { panic!("{text}") };
    let entry = NetworkAclEntry::builder().rule_number(number.parse().unwrap()).protocol(protocol).egress(false);
    let entry = entry.rule_action(action.into());
    let ports = (words.len() == 5).then(|| words[3].split_once('-').unwrap());
    let ports = ports.map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap()));
    let entry = entry.set_port_range(ports.map(|(from, to)| PortRange::builder().from(from).to(to).build()));
    if source.contains(':') { entry.ipv6_cidr_block(source).build() } else { entry.cidr_block(source).build() }
}

fn outbound(of: NetworkAclEntry) -> NetworkAclEntry {
    with(of, |of| of.egress = Some(true))
}

/// A value with a change.
fn with<T>(mut value: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut value);
    value
}

/// A default ACL with both subnets.
fn acl(entries: Vec<NetworkAclEntry>) -> NetworkAcl {
    let association = |id| NetworkAclAssociation::builder().subnet_id(id).build();
    NetworkAcl::builder()
        .network_acl_id(ACL)
        .owner_id(ACCOUNT)
        .is_default(true)
        .set_associations(Some(SUBNETS.map(association).into()))
        .set_entries(Some(entries))
        .build()
}

fn open_acl() -> NetworkAcl {
    acl(vec![entry("100 allow -1 0.0.0.0/0")])
}

fn described(acl: NetworkAcl) -> MockRule {
    mock!(Ec2::describe_network_acls)
        .match_requests(|request| request.network_acl_ids() == [ACL])
        .then_output(move || DescribeNetworkAclsOutput::builder().network_acls(acl.clone()).build())
}

/// The subnets, of which only the first has a name.
fn subnets() -> MockRule {
    mock!(Ec2::describe_subnets)
        .match_requests(|request| {
            request.filters().iter().any(|of| of.name() == Some("subnet-id") && of.values() == SUBNETS)
        })
        .then_output(|| {
            let first = Subnet::builder().subnet_id(SUBNETS[0]).tags(name("web")).build();
            DescribeSubnetsOutput::builder().subnets(first).build()
        })
}

fn name(name: &str) -> Tag {
    Tag::builder().key("Name").value(name).build()
}

fn client(rules: &[&MockRule]) -> Client {
    Client::new(mock_client!(aws_sdk_ec2, RuleMode::MatchAny, rules))
}

async fn look(rules: &[&MockRule], resource: &str) -> Result<Seen<Acl>> {
    NetworkAclOpenIngress::look(&client(rules), &finding(resource)).await
}

/// What the guard sees of what is planned for the ACL.
async fn impact(acl: NetworkAcl, subnets: &MockRule) -> Result<Vec<Sighting>> {
    let (client, settings) = (client(&[&described(acl), subnets]), Settings::default());
    let seen = NetworkAclOpenIngress::look(&client, &finding(ACL)).await?;
    let changes = NetworkAclOpenIngress::plan(&seen, &[&Control { which: Which::Default }], &settings).changes;
    NetworkAclOpenIngress::impact(&client, &seen, &changes, &settings).await
}

fn deletion(number: i32, source: Family) -> Change {
    Change { write: Write::Delete, number, source }
}

fn resource() -> Resource {
    let arn = format!("arn:aws:ec2:{REGION}:{ACCOUNT}:network-acl/{ACL}");
    Resource::of_arn("ec2:DescribeNetworkAcls", arn, ACL).unwrap()
}

#[tokio::test]
async fn the_resource_is_what_ec2_says() {
    let shared = with(acl(vec![]), |of| {
        of.owner_id = Some("333333333333".into());
        of.tags = Some(vec![name("edge"), Tag::builder().key("keep").build()]);
    });
    let seen = look(&[&described(shared)], ACL).await.unwrap();
    let Resource { arn, owner, region, id, names } = seen.resource.clone();
    assert_eq!(arn, format!("arn:aws:ec2:{REGION}:333333333333:network-acl/{ACL}"));
    assert_eq!((owner.as_ref(), region, id.as_str()), ("333333333333", Region::code(REGION), ACL));
    assert_eq!(names, ["edge".to_owned()].into());
    let tags = NetworkAclOpenIngress::tags(&client(&[]), &seen).await.unwrap();
    assert_eq!(tags, [("Name", "edge"), ("keep", "")].map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn its_arn_is_in_the_regions_partition() {
    let finding = Finding { region: Region::code("cn-north-1"), ..finding(ACL) };
    let seen = NetworkAclOpenIngress::look(&client(&[&described(open_acl())]), &finding).await.unwrap();
    assert_eq!(seen.resource.arn, format!("arn:aws-cn:ec2:cn-north-1:222222222222:network-acl/{ACL}"));
}

#[tokio::test]
async fn the_inbound_entries_are_read_in_the_order_of_their_numbers() {
    let icmp = |number, kind, code| {
        let codes = IcmpTypeCode::builder().r#type(kind).code(code).build();
        with(entry(&format!("{number} allow 1 0.0.0.0/0")), |of| of.icmp_type_code = Some(codes))
    };
    let entries = vec![
        entry("110 deny 17 53-53 10.0.0.0/8"),
        outbound(entry("100 allow -1 0.0.0.0/0")),
        entry("100 allow 6 0-65535 ::/0"),
        icmp(120, -1, -1),
        icmp(130, 8, -1),
        icmp(140, 3, 4),
        entry("150 allow 47 0.0.0.0/0"),
        entry("32767 deny -1 0.0.0.0/0"),
    ];
    let seen = look(&[&described(acl(entries))], ACL).await.unwrap();
    let expected = [
        (100, Action::Allow, Protocol::Some(6, 0..=65535), "::/0"),
        (110, Action::Deny, Protocol::Some(17, 53..=53), "10.0.0.0/8"),
        (120, Action::Allow, Protocol::Some(1, 0..=65535), "0.0.0.0/0"),
        (130, Action::Allow, Protocol::Some(1, 0x800..=0x8ff), "0.0.0.0/0"),
        (140, Action::Allow, Protocol::Some(1, 0x304..=0x304), "0.0.0.0/0"),
        (150, Action::Allow, Protocol::Some(47, 0..=65535), "0.0.0.0/0"),
        (32767, Action::Deny, Protocol::All, "0.0.0.0/0"),
    ];
    let expected = expected.map(|(number, action, protocol, source)| Entry {
        number,
        action,
        protocol,
        source: source.parse().unwrap(),
    });
    assert_eq!(seen.state.inbound, expected);
}

#[tokio::test]
async fn an_acl_is_named_by_id_arn_or_a_name_that_no_other_has() {
    let named = |text| with(open_acl(), |of| of.tags = Some(vec![name(text)]));
    let all = mock!(Ec2::describe_network_acls)
        .match_requests(|request| request.filters().iter().any(|of| of.name() == Some("tag:Name")))
        .then_output(move || {
            let acls = ["edge", "edge*", "twice", "twice"].map(named).into();
            DescribeNetworkAclsOutput::builder().set_network_acls(Some(acls)).build()
        });
    let rules = [&described(named("edge")), &all];
    let arn = format!("arn:aws:ec2:{REGION}:{ACCOUNT}:network-acl/{ACL}");
    // A filter would take the star for any name.
    for resource in [ACL, &arn, "edge", "edge*"] {
        assert_eq!(look(&rules, resource).await.unwrap().resource.arn, arn, "{resource}");
    }
    for (resource, says) in [
        ("twice", "2 resources have it as their tag Name"),
        ("e*", "0 resources have it as their tag Name"),
        ("", "neither the ID"),
        ("arn:aws:ec2:eu-central-1:222222222222:vpc/vpc-0123456789abcdef0", "neither the ID"),
        (
            "arn:aws:ec2:eu-central-1:333333333333:network-acl/acl-0123456789abcdef0",
            "belongs to the account 333333333333",
        ),
        ("arn:aws:ec2:eu-west-1:222222222222:network-acl/acl-0123456789abcdef0", "is in the region eu-west-1"),
    ] {
        let error = look(&rules, resource).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
        assert!(error.message.contains(says), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_an_error_and_not_compliance() {
    let change = |change: fn(&mut NetworkAclEntry)| acl(vec![with(entry("100 allow 6 0-65535 0.0.0.0/0"), change)]);
    let ports = |of: &mut NetworkAclEntry, change: fn(&mut PortRange)| change(of.port_range.as_mut().unwrap());
    let of_acl = |change: fn(&mut NetworkAcl)| with(open_acl(), change);
    for (number, broken) in [
        change(|of| of.rule_number = None),
        change(|of| of.egress = None),
        change(|of| of.rule_action = None),
        change(|of| of.rule_action = Some("perhaps".into())),
        change(|of| of.protocol = None),
        change(|of| of.protocol = Some("most".into())),
        change(|of| of.cidr_block = None),
        change(|of| of.cidr_block = Some("somewhere".into())),
        change(|of| of.port_range = None),
        acl(vec![with(entry("100 deny 6 0-65535 0.0.0.0/0"), |of| ports(of, |ports| ports.from = None))]),
        acl(vec![with(entry("100 deny 6 0-65535 0.0.0.0/0"), |of| ports(of, |ports| ports.to = Some(65536)))]),
        of_acl(|of| of.is_default = None),
        of_acl(|of| of.network_acl_id = None),
        of_acl(|of| of.owner_id = None),
        of_acl(|of| of.entries = None),
        of_acl(|of| of.associations = None),
        of_acl(|of| of.associations = Some(vec![NetworkAclAssociation::builder().build()])),
        // Another ACL than was asked for.
        of_acl(|of| of.network_acl_id = Some("acl-00000000".into())),
    ]
    .into_iter()
    .enumerate()
    {
        let error = look(&[&described(broken)], ACL).await.expect_err(&number.to_string());
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "ec2:DescribeNetworkAcls"), "{number}");
    }
    let none = mock!(Ec2::describe_network_acls).then_output(|| DescribeNetworkAclsOutput::builder().build());
    assert_eq!(look(&[&none], ACL).await.unwrap_err().kind, ErrorKind::Transient);
}

#[tokio::test]
async fn errors_name_the_action() {
    for (code, kind) in
        [("UnauthorizedOperation", ErrorKind::AccessDenied), ("InvalidNetworkAclID.NotFound", ErrorKind::Gone)]
    {
        let acls =
            mock!(Ec2::describe_network_acls).then_error(move || DescribeNetworkAclsError::generic(metadata(code)));
        let error = look(&[&acls], ACL).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, "ec2:DescribeNetworkAcls"), "{error}");
    }
}

#[tokio::test]
async fn the_guard_sees_each_subnet_that_is_cut_off() {
    const CUT_OFF: &str = "is cut off: its last inbound allow goes, and with it all return traffic";
    let [web, other] = SUBNETS;
    let of_web = |what: &str| Sighting::new(format!("{web} {what}")).with("web");
    let of_other = |what: &str| Sighting::new(format!("{other} {what}"));
    let subnets = subnets();
    assert_eq!(impact(open_acl(), &subnets).await.unwrap(), [of_web(CUT_OFF), of_other(CUT_OFF)]);
    let ipv6_stays = acl(vec![entry("100 allow -1 0.0.0.0/0"), entry("110 allow 6 443-443 ::/0")]);
    let ipv4 = "is cut off from IPv4: its last inbound allow of IPv4 goes, and with it all return traffic";
    assert_eq!(impact(ipv6_stays, &subnets).await.unwrap(), [of_web(ipv4), of_other(ipv4)]);
    assert_eq!(subnets.num_calls(), 2);
}

#[tokio::test]
async fn a_subnet_that_joins_later_is_a_sighting_that_nobody_was_shown() {
    let whats = async |acl: NetworkAcl, subnets: &MockRule| {
        impact(acl, subnets).await.unwrap().into_iter().map(|sighting| sighting.what).collect::<Vec<_>>()
    };
    let joined = with(open_acl(), |of| {
        let third = NetworkAclAssociation::builder().subnet_id("subnet-00000000000000003").build();
        of.associations.as_mut().unwrap().push(third);
    });
    let unnamed = mock!(Ec2::describe_subnets).then_output(|| DescribeSubnetsOutput::builder().build());
    let (before, after) = (whats(open_acl(), &unnamed).await, whats(joined, &unnamed).await);
    assert_eq!((before.len(), after.len()), (2, 3));
    assert!(before.iter().all(|what| after.contains(what)), "{after:?}");
    // A name that changes is no new sighting.
    assert_eq!(whats(open_acl(), &subnets()).await, before);
}

#[tokio::test]
async fn subnets_whose_names_cannot_be_read_are_seen_all_the_same() {
    let refused =
        mock!(Ec2::describe_subnets).then_error(|| DescribeSubnetsError::generic(metadata("UnauthorizedOperation")));
    let sightings = impact(open_acl(), &refused).await.unwrap();
    for (sighting, subnet) in sightings.iter().zip(SUBNETS) {
        assert!(sighting.what.starts_with(&format!("{subnet} is cut off: ")), "{sighting}");
        let now = sighting.now.as_ref().unwrap();
        assert!(now.starts_with("its name could not be read: ec2:DescribeSubnets: UnauthorizedOperation"), "{now}");
    }
    assert_eq!(sightings.len(), 2);
}

#[tokio::test]
async fn where_nobody_is_cut_off_the_guard_sees_nothing_and_looks_up_nothing() {
    let unused = with(open_acl(), |of| of.associations = Some(vec![]));
    let dead = acl(vec![entry("90 deny -1 0.0.0.0/0"), entry("100 allow -1 0.0.0.0/0")]);
    let others_stay = acl(vec![entry("100 allow -1 0.0.0.0/0"), entry("110 allow 6 443-443 0.0.0.0/0")]);
    for acl in [unused, dead, others_stay] {
        let subnets = subnets();
        assert_eq!(impact(acl, &subnets).await.unwrap(), []);
        assert_eq!(subnets.num_calls(), 0);
    }
}

#[tokio::test]
async fn every_page_of_the_subnets_is_read() {
    let page = |token: Option<&'static str>, subnet: &'static str, next: Option<&'static str>| {
        mock!(Ec2::describe_subnets).match_requests(move |request| request.next_token() == token).then_output(
            move || {
                let subnet = Subnet::builder().subnet_id(subnet).tags(name("web")).build();
                DescribeSubnetsOutput::builder().subnets(subnet).set_next_token(next.map(Into::into)).build()
            },
        )
    };
    let (first, second) = (page(None, SUBNETS[0], Some("more")), page(Some("more"), SUBNETS[1], None));
    let names = api::names_of_subnets(&client(&[&first, &second]).ec2, &SUBNETS.map(Into::into)).await.unwrap();
    assert_eq!(names, SUBNETS.map(|subnet| (subnet.to_owned(), "web".to_owned())).into());
}

fn delete() -> MockRule {
    mock!(Ec2::delete_network_acl_entry)
        .match_requests(|request| {
            request.network_acl_id() == Some(ACL)
                && request.rule_number() == Some(100)
                && request.egress() == Some(false)
        })
        .then_output(|| DeleteNetworkAclEntryOutput::builder().build())
}

async fn apply(rules: &[&MockRule], change: &Change) -> Result<()> {
    NetworkAclOpenIngress::apply(&client(rules), &resource(), change).await
}

#[tokio::test]
async fn an_entry_is_deleted_only_while_it_is_the_one_that_was_planned() {
    let change = deletion(100, Family::Ipv4);
    for (standing, calls) in [
        (vec![outbound(entry("100 allow 6 1-2 0.0.0.0/0")), entry("100 allow -1 0.0.0.0/0")], 1),
        (vec![entry("100 allow 6 0-65535 0.0.0.0/0")], 0),
        (vec![entry("100 allow -1 10.0.0.0/8")], 0),
        (vec![entry("100 allow -1 ::/0")], 0),
        (vec![entry("100 deny -1 0.0.0.0/0")], 0),
        (vec![outbound(entry("100 allow -1 0.0.0.0/0"))], 0),
        (vec![entry("101 allow -1 0.0.0.0/0")], 0),
        (vec![], 0),
    ] {
        let delete = delete();
        let written = apply(&[&described(acl(standing.clone())), &delete], &change).await.map_err(|error| error.kind);
        assert_eq!(written, if calls == 1 { Ok(()) } else { Err(ErrorKind::Unneeded) }, "{standing:?}");
        assert_eq!(delete.num_calls(), calls, "{standing:?}");
    }
}

#[tokio::test]
async fn what_is_gone_is_deleted_and_cannot_be_put_back() {
    let change = deletion(100, Family::Ipv4);
    let gone = mock!(Ec2::describe_network_acls)
        .then_error(|| DescribeNetworkAclsError::generic(metadata("InvalidNetworkAclID.NotFound")));
    assert_eq!(apply(&[&gone], &change).await.unwrap_err().kind, ErrorKind::Unneeded);
    for code in ["InvalidNetworkAclID.NotFound", "InvalidNetworkAclEntry.NotFound"] {
        let refusing = mock!(Ec2::delete_network_acl_entry)
            .then_error(move || DeleteNetworkAclEntryError::generic(metadata(code)));
        apply(&[&described(open_acl()), &refusing], &change).await.unwrap();
        assert_eq!(refusing.num_calls(), 1);
    }
    let refusing = mock!(Ec2::create_network_acl_entry)
        .then_error(|| CreateNetworkAclEntryError::generic(metadata("InvalidNetworkAclID.NotFound")));
    let error = apply(&[&refusing], &NetworkAclOpenIngress::undo(&change)).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, "ec2:CreateNetworkAclEntry"), "{error}");
}

#[tokio::test]
async fn a_refused_write_names_its_action() {
    let change = deletion(100, Family::Ipv4);
    let open = described(open_acl());
    let denied = "UnauthorizedOperation";
    let delete =
        mock!(Ec2::delete_network_acl_entry).then_error(move || DeleteNetworkAclEntryError::generic(metadata(denied)));
    let create =
        mock!(Ec2::create_network_acl_entry).then_error(move || CreateNetworkAclEntryError::generic(metadata(denied)));
    let undo = NetworkAclOpenIngress::undo(&change);
    for (change, rules, action) in
        [(change, [&open, &delete], "ec2:DeleteNetworkAclEntry"), (undo, [&open, &create], "ec2:CreateNetworkAclEntry")]
    {
        let error = apply(&rules, &change).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::AccessDenied, action), "{error}");
    }
}

#[tokio::test]
async fn undo_puts_the_same_entry_back() {
    for (source, ipv4, ipv6) in [(Family::Ipv4, Some("0.0.0.0/0"), None), (Family::Ipv6, None, Some("::/0"))] {
        let create = mock!(Ec2::create_network_acl_entry)
            .match_requests(move |request| {
                request.network_acl_id() == Some(ACL)
                    && request.rule_number() == Some(100)
                    && request.egress() == Some(false)
                    && request.protocol() == Some("-1")
                    && request.rule_action() == Some(&RuleAction::Allow)
                    && (request.cidr_block(), request.ipv6_cidr_block()) == (ipv4, ipv6)
            })
            .then_output(|| CreateNetworkAclEntryOutput::builder().build());
        apply(&[&create], &NetworkAclOpenIngress::undo(&deletion(100, source))).await.unwrap();
        assert_eq!(create.num_calls(), 1);
    }
}

#[tokio::test]
async fn undo_takes_no_other_entrys_place() {
    let exists = mock!(Ec2::create_network_acl_entry)
        .then_error(|| CreateNetworkAclEntryError::generic(metadata("NetworkAclEntryAlreadyExists")));
    let undo = NetworkAclOpenIngress::undo(&deletion(100, Family::Ipv4));
    apply(&[&exists, &described(open_acl())], &undo).await.unwrap();
    for (standing, says) in [
        (
            vec![entry("100 allow 6 22-443 10.0.0.0/8")],
            "another entry has the number 100 now: inbound entry 100, allow TCP 22-443 from 10.0.0.0/8.",
        ),
        (vec![entry("100 deny -1 0.0.0.0/0")], "now: inbound entry 100, deny all from 0.0.0.0/0."),
        // Not seen yet: nothing can be concluded.
        (vec![], "told so"),
    ] {
        let error = apply(&[&exists, &described(acl(standing))], &undo).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Permanent, "ec2:CreateNetworkAclEntry"));
        assert!(error.message.contains(says), "{error}");
    }
}

#[test]
fn settings_are_read_and_their_mistakes_refused() {
    let read = |text: &str| serde_json::from_str::<Settings>(text);
    assert!(read("{}").unwrap().ipv6 && !read(r#"{"ipv6": false}"#).unwrap().ipv6);
    // A subnet is cut off only where somebody says so.
    assert_eq!(
        (read("{}").unwrap().guard_last_allow, Settings::default().guard_last_allow),
        (Guard::Hold, Guard::Hold)
    );
    assert_eq!(read(r#"{"guard_last_allow": "warn"}"#).unwrap().guard_last_allow, Guard::Warn);
    for wrong in [r#"{"ipv4": false}"#, r#"{"ipv6": "no"}"#, r#"{"guard_last_allow": "block"}"#] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    for guard in [Guard::Off, Guard::Warn, Guard::Hold] {
        let settings = Settings { guard_last_allow: guard, ..Settings::default() };
        assert_eq!(NetworkAclOpenIngress::guard(&settings), guard);
    }
}

#[test]
fn a_change_is_stored_in_words_and_never_says_whose_it_is() {
    let change = deletion(101, Family::Ipv6);
    assert_eq!(serde_json::to_string(&change).unwrap(), r#"{"write":"delete","number":101,"source":"::/0"}"#);
    assert_eq!(change.to_string(), "delete inbound entry 101, allow all from ::/0");
    assert_eq!(NetworkAclOpenIngress::undo(&change).to_string(), "create inbound entry 101, allow all from ::/0");
}

/// The calls in the target account of a look, of what the guard sees, of each write, and of the look that proves it.
async fn calls(acl: NetworkAcl, settings: Settings) -> usize {
    let (read, subnets, delete) = (described(acl), subnets(), delete());
    let client = client(&[&read, &subnets, &delete]);
    let seen = NetworkAclOpenIngress::look(&client, &finding(ACL)).await.unwrap();
    let proposal = NetworkAclOpenIngress::plan(&seen, &[&Control { which: Which::Default }], &settings);
    if !proposal.changes.is_empty() {
        let sightings = NetworkAclOpenIngress::impact(&client, &seen, &proposal.changes, &settings).await.unwrap();
        if sightings.is_empty() || settings.guard_last_allow != Guard::Hold {
            for change in &proposal.changes {
                NetworkAclOpenIngress::apply(&client, &seen.resource, change).await.unwrap();
            }
            NetworkAclOpenIngress::look(&client, &finding(ACL)).await.unwrap();
        }
    }
    read.num_calls() + subnets.num_calls() + delete.num_calls()
}

#[tokio::test]
async fn no_call_is_made_too_many() {
    let (hold, warn) = (Settings::default(), Settings { guard_last_allow: Guard::Warn, ..Settings::default() });
    let pieces = acl(vec![entry("100 allow 6 0-65535 0.0.0.0/0"), entry("110 allow 17 0-65535 0.0.0.0/0")]);
    let others_stay = acl(vec![entry("100 allow -1 0.0.0.0/0"), entry("110 allow 6 443-443 0.0.0.0/0")]);
    for (acl, settings, expected) in [
        (acl(vec![]), hold, 1),
        (pieces, hold, 1),
        (open_acl(), hold, 2),
        (others_stay, hold, 4),
        (open_acl(), warn, 5),
    ] {
        assert_eq!(calls(acl.clone(), settings).await, expected, "{acl:?}");
    }
}

proptest! {
    #[test]
    fn no_resource_makes_the_parser_panic(resource: String, rest in "[a-z0-9:/é-]{0,40}") {
        for resource in [resource, format!("acl-{rest}"), format!("arn:aws:ec2:{REGION}:{ACCOUNT}:{rest}")] {
            let _ = finding(&resource).ec2_name("network-acl", "acl");
        }
    }
}

#[tokio::test]
async fn acls_at_one_moment_are_one_call() {
    const OTHER: &str = "acl-0123456789abcdef1";
    let both = mock!(Ec2::describe_network_acls)
        .match_requests(|request| request.filters().iter().any(|of| of.values() == [ACL, OTHER]))
        .then_output(|| {
            let mut other = open_acl();
            other.network_acl_id = Some(OTHER.into());
            DescribeNetworkAclsOutput::builder().network_acls(other).network_acls(open_acl()).build()
        });
    let client = client(&[&both]);
    let (one, other) = (finding(ACL), finding(OTHER));
    let (one, other) =
        tokio::join!(NetworkAclOpenIngress::look(&client, &one), NetworkAclOpenIngress::look(&client, &other));
    assert_eq!((one.unwrap().resource.id.as_str(), other.unwrap().resource.id.as_str()), (ACL, OTHER));
    assert_eq!(both.num_calls(), 1);
}
