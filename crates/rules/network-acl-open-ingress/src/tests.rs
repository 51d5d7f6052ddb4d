use aws_sdk_ec2::error::ErrorMetadata;
use aws_sdk_ec2::operation::create_network_acl_entry::{CreateNetworkAclEntryError, CreateNetworkAclEntryOutput};
use aws_sdk_ec2::operation::delete_network_acl_entry::{DeleteNetworkAclEntryError, DeleteNetworkAclEntryOutput};
use aws_sdk_ec2::operation::describe_network_acls::{DescribeNetworkAclsError, DescribeNetworkAclsOutput};
use aws_sdk_ec2::operation::describe_subnets::{DescribeSubnetsError, DescribeSubnetsOutput};
use aws_sdk_ec2::types::{NetworkAcl, NetworkAclAssociation, NetworkAclEntry, RuleAction, Subnet, Tag};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use proptest::prelude::*;
use remediation::{Manifest, Region};

use super::*;

const ACL: &str = "acl-0123456789abcdef0";
const SUBNETS: [&str; 2] = ["subnet-00000000000000001", "subnet-00000000000000002"];

fn finding(which: Which, resource: &str) -> Finding {
    let manifest = Manifest::from_json(NetworkAclOpenIngress::MANIFEST).unwrap();
    let control = &manifest.controls[if which == Which::Default { 0 } else { 1 }];
    Finding {
        control: control.rule_names[0].clone(),
        account: "222222222222".parse().unwrap(),
        region: Region::code("us-east-1"),
        resource: resource.into(),
        first_seen: None,
        last_scanned: None,
    }
}

fn metadata(code: &'static str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message("told so").build()
}

/// An inbound entry that allows.
fn entry(number: i32, protocol: &str, source: &str) -> NetworkAclEntry {
    let entry = NetworkAclEntry::builder().rule_number(number).protocol(protocol).egress(false);
    let entry = entry.rule_action(RuleAction::Allow);
    if source.contains(':') { entry.ipv6_cidr_block(source).build() } else { entry.cidr_block(source).build() }
}

fn deny(number: i32, source: &str) -> NetworkAclEntry {
    with(entry(number, "-1", source), |of| of.rule_action = Some(RuleAction::Deny))
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
        .is_default(true)
        .set_associations(Some(SUBNETS.map(association).into()))
        .set_entries(Some(entries))
        .build()
}

fn described(acl: NetworkAcl) -> MockRule {
    mock!(Client::describe_network_acls)
        .match_requests(|request| request.network_acl_ids() == [ACL])
        .then_output(move || DescribeNetworkAclsOutput::builder().network_acls(acl.clone()).build())
}

