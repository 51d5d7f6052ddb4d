//! The table of what would be written: what is approved, what `apply` asks about, what undo puts back.

use remediation::{Manifest, PlannedResource};
use serde_json::Value;

use crate::print::report::control;
use crate::print::table::{Cell, Table};

/// A row for each resource: all that a digest of the plan covers, and what guards see that moves by itself.
pub(crate) fn table(resources: &[PlannedResource<Value>], manifests: &[&Manifest]) -> Table {
    let header = ["controls", "account", "region", "resource", "change", "waits because", "would break", "notes"];
    let mut table = Table::new(header);
    // An account and a region, to copy.
    table.keep_whole(1..3);
    for planned in resources {
        table.row(cells(planned, manifests));
    }
    table
}

fn cells(planned: &PlannedResource<Value>, manifests: &[&Manifest]) -> [Cell; 8] {
    let PlannedResource { resource, findings, changes, awaits, held, sightings, notes } = planned;
    let mut controls: Vec<_> = findings.iter().map(|finding| control(finding, manifests)).collect();
    controls.sort_unstable();
    controls.dedup();
    // The ARN says which resource it is; the names, by which it is listed.
    let listed = findings.iter().map(|finding| finding.resource.as_str());
    let mut names: Vec<_> =
        [resource.id.as_str()].into_iter().chain(listed).filter(|name| *name != resource.arn).collect();
    names.sort_unstable();
    names.dedup();
    let left = held.iter().map(|held| format!("not changed: {held}"));
    [
        Cell::lines(controls),
        Cell::text(&resource.owner),
        Cell::text(&resource.region),
        Cell::lines([resource.arn.as_str()].into_iter().chain(names)),
        Cell::lines(changes.iter().map(|change| &change.summary)),
        Cell::lines(awaits),
        Cell::lines(sightings.iter().map(ToString::to_string)),
        Cell::lines(left.chain(notes.iter().cloned())),
    ]
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
        let text = table(&[planned], &[]).to_string();
        for part in [
            "a control",
            arn,
            "d-1",
            "front",
            "444455556666",
            "eu-central-1",
            "close it",
            "lock\\u{1b}[2J it",
            "the mode is approve",
            "not changed: the window",
            "somebody is inside (since 10:00)",
            "it creaks",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text.matches("a control").count(), 1);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
