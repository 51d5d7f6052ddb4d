//! The rule `redshift-public-cluster`: a Redshift cluster that the internet can reach.
//!
//! The fix is AWS's own runbook, awaited to its end, or ModifyCluster where there is no such runbook. Undo calls the
//! API, because no runbook does it. A cluster that is not `available`, or whose public access is being changed already,
//! cannot be changed now: it is left for a later poll. A change keeps the Elastic IP that the cluster had, because
//! partners' firewalls may know it, and undo asks for it again.
//!
//! Calls: compliant 1; fixed 4 (look, runbook's start and end, proof; or look, read, write, proof); held never.

mod api;

use std::fmt;

use aws_sdk_redshift::Client;
use aws_sdk_redshift::types::Cluster;
use remediation::aws::Together;
use remediation::{
    Error, ErrorKind, Finding, NameForm, NoParameters, Proposal, Resource, Result, Rule, Seen, Side, Tags, Target,
};
use runbook::Runbooks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The rule.
#[derive(Debug)]
pub struct RedshiftPublicCluster;

/// The rule has no settings of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// What the rule calls, in one session.
#[derive(Debug)]
pub struct Clients {
    redshift: Client,
    together: Together<Cluster>,
    runbooks: Runbooks,
    service_role: String,
    /// What every ARN of a cluster of the session's account and region begins with.
    arn_prefix: String,
}

/// How a cluster stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its status, such as `available` or `paused`.
    pub status: String,
    /// How it can be reached.
    pub access: Access,
    /// Whether it will be publicly accessible, if a change of that is under way.
    pub pending: Option<bool>,
    /// Its tags.
    pub tags: Tags,
}

/// How a cluster can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Whether it is publicly accessible.
    pub public: bool,
    /// The Elastic IP that it was given; none if it is private, or AWS has chosen its public address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elastic_ip: Option<String>,
}

/// Changes whether a cluster is publicly accessible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// How it was found.
    pub before: Access,
    /// How it is after the change.
    pub after: Access,
}

impl Access {
    /// Within its VPC only.
    pub const PRIVATE: Self = Self { public: false, elastic_ip: None };
}

impl Rule for RedshiftPublicCluster {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Control = NoParameters;
    type Client = Clients;
    type State = State;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        let Target { partition, region, account, .. } = target;
        Clients {
            redshift: Client::new(&target.config),
            together: Together::new(api::DESCRIBE),
            runbooks: Runbooks::new(target),
            service_role: target.service_role_arn(),
            arn_prefix: format!("arn:{partition}:redshift:{region}:{account}:cluster:"),
        }
    }

    /// A name that no cluster has may be a wrong one; of a cluster's own ARN, AWS says that it does not exist.
    async fn look(clients: &Self::Client, finding: &Finding) -> Result<Seen<State>> {
        let named = finding.named(&IDENTIFIER)?;
        // As Redshift keeps it.
        let (id, is_exact) = (named.name.to_ascii_lowercase(), named.is_exact());
        let unless_exact = |error: Error| if error.is_gone() && !is_exact { no_cluster(&id, finding) } else { error };
        let state = api::read_together(&clients.redshift, &clients.together, &id).await.map_err(unless_exact)?;
        // DescribeClusters knows the clusters of the caller's account and region, and no others.
        let arn = format!("{}{id}", clients.arn_prefix);
        Ok(Seen::now(Resource::of_arn(api::DESCRIBE, arn, id)?, state))
    }

    fn plan(seen: &Seen<State>, _: &[&NoParameters], _: &Settings) -> Proposal<Change> {
        let State { status, access, .. } = &seen.state;
        let becomes = seen.state.becomes();
        if !access.public && becomes != Some(true) {
            return Proposal::default();
        }
        let not_now = |reason| Proposal { not_now: vec![reason], ..Proposal::default() };
        match becomes {
            _ if !is_available(status) => not_now(not_available(status)),
            Some(public) => not_now(under_way(public)),
            None => vec![Change { before: access.clone(), after: Access::PRIVATE }].into(),
        }
    }

    async fn tags(_: &Self::Client, seen: &Seen<State>) -> Result<Tags> {
        Ok(seen.state.tags.clone())
    }

    async fn under_way(clients: &Self::Client, resource: &Resource) -> Result<Option<String>> {
        clients.runbooks.under_way(&runbook::of_rule::<Self>()?, ("ClusterIdentifier", &resource.id)).await
    }

    async fn apply(clients: &Self::Client, resource: &Resource, change: &Change) -> Result<()> {
        let (cluster, after) = (&resource.id, &change.after);
        let directly = || api::modify(&clients.redshift, cluster, after);
        if after.public {
            return directly().await;
        }
        let parameters = [("ClusterIdentifier", cluster.as_str()), ("AutomationAssumeRole", &clients.service_role)];
        let failure = match clients.runbooks.or_directly(&runbook::of_rule::<Self>()?, &parameters, directly).await {
            Err(error) if error.kind == ErrorKind::Permanent => error,
            other => return other,
        };
        // The cluster may have left `available` since the plan was made. Then the runbook can only succeed later.
        let State { status, .. } = api::read(&clients.redshift, cluster).await?;
        if is_available(&status) {
            return Err(failure);
        }
        Err(Error::not_now(api::MODIFY, not_available(&status)))
    }

    fn undo(change: &Change) -> Change {
        Change { before: change.after.clone(), after: change.before.clone() }
    }

    /// A change that is under way has left the one side and not reached the other.
    fn side(change: &Change, state: &State) -> Side {
        if state.becomes().is_some() {
            return Side::Neither;
        }
        Side::of(&state.access, &change.before, &change.after)
    }
}

impl State {
    /// Whether it will be publicly accessible, where that is not what it is now.
    fn becomes(&self) -> Option<bool> {
        self.pending.filter(|pending| *pending != self.access.public)
    }
}

/// "available, prep-for-resize" and the like can be modified as well.
/// <https://docs.aws.amazon.com/redshift/latest/mgmt/rs-mgmt-cluster-status.html>
fn is_available(status: &str) -> bool {
    status == "available" || status.starts_with("available,")
}

fn not_available(status: &str) -> String {
    format!("the cluster is {status} and can only be changed while it is available; the next run will retry")
}

fn under_way(public: bool) -> String {
    let becomes = if public { "publicly accessible" } else { "private" };
    format!("a change that makes the cluster {becomes} is already under way; the next run will look again")
}

fn no_cluster(id: &str, finding: &Finding) -> Error {
    let Finding { account, region, .. } = finding;
    let message = format!("the account {account} has no Redshift cluster named `{id}` in {region}");
    Error::invalid_finding("resource", message)
}

/// The identifiers of clusters.
/// <https://docs.aws.amazon.com/redshift/latest/APIReference/API_CreateCluster.html>
const IDENTIFIER: NameForm = NameForm {
    service: "redshift",
    what: "a Redshift cluster's identifier",
    in_arn: |resource| resource.strip_prefix("cluster:"),
    is_name: |name| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(allowed)
    },
};

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "publicly accessible {} → {}", self.before, self.after)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { public, elastic_ip } = self;
        match elastic_ip {
            Some(elastic_ip) => write!(f, "{public} (Elastic IP {elastic_ip})"),
            None => write!(f, "{public}"),
        }
    }
}

#[cfg(test)]
mod tests;
