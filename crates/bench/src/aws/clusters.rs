//! Redshift's clusters.

use super::Things;
use super::call::{Call, Output, Refusal, Result, unknown};

/// The clusters.
#[derive(Debug, Default)]
pub(crate) struct Clusters(Things<bool>);

impl Clusters {
    /// Makes a publicly accessible cluster, and gives its identifier.
    pub(crate) fn violate(&mut self, account: &str, n: usize) -> String {
        self.0.insert(account, format!("cluster-{n:06}"), true)
    }

    /// What the runbook does to a cluster.
    pub(crate) fn make_private(&mut self, account: &str, id: &str) {
        if let Some(public) = self.0.get_mut(account, id) {
            *public = false;
        }
    }

    /// <https://docs.aws.amazon.com/redshift/latest/APIReference/API_DescribeClusters.html>
    pub(crate) fn answer(&mut self, call: &Call, account: &str) -> Result<Output> {
        if call.operation != "DescribeClusters" {
            return Err(unknown(&call.operation));
        }
        let meant = call.form()?.text("ClusterIdentifier");
        if meant.is_some_and(|id| self.0.get(account, id).is_none()) {
            return Err(Refusal::new(404, "ClusterNotFound", "there is no such cluster"));
        }
        let listed = self.0.of(account).filter(|(id, _)| meant.is_none_or(|meant| meant == *id));
        let items: String = listed
            .map(|(id, public)| {
                format!(
                    "<Cluster><ClusterIdentifier>{id}</ClusterIdentifier><ClusterStatus>available</ClusterStatus>\
                     <PubliclyAccessible>{public}</PubliclyAccessible><PendingModifiedValues/><Tags/></Cluster>"
                )
            })
            .collect();
        Ok(Output::Xml(format!("<Clusters>{items}</Clusters>")))
    }
}
