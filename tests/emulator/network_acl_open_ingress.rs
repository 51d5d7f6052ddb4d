//! The rule `network-acl-open-ingress` through the engine.

use aws_sdk_ec2::types::RuleAction::{Allow, Deny};
use remediation::{ErrorKind, Guard, Mode, Outcome, Plan, Report, Rule, Side};
use rules::network_acl_open_ingress::{Family, NetworkAclOpenIngress, Settings};
use serde_json::Value;
use testkit::Result;
use testkit::emulator::Emulator;
use testkit::organization::Organization;
use testkit::subjects::network_acl_open_ingress::NetworkAcls;

/// The controls, by their place in the manifest.
const DEFAULT: usize = 0;
const SUBNET: usize = 1;
const ALL_IPV4: &str = "0.0.0.0/0";
const ALL_IPV6: &str = "::/0";
/// What the guard says of a subnet.
const CUT_OFF: &str = "is cut off: its last inbound allow goes, and with it all return traffic";

fn acls(of: &Organization) -> NetworkAcls {
    NetworkAcls::of(&of.target)
}

/// The settings under which the last allow goes without a person's approval.
fn warn() -> Settings {
    Settings { guard_last_allow: Guard::Warn, ..Settings::default() }
}

/// An ACL with a subnet and without entries, and findings of the second control.
async fn subnets_acl(of: &Organization, name: &str) -> Result<String> {
    of.choose_control(SUBNET);
    acls(of).make_in_use(name).await
}

async fn organization() -> Organization {
    Organization::new::<NetworkAclOpenIngress>(Emulator::shared().await.unwrap()).await.unwrap()
}

async fn apply(of: &Organization, acl: &str) -> Report {
    of.run_with::<NetworkAclOpenIngress>(warn(), of.batch(&[acl]), Mode::Apply).await
}

#[tokio::test]
async fn two_entries_go_and_every_other_stays() {
    let of = organization().await;
    let (acls, acl) = (acls(&of), subnets_acl(&of, "several").await.unwrap());
    for (number, action, protocol, source) in [
        (90, Deny, "-1", ALL_IPV4),
        (100, Allow, "-1", ALL_IPV4),
        (110, Allow, "6 443-443", ALL_IPV4),
        (120, Allow, "-1", "10.0.0.0/8"),
        (130, Allow, "6 443-443", ALL_IPV6),
        (140, Allow, "-1", "fd00::/8"),
        (32766, Allow, "-1", ALL_IPV4),
    ] {
        acls.add(&acl, number, action, protocol, source).await.unwrap();
    }
    let before = acls.described(&acl).await.unwrap();
    let report = apply(&of, &acl).await;
    assert_eq!((report.count(Outcome::Fixed), report.findings[0].written), (1, 2), "{report:?}");
    let mut expected = before.clone();
    let is_open = |of: &Value| of["outbound"] == false && (of["number"] == 100 || of["number"] == 32766);
    expected["entries"].as_array_mut().unwrap().retain(|entry| !is_open(entry));
    assert_eq!(acls.described(&acl).await.unwrap(), expected);
    let denies = expected["entries"].as_array().unwrap().iter().filter(|of| of["action"] == "deny").count();
    assert_eq!(denies, 3, "90, and the catch-all in each direction: {expected}");
}

#[tokio::test]
async fn an_acl_of_ipv6_alone_is_fixed_unless_the_settings_say_otherwise() {
    let of = organization().await;
    let (acls, acl) = (acls(&of), acls(&of).make_default("ipv6", true).await.unwrap());
    acls.remove(&acl, 100).await.unwrap();
    assert_eq!(acls.allowed(&acl).await.unwrap(), ["101 -1 ::/0"]);
    let settings = Settings { ipv6: false, ..warn() };
    let report = of.run_with::<NetworkAclOpenIngress>(settings, of.batch(&[&acl]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::AlreadyCompliant), 1, "{report:?}");
    assert!(report.findings[0].notes[0].contains("101, allow all from ::/0 is not changed"), "{report:?}");
    assert_eq!(acls.allowed(&acl).await.unwrap(), ["101 -1 ::/0"]);
    let report = apply(&of, &acl).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    let entries = acls.described(&acl).await.unwrap();
    let inbound = entries["entries"].as_array().unwrap().iter().filter(|of| of["outbound"] == false);
    assert_eq!(inbound.map(|of| of["number"].as_i64().unwrap()).collect::<Vec<_>>(), [32767, 32768]);
}

