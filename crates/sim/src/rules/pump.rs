//! A pump is public or not. A runbook, which takes its time, makes it private; the API makes it public again.

use std::fmt;

use remediation::{Error, Finding, NoParameters, Proposal, Resource, Result, Rule, Seen, Side, Tags, Target};
use runbook::Runbooks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Client, GONE, named};
use crate::actor::Actor;
use crate::automation::{PARAMETER, RUNBOOK};
use crate::cloud::{Request, State};
use crate::invariants::Applying;

const GET: &str = "sim:GetPump";
const SET: &str = "sim:SetPump";

/// A pump that is public.
#[derive(Debug)]
pub(crate) struct PublicPump;

/// Nothing can be set.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {}

/// Makes it private, or public again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    before: bool,
    after: bool,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "public {} → {}", self.before, self.after)
    }
}

/// A session, for pumps and their runbook.
pub(crate) struct PumpClient {
    client: Client,
    runbooks: Runbooks,
}

impl Rule for PublicPump {
    const MANIFEST: &'static str = r#"{
        "id": "public-pump", "title": "Pump that is public", "service": "sim", "scope": "regional",
        "controls": [{"rule_names": ["Ensure no pump is public."], "short_name": "S-3", "parameters": {}}],
        "read": [{"action": "sim:GetPump", "resource": "*"},
            {"action": "ssm:DescribeAutomationExecutions", "resource": "*"},
            {"action": "ssm:GetAutomationExecution", "resource": "*"}],
        "write": [{"action": "ssm:StartAutomationExecution", "resource": "*"}],
        "undo": [{"action": "sim:SetPump", "resource": "*"}], "extra": [],
        "runbook": {"name": "Sim-ClosePump"},
        "docs": {"why": "w", "impact": "i", "undo": "u", "by_hand": "h"}
    }"#;
    type Settings = Settings;
    type Control = NoParameters;
    type Client = PumpClient;
    type State = bool;
    type Change = Turn;

    fn client(target: &Target) -> PumpClient {
        PumpClient { client: Client::new(target), runbooks: Runbooks::new(target) }
    }

    async fn look(client: &PumpClient, finding: &Finding) -> Result<Seen<bool>> {
        let (resource, state) = client.client.look(GET, "pump", named(finding)).await?;
        match state {
            State::Pump(public) => Ok(Seen::now(resource, public)),
            State::Gate(_) => Err(Error::unusable(GET, "a gate")),
        }
    }

    fn plan(seen: &Seen<bool>, _: &[&NoParameters], _: &Settings) -> Proposal<Turn> {
        let private = seen.state.then_some(Turn { before: true, after: false });
        Proposal::from(private.into_iter().collect::<Vec<_>>())
    }

    async fn tags(_: &PumpClient, _: &Seen<bool>) -> Result<Tags> {
        Ok(Tags::new())
    }

    async fn under_way(client: &PumpClient, resource: &Resource) -> Result<Option<String>> {
        client.runbooks.under_way(&runbook::of_rule::<Self>()?, (PARAMETER, &resource.arn)).await
    }

    async fn apply(client: &PumpClient, resource: &Resource, change: &Turn) -> Result<()> {
        let (actor, arn) = (Actor::current(), &resource.arn);
        let applying = Applying::begin(&actor, &client.client, "public-pump", arn, change, |state| match state {
            State::Pump(public) => Side::of(public, &change.before, &change.after),
            State::Gate(_) => Side::Neither,
        });
        let applying = applying.await?;
        let result = if change.after {
            let set = client.client.call(SET, Request::Set { arn: arn.clone(), public: true }).await;
            set.map(drop).map_err(|error| error.gone_if(GONE))
        } else {
            client.runbooks.run(RUNBOOK, &[(PARAMETER, arn)]).await
        };
        applying.end(&result);
        result
    }

    fn undo(change: &Turn) -> Turn {
        Turn { before: change.after, after: change.before }
    }

    fn side(change: &Turn, public: &bool) -> Side {
        Side::of(public, &change.before, &change.after)
    }
}
