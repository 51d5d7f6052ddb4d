//! Which trail a finding's resource names, among those that log in its region.

use aws_sdk_cloudtrail::types::Trail;
use remediation::{Arn, Error, ErrorKind, Finding, NameForm, Named, Result};

use crate::DESCRIBE;

/// The names of trails.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html>
const NAME: NameForm = NameForm {
    service: "cloudtrail",
    what: "a trail's name",
    in_arn: |resource| resource.strip_prefix("trail/"),
    is_name: |name| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        (3..=128).contains(&name.len()) && name.chars().all(allowed)
    },
};

/// How a finding names a trail. Its ARN may be of another region, whose trail logs in the finding's as well, or of
/// another account, such as the organization's.
pub(crate) fn parse(finding: &Finding) -> Result<Named<'_>> {
    let named = finding.named_by_anyone(&NAME)?;
    if named.arn.is_some() && !named.is_exact() {
        let message = format!("`{}` lacks the region or the account that the ARN of a trail has", finding.resource);
        return Err(Error::invalid_finding("resource", message));
    }
    Ok(named)
}

/// The trail among those that log in `region`.
pub(crate) fn only(named: Named<'_>, finding: &Finding, region: &str, mut trails: Vec<Trail>) -> Result<Trail> {
    if let Some(arn) = named.arn {
        let found = trails.into_iter().find(|trail| trail.trail_arn.as_deref() == Some(&finding.resource));
        return found.ok_or_else(|| unknown_arn(arn, region, finding));
    }
    let name = named.name;
    trails.retain(|trail| trail.name.as_deref() == Some(name));
    // The account's own trail comes before the organization's, and the region's before another region's.
    trails.sort_by_key(|trail| rank(trail, finding, region));
    let first = trails.first().map(|trail| rank(trail, finding, region));
    let best = trails.iter().filter(|trail| Some(rank(trail, finding, region)) == first).count();
    match (trails.into_iter().next(), best) {
        (Some(trail), 1) => Ok(trail),
        (None, _) => {
            let message = format!("no trail named `{name}` logs in {region} of the account {}", finding.account);
            Err(Error::invalid_finding("resource", message))
        }
        _ => {
            let message = format!("several trails have the name `{name}`: give the ARN of one");
            Err(Error::invalid_finding("resource", message))
        }
    }
}

/// How far a trail of the finding's name is from being the one that is meant.
fn rank(trail: &Trail, finding: &Finding, region: &str) -> (bool, bool) {
    let owner = trail.trail_arn.as_deref().and_then(Arn::parse).map(|arn| arn.account);
    (owner != Some(finding.account.as_ref()), trail.home_region.as_deref() != Some(region))
}

/// In its home region, CloudTrail lists every trail of the account: one that is not among them does not exist. Of
/// trails of other accounts and regions, the list has those alone that log here, and says nothing of the others.
fn unknown_arn(arn: Arn<'_>, region: &str, finding: &Finding) -> Error {
    let Finding { account, resource, .. } = finding;
    if arn.account != account.as_ref() {
        let message = format!(
            "`{resource}` belongs to the account {}, but the finding is of {account}, where it does not log",
            arn.account
        );
        return Error::invalid_finding("resource", message);
    }
    if arn.region != region {
        let message = format!(
            "`{resource}` is in the region {}, but the finding is of {region}, where it does not log",
            arn.region
        );
        return Error::invalid_finding("resource", message);
    }
    Error::new(DESCRIBE, ErrorKind::Gone, format!("there is no trail {resource} in {region}, its home region"))
}
