//! The records of a span of days, read side by side and handed to the history in the order of their runs.

use std::collections::BTreeMap;
use std::future::Future;

use futures::stream::{self, StreamExt};
use jiff::civil::Date;
use remediation::records::{Card, card_key};
use remediation::{Approval, Folder, Plan, RecordError, Records, Report, Resource};
use report::{History, Scope, in_order};
use serde_json::Value;

use crate::error::Error;

/// So many records are read, or folders listed, at a time: with reports of a few hundred KB that is little memory.
const AT_ONCE: usize = 24;
/// Cards are small, and there is one for each resource.
const CARDS_AT_ONCE: usize = 64;

/// Whether the cards of what is not solved are read: they say how it stands today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cards {
    Read,
    Left,
}

/// Reads what is stored about these rules. What cannot be read is a problem of the history, and stops nothing else.
///
/// # Errors
///
/// No folder of reports can be listed at all.
pub(crate) async fn read(records: &Records, scope: Scope, rules: &[String], cards: Cards) -> Result<History, Error> {
    let days: Vec<_> = scope.from.series(jiff::Span::new().days(1)).take_while(|day| *day <= scope.to).collect();
    let mut history = History::new(scope);
    reports(records, rules, &days, &mut history).await?;
    plans(records, rules, &days, &mut history).await;
    approvals(records, rules, &days, &mut history).await;
    if cards == Cards::Read {
        self::cards(records, &mut history).await;
    }
    Ok(history)
}

/// The reports, each of which is forgotten when the history has it.
async fn reports(records: &Records, rules: &[String], days: &[Date], history: &mut History) -> Result<(), Error> {
    let Keys { keys, problems } = keys(records, Folder::Reports, rules, days).await;
    if keys.is_empty() && problems.len() == rules.len().saturating_mul(days.len()) {
        if let Some(problem) = problems.into_iter().next() {
            return Err(Box::new(problem).into());
        }
        return Ok(());
    }
    problems.iter().for_each(|problem| history.problem(problem.to_string()));
    let read = |key: String| async { records.get_as::<Report>(&key).await.map(|report| (key, report)) };
    let mut found = side_by_side(keys, AT_ONCE, read);
    while let Some(found) = found.next().await {
        match found {
            Ok((key, report)) => history.report(&key, &report),
            Err(error) => history.problem(error.to_string()),
        }
    }
    drop(found);
    let before: Vec<_> = side_by_side(history.named_before(), AT_ONCE, read).collect().await;
    for found in before {
        match found {
            Ok((key, report)) => history.report_before(&key, &report),
            Err(error) => history.problem(error.to_string()),
        }
    }
    Ok(())
}

/// The plans that no report names.
async fn plans(records: &Records, rules: &[String], days: &[Date], history: &mut History) {
    let Keys { keys: mut plans, problems } = keys(records, Folder::Plans, rules, days).await;
    problems.iter().for_each(|problem| history.problem(problem.to_string()));
    plans.retain(|key| history.is_unreported(key));
    let read = |key: String| async { records.get_as::<Plan<Value>>(&key).await.map(|plan| (key, plan)) };
    let found: Vec<_> = side_by_side(plans, AT_ONCE, read).collect().await;
    for found in found {
        match found {
            Ok((key, plan)) => history.plan(&key, &plan),
            Err(error) => history.problem(error.to_string()),
        }
    }
}

async fn approvals(records: &Records, rules: &[String], days: &[Date], history: &mut History) {
    let Keys { keys, problems } = keys(records, Folder::Approvals, rules, days).await;
    problems.iter().for_each(|problem| history.problem(problem.to_string()));
    let found: Vec<_> =
        side_by_side(keys, AT_ONCE, |key: String| async move { records.get_as::<Approval>(&key).await })
            .collect()
            .await;
    let mut approvals = BTreeMap::new();
    for found in found {
        match found {
            Ok(approval) => drop(approvals.insert(approval.plan.clone(), approval)),
            Err(error) => history.problem(error.to_string()),
        }
    }
    history.approvals(&approvals);
}

/// The cards of what is not solved. Most resources of a plan that nobody acts on have none.
async fn cards(records: &Records, history: &mut History) {
    let read = |(rule, resource): (String, Resource)| async move {
        let key = card_key(&rule, &resource);
        let Some(stored) = records.find(&key).await.map_err(|error| error.to_string())? else { return Ok(None) };
        let card = Card::from_json(&stored.bytes, &rule, &resource).map_err(|error| format!("{key}: {error}"))?;
        Ok(Some(((rule, resource.arn), card)))
    };
    let found: Vec<Result<_, String>> = side_by_side(history.unsolved(), CARDS_AT_ONCE, read).collect().await;
    let mut cards = BTreeMap::new();
    for found in found {
        match found {
            Ok(card) => cards.extend(card),
            Err(problem) => history.problem(problem),
        }
    }
    history.cards(&cards);
}

/// Keys, and what could not be listed.
struct Keys {
    keys: Vec<String>,
    problems: Vec<RecordError>,
}

/// The keys of a folder's records of these rules and days, in the order of their runs.
async fn keys(records: &Records, folder: Folder, rules: &[String], days: &[Date]) -> Keys {
    let prefixes = rules.iter().flat_map(|rule| days.iter().map(move |day| format!("{}{day}/", folder.of(rule))));
    let list = |prefix: String| async move { records.list(&prefix).await };
    let listed: Vec<_> = side_by_side(prefixes, AT_ONCE, list).collect().await;
    let (mut keys, mut problems) = (Vec::new(), Vec::new());
    for listed in listed {
        match listed {
            Ok(of_day) => keys.extend(of_day.into_iter().filter(|key| key.ends_with(".json"))),
            Err(error) => problems.push(error),
        }
    }
    in_order(&mut keys, folder);
    Keys { keys, problems }
}

/// Does `work` on so many at a time, and gives what comes of it in their order.
fn side_by_side<T, W: Future>(
    of: impl IntoIterator<Item = T>,
    at_once: usize,
    work: impl Fn(T) -> W,
) -> impl StreamExt<Item = W::Output> + Unpin {
    Box::pin(stream::iter(of.into_iter().map(work).collect::<Vec<_>>()).buffered(at_once))
}
