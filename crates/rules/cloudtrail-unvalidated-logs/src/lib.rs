//! The rule `cloudtrail-unvalidated-logs`: a trail whose log files nobody can show to be unaltered.
//!
//! The fix is AWS's own runbook, awaited to its end, or UpdateTrail where there is no such runbook. Invariants: a trail
//! is changed in its home region, wherever the finding came from; the owner is the account in the trail's ARN, so that
//! an organization's trail in a member account is known to be another's; a trail is named by its ARN in every call that
//! changes it; undo goes to the API, because there is no runbook for it.

mod named;

use std::fmt;

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::Trail;
use remediation::{Error, Finding, NoParameters, Proposal, Resource, Result, Rule, Seen, Tags, Target, call};
use runbook::Runbooks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::named::Named;

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

/// How a trail stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The region in which it can be changed.
    pub home_region: String,
    /// Whether its log files can be validated.
    pub validated: bool,
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
    type Control = NoParameters;
    type Client = Session;
    type State = State;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Session { target: target.clone() }
    }

    /// An ARN is looked for in its own region, which is the trail's home, and a name among all trails that log in the
    /// finding's region.
    async fn look(session: &Self::Client, finding: &Finding) -> Result<Seen<State>> {
        let named = Named::parse(finding)?;
        let region = named.home_region().unwrap_or(&session.target.region);
        let trails = visible(&session.client(region)).await?;
        seen(named.only(finding, region, trails)?)
    }

    fn plan(seen: &Seen<State>, _: &[&NoParameters], _: &Settings) -> Proposal<Change> {
        let Seen { resource, state: State { home_region, validated }, .. } = seen;
        if *validated {
            return Proposal::default();
        }
        let (trail, home_region) = (resource.arn.clone(), home_region.clone());
        vec![Change { trail, home_region, before: false, after: true }].into()
    }

    /// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_ListTags.html>
    async fn tags(session: &Self::Client, seen: &Seen<State>) -> Result<Tags> {
        let client = session.client(&seen.state.home_region);
        let request = client.list_tags().resource_id_list(&seen.resource.arn);
        let listed = call(LIST_TAGS, || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>());
        let listed = listed.await.map_err(|error| error.gone_if(&["ResourceNotFoundException"]))?;
        let tags = listed.into_iter().flat_map(|of| of.tags_list.unwrap_or_default());
        Ok(tags.map(|tag| (tag.key, tag.value.unwrap_or_default())).collect())
    }

    async fn apply(session: &Self::Client, change: &Change) -> Result<()> {
        let target = session.target.in_region(&change.home_region);
        let client = Client::new(&target.config);
        let directly = || update(&client, change);
        if !change.after {
            return directly().await;
        }
        let role = target.service_role_arn();
        let parameters = [("TrailName", change.trail.as_str()), ("AutomationAssumeRole", &role)];
        Runbooks::new(&target).or_directly(&runbook::of_rule::<Self>()?, &parameters, directly).await
    }

    fn undo(change: &Change) -> Option<Change> {
        Some(Change { before: change.after, after: change.before, ..change.clone() })
    }
}

impl Session {
    fn client(&self, region: &str) -> Client {
        Client::new(&self.target.in_region(region).config)
    }
}

/// What DescribeTrails says of a trail.
fn seen(trail: Trail) -> Result<Seen<State>> {
    let Trail { name, trail_arn, home_region, log_file_validation_enabled, .. } = trail;
    let arn = trail_arn.ok_or_else(|| Error::unusable(DESCRIBE, "a trail without its ARN"))?;
    let name = name.ok_or_else(|| Error::unusable(DESCRIBE, "a trail without its name"))?;
    let validated = log_file_validation_enabled;
    let validated = validated.ok_or_else(|| Error::unusable(DESCRIBE, "no word on log file validation"))?;
    let resource = Resource::of_arn(DESCRIBE, arn, name)?;
    let home_region = home_region.unwrap_or_else(|| resource.region.to_string());
    Ok(Seen::now(resource, State { home_region, validated }))
}

/// Every trail that logs in the client's region: also those whose home is elsewhere, and the organization's.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DescribeTrails.html>
async fn visible(client: &Client) -> Result<Vec<Trail>> {
    let answer = call(DESCRIBE, || client.describe_trails().include_shadow_trails(true).send()).await?;
    answer.trail_list.ok_or_else(|| Error::unusable(DESCRIBE, "no list of trails"))
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_UpdateTrail.html>
async fn update(client: &Client, change: &Change) -> Result<()> {
    let request = client.update_trail().name(&change.trail).enable_log_file_validation(change.after);
    let answer = call(UPDATE, || request.clone().send()).await;
    answer.map(drop).map_err(|error| error.gone_if(&["TrailNotFoundException"]))
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trail, home_region, before, after } = self;
        write!(f, "trail {trail} (home region {home_region}): log file validation {before} → {after}")
    }
}

#[cfg(test)]
mod tests;
