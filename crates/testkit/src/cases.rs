//! The table of cases that every rule is tested by, on the emulator with IAM enforced. A module of
//! [`subjects`](crate::subjects) implements [`Subject`] and calls [`rule_cases!`](crate::rule_cases). What is special
//! about a rule has tests of its own in `tests/emulator`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use remediation::{ErrorKind, Mode, Outcome, Report, ReportedFinding, Rule, ServiceRole};
use serde_json::Value;

use crate::emulator::Emulator;
use crate::organization::{CLAIM, Organization};
use crate::subjects::Subject;

/// Makes a test of each case for a [`Subject`].
#[macro_export]
macro_rules! rule_cases {
    ($subject:ty: $($case:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::cases::$case::<$subject>().await;
            }
        )+
    };
    ($subject:ty) => {
        $crate::rule_cases!($subject: a_violating_resource_is_fixed, a_complying_resource_is_left_alone,
            a_resource_that_is_gone_is_gone, every_form_of_the_name_works, each_permission_taken_away_is_named,
            the_manifest_has_exactly_the_permissions_that_are_used, throttled_and_then_fine,
            run_twice_the_second_finds_nothing_to_do, two_runs_at_once_end_in_the_same_state,
            undone_it_is_as_it_was_also_twice, the_engine_takes_a_run_back, mode_plan_writes_nothing,
            its_tags_are_read);
    };
}

async fn organization<S: Subject>() -> Organization {
    let of = Organization::new::<S::Rule>(Emulator::shared().await.unwrap()).await.unwrap();
    of.choose_control(S::CONTROL);
    of
}

async fn apply<S: Subject>(of: &Organization, resource: &str) -> ReportedFinding {
    only(run::<S>(of, &[resource], Mode::Apply).await)
}

async fn run<S: Subject>(of: &Organization, resources: &[&str], mode: Mode) -> Report {
    let settings = serde_json::from_value(S::settings()).unwrap();
    of.run_with::<S::Rule>(settings, of.batch(resources), mode).await
}

fn only(mut report: Report) -> ReportedFinding {
    assert_eq!(report.findings.len(), 1, "{report:?}");
    report.findings.remove(0)
}

async fn describe<S: Subject>(of: &Organization, resource: &str) -> Value {
    S::describe(&of.target, resource).await.unwrap()
}

async fn complies<S: Subject>(of: &Organization, resource: &str) -> bool {
    S::complies(&of.target, resource).await.unwrap()
}

/// Violating: fixed, proved, and as a complying one is.
pub async fn a_violating_resource_is_fixed<S: Subject>() {
    let of = organization::<S>().await;
    let resource = S::violating(&of.target, "violating").await.unwrap();
    assert!(!complies::<S>(&of, &resource).await);
    let finding = apply::<S>(&of, &resource).await;
    assert_eq!(finding.outcome, Outcome::Fixed, "{finding:?}");
    assert!(finding.verification.is_some() && finding.written == finding.changes.len(), "{finding:?}");
    assert!(complies::<S>(&of, &resource).await);
}

/// Complying: nothing written.
pub async fn a_complying_resource_is_left_alone<S: Subject>() {
    let of = organization::<S>().await;
    let resource = S::complying(&of.target, "complying").await.unwrap();
    assert!(complies::<S>(&of, &resource).await);
    let before = describe::<S>(&of, &resource).await;
    let finding = apply::<S>(&of, &resource).await;
    assert_eq!(finding.outcome, Outcome::AlreadyCompliant, "{finding:?}");
    assert_eq!(describe::<S>(&of, &resource).await, before);
}

/// Gone: said so, and the others go on.
pub async fn a_resource_that_is_gone_is_gone<S: Subject>() {
    let of = organization::<S>().await;
    let resource = S::violating(&of.target, "here").await.unwrap();
    let report = run::<S>(&of, &[&S::gone(&of.target), &resource], Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Gone, Outcome::Fixed], "{report:?}");
}

