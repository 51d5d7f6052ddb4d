//! What a shell completes the values of arguments with: what this very binary and machine know.

use std::ffi::OsStr;

use clap_complete::CompletionCandidate;

use crate::session::credentials;
use crate::session::rules;

/// The IDs of the rules, each with its title.
pub(crate) fn rule(typed: &OsStr) -> Vec<CompletionCandidate> {
    let rules = rules::all().unwrap_or_default();
    let candidates = rules.iter().map(|rule| (rule.manifest.id.clone(), Some(rule.manifest.title.clone())));
    that_begin_with(typed, candidates)
}

/// The codes of the regions.
pub(crate) fn region(typed: &OsStr) -> Vec<CompletionCandidate> {
    that_begin_with(typed, netskope::Region::codes().map(|code| (code.to_owned(), None)))
}

/// The profiles of the AWS configuration.
pub(crate) fn profile(typed: &OsStr) -> Vec<CompletionCandidate> {
    that_begin_with(typed, credentials::profile_names().into_iter().map(|name| (name, None)))
}

fn that_begin_with(
    typed: &OsStr,
    candidates: impl Iterator<Item = (String, Option<String>)>,
) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let candidates = candidates.filter(|(value, _)| value.starts_with(&*typed));
    candidates.map(|(value, help)| CompletionCandidate::new(value).help(help.map(Into::into))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(candidates: Vec<CompletionCandidate>) -> Vec<String> {
        candidates.iter().map(|of| of.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn rules_and_regions_are_completed() {
        assert_eq!(values(rule(OsStr::new("s3-"))), ["s3-public-bucket"]);
        assert!(values(rule(OsStr::new(""))).len() >= 8);
        assert_eq!(values(region(OsStr::new("eu-central-"))), ["eu-central-1", "eu-central-2"]);
    }
}
