//! What is planned for a VPC: no call is needed for that.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::*;

/// A flow log to a log group of somebody else's, as AWS describes it so many minutes after it was made.
fn theirs(id: &str, delivery: Delivery) -> FlowLog {
    let (id, place, made) = (id.into(), Place::LogGroup("theirs".into()), Timestamp::UNIX_EPOCH);
    FlowLog { id, place, made, records_all: false, is_ours: false, delivery }
}

/// The rule's own flow log.
fn ours(delivery: Delivery) -> FlowLog {
    FlowLog { place: Place::LogGroup(GROUP.into()), records_all: true, is_ours: true, ..theirs("fl-ours", delivery) }
}

/// The rule's own flow log to a bucket.
fn in_bucket(delivery: Delivery) -> FlowLog {
    FlowLog { place: Place::Bucket(BUCKET.into()), ..ours(delivery) }
}

fn fails(reason: &str) -> Delivery {
    Delivery::Failed(reason.into())
}

fn vpc(flow_logs: &[FlowLog]) -> Vpc {
    Vpc {
        tags: Tags::new(),
        flow_logs: flow_logs.into(),
        log_group: GROUP.into(),
        retention_days: None,
        last_delivery: None,
        is_in_use: true,
        delivery_role: ROLE.into(),
    }
}

/// What is planned so many minutes after the flow logs were made.
fn plan(state: Vpc, minutes: i64) -> Proposal<Change> {
    let at = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
    VpcWithoutFlowLogs::plan(&Seen { resource: edge(), at, state }, &[&NoParameters {}], &Settings::default())
}

#[test]
fn the_settings_say_where_a_new_flow_log_delivers_to() {
    let settings = r#"{"destination": "arn:aws:s3:::flow-logs/vpc/", "traffic": "REJECT",
        "destinations": {"333333333333": "cloud-watch-logs", "222222222222/eu-central-1": "arn:aws:s3:::flow-logs-{account}-{region}"}}"#;
    let settings: Settings = serde_json::from_str(settings).unwrap();
    let planned = |place: &str| {
        let resource = Resource::of_arn("ec2:DescribeVpcs", format!("arn:aws:ec2:{place}:vpc/{VPC}"), VPC).unwrap();
        // The retention of a log group that is there does not matter to a bucket.
        let state = Vpc { retention_days: Some(7), ..vpc(&[]) };
        let seen = Seen { resource, at: Timestamp::UNIX_EPOCH, state };
        let proposal = VpcWithoutFlowLogs::plan(&seen, &[&NoParameters {}], &settings);
        (proposal.changes[0].to_string(), proposal.notes.len())
    };
    for (place, expected, notes) in [
        ("eu-central-1:222222222222", "arn:aws:s3:::flow-logs-222222222222-eu-central-1", 0),
        ("eu-west-1:222222222222", "arn:aws:s3:::flow-logs/vpc/", 0),
        ("eu-west-1:333333333333", &format!("{GROUP}, kept for 365 days"), 1),
    ] {
        assert_eq!(planned(place), (format!("create a flow log of REJECT traffic to {expected}"), notes), "{place}");
    }
}

#[test]
fn the_rules_own_flow_log_to_a_bucket_is_proved_by_what_aws_says_in_the_end() {
    let not_yet = "is so new that a failure need not show yet";
    let unknown =
        "AWS does not say whether the flow log fl-ours, made at 1970-01-01T00:00:00Z, delivers to arn:aws:s3:::";
    let nothing = "no network interface of the VPC is in use, so there is nothing to record";
    for (delivery, minutes, is_in_use, unproved, noted) in [
        (Delivery::NotFailed, 0, true, Some(not_yet), None),
        (Delivery::NotFailed, 14, false, Some(not_yet), None),
        (Delivery::NotFailed, 15, true, None, None),
        (Delivery::NotFailed, 15, false, None, Some(nothing)),
        (Delivery::Unknown, 15, true, Some(unknown), None),
    ] {
        // What arrives in the log group is another one's.
        let last_delivery = Some(Timestamp::UNIX_EPOCH);
        let found = plan(Vpc { is_in_use, last_delivery, ..vpc(&[in_bucket(delivery)]) }, minutes);
        let case = format!("{minutes} {is_in_use}: {found:?}");
        assert_eq!((found.changes.len(), found.held.len()), (0, 0), "{case}");
        for (texts, expected) in [(found.unproved, unproved), (found.notes, noted)] {
            assert_eq!(texts.len(), usize::from(expected.is_some()), "{case}");
            assert!(texts.iter().all(|text| expected.is_some_and(|says| text.contains(says))), "{case}");
        }
    }
    let held = plan(vpc(&[in_bucket(fails("Access error"))]), 60).held;
    let expected = format!(
        "the flow log fl-ours to {BUCKET} delivers nothing: Access error. The bucket must exist, and its policy, and that \
         of a KMS key that encrypts it, must let delivery.logs.amazonaws.com write there for this account"
    );
    assert_eq!(held, [expected]);
}