/// The subnets, of which only the first has a name.
fn subnets() -> MockRule {
    mock!(Client::describe_subnets)
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

async fn planned(rules: &[&MockRule], finding: &Finding, settings: Settings) -> Result<Proposal<Change>> {
    let client = mock_client!(aws_sdk_ec2, RuleMode::MatchAny, rules);
    NetworkAclOpenIngress::plan(&client, finding, &settings).await
}

/// The plan for an ACL with these entries.
async fn plan(entries: Vec<NetworkAclEntry>, settings: Settings) -> Proposal<Change> {
    planned(&[&described(acl(entries)), &subnets()], &finding(Which::Default, ACL), settings).await.unwrap()
}

fn deletion(number: i32, source: Everywhere) -> Change {
    Change { acl: ACL.into(), number, source, before: Presence::Present, after: Presence::Absent }
}

#[tokio::test]
async fn only_inbound_entries_that_allow_all_from_everywhere_go() {
    let entries = vec![
        outbound(entry(100, "-1", "0.0.0.0/0")),
        deny(50, "0.0.0.0/0"),
        entry(100, "-1", "0.0.0.0/0"),
        entry(101, "-1", "::/0"),
        entry(110, "6", "0.0.0.0/0"),
        entry(120, "-1", "10.0.0.0/8"),
        entry(121, "-1", "fd00::/8"),
        entry(32766, "-1", "0.0.0.0/0"),
        deny(32767, "0.0.0.0/0"),
        deny(32768, "::/0"),
    ];
    let Proposal { changes, held, notes, .. } = plan(entries, Settings::default()).await;
    let expected =
        [deletion(100, Everywhere::Ipv4), deletion(101, Everywhere::Ipv6), deletion(32766, Everywhere::Ipv4)];
    assert_eq!((changes.as_slice(), held.len()), (&expected[..], 0));
    let who = "subnets subnet-00000000000000001 (web), subnet-00000000000000002";
    let expected = [
        format!("{who} take in only the IPv4 traffic that 110, 120 allow, return traffic included"),
        format!("{who} take in only the IPv6 traffic that 121 allow, return traffic included"),
    ];
    assert_eq!(notes, expected);
    let summary = format!("network ACL {ACL}: inbound entry 101, allow all from ::/0: present → absent");
    assert_eq!(changes[1].to_string(), summary);
}

#[tokio::test]
async fn who_is_cut_off_is_said() {
    let who = "subnets subnet-00000000000000001 (web), subnet-00000000000000002 are cut off";
    let both = vec![entry(100, "-1", "0.0.0.0/0"), entry(101, "-1", "::/0"), deny(32767, "0.0.0.0/0")];
    let last = format!("the last inbound allow: {who}, return traffic included");
    assert_eq!(plan(both.clone(), Settings::default()).await.notes, [last]);
    let ipv6_stays = vec![entry(100, "-1", "0.0.0.0/0"), entry(110, "6", "::/0")];
    let last = format!("the last inbound allow of IPv4: {who} from IPv4, return traffic included");
    assert_eq!(plan(ipv6_stays, Settings::default()).await.notes, std::slice::from_ref(&last));
    // What stays because of the settings is said as well, and counts as staying.
    let stays = "inbound entry 101, allow all from ::/0 stays: the rule's setting ipv6 is false".to_owned();
    assert_eq!(plan(both, Settings { ipv6: false, ..Settings::default() }).await.notes, [stays, last]);
    let unused = with(acl(vec![entry(100, "-1", "0.0.0.0/0")]), |of| of.associations = None);
    let proposal = planned(&[&described(unused)], &finding(Which::Default, ACL), Settings::default()).await.unwrap();
    assert_eq!(proposal.notes, ["no subnet is associated with it: nobody is cut off"]);
    assert_eq!(plan(vec![entry(110, "6", "0.0.0.0/0")], Settings::default()).await, Proposal::default());
}

#[tokio::test]
async fn the_guard_warns_of_the_last_allow_holds_it_or_does_not_look() {
    let ipv4 = entry(100, "-1", "0.0.0.0/0");
    let all = vec![ipv4.clone()];
    let family = vec![ipv4.clone(), entry(110, "6", "::/0")];
    let others_stay = vec![ipv4, entry(110, "6", "10.0.0.0/8")];
    let texts = ["the last inbound allow: subnets ", "the last inbound allow of IPv4: subnets ", "subnets "];
    for (entries, guards, text) in [(all, true, texts[0]), (family, true, texts[1]), (others_stay, false, texts[2])] {
        for guard in [Guard::Off, Guard::Warn, Guard::Hold] {
            let (acl, subnets) = (described(acl(entries.clone())), subnets());
            let settings = Settings { guard_last_allow: guard, ..Settings::default() };
            let proposal = planned(&[&acl, &subnets], &finding(Which::Default, ACL), settings).await.unwrap();
            assert_eq!(proposal.changes, [deletion(100, Everywhere::Ipv4)]);
            let noted = !guards || guard.is_on();
            assert_eq!(subnets.num_calls(), usize::from(noted), "{text} {guard:?}");
            assert_eq!(proposal.notes.len(), usize::from(noted), "{proposal:?}");
            assert!(proposal.notes.iter().all(|note| note.starts_with(text)), "{proposal:?}");
            let guarded = if guards && guard == Guard::Hold { &proposal.notes[..] } else { &[] };
            assert_eq!(proposal.guarded, guarded, "{text} {guard:?}");
        }
    }
}

#[tokio::test]
async fn where_nobody_is_cut_off_the_guard_sees_nothing() {
    let settings = Settings { guard_last_allow: Guard::Hold, ..Settings::default() };
    let unused = with(acl(vec![entry(100, "-1", "0.0.0.0/0")]), |of| of.associations = None);
    let complying = acl(vec![entry(110, "6", "0.0.0.0/0")]);
    for acl in [unused, complying] {
        let subnets = subnets();
        let rules = [&described(acl), &subnets];
        let proposal = planned(&rules, &finding(Which::Default, ACL), settings).await.unwrap();
        assert_eq!((proposal.guarded, subnets.num_calls()), (vec![], 0));
    }
}

#[tokio::test]
async fn its_tags_are_those_that_describe_gives() {
    let tags = |acl: NetworkAcl| async move {
        let client = mock_client!(aws_sdk_ec2, RuleMode::MatchAny, [&described(acl)]);
        NetworkAclOpenIngress::tags(&client, &finding(Which::Default, ACL)).await.unwrap()
    };
    let tagged = with(acl(vec![]), |of| of.tags = Some(vec![name("edge"), Tag::builder().key("keep").build()]));
    let expected = [("Name", "edge"), ("keep", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(tags(tagged).await, expected.into());
    assert_eq!(tags(acl(vec![])).await, BTreeMap::new());
}

#[tokio::test]
async fn without_ipv6_an_entry_of_ipv6_complies_and_is_noted() {
    let entries = vec![entry(101, "-1", "::/0")];
    assert_eq!(plan(entries.clone(), Settings::default()).await.changes, [deletion(101, Everywhere::Ipv6)]);
    let proposal = plan(entries, Settings { ipv6: false, ..Settings::default() }).await;
    assert!(proposal.is_empty() && proposal.notes.len() == 1, "{proposal:?}");
}

#[tokio::test]
async fn each_control_is_about_its_own_acls() {
    let open = || vec![entry(100, "-1", "0.0.0.0/0")];
    let custom = with(acl(open()), |of| of.is_default = Some(false));
    let unused = with(acl(open()), |of| of.associations = None);
    for (which, acl, says) in [
        (Which::Default, acl(open()), None),
        (Which::Subnet, acl(open()), None),
        (Which::Subnet, custom.clone(), None),
        (Which::Default, unused.clone(), None),
        (Which::Default, custom, Some("acl-0123456789abcdef0 is not the default network ACL of its VPC")),
        (Which::Subnet, unused, Some("no subnet is associated with acl-0123456789abcdef0")),
    ] {
        let finding = finding(which, ACL);
        let proposal = planned(&[&described(acl), &subnets()], &finding, Settings::default()).await.unwrap();
        assert_eq!(proposal.is_empty(), says.is_some(), "{which:?}: {proposal:?}");
        assert!(says.is_none_or(|says| proposal.notes == [says]), "{proposal:?}");
    }
}

#[tokio::test]
async fn an_acl_is_named_by_id_arn_or_a_name_that_no_other_has() {
    let named = |text| with(acl(vec![entry(100, "-1", "0.0.0.0/0")]), |of| of.tags = Some(vec![name(text)]));
    let all = mock!(Client::describe_network_acls)
        .match_requests(|request| request.filters().iter().any(|of| of.name() == Some("tag:Name")))
        .then_output(move || {
            let acls = ["edge", "edge*", "twice", "twice"].map(named).into();
            DescribeNetworkAclsOutput::builder().set_network_acls(Some(acls)).build()
        });
    let rules = [&described(named("edge")), &all, &subnets()];
    let arn = format!("arn:aws:ec2:us-east-1:222222222222:network-acl/{ACL}");
    // A filter would take the star for any name.
    for resource in [ACL, &arn, "edge", "edge*"] {
        let proposal = planned(&rules, &finding(Which::Default, resource), Settings::default()).await.unwrap();
        assert_eq!(proposal.changes, [deletion(100, Everywhere::Ipv4)], "{resource}");
    }
    for (resource, says) in [
        ("twice", "the tag Name of 2 resources"),
        ("e*", "the tag Name of 0 resources"),
        ("", "neither the ID"),
        ("arn:aws:ec2:us-east-1:222222222222:vpc/vpc-0123456789abcdef0", "neither the ID"),
        ("arn:aws:ec2:us-east-1:333333333333:network-acl/acl-0123456789abcdef0", "belongs to the account 333333333333"),
        ("arn:aws:ec2:eu-west-1:222222222222:network-acl/acl-0123456789abcdef0", "is in the region eu-west-1"),
    ] {
        let error = planned(&rules, &finding(Which::Default, resource), Settings::default()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
        assert!(error.message.contains(says), "{error}");
    }
}

#[tokio::test]
async fn every_page_of_the_subnets_is_read() {
    let page = |token: Option<&'static str>, subnet: &'static str, next: Option<&'static str>| {
        mock!(Client::describe_subnets).match_requests(move |request| request.next_token() == token).then_output(
            move || {
                let subnet = Subnet::builder().subnet_id(subnet).tags(name("web")).build();
                DescribeSubnetsOutput::builder().subnets(subnet).set_next_token(next.map(Into::into)).build()
            },
        )
    };
    let (first, second) = (page(None, SUBNETS[0], Some("more")), page(Some("more"), SUBNETS[1], None));
    let rules = [&described(acl(vec![entry(100, "-1", "0.0.0.0/0")])), &first, &second];
    let proposal = planned(&rules, &finding(Which::Subnet, ACL), Settings::default()).await.unwrap();
    let who = "subnet-00000000000000001 (web), subnet-00000000000000002 (web)";
    assert!(proposal.notes[0].contains(who), "{:?}", proposal.notes);
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_an_error_and_not_compliance() {
    let whole = entry(100, "-1", "0.0.0.0/0");
    for broken in [
        acl(vec![with(whole.clone(), |of| of.rule_number = None)]),
        acl(vec![with(whole.clone(), |of| of.egress = None)]),
        acl(vec![with(whole.clone(), |of| of.rule_action = None)]),
        acl(vec![with(whole.clone(), |of| of.protocol = None)]),
        acl(vec![with(whole.clone(), |of| of.cidr_block = None)]),
        with(acl(vec![whole.clone()]), |of| of.is_default = None),
        with(acl(vec![whole.clone()]), |of| of.network_acl_id = None),
    ] {
        let error = planned(&[&described(broken)], &finding(Which::Default, ACL), Settings::default()).await;
        let error = error.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "ec2:DescribeNetworkAcls"), "{error}");
    }
    let none = mock!(Client::describe_network_acls).then_output(|| DescribeNetworkAclsOutput::builder().build());
    let error = planned(&[&none], &finding(Which::Default, ACL), Settings::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient, "{error}");
}

#[tokio::test]
async fn errors_name_the_action() {
    for (code, kind) in
        [("UnauthorizedOperation", ErrorKind::AccessDenied), ("InvalidNetworkAclID.NotFound", ErrorKind::Gone)]
    {
        let acls =
            mock!(Client::describe_network_acls).then_error(move || DescribeNetworkAclsError::generic(metadata(code)));
        let error = planned(&[&acls], &finding(Which::Default, ACL), Settings::default()).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, "ec2:DescribeNetworkAcls"), "{error}");
    }
    let subnets =
        mock!(Client::describe_subnets).then_error(|| DescribeSubnetsError::generic(metadata("UnauthorizedOperation")));
    let rules = [&described(acl(vec![entry(100, "-1", "0.0.0.0/0")])), &subnets];
    let error = planned(&rules, &finding(Which::Default, ACL), Settings::default()).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::AccessDenied, "ec2:DescribeSubnets"), "{error}");
}

