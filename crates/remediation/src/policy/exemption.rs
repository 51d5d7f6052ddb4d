//! Exemptions: what the operator wants left as it is, with the reason and the one who answers for it.

use std::collections::BTreeMap;
use std::fmt;

use globset::{Glob, GlobSet, GlobSetBuilder};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::aws::{AccountId, Arn, Region, partition};
use crate::domain::{Finding, Manifest, Resource};

/// An exemption of the policy, where everything that is given applies: one of the rules, one of the accounts, one of
/// the regions, one of the resources, all of the tags.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Text")]
pub struct Exemption {
    text: Text,
    globs: GlobSet,
}

/// An exemption as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Exemption")]
pub(super) struct Text {
    /// IDs of rules.
    #[serde(default)]
    rules: Vec<String>,
    /// IDs of accounts.
    #[serde(default)]
    accounts: Vec<AccountId>,
    /// Codes of regions; `global` for what is in none.
    #[serde(default)]
    regions: Vec<Region>,
    /// Patterns of IDs, names or ARNs, with `*`, `?`, `[…]` and `{…,…}`.
    #[serde(default)]
    resources: Vec<String>,
    /// Tags of the resource.
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// The last day on which it holds, in UTC.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date"))]
    expires: Option<Date>,
    /// Why.
    reason: String,
    /// Who answers for it.
    owner: String,
}

impl TryFrom<Text> for Exemption {
    type Error = String;

    fn try_from(text: Text) -> Result<Self, String> {
        let Text { rules, accounts, regions, resources, tags, reason, owner, .. } = &text;
        if rules.is_empty() && accounts.is_empty() && regions.is_empty() && resources.is_empty() && tags.is_empty() {
            return Err("an exemption names no rule, account, region, resource or tag: to stop everything, set \
                        `paused`"
                .into());
        }
        if reason.trim().is_empty() || owner.trim().is_empty() {
            return Err("an exemption needs a `reason` and an `owner`".into());
        }
        let mut globs = GlobSetBuilder::new();
        for pattern in resources {
            globs.add(Glob::new(pattern).map_err(|error| error.to_string())?);
        }
        let globs = globs.build().map_err(|error| error.to_string())?;
        Ok(Self { text, globs })
    }
}

/// Every name of a finding's resource, and every region.
#[derive(Debug)]
pub struct Names {
    names: Vec<String>,
    regions: Vec<Region>,
}

impl Names {
    /// The names that follow from the finding alone: its own, its ID and the ARNs that the rule's manifest says such a
    /// resource can have. `home` is the region of what has none.
    pub fn of_finding(finding: &Finding, manifest: &Manifest, home: &str) -> Self {
        let name = &finding.resource;
        let mut names = vec![name.clone()];
        match Arn::parse(name) {
            Some(arn) => {
                names.push(arn.resource.to_owned());
                names.extend(arn.resource.rsplit(['/', ':']).next().map(str::to_owned));
            }
            None => {
                let region = if finding.region.is_global() { home.to_owned() } else { finding.region.to_string() };
                let fill = |arn: &String| {
                    let arn = arn.replace("{partition}", partition(&region)).replace("{region}", &region);
                    arn.replace("{account}", finding.account.as_ref()).replace("{id}", name)
                };
                names.extend(manifest.arns.iter().map(fill));
            }
        }
        Self { names, regions: vec![finding.region.clone()] }
    }

    /// The same, with what AWS says of the resource.
    pub fn and(mut self, resource: &Resource) -> Self {
        self.names.extend(resource.all_names().map(str::to_owned));
        self.regions.push(resource.region.clone());
        self
    }
}

/// Whether an exemption is about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Where the resource has its tags.
    IfTagged,
}

impl Exemption {
    /// The IDs of rules that it names.
    pub fn rules(&self) -> &[String] {
        &self.text.rules
    }

    /// Whether it is about the finding, were it only for what the finding says.
    pub fn is_about(&self, rule: &str, finding: &Finding, names: &Names) -> About {
        let Text { rules, accounts, regions, resources, tags, .. } = &self.text;
        let is_about = (rules.is_empty() || rules.iter().any(|of| of == rule))
            && (accounts.is_empty() || accounts.contains(&finding.account))
            && (regions.is_empty() || names.regions.iter().any(|region| regions.contains(region)))
            && (resources.is_empty() || names.names.iter().any(|name| self.globs.is_match(name)));
        match (is_about, tags.is_empty()) {
            (false, _) => About::No,
            (true, true) => About::Yes,
            (true, false) => About::IfTagged,
        }
    }

    /// Whether a resource with these tags has all of its own.
    pub fn is_tagged(&self, tags: &BTreeMap<String, String>) -> bool {
        self.text.tags.iter().all(|(key, value)| tags.get(key) == Some(value))
    }

    /// Whether it holds no more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.text.expires.is_some_and(|last| last < TimeZone::UTC.to_datetime(now).date())
    }
}

impl fmt::Display for Exemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Text { reason, owner, expires, .. } = &self.text;
        write!(f, "{reason} (owner: {owner}")?;
        expires.map_or(Ok(()), |day| write!(f, "; until {day}"))?;
        f.write_str(")")
    }
}