#[test]
fn a_vpc_without_a_flow_log_gets_one() {
    for is_in_use in [true, false] {
        assert_eq!(plan(Vpc { is_in_use, ..vpc(&[]) }, 0), Proposal::from(vec![change()]));
    }
    let summary = format!("create a flow log of ALL traffic to {GROUP}, kept for 365 days");
    assert_eq!(change().to_string(), summary);
}

#[test]
fn a_retention_that_stays_is_noted() {
    for (retention_days, noted) in [(None, false), (Some(365), false), (Some(30), true)] {
        let proposal = plan(Vpc { retention_days, ..vpc(&[]) }, 0);
        let note = format!("the log group {GROUP} exists and keeps its retention of 30 days, not 365");
        assert_eq!(proposal.notes, Vec::from_iter(noted.then_some(note)), "{retention_days:?}");
        assert_eq!(proposal.changes.len(), 1);
    }
}

#[test]
fn somebodys_flow_log_that_has_not_failed_is_enough_at_once() {
    for delivery in [Delivery::NotFailed, Delivery::Unknown] {
        assert_eq!(plan(vpc(&[theirs("fl-1", delivery)]), 0), Proposal::default());
    }
    let failing = ["fl-2", "fl-3"].map(|id| theirs(id, fails("Access error")));
    let note = |id| format!("the flow log {id} to theirs delivers nothing: Access error");
    let proposal = plan(vpc(&[failing[0].clone(), theirs("fl-1", Delivery::NotFailed), failing[1].clone()]), 0);
    assert_eq!((proposal.complies(), proposal.notes), (true, vec![note("fl-2"), note("fl-3")]));
    let proposal = plan(vpc(&[ours(fails("Access error")), theirs("fl-1", Delivery::NotFailed)]), 60);
    let note = format!("the flow log fl-ours to {GROUP} delivers nothing: Access error");
    assert_eq!((proposal.complies(), proposal.notes), (true, vec![note]));
}

#[test]
fn a_flow_log_that_turns_out_not_to_be_needed_stays_and_that_is_said() {
    let proposal = plan(vpc(&[ours(Delivery::NotFailed), theirs("fl-1", Delivery::NotFailed)]), 0);
    let note = format!(
        "this rule's flow log fl-ours to {GROUP} stays, although the flow log fl-1 to theirs records the traffic too: \
         undo the run that made it, or delete one of them"
    );
    assert_eq!((proposal.complies(), proposal.notes), (true, vec![note]));
}

#[test]
fn a_side_is_whether_the_rules_own_flow_log_is_there() {
    for (flow_logs, side) in [
        (&[][..], Side::Before),
        (&[theirs("fl-1", Delivery::NotFailed)], Side::Before),
        (&[ours(Delivery::Unknown)], Side::After),
        (&[theirs("fl-1", Delivery::NotFailed), ours(fails("Access error"))], Side::After),
        (&[in_bucket(Delivery::NotFailed)], Side::Before),
    ] {
        assert_eq!(VpcWithoutFlowLogs::side(&change(), &vpc(flow_logs)), side, "{flow_logs:?}");
    }
    let elsewhere = FlowLog { place: Place::Bucket(format!("{BUCKET}-too")), ..in_bucket(Delivery::NotFailed) };
    let somebodys = FlowLog { is_ours: false, ..in_bucket(Delivery::NotFailed) };
    for (flow_logs, side) in [
        (&[][..], Side::Before),
        (&[ours(Delivery::NotFailed)], Side::Before),
        (&[elsewhere], Side::Before),
        (&[somebodys], Side::Before),
        (&[in_bucket(Delivery::Unknown)], Side::After),
    ] {
        assert_eq!(VpcWithoutFlowLogs::side(&change_to_bucket(), &vpc(flow_logs)), side, "{flow_logs:?}");
    }
}

