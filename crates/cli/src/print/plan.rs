//! The list of what would be written: what is approved, what `apply` asks about, what undo puts back.

use remediation::{Manifest, PlannedResource};
use serde_json::Value;

use crate::print::line::Line;
use crate::print::list::{Entry, List};
use crate::print::report::{control, ends_in};

/// An entry for each resource, grouped by account and rule: all that a digest of the plan covers, and what guards see that
/// moves by itself.
pub(crate) fn table(resources: &[PlannedResource<Value>], manifests: &[&Manifest]) -> List {
    let mut list = List::default();
    for planned in resources {
        let of_rule = |manifest: &&&Manifest| planned.findings.iter().any(|of| manifest.control(&of.control).is_some());
        let rule = manifests.iter().find(of_rule).map(|manifest| manifest.id.as_str()).unwrap_or_default();
        let title = format!("{}  {rule}", planned.resource.owner);
        list.add(title.trim_end(), Entry { head: head(planned, manifests), body: body(planned) });
    }
    list
}

/// The account and the rule say what is before the ID in most ARNs; where not, the ARN is shown. Then come the names by
/// which it is listed.
fn head(planned: &PlannedResource<Value>, manifests: &[&Manifest]) -> Line {
    let PlannedResource { resource, findings, .. } = planned;
    let mut controls: Vec<_> = findings.iter().map(|finding| control(finding, manifests)).collect();
    let mut names: Vec<_> = findings.iter().map(|finding| finding.resource.as_str()).collect();
    names.retain(|name| *name != resource.arn && *name != resource.id);
    for list in [&mut controls, &mut names] {
        list.sort_unstable();
        list.dedup();
    }
    let line = Line::default();
    let line = if ends_in(&resource.arn, &resource.id) { line } else { line.name(&resource.arn) };
    let line = names.iter().fold(line.name(&resource.id), |line, name| line.name(name));
    line.name(&resource.region).words(controls.join(", "))
}

/// A line for each change, so that no text in one can look like another, and for each thing that is to be known of them.
fn body(planned: &PlannedResource<Value>) -> Vec<Line> {
    let PlannedResource { changes, awaits, held, sightings, notes, .. } = planned;
    let changes = changes.iter().map(|change| change.summary.clone());
    let awaits = awaits.iter().map(|why| format!("waits because: {why}"));
    let sightings = sightings.iter().map(|sighting| format!("would break: {sighting}"));
    let held = held.iter().map(|held| format!("not changed: {held}"));
    let notes = notes.iter().map(|note| format!("note: {note}"));
    changes.chain(awaits).chain(sightings).chain(held).chain(notes).map(|text| Line::default().words(text)).collect()
}

#[cfg(test)]
mod tests {
    use remediation::{Finding, PlannedChange, Region, Resource, Sighting};
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_an_approval_covers_is_shown() {
        let finding = |resource: &str| Finding {
            control: "a control".into(),
            account: "111122223333".parse().unwrap(),
            region: Region::code("eu-central-1"),
            resource: resource.into(),
            first_seen: None,
            last_scanned: None,
        };
        let arn = "arn:aws:s3:eu-central-1:444455556666:door/d-1";
        let planned = PlannedResource {
            resource: Resource::of_arn("test", arn.into(), "d-1").unwrap(),
            findings: vec![finding("front"), finding(arn)],
            changes: ["close it", "lock\u{1b}[2J it"]
                .map(|summary| PlannedChange { summary: summary.into(), change: json!({}) })
                .into(),
            awaits: vec!["the mode is approve".into()],
            held: vec!["the window".into()],
            sightings: vec![Sighting::new("somebody is inside").with("since 10:00")],
            notes: vec!["it creaks".into()],
        };
        let text = table(&[planned], &[]).at(80);
        for part in [
            "a control",
            "d-1",
            "front",
            "444455556666",
            "eu-central-1",
            "    close it\n",
            "    lock\\u{1b}[2J it",
            "the mode is approve",
            "not changed: the window",
            "would break: somebody is inside (since 10:00)",
            "it creaks",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text.matches("a control").count(), 1);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
