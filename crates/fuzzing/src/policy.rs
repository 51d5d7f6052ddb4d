//! The policy, and what is computed from it: settings, fights, the time of exemptions.

use jiff::Timestamp;
use remediation::policy::{About, Names, Places};
use remediation::records::read;
use remediation::{Card, Finding, Manifest, OrganizationRecord, Policy};
use serde_json::{Map, Value};

use crate::{RULE, moments, texts};

/// Any rule's manifest, for the ARNs that its resources can have.
const MANIFEST: &str = include_str!("../../rules/s3-public-bucket/rule.json");

/// A policy: all that is asked of it, and that its numbers are in their bounds.
pub(crate) fn policy(data: &[u8]) {
    let policy = match Policy::from_json(data) {
        Ok(policy) => policy,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let lines = data.iter().filter(|byte| **byte == b'\n').count() + 1;
    for (rule, line) in policy.rules_named() {
        assert!(line.is_none_or(|line| (1..=lines).contains(&line)), "{line:?} of {lines}");
        policy.mode_of_rule(&rule);
        if let Ok(account) = "222222222222".parse() {
            policy.mode(&rule, &account);
            assert!(policy.grace_days(&rule, &account) <= 365);
            for now in [Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX] {
                let next = policy.closed(&rule, &account, now).and_then(|closed| closed.next);
                // What is next is open.
                assert!(next.is_none_or(|next| policy.closed(&rule, &account, next.timestamp()).is_none()));
            }
        }
        drop(policy.settings::<Map<String, Value>>(&rule));
    }
    assert!((1..=100).contains(&policy.limits.failure_percent) && policy.limits.failure_minimum > 0);
    assert!(policy.approval_hours > 0 && policy.fight.fixes > 0 && policy.fight.window_days > 0);
}

/// An organization and a policy: where the accounts are, and that what is not known never widens what is done.
pub(crate) fn organization(data: &[u8]) {
    let [organization, policy] = texts(data);
    let Ok(record) = read::<OrganizationRecord>(organization) else { return };
    let Some(organization) = record.organization else { return };
    let Ok(policy) = Policy::from_json(policy) else { return };
    drop(policy.units_astray(&organization));
    let accounts: Vec<_> = organization.accounts().keys().take(20).cloned().collect();
    let (known, unknown) =
        (policy.placed(Places::Known(organization.clone().into())), policy.placed(Places::Unknown("unknown".into())));
    for account in accounts {
        assert!(organization.path(&account).is_some_and(|path| path.starts_with("o-") && path.ends_with('/')));
        assert!(unknown.mode(RULE, &account) <= known.mode(RULE, &account));
        assert!(!unknown.may_include(&account) || known.may_include(&account) || policy.scope_of_iam().is_none());
        drop(known.unsure(RULE, &account));
    }
}

/// A policy, a card and a moment: whether the resource is fought over then.
pub(crate) fn fight(data: &[u8]) {
    let [policy, card, moment] = texts(data);
    let (Ok(policy), Ok(card)) = (Policy::from_json(policy), read::<Card>(card)) else { return };
    for now in moments(moment) {
        if let Some(fought) = card.fought_over(policy.fight, now) {
            assert!(card.fought_over.is_some() || fought.reports.len() >= policy.fight.fixes as usize);
        }
    }
}

/// A policy, a finding and a moment: what is exempt then.
pub(crate) fn exemption(data: &[u8]) {
    let [policy, finding, moment] = texts(data);
    let (Ok(policy), Ok(finding)) = (Policy::from_json(policy), serde_json::from_slice::<Finding>(finding)) else {
        return;
    };
    let Ok(manifest) = Manifest::from_json(MANIFEST) else { return };
    let names = Names::of_finding(&finding, &manifest, "eu-west-1");
    for exemption in policy.exemptions() {
        let about = exemption.is_about(RULE, &finding, &names);
        // One that needs a tag is not about what has none.
        assert!(about != About::IfTagged || !exemption.is_tagged(&Default::default()));
        assert!(!exemption.to_string().is_empty());
        drop(moments(moment).map(|now| exemption.is_expired(now)).collect::<Vec<_>>());
    }
}