#[test]
fn the_rules_own_flow_log_works_once_something_has_arrived() {
    let at = |minutes| Some(Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes));
    let not_yet = "has not delivered anything to /autoremediate/vpc-flow-logs/222222222222/vpc-0123456789abcdef0 yet";
    let never = "although the VPC's network interfaces are in use: check whether its role arn:aws:iam::222222222222:";
    let nothing = "no network interface of the VPC is in use, so there is nothing to record";
    for delivery in [Delivery::NotFailed, Delivery::Unknown] {
        for (minutes, is_in_use, last_delivery, unproved, noted) in [
            (0, true, at(0), None, None),
            (20, true, at(11), None, None),
            // What had arrived before was another one's.
            (5, true, at(-1), Some(not_yet), None),
            (20, true, at(-1), Some(never), None),
            (0, true, None, Some(not_yet), None),
            (14, true, None, Some(not_yet), None),
            (15, true, None, Some(never), None),
            (100_000, true, None, Some(never), None),
            // Whether a failure will show is not known yet, although there is nothing to record.
            (0, false, None, Some(not_yet), None),
            (14, false, None, Some(not_yet), None),
            (15, false, None, None, Some(nothing)),
        ] {
            let found = plan(Vpc { is_in_use, last_delivery, ..vpc(&[ours(delivery.clone())]) }, minutes);
            let case = format!("{minutes} {is_in_use} {last_delivery:?}: {found:?}");
            assert_eq!((found.changes.len(), found.held.len()), (0, 0), "{case}");
            for (texts, expected) in [(found.unproved, unproved), (found.notes, noted)] {
                assert_eq!(texts.len(), usize::from(expected.is_some()), "{case}");
                assert!(texts.iter().all(|text| expected.is_some_and(|says| text.contains(says))), "{case}");
            }
        }
    }
    let some = FlowLog { records_all: false, ..ours(Delivery::NotFailed) };
    let [unproved] = &plan(vpc(&[some]), 60).unproved[..] else { panic!() };
    assert!(unproved.contains("in use, unless there was none of the traffic that it records: check"), "{unproved}");
}

#[test]
fn a_vpc_whose_flow_logs_all_fail_is_held_with_what_to_do() {
    let proposal = plan(vpc(&[theirs("fl-1", fails("Access error")), ours(fails("Access error"))]), 60);
    let expected = [
        "the flow log fl-1 to theirs delivers nothing: Access error. It is not this rule's own, so it stays as it is: \
         mend its role or its destination, or delete it, and the next run makes one"
            .to_owned(),
        format!(
            "the flow log fl-ours to {GROUP} delivers nothing: Access error. Its role {ROLE} must exist, trust \
             vpc-flow-logs.amazonaws.com and be allowed to write to the log group, by service control policies as \
             well: apply the target module again"
        ),
    ];
    assert_eq!((proposal.complies(), proposal.changes.len(), proposal.unproved.len()), (false, 0, 0));
    assert_eq!(proposal.held, expected);
    // An unknown reason is a person's to look into.
    assert_eq!(plan(vpc(&[ours(fails("AWS gives no reason"))]), 0).held.len(), 1);
    // Whatever has arrived before: it fails now.
    let once = Vpc { last_delivery: Some(Timestamp::UNIX_EPOCH), ..vpc(&[ours(fails("Access error"))]) };
    assert_eq!(plan(once, 60).held.len(), 1);
    // The rule's own works, whatever somebody else's does.
    let beside = [theirs("fl-1", fails("Access error")), ours(Delivery::NotFailed)];
    assert_eq!(plan(vpc(&beside), 0).unproved.len(), 1);
    let beside = Vpc { last_delivery: Some(Timestamp::UNIX_EPOCH), ..vpc(&beside) };
    assert_eq!((plan(beside.clone(), 0).complies(), plan(beside, 0).notes.len()), (true, 1));
}