/// By ID, name and ARN; and every ARN is one that the manifest knows of.
pub async fn every_form_of_the_name_works<S: Subject>() {
    let of = organization::<S>().await;
    let resource = S::violating(&of.target, "named").await.unwrap();
    for name in S::names(&of.target, &resource) {
        assert!(!name.starts_with("arn:") || of.is_of_manifest(&name), "{name} is not in {:?}", of.manifest.arns);
        let planned = only(run::<S>(&of, &[&name], Mode::Plan).await);
        assert_eq!(planned.outcome, Outcome::Planned, "{name}: {planned:?}");
    }
}

/// Its tags are told, by every form of its name, in a session that may only read.
pub async fn its_tags_are_read<S: Subject>() {
    let of = organization::<S>().await;
    let resource = S::violating(&of.target, "named").await.unwrap();
    let (key, value) = ("autoremediate:exempt", "by a test");
    let untagged = tags::<S>(&of, &resource).await.unwrap();
    assert!(!untagged.contains_key(key), "{untagged:?}");
    S::tag(&of.target, &resource, key, value).await.unwrap();
    for name in S::names(&of.target, &resource) {
        let tags = tags::<S>(&of, &name).await.unwrap();
        assert_eq!(tags.get(key).map(String::as_str), Some(value), "{name}: {tags:?}");
    }
    let error = tags::<S>(&of, &S::gone(&of.target)).await.unwrap_err();
    assert!(error.is_gone(), "{error}");
}

async fn tags<S: Subject>(of: &Organization, name: &str) -> Result<BTreeMap<String, String>, remediation::Error> {
    let client = of.read_client::<S::Rule>().await.unwrap();
    S::Rule::tags(&client, &of.look::<S::Rule>(&client, name).await?).await
}

async fn under_way<S: Subject>(of: &Organization, name: &str) -> Result<Option<String>, remediation::Error> {
    let client = of.read_client::<S::Rule>().await.unwrap();
    S::Rule::under_way(&client, &of.look::<S::Rule>(&client, name).await?.resource).await
}

/// Access denied: the fix fails with the action's name; or the guard says what it could not see; or the look for tags
/// fails, or that for what is under way, where only that needs the permission. An undo fails without what it writes with.
pub async fn each_permission_taken_away_is_named<S: Subject>() {
    let of = organization::<S>().await;
    for (number, action) in called::<S>(of.actions()).iter().enumerate() {
        let resource = S::violating(&of.target, &format!("denied-{number}")).await.unwrap();
        let taken = of.take_away(action).await.unwrap();
        let report = run::<S>(&of, &[&resource], Mode::Apply).await;
        if report.count(Outcome::Fixed) == 1 {
            let noted = report.findings[0].notes.iter().any(|note| note.contains(action.as_str()));
            if !noted {
                let looked = (tags::<S>(&of, &resource).await, under_way::<S>(&of, &resource).await);
                let error = match looked {
                    (Err(error), _) | (_, Err(error)) => error,
                    _ => panic!("nothing needs {action}: {report:?}"),
                };
                assert!(error.to_string().contains(action), "{action}: {report:?}");
            }
            of.give_back(taken).await.unwrap();
            undo::<S>(&of, &report).await.unwrap();
            continue;
        }
        let finding = only(report);
        let holds = finding.outcome == Outcome::Held && finding.notes.iter().any(|note| note.contains(action.as_str()));
        assert!(finding.outcome == Outcome::Failed || holds, "{action}: {finding:?}");
        assert!(finding.detail.as_ref().is_some_and(|detail| detail.contains(action)), "{action}: {finding:?}");
        of.give_back(taken).await.unwrap();
        complies_in_the_end::<S>(&of, &resource).await;
    }
    for (number, action) in called::<S>(of.undo_actions()).iter().enumerate() {
        let resource = S::violating(&of.target, &format!("stays-{number}")).await.unwrap();
        let report = run::<S>(&of, &[&resource], Mode::Apply).await;
        assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
        let taken = of.target.take_away(&of.undo_role(), action).await.unwrap();
        let error = undo::<S>(&of, &report).await.expect_err(action);
        assert!(error.to_string().contains(action), "{action}: {error}");
        of.target.give_back(&of.undo_role(), taken).await.unwrap();
        undo::<S>(&of, &report).await.unwrap();
    }
}

