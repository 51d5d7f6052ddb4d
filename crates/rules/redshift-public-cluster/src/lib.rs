//! The rule `redshift-public-cluster`: a Redshift cluster that the internet can reach.
//!
//! The fix is AWS's own runbook, awaited to its end. Invariants: a cluster that is not `available` cannot be changed,
//! so it is left for a later poll, with its status; a cluster counts as private only when no change of that is under
//! way; undo goes to the API directly, because there is no runbook for it.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_redshift::Client;
use aws_sdk_redshift::types::Cluster;
use remediation::{Error, ErrorKind, Finding, Proposal, Result, Rule, Target};
use runbook::Runbooks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// <https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-runbook-reference.html>
const RUNBOOK: &str = "AWSConfigRemediation-DisablePublicAccessToRedshiftCluster";
const DESCRIBE: &str = "redshift:DescribeClusters";
const MODIFY: &str = "redshift:ModifyCluster";

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
    runbooks: Runbooks,
    service_role: String,
}

/// Changes whether one cluster is publicly accessible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The cluster's identifier.
    pub cluster: String,
    /// Whether it was found to be publicly accessible.
    pub before: bool,
    /// Whether it is after the change.
    pub after: bool,
}

impl Rule for RedshiftPublicCluster {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Client = Clients;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Clients {
            redshift: Client::new(&target.config),
            runbooks: Runbooks::new(target),
            service_role: target.service_role_arn(),
        }
    }

    async fn plan(clients: &Self::Client, finding: &Finding, _: &Settings) -> Result<Proposal<Change>> {
        let id = cluster_identifier(finding)?;
        let cluster = read(&clients.redshift, &id).await?;
        let pending = cluster.pending_modified_values.as_ref().and_then(|values| values.publicly_accessible);
        let status = cluster.cluster_status.as_deref().unwrap_or("unknown");
        match (cluster.publicly_accessible, pending) {
            (None, _) => Err(Error::unusable(DESCRIBE, "no word on public access")),
            (Some(false), None | Some(false)) => Ok(Proposal::default()),
            (Some(true), _) | (_, Some(true)) if !is_available(status) => Err(not_available(&id, status)),
            _ => Ok(vec![Change { cluster: id, before: true, after: false }].into()),
        }
    }

    async fn tags(clients: &Self::Client, finding: &Finding) -> Result<BTreeMap<String, String>> {
        let cluster = read(&clients.redshift, &cluster_identifier(finding)?).await?;
        let tags = cluster.tags.unwrap_or_default().into_iter();
        Ok(tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect())
    }

    async fn apply(clients: &Self::Client, change: &Change) -> Result<()> {
        let Change { cluster, after, .. } = change;
        if *after {
            return modify(&clients.redshift, cluster, *after).await;
        }
        let parameters = [("ClusterIdentifier", cluster.as_str()), ("AutomationAssumeRole", &clients.service_role)];
        let failure = match clients.runbooks.run(RUNBOOK, &parameters).await {
            Err(error) if error.kind == ErrorKind::Permanent => error,
            other => return other,
        };
        // The cluster may have left `available` since it was planned; then the runbook cannot help, and later it can.
        let now = read(&clients.redshift, cluster).await?;
        let status = now.cluster_status.as_deref().unwrap_or("unknown");
        if is_available(status) { Err(failure) } else { Err(not_available(cluster, status)) }
    }

    fn undo(change: &Change) -> Option<Change> {
        Some(Change { before: change.after, after: change.before, ..change.clone() })
    }
}

/// <https://docs.aws.amazon.com/redshift/latest/APIReference/API_DescribeClusters.html>
async fn read(client: &Client, id: &str) -> Result<Cluster> {
    let answer = client.describe_clusters().cluster_identifier(id).send().await;
    let answer = answer.map_err(|error| Error::api(DESCRIBE, error).gone_if(&["ClusterNotFound"]))?;
    let cluster = answer.clusters.unwrap_or_default().into_iter().next();
    cluster.ok_or_else(|| Error::unusable(DESCRIBE, "no cluster"))
}

/// A cluster that is so already is not modified: that would make it `modifying` for minutes, for nothing.
/// <https://docs.aws.amazon.com/redshift/latest/APIReference/API_ModifyCluster.html>
async fn modify(client: &Client, id: &str, publicly_accessible: bool) -> Result<()> {
    let found = read(client, id).await?;
    let pending = found.pending_modified_values.and_then(|values| values.publicly_accessible);
    if pending.or(found.publicly_accessible) == Some(publicly_accessible) {
        return Ok(());
    }
    let call = client.modify_cluster().cluster_identifier(id).publicly_accessible(publicly_accessible);
    let answer = call.send().await.map_err(|error| Error::api(MODIFY, error));
    let failed = |error: Error| error.gone_if(&["ClusterNotFound"]).not_now_if(&["InvalidClusterState"]);
    answer.map(drop).map_err(failed)
}

/// "available, prep-for-resize" and the like can be modified as well.
/// <https://docs.aws.amazon.com/redshift/latest/mgmt/rs-mgmt-cluster-status.html>
fn is_available(status: &str) -> bool {
    status == "available" || status.starts_with("available,")
}

fn not_available(id: &str, status: &str) -> Error {
    let message =
        format!("the cluster {id} is {status}, and only an available one can be changed; a later poll tries again");
    Error::not_now(MODIFY, message)
}

/// The identifier in a cluster's identifier or ARN, in lower case, as Redshift keeps it.
/// <https://docs.aws.amazon.com/redshift/latest/APIReference/API_CreateCluster.html>
fn cluster_identifier(finding: &Finding) -> Result<String> {
    let resource = finding.resource.as_str();
    let id = match finding.arn("redshift")? {
        Some(arn) => arn.resource.strip_prefix("cluster:").unwrap_or_default(),
        None => resource,
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let starts_with_letter = id.starts_with(|c: char| c.is_ascii_alphabetic());
    if (1..=63).contains(&id.len()) && starts_with_letter && id.chars().all(allowed) {
        Ok(id.to_ascii_lowercase())
    } else {
        let message = format!("`{resource}` is neither a Redshift cluster's identifier nor its ARN");
        Err(Error::invalid_finding("resource", message))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {}: publicly accessible {} → {}", self.cluster, self.before, self.after)
    }
}

#[cfg(test)]
mod tests;
