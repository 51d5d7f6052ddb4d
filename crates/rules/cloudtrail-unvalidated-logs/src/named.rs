//! What a finding's resource names: a trail by its ARN, or one by its name among those that log in a region.

use aws_sdk_cloudtrail::types::Trail;
use remediation::{Arn, Error, ErrorKind, Finding, Region, Result};

use crate::DESCRIBE;

/// How a finding names a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// By its ARN, and the region in it: the trail's home.
    Arn { arn: &'a str, home_region: &'a str },
    /// By its name.
    Name(&'a str),
}

impl<'a> Named<'a> {
    /// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html>
    pub(crate) fn parse(finding: &'a Finding) -> Result<Self> {
        let resource = finding.resource.as_str();
        let invalid = |what: &str| Error::invalid_finding("resource", format!("`{resource}` {what}"));
        let name = match of_anywhere(finding).arn("cloudtrail")? {
            Some(_) => Arn::parse(resource).and_then(|arn| arn.resource.strip_prefix("trail/")).unwrap_or_default(),
            None => resource,
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(invalid("is neither a trail's name nor its ARN"));
        }
        match Arn::parse(resource) {
            Some(arn) if arn.region.is_empty() || arn.account.is_empty() => {
                Err(invalid("names no region or no account: the ARN of a trail has both"))
            }
            Some(arn) => Ok(Self::Arn { arn: resource, home_region: arn.region }),
            None => Ok(Self::Name(name)),
        }
    }

    /// The trail's home region, where its ARN says it.
    pub(crate) fn home_region(self) -> Option<&'a str> {
        match self {
            Self::Arn { home_region, .. } => Some(home_region),
            Self::Name(_) => None,
        }
    }

    /// The trail among those that log in `region`.
    pub(crate) fn only(self, finding: &Finding, region: &str, mut trails: Vec<Trail>) -> Result<Trail> {
        match self {
            Self::Arn { arn, .. } => {
                let found = trails.into_iter().find(|trail| trail.trail_arn.as_deref() == Some(arn));
                found.ok_or_else(|| unknown_arn(arn, region, finding))
            }
            Self::Name(name) => {
                trails.retain(|trail| trail.name.as_deref() == Some(name));
                // The account's own trail comes before the organization's, and the region's before another region's.
                trails.sort_by_key(|trail| rank(trail, finding, region));
                let first = trails.first().map(|trail| rank(trail, finding, region));
                let best = trails.iter().filter(|trail| Some(rank(trail, finding, region)) == first).count();
                match (trails.into_iter().next(), best) {
                    (Some(trail), 1) => Ok(trail),
                    (None, _) => Err(unknown_name(name, region, finding)),
                    _ => {
                        let message = format!("several trails have the name `{name}`: the finding needs an ARN");
                        Err(Error::invalid_finding("resource", message))
                    }
                }
            }
        }
    }
}

/// The finding without its region, and without an account that is not its own: a trail of another region, or the
/// organization's, can log in the finding's; whether it does, only CloudTrail knows.
fn of_anywhere(finding: &Finding) -> Finding {
    let account = Arn::parse(&finding.resource).and_then(|arn| arn.account.parse().ok());
    let account = account.unwrap_or_else(|| finding.account.clone());
    Finding { region: Region::global(), account, ..finding.clone() }
}

/// How far a trail of the finding's name is from being the one that is meant.
fn rank(trail: &Trail, finding: &Finding, region: &str) -> (bool, bool) {
    let owner = trail.trail_arn.as_deref().and_then(Arn::parse).map(|arn| arn.account);
    (owner != Some(finding.account.as_ref()), trail.home_region.as_deref() != Some(region))
}

/// In its home region, CloudTrail lists every trail of the account: one that is not among them does not exist. Of
/// another account's, the list says nothing.
fn unknown_arn(arn: &str, region: &str, finding: &Finding) -> Error {
    let of_account = Finding { region: Region::global(), ..finding.clone() };
    match of_account.arn("cloudtrail") {
        Err(error) => error,
        Ok(_) => Error::new(DESCRIBE, ErrorKind::Gone, format!("there is no trail {arn} in {region}, its home region")),
    }
}

fn unknown_name(name: &str, region: &str, finding: &Finding) -> Error {
    let message = format!("no trail named `{name}` logs in {region} of the account {}", finding.account);
    Error::invalid_finding("resource", message)
}