fn delete() -> MockRule {
    mock!(Client::delete_network_acl_entry)
        .match_requests(|request| {
            request.network_acl_id() == Some(ACL)
                && request.rule_number() == Some(100)
                && request.egress() == Some(false)
        })
        .then_output(|| DeleteNetworkAclEntryOutput::builder().build())
}

async fn apply(rules: &[&MockRule], change: &Change) -> Result<()> {
    let client = mock_client!(aws_sdk_ec2, RuleMode::MatchAny, rules);
    NetworkAclOpenIngress::apply(&client, change).await
}

#[tokio::test]
async fn an_entry_is_deleted_only_while_it_is_the_one_that_was_planned() {
    let change = deletion(100, Everywhere::Ipv4);
    for (standing, calls) in [
        (vec![outbound(entry(100, "6", "0.0.0.0/0")), entry(100, "-1", "0.0.0.0/0")], 1),
        (vec![entry(100, "6", "0.0.0.0/0")], 0),
        (vec![entry(100, "-1", "10.0.0.0/8")], 0),
        (vec![entry(100, "-1", "::/0")], 0),
        (vec![deny(100, "0.0.0.0/0")], 0),
        (vec![outbound(entry(100, "-1", "0.0.0.0/0"))], 0),
        (vec![entry(101, "-1", "0.0.0.0/0")], 0),
        (vec![], 0),
    ] {
        let delete = delete();
        apply(&[&described(acl(standing.clone())), &delete], &change).await.unwrap();
        assert_eq!(delete.num_calls(), calls, "{standing:?}");
    }
}

