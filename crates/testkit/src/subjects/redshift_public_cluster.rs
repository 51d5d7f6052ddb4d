//! Redshift clusters: `redshift-public-cluster`.

use std::time::{Duration, Instant};

use aws_sdk_ec2::types::DomainType;
use aws_sdk_redshift::Client;
use aws_sdk_redshift::types::{Cluster, Tag};
use rules::redshift_public_cluster::RedshiftPublicCluster;
use serde_json::{Value, json};

use super::{AnySubject, Subject};
use crate::Result;
use crate::account::Account;

/// The subject of each control.
pub const SUBJECTS: &[AnySubject] = &[AnySubject::of::<Warehouse>()];
/// How long a change may take until the cluster is available again.
const AVAILABLE_WITHIN: Duration = Duration::from_secs(30);

/// A cluster.
#[derive(Debug)]
pub struct Warehouse;

impl Subject for Warehouse {
    type Rule = RedshiftPublicCluster;
    const NAME: &'static str = "warehouse";
    const FOUND: &'static str = "a cluster that is publicly accessible";
    const THROTTLED: (&str, &[&str]) = (
        "ThrottlingException",
        &["redshift:DescribeClusters", "ssm:StartAutomationExecution", "ssm:GetAutomationExecution"],
    );

    async fn violating(account: &Account, name: &str) -> Result<String> {
        Clusters::of(account).make(name, true).await?;
        Ok(name.to_owned())
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        Clusters::of(account).make(name, false).await?;
        Ok(name.to_owned())
    }

    fn gone(account: &Account) -> String {
        arn(account, "gone")
    }

    fn names(account: &Account, resource: &str) -> Vec<String> {
        vec![resource.to_owned(), resource.to_uppercase(), arn(account, resource)]
    }

    async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
        let tag = Tag::builder().key(key).value(value).build();
        let redshift = Clusters::of(account).redshift;
        redshift.create_tags().resource_name(arn(account, resource)).tags(tag).send().await?;
        Ok(())
    }

    async fn describe(account: &Account, resource: &str) -> Result<Value> {
        let cluster = Clusters::of(account).settled(resource).await?;
        Ok(json!({"all": format!("{cluster:?}"), "public": cluster.publicly_accessible}))
    }

    async fn complies(account: &Account, resource: &str) -> Result<bool> {
        Ok(Clusters::of(account).settled(resource).await?.publicly_accessible == Some(false))
    }
}

/// The ARN of a cluster.
pub fn arn(account: &Account, cluster: &str) -> String {
    format!("arn:{}:redshift:{}:{}:cluster:{cluster}", account.partition(), account.region, account.id)
}

/// The clusters of one account, with its full rights.
#[derive(Debug)]
pub struct Clusters {
    /// Redshift with the account's full rights.
    pub redshift: Client,
    ec2: aws_sdk_ec2::Client,
}

impl Clusters {
    /// Those of `account`.
    pub fn of(account: &Account) -> Self {
        Self { redshift: Client::new(&account.config), ec2: aws_sdk_ec2::Client::new(&account.config) }
    }

    /// Makes a cluster.
    ///
    /// # Errors
    ///
    /// Redshift refuses.
    pub async fn make(&self, id: &str, publicly_accessible: bool) -> Result<()> {
        self.make_at(id, publicly_accessible, None).await
    }

    /// Makes a cluster that is publicly accessible at an Elastic IP of the account, and gives the address.
    ///
    /// # Errors
    ///
    /// EC2 or Redshift refuses.
    pub async fn make_at_elastic_ip(&self, id: &str) -> Result<String> {
        let address = self.ec2.allocate_address().domain(DomainType::Vpc).send().await?;
        let address = address.public_ip.ok_or("AllocateAddress gave no address")?;
        self.make_at(id, true, Some(&address)).await?;
        Ok(address)
    }

    async fn make_at(&self, id: &str, publicly_accessible: bool, elastic_ip: Option<&str>) -> Result<()> {
        let call = self.redshift.create_cluster().cluster_identifier(id).node_type("ra3.large");
        let call = call.master_username("administrator").master_user_password("Not-a-secret-1");
        let call = call.publicly_accessible(publicly_accessible).set_elastic_ip(elastic_ip.map(str::to_owned));
        call.send().await?;
        Ok(())
    }

    /// A cluster, as soon as no change of it is under way.
    ///
    /// # Errors
    ///
    /// Redshift refuses, or the change does not end.
    pub async fn settled(&self, id: &str) -> Result<Cluster> {
        let end = Instant::now() + AVAILABLE_WITHIN;
        loop {
            let answer = self.redshift.describe_clusters().cluster_identifier(id).send().await?;
            let cluster = answer.clusters.and_then(|found| found.into_iter().next()).ok_or("no cluster")?;
            match cluster.cluster_status() {
                Some("modifying") if Instant::now() < end => tokio::time::sleep(Duration::from_millis(100)).await,
                Some("modifying") => return Err(format!("the cluster {id} is still modifying").into()),
                _ => return Ok(cluster),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::rule_cases!(Warehouse);
}
