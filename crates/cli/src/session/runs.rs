//! What runs have stored: their plans, each with the report of what became of it.

use std::collections::BTreeSet;

use remediation::{BatchId, Folder, RecordError, Records, Report, StoredPlan};

use crate::error::Error;
use crate::session::records::locate;

/// A stored plan, and the report of what became of it. A run that never came back left none.
#[derive(Debug)]
pub(crate) struct RunPlan {
    pub(crate) key: String,
    pub(crate) report: Option<Report>,
}

/// The plans of a run, the last one first, because it was made on what the earlier ones had left; and what could not be
/// read, which stops none of the others.
#[derive(Debug, Default)]
pub(crate) struct RunPlans {
    pub(crate) plans: Vec<RunPlan>,
    pub(crate) problems: Vec<String>,
}

/// A report with its key.
struct Kept {
    key: String,
    report: Report,
}

/// The plans that `key` leads to: those of a report, one itself, or all of a run.
pub(crate) async fn find(records: &Records, key: &str) -> Result<RunPlans, Error> {
    if !key.ends_with(".json") {
        let found = below(records, &format!("{}-", in_folder(key))).await.map_err(Box::new)?;
        if found.plans.is_empty() && found.problems.is_empty() {
            return Err(Error::NoReports(locate(records, key)));
        }
        return Ok(found);
    }
    if Folder::Plans.holds(key) {
        let found = below(records, &attempts_of(in_folder(key))).await.map_err(Box::new)?;
        let plans = found.plans.into_iter().find(|plan| plan.key == key);
        let plan = plans.unwrap_or_else(|| RunPlan { key: key.to_owned(), report: None });
        return Ok(RunPlans { plans: vec![plan], problems: found.problems });
    }
    let report: Report = records.get_as(key).await.map_err(Box::new)?;
    let plan = |stored: &StoredPlan| RunPlan { key: stored.key.clone(), report: Some(report.clone()) };
    let plans: Vec<_> = report.plans().rev().map(plan).collect();
    if plans.is_empty() {
        return Err(Error::NoPlan(locate(records, key)));
    }
    Ok(RunPlans { plans, problems: Vec::new() })
}

/// The keys of all plans of the batch that has this one.
pub(crate) async fn plans_beside(records: &Records, key: &str) -> Result<Vec<String>, RecordError> {
    records.list(&format!("{}/{}", Folder::Plans.name(), attempts_of(in_folder(key)))).await
}

/// The plans of one batch.
pub(crate) async fn of_batch(records: &Records, id: &BatchId) -> Result<RunPlans, RecordError> {
    below(records, &attempts_of(in_folder(&id.plan_key()))).await
}

/// The plans and reports whose keys go on like this in their folders.
async fn below(records: &Records, prefix: &str) -> Result<RunPlans, RecordError> {
    let listed = |folder: Folder| async move { records.list(&format!("{}/{prefix}", folder.name())).await };
    let (plans, reports) = (listed(Folder::Plans).await?, listed(Folder::Reports).await?);
    let (mut kept, mut problems) = (Vec::new(), Vec::new());
    for key in reports {
        match records.get_as(&key).await {
            Ok(report) if is_of(&key, &report) => kept.push(Kept { key, report }),
            Ok(report) => problems.push(format!("{key}: it says that it is the report of {}", report.id.report_key())),
            Err(error) => problems.push(error.to_string()),
        }
    }
    Ok(RunPlans { plans: paired(plans, kept), problems })
}

/// Whether `key` is one that a report of this batch is stored under.
fn is_of(key: &str, report: &Report) -> bool {
    let own = report.id.report_key();
    place(key).is_some() && attempts_of(key) == attempts_of(&own)
}

