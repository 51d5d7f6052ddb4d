//! Redshift clusters, for tests.

use std::time::{Duration, Instant};

use aws_sdk_redshift::Client;
use aws_sdk_redshift::types::Cluster;
use serde_json::json;

use crate::account::Account;
use crate::emulator::Emulator;
use crate::{ANSWER_WITHIN, Result};

/// How long a change may take until the cluster is available again.
const AVAILABLE_WITHIN: Duration = Duration::from_secs(30);

/// The clusters of one account, with its full rights.
#[derive(Debug)]
pub struct Clusters {
    /// Redshift with the account's full rights.
    pub redshift: Client,
}

impl Clusters {
    /// Those of `account`.
    pub fn of(account: &Account) -> Self {
        Self { redshift: Client::new(&account.config) }
    }

    /// Makes a cluster.
    ///
    /// # Errors
    ///
    /// Redshift refuses.
    pub async fn make(&self, id: &str, publicly_accessible: bool) -> Result<()> {
        let call = self.redshift.create_cluster().cluster_identifier(id).node_type("ra3.large");
        let call = call.master_username("administrator").master_user_password("Not-a-secret-1");
        call.publicly_accessible(publicly_accessible).send().await?;
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

    /// Puts a cluster into a status.
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn set_status(&self, emulator: &Emulator, arn: &str, status: &str) -> Result<()> {
        let url = format!("{}/_remediation/status", emulator.url());
        let put = reqwest::Client::new().put(url).body(json!({"Arn": arn, "Status": status}).to_string());
        put.timeout(ANSWER_WITHIN).send().await?.error_for_status()?;
        Ok(())
    }
}
