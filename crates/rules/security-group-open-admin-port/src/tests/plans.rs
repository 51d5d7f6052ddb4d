//! What is planned for a group, without any call.

use super::*;

fn summaries(proposal: &Proposal<Change>) -> Vec<String> {
    proposal.changes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_plan_says_what_takes_the_place_of_what() {
    let present = ["tcp 22-22 0.0.0.0/0", "tcp 20-30 0.0.0.0/0", "-1 - ::/0", "udp 22-22 ::/0", "tcp 80-80 ::/0"];
    let proposal = plan(SSH, Settings::default(), &present);
    let expected = [
        "revoke tcp 22 from 0.0.0.0/0",
        "replace all traffic from ::/0 by tcp 0-21 from ::/0, tcp 23-65535 from ::/0, udp 0-65535 from ::/0, icmpv6 \
         from ::/0",
        "replace tcp 20-30 from 0.0.0.0/0 by tcp 20-21 from 0.0.0.0/0, tcp 23-30 from 0.0.0.0/0",
    ];
    assert_eq!(summaries(&proposal), expected);
    assert_eq!(proposal.held, Vec::<String>::new());
    assert!(proposal.notes[0].starts_with("all traffic from ::/0 is narrowed to TCP, UDP and ICMP"), "{proposal:?}");
}

#[test]
fn both_ports_go_in_one_plan() {
    let proposal =
        plan_of(&seen(inbound(&["tcp 0-65535 ::/0", "tcp 3389-3389 ::/0"])), &[SSH, RDP], &Settings::default());
    let expected = [
        "revoke tcp 3389 from ::/0",
        "replace tcp 0-65535 from ::/0 by tcp 0-21 from ::/0, tcp 23-3388 from ::/0, tcp 3390-65535 from ::/0",
    ];
    assert_eq!(summaries(&proposal), expected);
    let hold = Settings { wide_rules: WideRules::Hold, ..Settings::default() };
    let held = plan_of(&seen(inbound(&["tcp 0-65535 ::/0"])), &[SSH, RDP], &hold).held;
    assert!(held[0].contains("opens more than port 22 and 3389"), "{held:?}");
}

#[test]
fn a_wide_rule_becomes_what_no_other_one_does_and_what_is_too_much_goes_first() {
    // Four rules need four others, and none of them must be added.
    let present = ["tcp 5-30 ::/0", "tcp 5-40 ::/0", "tcp 20-30 ::/0", "tcp 20-40 ::/0"];
    let proposal = plan(SSH, Settings::default(), &present);
    assert!(proposal.changes.iter().all(|change| change.give.len() == 1), "{proposal:?}");
    // Two rules need one; the other goes at once.
    let proposal = plan(SSH, Settings::default(), &["tcp 22-30 ::/0", "tcp 22-40 ::/0", "tcp 23-40 ::/0"]);
    let expected = ["revoke tcp 22-40 from ::/0", "replace tcp 22-30 from ::/0 by tcp 23-30 from ::/0"];
    assert_eq!(summaries(&proposal), expected);
    assert_eq!(proposal.changes[0].keep, rules(&["tcp 23-40 ::/0"]));
}

#[test]
fn only_what_opens_the_controls_own_port_counts() {
    for (control, complies, violates) in [
        (
            SSH,
            &["tcp 0-21 0.0.0.0/0", "tcp 23-3389 0.0.0.0/0", "udp 0-65535 0.0.0.0/0", "icmp - 0.0.0.0/0", "47 - ::/0"]
                [..],
            // TCP without ports could only be every port.
            &[
                "tcp 22-22 0.0.0.0/0",
                "6 22-22 0.0.0.0/0",
                "tcp 0-22 ::/0",
                "tcp 22-65535 ::/0",
                "tcp - ::/0",
                "-1 - ::/0",
            ][..],
        ),
        (
            RDP,
            &["tcp 22-3388 0.0.0.0/0", "udp 3390-3400 ::/0", "icmpv6 - ::/0"],
            &["tcp 3389-3389 ::/0", "udp 3389-3389 0.0.0.0/0", "17 1-65535 ::/0", "-1 - 0.0.0.0/0"],
        ),
    ] {
        assert!(plan(control, Settings::default(), complies).complies(), "{complies:?}");
        for rule in violates {
            assert_eq!(plan(control, Settings::default(), &[rule]).changes.len(), 1, "{rule}");
        }
    }
}

#[test]
fn the_settings_say_what_becomes_of_wide_rules_and_of_ipv6() {
    let defaults: Settings = serde_json::from_str("{}").unwrap();
    assert_eq!((defaults.ipv6, defaults.wide_rules, defaults.guard_in_use), (true, WideRules::Narrow, Guard::Warn));
    for wrong in [r#"{"ipv4": true}"#, r#"{"wide_rules": "close"}"#, r#"{"guard_in_use": true}"#, r#"{"ipv6": "no"}"#] {
        assert!(serde_json::from_str::<Settings>(wrong).is_err(), "{wrong}");
    }
    let present =
        ["tcp 22-22 0.0.0.0/0", "tcp 20-30 0.0.0.0/0", "tcp 22-22 ::/0", "tcp 22-22 ::/1", "tcp 22-22 8000::/1"];
    for (settings, changes, held, notes) in [
        (r#"{"wide_rules": "narrow"}"#, 2, 1, 0),
        (r#"{"wide_rules": "revoke"}"#, 2, 1, 1),
        (r#"{"wide_rules": "hold"}"#, 1, 2, 0),
        (r#"{"ipv6": false}"#, 2, 0, 2),
    ] {
        let found = plan(SSH, serde_json::from_str(settings).unwrap(), &present);
        let counts = (found.changes.len(), found.held.len(), found.notes.len());
        assert_eq!(counts, (changes, held, notes), "{settings}: {found:?}");
    }
}

#[test]
fn what_is_as_wide_as_the_world_together_is_held_and_named() {
    let quarters = ["tcp 22-22 0.0.0.0/2", "tcp 0-100 64.0.0.0/2", "-1 - 128.0.0.0/2", "6 22-22 192.0.0.0/2"];
    for (control, world) in [
        (SSH, &["tcp 22-22 0.0.0.0/1", "tcp 22-22 128.0.0.0/1"][..]),
        (SSH, &["-1 - 0.0.0.0/1", "tcp 20-30 128.0.0.0/1"]),
        (SSH, &quarters),
        (SSH, &["tcp 22-22 ::/2", "tcp 22-22 4000::/2", "tcp 22-22 8000::/1"]),
        // Nothing else of IPv6 is routed.
        (SSH, &["tcp 22-22 2000::/3"]),
        (SSH, &["tcp 22-22 2000::/4", "tcp 22-22 3000::/4"]),
        (RDP, &["udp 3389-3389 0.0.0.0/1", "udp 3389-3389 128.0.0.0/1"]),
        (RDP, &["17 3389-3389 0.0.0.0/1", "-1 - 128.0.0.0/1"]),
    ] {
        let found = plan(control, Settings::default(), world);
        assert_eq!((found.changes.len(), found.held.len()), (0, 1), "{world:?}: {found:?}");
        assert!(world.iter().all(|rule| found.held[0].contains(rule)), "{found:?}");
        let rest = &world[1..];
        assert!(plan(control, Settings::default(), rest).complies(), "{rest:?}");
    }
}

#[test]
fn halves_count_only_by_one_version_of_ip_one_protocol_and_one_port() {
    for (control, present) in [
        (SSH, &["tcp 22-22 0.0.0.0/1", "tcp 22-22 8000::/1"][..]),
        (SSH, &["tcp 22-22 0.0.0.0/1", "udp 22-22 128.0.0.0/1"]),
        (SSH, &["tcp 22-22 0.0.0.0/1", "tcp 23-99 128.0.0.0/1"]),
        (SSH, &["tcp 22-22 0.0.0.0/1", "tcp 22-22 sg-0123abcd"]),
        (SSH, &["tcp 22-22 0.0.0.0/1", "icmp - 128.0.0.0/1"]),
        (RDP, &["tcp 3389-3389 0.0.0.0/1", "udp 3389-3389 128.0.0.0/1"]),
        (SSH, &["tcp 22-22 4000::/2", "tcp 22-22 8000::/1", "tcp 22-22 fd00::/8"]),
    ] {
        assert!(plan(control, Settings::default(), present).complies(), "{present:?}");
    }
}

#[test]
fn the_addresses_from_which_nobody_comes_need_not_be_open() {
    // Every /8 that is routed: all but 0, 10, 127 and those from 224 on.
    let routed = (1..224).filter(|first| ![10, 127].contains(first));
    let routed: Vec<_> = routed.map(|first| format!("tcp 22-22 {first}.0.0.0/8")).collect();
    let mut texts: Vec<_> = routed.iter().map(String::as_str).collect();
    let [held] = &plan(SSH, Settings::default(), &texts).held[..] else { panic!("held once") };
    assert!(held.contains("tcp 22-22 1.0.0.0/8") && held.ends_with("take entries off the prefix list"), "{held}");
    assert!(held.contains("and 211 more"), "{held}");
    texts.retain(|text| !text.contains(" 8.0.0.0/8"));
    assert!(plan(SSH, Settings::default(), &texts).complies());
}

#[test]
fn a_prefix_list_counts_as_its_entries() {
    let one = || seen(inbound(&["tcp 22-22 pl-1"]));
    for entries in [&["0.0.0.0/0"][..], &["::/0"], &["0.0.0.0/1", "10.0.0.0/8", "128.0.0.0/1"], &["2000::/3"]] {
        let found = plan_of(&with_list(one(), "pl-1", entries), &[SSH], &Settings::default());
        assert_eq!((found.changes.len(), found.held.len()), (0, 1), "{entries:?}: {found:?}");
        let says = "through tcp 22-22 pl-1 (tcp 22 from the prefix list pl-1)";
        assert!(found.held[0].contains(says), "{found:?}");
    }
    for entries in [&[][..], &["10.0.0.0/8"], &["0.0.0.0/1"], &["0.0.0.0/1", "8000::/1"]] {
        assert!(plan_of(&with_list(one(), "pl-1", entries), &[SSH], &Settings::default()).complies(), "{entries:?}");
    }
    // With a rule for the other half; with another list; what is for another port.
    let half = |peer: &str| with_list(seen(inbound(&["tcp 22-22 pl-1", peer])), "pl-1", &["0.0.0.0/1"]);
    for (seen, held) in [
        (half("-1 - 128.0.0.0/1"), 1),
        (with_list(half("tcp 20-30 pl-2"), "pl-2", &["128.0.0.0/1"]), 1),
        (with_list(half("tcp 23-30 pl-2"), "pl-2", &["0.0.0.0/0"]), 0),
        (with_list(half("udp 22-22 pl-2"), "pl-2", &["0.0.0.0/0"]), 0),
    ] {
        let found = plan_of(&seen, &[SSH], &Settings::default());
        assert_eq!(found.held.len(), held, "{found:?}");
    }
}

#[test]
fn what_another_one_contains_is_not_named() {
    let seen = seen(inbound(&["tcp 22-22 pl-1", "-1 - pl-2", "tcp 22-22 0.0.0.0/1", "tcp 22-22 128.0.0.0/1"]));
    let seen = with_list(with_list(seen, "pl-1", &["0.0.0.0/0"]), "pl-2", &["10.0.0.0/8", "0.0.0.0/0"]);
    let [held] = &plan_of(&seen, &[SSH], &Settings::default()).held[..] else { panic!("held once") };
    assert!(held.contains("the prefix list pl-1") && held.contains("the prefix list pl-2"), "{held}");
    assert!(!held.contains("0.0.0.0/1"), "{held}");
    let present = ["tcp 22-22 0.0.0.0/1", "tcp 22-22 10.0.0.0/8", "tcp 22-22 128.0.0.0/1", "tcp 22-22 130.1.0.0/16"];
    let [held] = &plan(SSH, Settings::default(), &present).held[..] else { panic!("held once") };
    assert!(held.contains("through tcp 22-22 0.0.0.0/1 (tcp 22 from 0.0.0.0/1), tcp 22-22 128"), "{held}");
    assert!(!held.contains("10.0.0.0/8") && !held.contains("130.1.0.0/16"), "{held}");
}

#[test]
fn a_list_that_cannot_be_read_is_held_where_it_matters_and_the_rest_is_fixed() {
    let mut seen = seen(inbound(&["tcp 22-22 pl-1", "tcp 22-22 0.0.0.0/0"]));
    seen.state.lists.insert("pl-1".into(), Err("ec2:GetManagedPrefixListEntries: told so".into()));
    let found = plan_of(&seen, &[SSH], &Settings::default());
    assert_eq!((found.changes.len(), found.held.len()), (1, 1), "{found:?}");
    let held = &found.held[0];
    assert!(held.contains("pl-1") && held.contains("ec2:GetManagedPrefixListEntries: told so"), "{held}");
    assert!(plan_of(&seen, &[RDP], &Settings::default()).complies());
    // Nor does one comply that was not even read.
    seen.state.lists.clear();
    assert_eq!(plan_of(&seen, &[SSH], &Settings::default()).held.len(), 1);
}

#[test]
fn halves_are_no_reason_to_leave_rules_for_everyone() {
    let present = ["tcp 22-22 0.0.0.0/0", "tcp 22-22 0.0.0.0/1", "tcp 22-22 128.0.0.0/1"];
    let found = plan(SSH, Settings::default(), &present);
    assert_eq!((summaries(&found), found.held.len()), (vec!["revoke tcp 22 from 0.0.0.0/0".into()], 1), "{found:?}");
}

#[test]
fn the_runbook_is_planned_only_where_it_does_what_the_plan_says() {
    let (ssh, rdp) = ("tcp 22-22 0.0.0.0/0", "tcp 3389-3389 ::/0");
    for (is_runbooks, controls, present, runbook) in [
        (true, &[SSH][..], &[ssh][..], true),
        (false, &[SSH], &[ssh], false),
        (true, &[SSH], &[ssh, rdp], false),
        (true, &[SSH, RDP], &[ssh, rdp], true),
        (true, &[SSH], &[ssh, "tcp 0-65535 ::/0"], true),
        (true, &[SSH, RDP], &[ssh, rdp, "tcp 0-65535 ::/0", "udp 3389-3389 ::/0"], true),
    ] {
        let mut seen = seen(inbound(present));
        seen.state.is_runbooks = is_runbooks;
        let first = &plan_of(&seen, controls, &Settings::default()).changes[0];
        let by = if runbook { Means::Runbook } else { Means::Api };
        assert_eq!((first.by, first.take.contains(&rule(ssh))), (by, true), "{present:?}");
        assert_eq!(first.to_string().contains(RUNBOOK), runbook);
        assert!(!SecurityGroupOpenAdminPort::undo(first).to_string().contains(RUNBOOK));
    }
}

#[test]
fn the_manifest_serves_both_controls() {
    for (control, port, protocols) in [(SSH, 22, &[Protocol::Tcp][..]), (RDP, 3389, &[Protocol::Tcp, Protocol::Udp])] {
        let parameters = admin_port(control);
        assert_eq!((parameters.port, parameters.protocols.as_slice()), (port, protocols));
    }
    // The lists that are read are those by which a control's port can be open.
    assert!(manifest().controls.len() == 2 && ADMIN_PORTS == [22, 3389]);
    assert_eq!(manifest().runbook.unwrap().name, RUNBOOK);
}

#[test]
fn a_change_is_stored_in_words_and_never_says_whose_it_is() {
    let proposal = plan(SSH, Settings::default(), &["tcp 22-23 0.0.0.0/0"]);
    let stored = serde_json::to_string(&proposal.changes[0]).unwrap();
    let rule = |from| format!(r#"{{"protocol":"tcp","from_port":{from},"to_port":23,"from":"0.0.0.0/0"}}"#);
    assert_eq!(stored, format!(r#"{{"take":[{}],"give":[{}],"by":"api"}}"#, rule(22), rule(23)));
    assert_eq!(summaries(&proposal), ["replace tcp 22-23 from 0.0.0.0/0 by tcp 23 from 0.0.0.0/0"]);
}

#[test]
fn a_side_goes_by_the_rules_that_are_taken_and_given_as_sets() {
    let (wide, below, above) = ("tcp 0-65535 ::/0", "tcp 0-21 ::/0", "tcp 23-65535 ::/0");
    let narrowed = change(&[wide], &[below, above]);
    let two = change(&["tcp 22-22 0.0.0.0/0", "tcp 22-22 ::/0"], &[]);
    for (change, present, side) in [
        (&narrowed, &[wide][..], Side::Before),
        (&narrowed, &[wide, "tcp 80-80 ::/0", "tcp 22-22 ::/0"], Side::Before),
        (&narrowed, &[above, below], Side::After),
        (&narrowed, &[above, below, "tcp 22-22 ::/0"], Side::After),
        (&narrowed, &[wide, above], Side::Neither),
        (&narrowed, &[wide, above, below], Side::Neither),
        (&narrowed, &[above], Side::Neither),
        (&narrowed, &[], Side::Neither),
        (&narrowed, &["tcp 0-65535 0.0.0.0/0"], Side::Neither),
        (&two, &["tcp 22-22 ::/0", "tcp 22-22 0.0.0.0/0"], Side::Before),
        (&two, &["tcp 22-22 ::/0"], Side::Neither),
        (&two, &["tcp 22-22 10.0.0.0/8"], Side::After),
    ] {
        let mut state = seen(inbound(present)).state;
        for rule in &mut state.everyone {
            rule.description = Some("other words".into());
            rule.tags.insert("owner".into(), "ops".into());
        }
        let of_undo = match side {
            Side::Before => Side::After,
            Side::After => Side::Before,
            Side::Neither => Side::Neither,
        };
        let sides = [change, &change.undo()].map(|change| SecurityGroupOpenAdminPort::side(change, &state));
        assert_eq!(sides, [side, of_undo], "{change}: {present:?}");
    }
}