#[tokio::test]
async fn without_ipv6_only_ipv4_is_closed() {
    let of = organization().await;
    let (acls, acl) = (acls(&of), acls(&of).make_default("both", true).await.unwrap());
    let settings = Settings { ipv6: false, ..warn() };
    let report = of.run_with::<NetworkAclOpenIngress>(settings, of.batch(&[&acl]), Mode::Apply).await;
    assert_eq!((report.count(Outcome::Fixed), report.findings[0].written), (1, 1), "{report:?}");
    assert_eq!(acls.allowed(&acl).await.unwrap(), ["101 -1 ::/0"]);
}

#[tokio::test]
async fn each_control_leaves_the_acls_of_the_other_alone() {
    let of = organization().await;
    let (acls, custom) = (acls(&of), subnets_acl(&of, "custom").await.unwrap());
    let (_, unused) = acls.make_custom("unused").await.unwrap();
    for acl in [&custom, &unused] {
        acls.add(acl, 100, Allow, "-1", ALL_IPV4).await.unwrap();
    }
    for (control, acl, says) in
        [(DEFAULT, &custom, "is not the default network ACL"), (SUBNET, &unused, "no subnet is associated")]
    {
        let report = of.run_with::<NetworkAclOpenIngress>(warn(), of.batch_of(control, &[acl]), Mode::Apply).await;
        assert_eq!((report.count(Outcome::AlreadyCompliant), &report.plan), (1, &None), "{report:?}");
        assert!(report.findings[0].notes[0].contains(says), "{report:?}");
        assert_eq!(acls.allowed(acl).await.unwrap(), ["100 -1 0.0.0.0/0"]);
    }
    // A default ACL with a subnet is one of the second control, too.
    let default = acls.make_default("default", false).await.unwrap();
    assert_eq!(apply(&of, &default).await.count(Outcome::Fixed), 1);
}

