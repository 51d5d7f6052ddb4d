//! The report as one page: a file that needs no network, and is let none.
//!
//! The numbers, the tables and the charts are in the page as it is written; a template makes them, compiled and checked
//! with this crate, and it escapes what it is given. The list of findings can have tens of thousands of rows, so it is
//! data: columns of numbers, and each text once. The page's script shows some fifty of them at a time.
//!
//! Names in records are anybody's. They are escaped by [`escape`], so that none reorders the text around it; in the data,
//! no letter can end the element that it stands in; the script shows all text as text. And if all of that failed, the
//! page's Content Security Policy lets run one script and one style sheet, by their digests, and nothing be fetched or sent.
//! <https://www.w3.org/TR/CSP3/>

mod chart;
mod data;

use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use escape::escaped;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::life::State;
use crate::summary::{Group, Numbers, Summary, duration};
use chart::Chart;

const STYLE: &str = include_str!("../templates/page.css");
const SCRIPT: &str = include_str!("../templates/page.js");
/// So many of what could not be read are named on the page; `--json` names all.
const MOST_PROBLEMS: usize = 500;

/// A page that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// Its data cannot be written as JSON.
    #[error("the page's data cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Its template cannot be filled.
    #[error("the page cannot be written: {0}")]
    Template(#[from] askama::Error),
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    style_digest: String,
    script_digest: String,
    from: String,
    to: String,
    made: String,
    scope: String,
    totals: &'a Numbers,
    tiles: Vec<Tile>,
    groups: [Groups<'a>; 2],
    unsolved: Chart,
    work: Chart,
    summary: &'a Summary,
    problems: Vec<String>,
    problems_more: usize,
    data: String,
}

/// A number at the top of the page.
struct Tile {
    state: State,
    count: usize,
    what: &'static str,
}

/// A table of numbers.
struct Groups<'a> {
    id: &'static str,
    title: &'static str,
    rows: Vec<(String, &'a Numbers)>,
}

/// Writes the page of a summary.
///
/// # Errors
///
/// [`PageError`]; no summary is known that has one.
pub fn write(summary: &Summary) -> Result<String, PageError> {
    let problems = summary.problems.iter().take(MOST_PROBLEMS).map(|problem| escaped(problem)).collect();
    let page = Page {
        style: STYLE,
        script: SCRIPT,
        style_digest: digest(STYLE),
        script_digest: digest(SCRIPT),
        from: summary.scope.from.to_string(),
        to: summary.scope.to.to_string(),
        made: minute(summary.made),
        scope: scope(summary),
        totals: &summary.totals,
        tiles: tiles(&summary.totals),
        groups: [
            Groups { id: "rule", title: "By rule", rows: rows(&summary.by_rule) },
            Groups { id: "account", title: "By account", rows: rows(&summary.by_account) },
        ],
        unsolved: Chart::unsolved(&summary.days),
        work: Chart::work(&summary.days),
        summary,
        problems,
        problems_more: summary.problems.len().saturating_sub(MOST_PROBLEMS),
        data: data::json(summary)?,
    };
    Ok(page.render()?)
}

fn rows(groups: &[Group]) -> Vec<(String, &Numbers)> {
    groups.iter().map(|group| (escaped(&group.id), &group.numbers)).collect()
}

fn tiles(totals: &Numbers) -> Vec<Tile> {
    let what = |state| match state {
        State::Open => "planned, or not looked at yet",
        State::Held => "waits for a person or the policy",
        State::Failed => "a call failed, or no proof",
        State::Fixed => "written and proved",
        State::Undone => "taken back",
        State::Exempt => "by the policy",
        State::Closed => "complies without our doing",
    };
    State::ALL.map(|state| Tile { state, count: totals.counts.of(state), what: what(state) }).into()
}

/// What the page is about, in a line.
fn scope(summary: &Summary) -> String {
    let of = |names: Vec<String>, all: &str| if names.is_empty() { all.to_owned() } else { names.join(", ") };
    let scope = &summary.scope;
    let parts = [
        of(scope.rules.clone(), "all rules"),
        of(scope.accounts.iter().map(ToString::to_string).collect(), "all accounts"),
        of(scope.regions.iter().map(ToString::to_string).collect(), "all regions"),
    ];
    escaped(&parts.join(" · "))
}

/// The digest of an element's text, as a Content Security Policy names it.
fn digest(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// A number with its thousands apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let apart = |place: usize| place > 0 && (digits.len() - place).is_multiple_of(3);
    digits
        .chars()
        .enumerate()
        .flat_map(|(place, digit)| apart(place).then_some(',').into_iter().chain([digit]))
        .collect()
}

/// What the template calls.
#[expect(unreachable_pub, reason = "of what the macro writes")]
mod filters {
    use std::borrow::Borrow;

    #[askama::filter_fn]
    pub(super) fn many<N: Borrow<usize>>(number: N, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::grouped(*number.borrow()))
    }

    #[askama::filter_fn]
    pub(super) fn span(seconds: &Option<i64>, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(seconds.map_or_else(|| "–".to_owned(), super::duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_its_thousands_apart() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }

    /// As `openssl dgst -sha256 -binary | base64` has it.
    #[test]
    fn a_digest_is_as_a_policy_names_it() {
        assert_eq!(digest(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    /// The elements end where their own text says so.
    #[test]
    fn neither_script_nor_style_ends_before_its_end() {
        for text in [SCRIPT, STYLE] {
            assert!(!text.contains("</") && !text.contains("<!--"));
        }
    }
}