#[tokio::test]
async fn what_is_gone_is_deleted_and_cannot_be_put_back() {
    let change = deletion(100, Everywhere::Ipv4);
    let gone = mock!(Client::describe_network_acls)
        .then_error(|| DescribeNetworkAclsError::generic(metadata("InvalidNetworkAclID.NotFound")));
    apply(&[&gone], &change).await.unwrap();
    for code in ["InvalidNetworkAclID.NotFound", "InvalidNetworkAclEntry.NotFound"] {
        let refusing = mock!(Client::delete_network_acl_entry)
            .then_error(move || DeleteNetworkAclEntryError::generic(metadata(code)));
        apply(&[&described(acl(vec![entry(100, "-1", "0.0.0.0/0")])), &refusing], &change).await.unwrap();
        assert_eq!(refusing.num_calls(), 1);
    }
    let refusing = mock!(Client::create_network_acl_entry)
        .then_error(|| CreateNetworkAclEntryError::generic(metadata("InvalidNetworkAclID.NotFound")));
    let error = apply(&[&refusing], &NetworkAclOpenIngress::undo(&change).unwrap()).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, "ec2:CreateNetworkAclEntry"), "{error}");
}

#[tokio::test]
async fn a_refused_write_names_its_action() {
    let change = deletion(100, Everywhere::Ipv4);
    let open = described(acl(vec![entry(100, "-1", "0.0.0.0/0")]));
    let denied = "UnauthorizedOperation";
    let delete = mock!(Client::delete_network_acl_entry)
        .then_error(move || DeleteNetworkAclEntryError::generic(metadata(denied)));
    let create = mock!(Client::create_network_acl_entry)
        .then_error(move || CreateNetworkAclEntryError::generic(metadata(denied)));
    let undo = NetworkAclOpenIngress::undo(&change).unwrap();
    for (change, rules, action) in
        [(change, [&open, &delete], "ec2:DeleteNetworkAclEntry"), (undo, [&open, &create], "ec2:CreateNetworkAclEntry")]
    {
        let error = apply(&rules, &change).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::AccessDenied, action), "{error}");
    }
}