/// Each plan with the report that names it, the last plan first. A plan that a report names and nobody lists is tried all
/// the same, so that its absence is told.
fn paired(plans: Vec<String>, reports: Vec<Kept>) -> Vec<RunPlan> {
    let mut unreported: BTreeSet<_> = plans.into_iter().collect();
    let mut paired = Vec::new();
    for Kept { key, report } in reports {
        let batch = |key: &str| place(key).map(|of| of.batch);
        // A report of another batch says nothing of this one's plans.
        for stored in report.plans().filter(|stored| batch(&stored.key) == batch(&key)) {
            unreported.remove(&stored.key);
            paired.push(RunPlan { key: stored.key.clone(), report: Some(report.clone()) });
        }
    }
    paired.extend(unreported.into_iter().map(|key| RunPlan { key, report: None }));
    paired.sort_by_key(|plan| std::cmp::Reverse(place(&plan.key)));
    paired
}

/// Which record of its run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    batch: u32,
    attempt: u32,
}

/// `…/<run>-<batch>[.<attempt>].json`; none where it is not such a key.
fn place(key: &str) -> Option<Place> {
    let mut parts = key.rsplit_once('-')?.1.strip_suffix(".json")?.split('.');
    let batch = parts.next()?.parse().ok()?;
    let attempt = parts.next().map_or(Some(1), |attempt| attempt.parse().ok())?;
    Some(Place { batch, attempt })
}

/// What follows the name of the folder.
fn in_folder(key: &str) -> &str {
    key.split_once('/').map_or(key, |(_, rest)| rest)
}

/// What the keys of all attempts of a batch begin with: `<rule>/<date>/<run>-<batch>.`.
fn attempts_of(key: &str) -> String {
    let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
    let batch = name.split('.').next().unwrap_or(name);
    format!("{folder}/{batch}.")
}

#[cfg(test)]
mod tests {
    use remediation::{Batch, Outcome, RunId, StoredPlan};

    use super::*;

    fn id(run: RunId, batch: u32) -> BatchId {
        BatchId { rule: "open-door".into(), run, batch }
    }

    /// A folder with one run: a batch of two attempts, one whose report is missing, and one whose report is corrupt.
    struct Run {
        run: RunId,
        records: Records,
        _folder: tempfile::TempDir,
    }

    impl Run {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (run, records) = (RunId::start(), Records::Folder(folder.path().into()));
            for batch in [1, 1, 2, 10] {
                let plan = records.put_new(&id(run, batch).plan_key(), b"{}".into()).await.unwrap();
                let report = Report::untouched(Batch::new(id(run, batch), Vec::new()), Outcome::Held, "why");
                let report = Report { plan: Some(StoredPlan { key: plan, digest: "d".into() }), ..report };
                match batch {
                    2 => {}
                    10 => drop(records.put_new(&id(run, batch).report_key(), b"{}".into()).await.unwrap()),
                    _ => drop(records.store_report(&report).await.unwrap()),
                }
            }
            // Another run of that day, whose name goes on where this one's ends, is none of it.
            records.put_new(&id(RunId::start(), 1).plan_key(), b"{}".into()).await.unwrap();
            Self { run, records, _folder: folder }
        }

        fn key(&self, folder: Folder, end: &str) -> String {
            format!("{}{}/{}{end}", folder.of("open-door"), self.run.date(), self.run)
        }

