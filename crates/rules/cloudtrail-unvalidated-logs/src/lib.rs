//! The rule `cloudtrail-unvalidated-logs`: a trail whose log files nobody can show to be unaltered.
//!
//! The fix is AWS's own runbook, awaited to its end. Invariants: a trail is changed in its home region, wherever the
//! finding came from; a trail of another account, such as an organization's in a member account, is not touched, and
//! said to be that; a trail is named by its ARN in every call that changes it; undo goes to the API directly, because
//! there is no runbook for it.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::Trail;
use remediation::{Arn, Error, ErrorKind, Finding, Proposal, Region, Result, Rule, Target};
use runbook::Runbooks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// <https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-runbook-reference.html>
const RUNBOOK: &str = "AWSConfigRemediation-EnableCloudTrailLogFileValidation";
const DESCRIBE: &str = "cloudtrail:DescribeTrails";
const LIST_TAGS: &str = "cloudtrail:ListTags";
const UPDATE: &str = "cloudtrail:UpdateTrail";

/// The rule.
#[derive(Debug)]
pub struct CloudTrailUnvalidatedLogs;

/// The rule has no settings of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// A session, from which clients of every home region are made.
#[derive(Debug)]
pub struct Session {
    target: Target,
}

/// Changes whether one trail's log files can be validated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The trail's ARN.
    pub trail: String,
    /// The region in which it can be changed.
    pub home_region: String,
    /// Whether validation was found to be on.
    pub before: bool,
    /// Whether it is after the change.
    pub after: bool,
}

impl Rule for CloudTrailUnvalidatedLogs {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Client = Session;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Session { target: target.clone() }
    }

    async fn plan(session: &Self::Client, finding: &Finding, _: &Settings) -> Result<Proposal<Change>> {
        let trail = find(session, finding).await?;
        if trail.log_file_validation_enabled == Some(true) {
            return Ok(Proposal::default());
        }
        let Home { arn, owner, region } = home(trail)?;
        if owner != finding.account.as_ref() {
            return Err(of_another_account(&arn, &owner, finding));
        }
        Ok(vec![Change { trail: arn, home_region: region, before: false, after: true }].into())
    }

    /// Another account's trail keeps its tags to itself; it is not touched anyway.
    /// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_ListTags.html>
    async fn tags(session: &Self::Client, finding: &Finding) -> Result<BTreeMap<String, String>> {
        let Home { arn, owner, region } = home(find(session, finding).await?)?;
        if owner != finding.account.as_ref() {
            return Ok(BTreeMap::new());
        }
        let client = Client::new(&session.target.in_region(&region).config);
        let listed = client.list_tags().resource_id_list(arn).into_paginator().items().send();
        let listed = listed.collect::<Result<Vec<_>, _>>().await;
        let gone = |error| Error::api(LIST_TAGS, error).gone_if(&["ResourceNotFoundException"]);
        let tags = listed.map_err(gone)?.into_iter().flat_map(|of| of.tags_list.unwrap_or_default());
        Ok(tags.map(|tag| (tag.key, tag.value.unwrap_or_default())).collect())
    }

    async fn apply(session: &Self::Client, change: &Change) -> Result<()> {
        let target = session.target.in_region(&change.home_region);
        if !change.after {
            return update(&Client::new(&target.config), change).await;
        }
        let role = target.service_role_arn();
        let parameters = [("TrailName", change.trail.as_str()), ("AutomationAssumeRole", &role)];
        Runbooks::new(&target).run(RUNBOOK, &parameters).await
    }

    fn undo(change: &Change) -> Option<Change> {
        Some(Change { before: change.after, after: change.before, ..change.clone() })
    }
}

/// The trail that the finding names, among all that log in the finding's region: also those whose home is elsewhere.
async fn find(session: &Session, finding: &Finding) -> Result<Trail> {
    let named = parse(finding)?;
    let mut found = visible(&Client::new(&session.target.config)).await?;
    found.retain(|trail| match named {
        Named::Arn(arn) => trail.trail_arn.as_deref() == Some(arn),
        Named::Name(name) => trail.name.as_deref() == Some(name),
    });
    // The region's own trail comes before another region's of the same name.
    let is_at_home = |trail: &Trail| trail.home_region.as_deref() == Some(&session.target.region);
    if found.iter().any(is_at_home) {
        found.retain(is_at_home);
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            // The ARN of a region from which nothing logs here is a wrong one.
            finding.arn("cloudtrail")?;
            Err(gone(&finding.resource))
        }
        _ => {
            let message = format!("several trails have the name `{}`: the finding needs an ARN", finding.resource);
            Err(Error::invalid_finding("resource", message))
        }
    }
}

/// Where a trail is at home.
#[derive(Debug)]
struct Home {
    arn: String,
    owner: String,
    region: String,
}

fn home(trail: Trail) -> Result<Home> {
    let arn = trail.trail_arn.ok_or_else(|| Error::unusable(DESCRIBE, "a trail without its ARN"))?;
    let parsed = Arn::parse(&arn).ok_or_else(|| Error::unusable(DESCRIBE, "a trail whose ARN is none"))?;
    let region = trail.home_region.unwrap_or_else(|| parsed.region.to_owned());
    Ok(Home { owner: parsed.account.to_owned(), region, arn })
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DescribeTrails.html>
async fn visible(client: &Client) -> Result<Vec<Trail>> {
    let answer = client.describe_trails().include_shadow_trails(true).send().await;
    Ok(answer.map_err(|error| Error::api(DESCRIBE, error))?.trail_list.unwrap_or_default())
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_UpdateTrail.html>
async fn update(client: &Client, change: &Change) -> Result<()> {
    let call = client.update_trail().name(&change.trail).enable_log_file_validation(change.after);
    let answer = call.send().await.map_err(|error| Error::api(UPDATE, error));
    let failed = |error: Error| error.gone_if(&["TrailNotFoundException"]).not_now_if(&["ConflictException"]);
    answer.map(drop).map_err(failed)
}

/// How a finding names a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named<'a> {
    Arn(&'a str),
    Name(&'a str),
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html>
fn parse(finding: &Finding) -> Result<Named<'_>> {
    let resource = finding.resource.as_str();
    let region = Arn::parse(resource).map_or("", |arn| arn.region);
    // A trail of another region can log here, too, so the region of the ARN is not compared yet.
    let at_home = Finding { region: Region::code(region), ..finding.clone() };
    let arn = at_home.arn("cloudtrail")?;
    let name = arn.map_or(Some(resource), |arn| arn.resource.strip_prefix("trail/")).unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
        let message = format!("`{resource}` is neither a trail's name nor its ARN");
        return Err(Error::invalid_finding("resource", message));
    }
    Ok(if arn.is_some() { Named::Arn(resource) } else { Named::Name(resource) })
}

fn gone(resource: &str) -> Error {
    let message = format!("there is no trail `{resource}`");
    Error { action: DESCRIBE.into(), kind: ErrorKind::Gone, code: None, message }
}

/// An organization's trail is shown to its member accounts, and only the management account may change it.
fn of_another_account(arn: &str, owner: &str, finding: &Finding) -> Error {
    let message = format!(
        "the trail {arn} is one of the organization's management account {owner}: it can be changed there, not in {}",
        finding.account
    );
    Error { action: UPDATE.into(), kind: ErrorKind::Permanent, code: None, message }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trail, home_region, before, after } = self;
        write!(f, "trail {trail} (home region {home_region}): log file validation {before} → {after}")
    }
}

#[cfg(test)]
mod tests;