#[tokio::test]
async fn undo_puts_the_same_entry_back() {
    for (source, ipv4, ipv6) in [(Everywhere::Ipv4, Some("0.0.0.0/0"), None), (Everywhere::Ipv6, None, Some("::/0"))] {
        let create = mock!(Client::create_network_acl_entry)
            .match_requests(move |request| {
                request.network_acl_id() == Some(ACL)
                    && request.rule_number() == Some(100)
                    && request.egress() == Some(false)
                    && request.protocol() == Some("-1")
                    && request.rule_action() == Some(&RuleAction::Allow)
                    && (request.cidr_block(), request.ipv6_cidr_block()) == (ipv4, ipv6)
            })
            .then_output(|| CreateNetworkAclEntryOutput::builder().build());
        apply(&[&create], &NetworkAclOpenIngress::undo(&deletion(100, source)).unwrap()).await.unwrap();
        assert_eq!(create.num_calls(), 1);
    }
}

#[tokio::test]
async fn undo_takes_no_other_entrys_place() {
    let exists = mock!(Client::create_network_acl_entry)
        .then_error(|| CreateNetworkAclEntryError::generic(metadata("NetworkAclEntryAlreadyExists")));
    let undo = NetworkAclOpenIngress::undo(&deletion(100, Everywhere::Ipv4)).unwrap();
    let same = described(acl(vec![entry(100, "-1", "0.0.0.0/0")]));
    apply(&[&exists, &same], &undo).await.unwrap();
    for (standing, says) in [
        (
            vec![entry(100, "6", "10.0.0.0/8")],
            "another entry in its place: inbound entry 100, allow 6 from 10.0.0.0/8.",
        ),
        (vec![deny(100, "0.0.0.0/0")], "another entry in its place: inbound entry 100, deny all from 0.0.0.0/0."),
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
    assert_eq!(read("{}").unwrap().guard_last_allow, Guard::Warn);
    assert_eq!(read(r#"{"guard_last_allow": "hold"}"#).unwrap().guard_last_allow, Guard::Hold);
    for wrong in [r#"{"ipv4": false}"#, r#"{"ipv6": "no"}"#, r#"{"guard_last_allow": "block"}"#] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_change_is_stored_in_words() {
    let stored = r#"{"acl":"acl-0123456789abcdef0","number":101,"source":"::/0","before":"present","after":"absent"}"#;
    assert_eq!(serde_json::to_string(&deletion(101, Everywhere::Ipv6)).unwrap(), stored);
}

proptest! {
    #[test]
    fn undo_of_undo_is_the_change_itself(number in 1..32767, ipv6: bool, acl in "acl-[0-9a-f]{17}") {
        let source = if ipv6 { Everywhere::Ipv6 } else { Everywhere::Ipv4 };
        let change = Change { acl, ..deletion(number, source) };
        let stored: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
        let undo = NetworkAclOpenIngress::undo(&stored).unwrap();
        prop_assert_eq!((undo.before, undo.after), (change.after, change.before));
        prop_assert_eq!(NetworkAclOpenIngress::undo(&undo), Some(change));
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String, rest in "[a-z0-9:/é-]{0,40}") {
        for resource in [resource, format!("acl-{rest}"), format!("arn:aws:ec2:us-east-1:222222222222:{rest}")] {
            let _ = finding(Which::Default, &resource).ec2_name("network-acl", "acl");
        }
    }
}