#[test]
fn a_failure_that_ends_by_itself_is_asked_about_again() {
    for reason in ["Rate limited", "Unknown error"] {
        for flow_logs in [vec![ours(fails(reason))], vec![theirs("fl-1", fails("Access error")), ours(fails(reason))]] {
            let proposal = plan(vpc(&flow_logs), 60);
            let expected = format!("the flow log fl-ours to {GROUP} delivers nothing: {reason}");
            assert_eq!((proposal.unproved, proposal.held.len()), (vec![expected], 0));
            assert_eq!(proposal.notes.len(), flow_logs.len() - 1);
        }
    }
}

fn flow_log() -> impl Strategy<Value = FlowLog> {
    let delivery = prop::sample::select(vec![
        Delivery::NotFailed,
        Delivery::Unknown,
        fails("Access error"),
        fails("Rate limited"),
    ]);
    (0..3, delivery).prop_map(|(whose, of)| match whose {
        0 => ours(of),
        1 => in_bucket(of),
        _ => theirs("fl-1", of),
    })
}

impl World for VpcWithoutFlowLogs {
    /// The log group stays, and its retention: a look does not see them beside a flow log.
    fn write(state: &mut Vpc, change: &Change) {
        state.flow_logs.retain(|of| !(of.is_ours && change.flow_log.is_to(&of.place)));
        if change.after == Presence::Present {
            let place = match &change.flow_log {
                NewFlowLog::ToLogGroup { log_group, .. } => Place::LogGroup(log_group.clone()),
                NewFlowLog::ToBucket { log_destination, .. } => Place::Bucket(log_destination.clone()),
            };
            state.flow_logs.push(FlowLog { place, ..ours(Delivery::NotFailed) });
        }
    }

    fn open(state: &Vpc) -> BTreeSet<String> {
        state.flow_logs.is_empty().then(|| "nobody records the traffic".to_owned()).into_iter().collect()
    }
}

proptest! {
    /// A VPC is changed where it has no flow log, and complies only where one has not failed.
    #[test]
    fn only_a_flow_log_that_has_not_failed_complies(
        flow_logs in prop::collection::vec(flow_log(), 0..4), minutes in 0..60_i64, is_in_use: bool, delivered: bool,
    ) {
        let last_delivery = delivered.then_some(Timestamp::UNIX_EPOCH);
        let proposal = plan(Vpc { is_in_use, last_delivery, ..vpc(&flow_logs) }, minutes);
        prop_assert_eq!(proposal.changes.is_empty(), !flow_logs.is_empty());
        let has_failed = |of: &&FlowLog| matches!(of.delivery, Delivery::Failed(_));
        let works = |of: &FlowLog| {
            let told = of.is_to_bucket() && of.delivery == Delivery::NotFailed;
            !of.is_ours || delivered && !of.is_to_bucket() || minutes >= 15 && (!is_in_use || told)
        };
        let mut working = flow_logs.iter().filter(|of| !has_failed(of));
        // Somebody's is enough; of the rule's own, the first that does not fail must be shown to work.
        let first = working.clone().find(|of| of.is_ours);
        let complies = working.any(|of| !of.is_ours) || first.is_some_and(works);
        prop_assert_eq!(proposal.complies(), complies, "{:?}", proposal);
    }

    /// With the flow log that the change makes, and a delivery of it, the VPC complies.
    #[test]
    fn the_fix_fixes_once_it_delivers(is_in_use: bool) {
        let fixed = Vpc { is_in_use, last_delivery: Some(Timestamp::UNIX_EPOCH), ..vpc(&[ours(Delivery::NotFailed)]) };
        prop_assert!(plan(fixed, 1).complies());
    }

    #[test]
    fn the_laws_hold(
        flow_logs in prop::collection::vec(flow_log(), 0..3), is_in_use: bool, retention: Option<bool>,
        retention_days in prop::sample::select(vec![1, 30, 365]),
        traffic in prop::sample::select(vec![Traffic::All, Traffic::Accept, Traffic::Reject]), to_bucket: bool,
    ) {
        let found = retention.map(|is_long| if is_long { 365 } else { 7 });
        let state = Vpc { is_in_use, retention_days: found, ..vpc(&flow_logs) };
        let destination =
            if to_bucket { Destination::Bucket(format!("{BUCKET}-{{account}}")) } else { Destination::LogGroup };
        let settings = Settings { destination, retention_days, traffic, ..Settings::default() };
        hold::<VpcWithoutFlowLogs>(&edge(), &state, &[NoParameters {}], &settings);
    }
}