#[tokio::test]
async fn the_plan_and_the_report_say_who_is_cut_off_whatever_the_pages() {
    let of = organization().await;
    of.target.set_page_size(Emulator::shared().await.unwrap(), 1).await.unwrap();
    let (vpc, acl) = acls(&of).make_custom("edge").await.unwrap();
    let first = acls(&of).associate(&vpc, 1, &acl).await.unwrap();
    let second = acls(&of).associate(&vpc, 2, &acl).await.unwrap();
    acls(&of).add(&acl, 100, Allow, "-1", ALL_IPV4).await.unwrap();
    // By its name, which is looked for on every page.
    let report = of.run_with::<NetworkAclOpenIngress>(warn(), of.batch_of(SUBNET, &["edge"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    let cut_off = |(subnet, name)| format!("{subnet} {CUT_OFF} ({name})");
    let notes = [(&first, "subnet 1"), (&second, "subnet 2")].map(cut_off);
    assert_eq!(report.findings[0].notes, notes);
    let plan = of.plan::<NetworkAclOpenIngress>(&report).await.unwrap();
    assert_eq!(plan.resources[0].sightings.iter().map(ToString::to_string).collect::<Vec<_>>(), notes);
}

#[tokio::test]
async fn the_guard_warns_of_the_last_allow_holds_it_or_does_not_look() {
    let of = organization().await;
    let settings = |guard_last_allow| Settings { guard_last_allow, ..Settings::default() };
    let apply = async |guard, acl: &str| {
        let batch = of.batch_of(DEFAULT, &[acl]);
        of.run_with::<NetworkAclOpenIngress>(settings(guard), batch, Mode::Apply).await
    };
    let unseen = acls(&of).make_default("unseen", false).await.unwrap();
    let report = apply(Guard::Off, &unseen).await;
    assert_eq!((report.count(Outcome::Fixed), report.findings[0].notes.len()), (1, 0), "{report:?}");
    assert!(!of.used(&of.target_role()).await.unwrap().contains("ec2:DescribeSubnets"));

    let (seen, kept) =
        (acls(&of).make_default("seen", false).await.unwrap(), acls(&of).make_default("kept", false).await.unwrap());
    let proposed = of.propose::<NetworkAclOpenIngress>(settings(Guard::Hold), &seen).await.unwrap();
    let [saw] = &proposed.sights[..] else { panic!("{proposed:?}") };
    assert!(saw.what.starts_with("subnet-") && saw.what.ends_with(CUT_OFF), "{saw}");
    assert_eq!(saw.now.as_deref(), Some("subnet of seen"));
    let (what, saw) = (saw.what.clone(), saw.to_string());
    // Held unless the settings say otherwise.
    let batch = of.batch_of(DEFAULT, &[&seen]);
    let report = of.run::<NetworkAclOpenIngress>(batch, Mode::Apply).await;
    let row = &report.findings[0];
    assert_eq!((row.outcome, row.written, &row.notes), (Outcome::Held, 0, &vec![saw.clone()]), "{report:?}");
    // Without what moves by itself, with which the same reason would be another.
    assert!(row.detail.as_ref().is_some_and(|detail| detail.contains(&what)), "{report:?}");
    let report = apply(Guard::Warn, &seen).await;
    assert_eq!((report.count(Outcome::Fixed), &report.findings[0].notes), (1, &vec![saw.clone()]), "{report:?}");

    acls(&of).add(&kept, 200, Allow, "6 443-443", ALL_IPV4).await.unwrap();
    let proposed = of.propose::<NetworkAclOpenIngress>(settings(Guard::Hold), &kept).await.unwrap();
    assert_eq!((proposed.proposal.changes.len(), proposed.sights), (1, vec![]));
    let notes = proposed.proposal.notes;
    assert!(notes[0].contains("receive only the IPv4 traffic that the inbound entries 200 allow"), "{notes:?}");
}

#[tokio::test]
async fn what_lets_nothing_in_cuts_nobody_off_and_saves_nobody() {
    let of = organization().await;
    let acls = acls(&of);
    let dead = acls.make_default("dead", false).await.unwrap();
    acls.add(&dead, 90, Deny, "-1", ALL_IPV4).await.unwrap();
    let saved = acls.make_default("saved by nobody", false).await.unwrap();
    acls.add(&saved, 110, Deny, "6 0-65535", ALL_IPV4).await.unwrap();
    acls.add(&saved, 120, Allow, "6 443-443", ALL_IPV4).await.unwrap();
    let report = of.run::<NetworkAclOpenIngress>(of.batch_of(DEFAULT, &[&dead, &saved]), Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Fixed, Outcome::Held], "{report:?}");
    assert!(report.findings[0].notes[0].contains("100, allow all from 0.0.0.0/0 lets nothing in"), "{report:?}");
    assert!(report.findings[1].notes[0].contains(CUT_OFF), "{report:?}");
}

#[tokio::test]
async fn a_guard_that_may_not_see_the_names_says_the_ids() {
    let of = organization().await;
    let emulator = Emulator::shared().await.unwrap();
    for (guard, outcome) in [(Guard::Warn, Outcome::Fixed), (Guard::Hold, Outcome::Held)] {
        let acl = acls(&of).make_default("dark", false).await.unwrap();
        emulator.fail(&of.target.id, "ec2:DescribeSubnets", "UnauthorizedOperation").await.unwrap();
        let settings = Settings { guard_last_allow: guard, ..Settings::default() };
        let report = of.run_with::<NetworkAclOpenIngress>(settings, of.batch(&[&acl]), Mode::Apply).await;
        let row = &report.findings[0];
        assert_eq!(row.outcome, outcome, "{report:?}");
        let note = &row.notes[0];
        assert!(note.starts_with("subnet-") && note.contains(CUT_OFF), "{note}");
        assert!(note.contains("its name could not be read: ec2:DescribeSubnets: UnauthorizedOperation"), "{note}");
    }
}

#[tokio::test]
async fn an_acl_that_is_open_in_pieces_is_held_with_their_numbers() {
    let of = organization().await;
    let acls = acls(&of);
    let (tcp, udp, icmp) = ("6 0-65535", "17 0-65535", "1");
    for (name, entries, says) in [
        (
            "protocols",
            &[(100, tcp, ALL_IPV4), (110, udp, ALL_IPV4)][..],
            "IPv4 address, by the inbound entries 100, 110",
        ),
        (
            "with ICMP",
            &[(100, icmp, ALL_IPV4), (110, tcp, ALL_IPV4), (120, udp, ALL_IPV4)],
            "entries 110, 120 together",
        ),
        ("halves", &[(100, "-1", "0.0.0.0/1"), (200, "-1", "128.0.0.0/1")], "entries 100, 200 together"),
        (
            "quarters",
            &[(1, "6 1-1023", ALL_IPV4), (2, "6 1024-65535", ALL_IPV4), (3, udp, "0.0.0.0/1"), (4, udp, "128.0.0.0/1")],
            "entries 1, 2, 3, 4 together",
        ),
        ("IPv6", &[(100, tcp, ALL_IPV6), (110, udp, ALL_IPV6)], "IPv6 address, by the inbound entries 100, 110"),
        ("IPv6 in use", &[(100, "-1", "2000::/3")], "IPv6 address, by the inbound entry 100"),
    ] {
        let acl = subnets_acl(&of, name).await.unwrap();
        for (number, protocol, source) in entries {
            acls.add(&acl, *number, Allow, protocol, source).await.unwrap();
        }
        let before = acls.described(&acl).await.unwrap();
        let report = apply(&of, &acl).await;
        let row = &report.findings[0];
        assert_eq!((row.outcome, row.written, &report.plan), (Outcome::Held, 0, &None), "{name}: {report:?}");
        assert!(row.detail.as_ref().is_some_and(|detail| detail.contains(says)), "{name}: {report:?}");
        assert_eq!(acls.described(&acl).await.unwrap(), before, "{name}");
        // Dead behind a deny of all, it is open no more.
        acls.add(&acl, 32000, Deny, "-1", ALL_IPV4).await.unwrap();
        assert_eq!(apply(&of, &acl).await.count(Outcome::Held), 1, "{name}: a later deny changes nothing");
    }
    let acl = subnets_acl(&of, "dead").await.unwrap();
    for (number, action, protocol) in [(90, Deny, "-1"), (100, Allow, tcp), (110, Allow, udp)] {
        acls.add(&acl, number, action, protocol, ALL_IPV4).await.unwrap();
    }
    assert_eq!(apply(&of, &acl).await.count(Outcome::AlreadyCompliant), 1);
}

#[tokio::test]
async fn what_is_open_in_pieces_beside_an_entry_that_goes_is_held_after_it() {
    let of = organization().await;
    let acl = acls(&of).make_default("both", false).await.unwrap();
    for (number, protocol) in [(200, "6 0-65535"), (210, "17 0-65535")] {
        acls(&of).add(&acl, number, Allow, protocol, ALL_IPV4).await.unwrap();
    }
    let report = of.run::<NetworkAclOpenIngress>(of.batch_of(DEFAULT, &[&acl]), Mode::Apply).await;
    let row = &report.findings[0];
    assert_eq!((row.outcome, row.written), (Outcome::Held, 1), "{report:?}");
    assert!(row.detail.as_ref().is_some_and(|detail| detail.contains("200, 210 together")), "{report:?}");
    assert_eq!(acls(&of).allowed(&acl).await.unwrap(), ["200 6 0.0.0.0/0", "210 17 0.0.0.0/0"]);
}

#[tokio::test]
async fn an_acl_that_another_account_shares_is_held_and_not_planned() {
    let of = organization().await;
    let emulator = Emulator::shared().await.unwrap();
    let owner = testkit::account::Account::fresh(emulator);
    let owners = NetworkAcls::of(&owner);
    let (vpc, acl) = owners.make_custom("theirs").await.unwrap();
    owners.add(&acl, 100, Allow, "-1", ALL_IPV4).await.unwrap();
    let subnet = owners.associate(&vpc, 1, &acl).await.unwrap();
    owners.vpcs.share_subnet(emulator, &subnet, &of.target.id).await.unwrap();
    let before = owners.described(&acl).await.unwrap();
    let report = of.run_with::<NetworkAclOpenIngress>(warn(), of.batch_of(SUBNET, &[&acl]), Mode::Apply).await;
    assert_eq!((report.count(Outcome::Held), &report.plan), (1, &None), "{report:?}");
    let detail = report.findings[0].detail.as_ref().unwrap();
    assert!(detail.contains(&format!("belongs to the account {}", owner.id)), "{detail}");
    assert_eq!(owners.described(&acl).await.unwrap(), before);
}

#[tokio::test]
async fn a_name_that_two_acls_have_is_an_error() {
    let of = organization().await;
    for _ in 0..2 {
        acls(&of).make_default("twice", false).await.unwrap();
    }
    let report = of.run_with::<NetworkAclOpenIngress>(warn(), of.batch(&["twice", "nobody"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Failed), 2, "{report:?}");
    for (finding, says) in report.findings.iter().zip(["2 resources have it", "0 resources have it"]) {
        assert!(finding.detail.as_ref().unwrap().contains(says), "{finding:?}");
    }
}

#[tokio::test]
async fn an_entry_that_took_the_number_since_is_neither_deleted_nor_replaced() {
    let of = organization().await;
    let (acls, acl) = (acls(&of), acls(&of).make_default("taken", false).await.unwrap());
    let report = of.run_with::<NetworkAclOpenIngress>(warn(), of.batch(&[&acl]), Mode::Plan).await;
    let stored = of.central.json(&of.bucket, &report.plan.as_ref().unwrap().key).await.unwrap();
    let plan: Plan<<NetworkAclOpenIngress as Rule>::Change> = serde_json::from_value(stored).unwrap();
    let change = &plan.resources[0].changes[0].change;
    assert_eq!((change.number, change.source), (100, Family::Ipv4));
    acls.remove(&acl, 100).await.unwrap();
    acls.add(&acl, 100, Allow, "6 443-443", ALL_IPV4).await.unwrap();
    let client = of.write_client::<NetworkAclOpenIngress>().await.unwrap();
    let seen = of.look::<NetworkAclOpenIngress>(&client, &acl).await.unwrap();
    assert_eq!(NetworkAclOpenIngress::side(change, &seen.state), Side::Neither);
    let error = NetworkAclOpenIngress::apply(&client, &seen.resource, change).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unneeded, "{error}");
    assert_eq!(acls.allowed(&acl).await.unwrap(), ["100 6 0.0.0.0/0"]);
    let undo = NetworkAclOpenIngress::undo(change);
    let client = of.undo_client::<NetworkAclOpenIngress>().await.unwrap();
    let error = NetworkAclOpenIngress::apply(&client, &seen.resource, &undo).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Permanent, "ec2:CreateNetworkAclEntry"), "{error}");
    assert!(error.message.contains("inbound entry 100, allow TCP 443-443 from 0.0.0.0/0"), "{error}");
    assert_eq!(acls.allowed(&acl).await.unwrap(), ["100 6 0.0.0.0/0"]);
}

#[tokio::test]
async fn another_region_or_account_in_the_arn_is_said_and_stops_nobody() {
    let of = organization().await;
    let acl = acls(&of).make_default("ours", false).await.unwrap();
    let elsewhere = format!("arn:aws:ec2:eu-west-1:{}:network-acl/{acl}", of.target.id);
    let theirs = format!("arn:aws:ec2:us-east-1:999999999999:network-acl/{acl}");
    let report =
        of.run_with::<NetworkAclOpenIngress>(warn(), of.batch(&[&elsewhere, &theirs, &acl]), Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed, Outcome::Fixed], "{report:?}");
    for (finding, says) in report.findings.iter().zip(["is in the region eu-west-1", "belongs to the account 9999"]) {
        assert!(finding.detail.as_ref().unwrap().contains(says), "{finding:?}");
    }
}
