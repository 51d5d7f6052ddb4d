//! The rule `cloudtrail-unvalidated-logs`: a trail whose log files nobody can show to be unaltered.
//!
//! The fix is AWS's own runbook, awaited to its end, or UpdateTrail where there is no such runbook. Undo calls the API,
//! because no runbook does it.
//!
//! A trail can be changed only in its home region, the one in the ARN that CloudTrail gives, wherever it was found. Its
//! owner is the account in that ARN, so an organization's trail that a member account sees is known to be another
//! account's. Every call that changes a trail names it by its ARN.
//!
//! Calls: compliant 1; fixed 4 (look, runbook's start and end, proof), 3 where the API is called directly; held never.

mod named;

use std::fmt;

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::Trail;
use remediation::aws::Together;
use remediation::{
    Error, Finding, NoParameters, Proposal, Region, Resource, Result, Rule, Seen, Side, Tags, Target, call,
};
use runbook::Runbooks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    together: Together<Vec<Trail>>,
}

/// How a trail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Whether its log files can be validated.
    pub validated: bool,
}

/// Changes whether a trail's log files can be validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whether validation was found to be on.
    pub before: bool,
    /// Whether it is after the change.
    pub after: bool,
}

impl Rule for CloudTrailUnvalidatedLogs {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Control = NoParameters;
    type Client = Session;
    type State = State;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Session { target: target.clone(), together: Together::new(DESCRIBE) }
    }

    /// A trail is looked for among all those that log in the finding's region, also by the ARN of another home region:
    /// what an ARN on a list says leads no call there.
    async fn look(session: &Self::Client, finding: &Finding) -> Result<Seen<State>> {
        let named = named::parse(finding)?;
        let region = &session.target.region;
        let client = session.client(region);
        let ask = |asked: Vec<String>| async move {
            let trails = visible(&client).await?;
            Ok(asked.into_iter().map(|asked| (asked, trails.clone())).collect())
        };
        let trails = match session.together.find(&finding.resource, ask).await? {
            Some(trails) => trails,
            None => visible(&session.client(region)).await?,
        };
        seen(named::only(named, finding, region, trails)?)
    }

    fn plan(seen: &Seen<State>, _: &[&NoParameters], _: &Settings) -> Proposal<Change> {
        if seen.state.validated {
            return Proposal::default();
        }
        vec![Change { before: false, after: true }].into()
    }

    /// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_ListTags.html>
    async fn tags(session: &Self::Client, seen: &Seen<State>) -> Result<Tags> {
        let client = session.client(seen.resource.region.as_ref());
        let request = client.list_tags().resource_id_list(&seen.resource.arn);
        let listed = call(LIST_TAGS, || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>());
        let listed = listed.await.map_err(|error| error.gone_if(&["ResourceNotFoundException"]))?;
        let tags = listed.into_iter().flat_map(|of| of.tags_list.unwrap_or_default());
        Ok(tags.map(|tag| (tag.key, tag.value.unwrap_or_default())).collect())
    }

    async fn under_way(session: &Self::Client, resource: &Resource) -> Result<Option<String>> {
        let target = session.target.in_region(resource.region.as_ref());
        Runbooks::new(&target).under_way(&runbook::of_rule::<Self>()?, ("TrailName", &resource.arn)).await
    }

    async fn apply(session: &Self::Client, resource: &Resource, change: &Change) -> Result<()> {
        let target = session.target.in_region(resource.region.as_ref());
        let client = Client::new(&target.config);
        let directly = || update(&client, &resource.arn, change.after);
        if !change.after {
            return directly().await;
        }
        let role = target.service_role_arn();
        let parameters = [("TrailName", resource.arn.as_str()), ("AutomationAssumeRole", &role)];
        Runbooks::new(&target).or_directly(&runbook::of_rule::<Self>()?, &parameters, directly).await
    }

    fn undo(change: &Change) -> Change {
        Change { before: change.after, after: change.before }
    }

    fn side(change: &Change, state: &State) -> Side {
        Side::of(&state.validated, &change.before, &change.after)
    }
}

impl Session {
    fn client(&self, region: &str) -> Client {
        Client::new(&self.target.in_region(region).config)
    }
}

/// How a trail stands, by DescribeTrails. The region in its ARN must be its home: there it is changed.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Trail.html>
fn seen(trail: Trail) -> Result<Seen<State>> {
    let Trail { name, trail_arn, home_region, log_file_validation_enabled, .. } = trail;
    let arn = trail_arn.ok_or_else(|| Error::unusable(DESCRIBE, "a trail without its ARN"))?;
    let name = name.ok_or_else(|| Error::unusable(DESCRIBE, "a trail without its name"))?;
    let validated = log_file_validation_enabled;
    let validated = validated.ok_or_else(|| Error::unusable(DESCRIBE, "no word on log file validation"))?;
    let resource = Resource::of_arn(DESCRIBE, arn, name)?;
    if home_region.is_some_and(|home| resource.region != Region::code(home)) {
        return Err(Error::unusable(DESCRIBE, "a trail whose home is not the region in its ARN"));
    }
    Ok(Seen::now(resource, State { validated }))
}

/// Every trail that logs in the client's region: also those whose home is elsewhere, and the organization's.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DescribeTrails.html>
async fn visible(client: &Client) -> Result<Vec<Trail>> {
    let answer = call(DESCRIBE, || client.describe_trails().include_shadow_trails(true).send()).await?;
    answer.trail_list.ok_or_else(|| Error::unusable(DESCRIBE, "no list of trails"))
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_UpdateTrail.html>
async fn update(client: &Client, trail_arn: &str, validated: bool) -> Result<()> {
    let request = client.update_trail().name(trail_arn).enable_log_file_validation(validated);
    let answer = call(UPDATE, || request.clone().send()).await;
    answer.map(drop).map_err(|error| error.gone_if(&["TrailNotFoundException"]))
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log file validation {} → {}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests;