/// Those of the actions that are called under the settings of the subject.
fn called<S: Subject>(mut actions: BTreeSet<String>) -> BTreeSet<String> {
    actions.retain(|action| !S::WITH_OTHER_SETTINGS.contains(&action.as_str()));
    actions
}

/// A runbook that was started, and could then not be watched, goes on: what comes after it may find its change under
/// way, or done.
async fn complies_in_the_end<S: Subject>(of: &Organization, resource: &str) {
    // The run before holds its claim until its time is up.
    let end = Instant::now() + 4 * CLAIM;
    loop {
        let finding = apply::<S>(of, resource).await;
        match finding.outcome {
            Outcome::Fixed | Outcome::AlreadyCompliant => return,
            Outcome::Deferred if Instant::now() < end => tokio::time::sleep(Duration::from_millis(200)).await,
            _ => panic!("{finding:?}"),
        }
    }
}

/// Not one permission too many, not one too few: a fix, and the looks for tags and for what is under way, call each of
/// the rule's own role, and its undo each that it lists. What the undo lists beside a fix, the rule's own role does not
/// have.
pub async fn the_manifest_has_exactly_the_permissions_that_are_used<S: Subject>() {
    let of = organization::<S>().await;
    let resource = S::violating(&of.target, "used").await.unwrap();
    let report = run::<S>(&of, &[&resource], Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    tags::<S>(&of, &resource).await.unwrap();
    assert_eq!(under_way::<S>(&of, &resource).await.unwrap(), None);
    undo::<S>(&of, &report).await.unwrap();
    assert_eq!(of.used(&of.target_role()).await.unwrap(), called::<S>(of.actions()));
    let reads: BTreeSet<_> = of.manifest.read.iter().map(|permission| permission.action.clone()).collect();
    let used = of.used(&of.undo_role()).await.unwrap();
    assert_eq!(used.difference(&reads).cloned().collect::<BTreeSet<_>>(), called::<S>(of.undo_actions()));
    let Some(ServiceRole { service, permissions, .. }) = &of.manifest.service_role else { return };
    // Only what the emulator itself does in the service's name is a call there.
    if service == "ssm.amazonaws.com" {
        let listed = permissions.iter().map(|permission| permission.action.clone()).collect();
        assert_eq!(of.used(&of.service_role()).await.unwrap(), listed, "the service role");
    }
}

/// Throttled: the SDK's retries get over it.
pub async fn throttled_and_then_fine<S: Subject>() {
    let of = organization::<S>().await;
    let emulator = Emulator::shared().await.unwrap();
    let (code, actions) = S::THROTTLED;
    for (number, action) in actions.iter().enumerate() {
        let resource = S::violating(&of.target, &format!("throttled-{number}")).await.unwrap();
        emulator.fail(&of.target.id, action, code).await.unwrap();
        let finding = apply::<S>(&of, &resource).await;
        assert_eq!(finding.outcome, Outcome::Fixed, "{action}: {finding:?}");
        assert!(emulator.no_faults_left(&of.target.id).await.unwrap(), "{action} was not called");
    }
}

/// Twice: the second run finds nothing to do.
pub async fn run_twice_the_second_finds_nothing_to_do<S: Subject>() {
    let of = organization::<S>().await;
    let resource = S::violating(&of.target, "twice").await.unwrap();
    assert_eq!(apply::<S>(&of, &resource).await.outcome, Outcome::Fixed);
    let fixed = describe::<S>(&of, &resource).await;
    assert_eq!(apply::<S>(&of, &resource).await.outcome, Outcome::AlreadyCompliant);
    assert_eq!(describe::<S>(&of, &resource).await, fixed);
}

/// Twice at once: both say the truth, and the state is that of one run. One that meets the other's claim, or its change
/// under way, defers.
pub async fn two_runs_at_once_end_in_the_same_state<S: Subject>() {
    let of = organization::<S>().await;
    let resource = S::violating(&of.target, "at-once").await.unwrap();
    let both = <[_; 2]>::from(tokio::join!(apply::<S>(&of, &resource), apply::<S>(&of, &resource)));
    let outcomes = both.each_ref().map(|finding| finding.outcome);
    assert!(outcomes.contains(&Outcome::Fixed), "{both:?}");
    let true_ones = [Outcome::Fixed, Outcome::AlreadyCompliant, Outcome::Deferred];
    assert!(outcomes.iter().all(|outcome| true_ones.contains(outcome)), "{both:?}");
    let at_once = describe::<S>(&of, &resource).await;
    assert_eq!(apply::<S>(&of, &resource).await.outcome, Outcome::AlreadyCompliant);
    assert_eq!(describe::<S>(&of, &resource).await, at_once);
}

/// Undone from the stored plan alone: as it was, also when it is undone twice.
pub async fn undone_it_is_as_it_was_also_twice<S: Subject>() {
    let of = organization::<S>().await;
    let resource = S::violating(&of.target, "undone").await.unwrap();
    let before = describe::<S>(&of, &resource).await;
    let report = run::<S>(&of, &[&resource], Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    assert_ne!(describe::<S>(&of, &resource).await, before);
    for _ in 0..2 {
        undo::<S>(&of, &report).await.unwrap();
        assert_eq!(describe::<S>(&of, &resource).await, before);
    }
}

/// By the engine: shown first, then written and proved, and left alone where it is undone already or has changed since.
pub async fn the_engine_takes_a_run_back<S: Subject>() {
    let of = organization::<S>().await;
    let resource = S::violating(&of.target, "taken-back").await.unwrap();
    let before = describe::<S>(&of, &resource).await;
    let report = run::<S>(&of, &[&resource], Mode::Apply).await;
    let fixed = describe::<S>(&of, &resource).await;
    let shown = of.undo::<S::Rule>(&report, Mode::Plan).await.unwrap();
    assert_eq!(shown.count(Outcome::Planned), 1, "{shown:?}");
    assert_eq!(describe::<S>(&of, &resource).await, fixed);
    let undone = only(of.undo::<S::Rule>(&report, Mode::Apply).await.unwrap());
    assert_eq!((undone.outcome, undone.verification.is_some()), (Outcome::Undone, true), "{undone:?}");
    assert_eq!(describe::<S>(&of, &resource).await, before);
    let again = only(of.undo::<S::Rule>(&report, Mode::Apply).await.unwrap());
    assert_eq!((again.outcome, again.written), (Outcome::Undone, 0), "{again:?}");
    assert_eq!(describe::<S>(&of, &resource).await, before);
}

/// Takes back what a run wrote, the last change first, from its stored plan alone and with an operator's rights.
async fn undo<S: Subject>(of: &Organization, report: &Report) -> Result<(), remediation::Error> {
    let plan = of.plan::<S::Rule>(report).await.unwrap();
    let client = of.undo_client::<S::Rule>().await.unwrap();
    for change in plan.resources[0].changes().rev() {
        match S::Rule::apply(&client, &plan.resources[0].resource, &S::Rule::undo(change)).await {
            // The second time, it is undone already.
            Err(error) if error.kind == ErrorKind::Unneeded => {}
            undone => undone?,
        }
    }
    Ok(())
}

/// Mode `plan`: the change is stored, nothing is written, and no session that could write is asked for.
pub async fn mode_plan_writes_nothing<S: Subject>() {
    let of = organization::<S>().await;
    let resource = S::violating(&of.target, "planned").await.unwrap();
    let before = describe::<S>(&of, &resource).await;
    let report = run::<S>(&of, &[&resource], Mode::Plan).await;
    let plan = of.plan::<S::Rule>(&report).await.unwrap();
    assert_eq!(plan.resources[0].changes.len(), report.findings[0].changes.len());
    assert_eq!(only(report).outcome, Outcome::Planned);
    assert_eq!(describe::<S>(&of, &resource).await, before);
    let sessions = of.decisions().await.unwrap().iter().filter(|of| of.action == "sts:AssumeRole").count();
    assert_eq!(sessions, 1, "the read-only one");
}