        async fn found(&self, key: &str) -> (Vec<(String, bool)>, usize) {
            let found = find(&self.records, key).await.unwrap();
            let plans = found.plans.into_iter().map(|plan| (plan.key, plan.report.is_some())).collect();
            (plans, found.problems.len())
        }
    }

    #[tokio::test]
    async fn all_plans_of_a_run_are_found_the_last_first_each_with_its_own_report() {
        let run = Run::new().await;
        let plan = |end| run.key(Folder::Plans, end);
        let expected =
            [(plan("-10.json"), false), (plan("-2.json"), false), (plan("-1.2.json"), true), (plan("-1.json"), true)];
        for folder in [Folder::Reports, Folder::Plans] {
            assert_eq!(run.found(&run.key(folder, "")).await, (expected.to_vec(), 1), "{folder:?}");
        }
        let found = find(&run.records, &run.key(Folder::Reports, "")).await.unwrap();
        for plan in found.plans.iter().filter(|plan| plan.report.is_some()) {
            assert_eq!(plan.report.as_ref().and_then(|report| report.plan.as_ref()).unwrap().key, plan.key);
        }
        assert!(found.problems[0].contains(&run.key(Folder::Reports, "-10.json")), "{:?}", found.problems);
    }

    #[tokio::test]
    async fn one_plan_or_report_leads_to_its_pair_alone() {
        let run = Run::new().await;
        let plan = |end| run.key(Folder::Plans, end);
        for (key, expected, problems) in [
            (run.key(Folder::Reports, "-1.json"), (plan("-1.json"), true), 0),
            (run.key(Folder::Reports, "-1.2.json"), (plan("-1.2.json"), true), 0),
            (plan("-1.2.json"), (plan("-1.2.json"), true), 0),
            (plan("-2.json"), (plan("-2.json"), false), 0),
            (plan("-10.json"), (plan("-10.json"), false), 1),
        ] {
            assert_eq!(run.found(&key).await, (vec![expected], problems), "{key}");
        }
        let of_batch = of_batch(&run.records, &id(run.run, 1)).await.unwrap();
        assert_eq!(of_batch.plans.len(), 2, "not that of batch 10");
    }

    #[tokio::test]
    async fn all_plans_of_a_report_are_found_with_it_the_last_first() {
        let run = Run::new().await;
        let mut stored = Vec::new();
        for _ in 0..3 {
            let key = run.records.put_new(&id(run.run, 4).plan_key(), b"{}".into()).await.unwrap();
            stored.push(StoredPlan { key, digest: "d".into() });
        }
        let report = Report::untouched(Batch::new(id(run.run, 4), Vec::new()), Outcome::Held, "why");
        // The first is that of an attempt that never came back.
        let (plan, earlier_plans) = (stored.pop(), stored.split_off(1));
        run.records.store_report(&Report { plan, earlier_plans, ..report }).await.unwrap();
        let plan = |end, has_report| (run.key(Folder::Plans, end), has_report);
        let [last, earlier, dead] = [plan("-4.3.json", true), plan("-4.2.json", true), plan("-4.json", false)];
        let of_report = run.found(&run.key(Folder::Reports, "-4.json")).await;
        assert_eq!(of_report, (vec![last.clone(), earlier.clone()], 0));
        assert_eq!(run.found(&earlier.0).await, (vec![earlier.clone()], 0));
        let of_batch = of_batch(&run.records, &id(run.run, 4)).await.unwrap().plans.into_iter();
        let of_batch: Vec<_> = of_batch.map(|plan| (plan.key, plan.report.is_some())).collect();
        assert_eq!(of_batch, [last, earlier, dead]);
    }

    #[tokio::test]
    async fn a_report_of_another_batch_is_none_of_the_run() {
        let run = Run::new().await;
        let other = id(RunId::start(), 1);
        let report = Report::untouched(Batch::new(other, Vec::new()), Outcome::Fixed, "why");
        let forged = run.key(Folder::Reports, "-99.json");
        let plan = run.records.put_new(&run.key(Folder::Plans, "-99.json"), b"{}".into()).await.unwrap();
        let report = Report { plan: Some(StoredPlan { key: plan.clone(), digest: "d".into() }), ..report };
        run.records.put_new(&forged, serde_json::to_vec(&report).unwrap()).await.unwrap();
        let found = find(&run.records, &run.key(Folder::Reports, "")).await.unwrap();
        assert!(found.problems.iter().any(|problem| problem.starts_with(&forged)), "{:?}", found.problems);
        let added = found.plans.iter().find(|found| found.key == plan).unwrap();
        assert!(added.report.is_none(), "what no report of its own says was written is not taken back");
    }

    #[tokio::test]
    async fn what_is_not_there_or_not_readable_is_named() {
        let run = Run::new().await;
        let error = find(&run.records, &run.key(Folder::Reports, "-10.json")).await.unwrap_err().to_string();
        assert!(error.contains("-10.json") && error.contains("report"), "{error}");
        let error = find(&run.records, "reports/open-door/2026-01-02/none").await.unwrap_err().to_string();
        assert!(error.contains("none"), "{error}");
    }
}
