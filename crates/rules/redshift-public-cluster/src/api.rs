//! The calls of Redshift.

use aws_sdk_redshift::Client;
use aws_sdk_redshift::types::Cluster;
use remediation::aws::Together;
use remediation::{Error, Result, call};

use crate::{Access, State};

pub(crate) const DESCRIBE: &str = "redshift:DescribeClusters";
pub(crate) const MODIFY: &str = "redshift:ModifyCluster";
const NO_SUCH_CLUSTER: &[&str] = &["ClusterNotFound"];

/// <https://docs.aws.amazon.com/redshift/latest/APIReference/API_DescribeClusters.html>
pub(crate) async fn read(client: &Client, id: &str) -> Result<State> {
    let answer = call(DESCRIBE, || client.describe_clusters().cluster_identifier(id).send()).await;
    let answer = answer.map_err(|error| error.gone_if(NO_SUCH_CLUSTER))?;
    let cluster = answer.clusters.unwrap_or_default().into_iter().next();
    state(cluster.ok_or_else(|| Error::unusable(DESCRIBE, "no cluster"))?)
}

/// The same, in one call with others: it takes one identifier or none, and lists 100 clusters a page.
pub(crate) async fn read_together(client: &Client, together: &Together<Cluster>, id: &str) -> Result<State> {
    let all = client.describe_clusters();
    let ask = |_| async move {
        let found =
            call(DESCRIBE, || all.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>()).await?;
        Ok(found.into_iter().filter_map(|of| Some((of.cluster_identifier.clone()?, of))).collect())
    };
    match together.find(id, ask).await? {
        Some(cluster) => state(cluster),
        None => read(client, id).await,
    }
}

fn state(cluster: Cluster) -> Result<State> {
    let Cluster { publicly_accessible, elastic_ip_status, pending_modified_values, tags, cluster_status, .. } = cluster;
    let public = publicly_accessible.ok_or_else(|| Error::unusable(DESCRIBE, "no word on public access"))?;
    let elastic_ip =
        elastic_ip_status.and_then(|status| status.elastic_ip).filter(|address| public && !address.is_empty());
    let tags = tags.unwrap_or_default().into_iter();
    Ok(State {
        status: cluster_status.unwrap_or_else(|| "without a status".into()),
        access: Access { public, elastic_ip },
        pending: pending_modified_values.and_then(|values| values.publicly_accessible),
        tags: tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect(),
    })
}

/// Does not modify a cluster that is already as wanted: that would make it `modifying` for minutes, for nothing.
/// <https://docs.aws.amazon.com/redshift/latest/APIReference/API_ModifyCluster.html>
pub(crate) async fn modify(client: &Client, id: &str, wanted: &Access) -> Result<()> {
    let State { access: found, pending, .. } = read(client, id).await?;
    let has_address = wanted.elastic_ip.is_none() || wanted.elastic_ip == found.elastic_ip;
    if pending.unwrap_or(found.public) == wanted.public && has_address {
        return Ok(());
    }
    let request = client.modify_cluster().cluster_identifier(id).publicly_accessible(wanted.public);
    let request = request.set_elastic_ip(wanted.elastic_ip.clone());
    let answer = call(MODIFY, || request.clone().send()).await;
    answer.map(drop).map_err(|error| error.gone_if(NO_SUCH_CLUSTER))
}
