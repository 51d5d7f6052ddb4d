//! RDS instances and Aurora clusters with snapshots, for tests.

use aws_sdk_rds::Client;

use crate::Result;
use crate::account::Account;

/// What a snapshot is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// A DB instance.
    Instance,
    /// An Aurora cluster.
    Cluster,
}

/// The databases and snapshots of one account, with its full rights.
#[derive(Debug)]
pub struct Databases {
    /// RDS with the account's full rights.
    pub rds: Client,
}

impl Databases {
    /// Those of `account`.
    pub fn of(account: &Account) -> Self {
        Self { rds: Client::new(&account.config) }
    }

    /// Makes a database and one manual snapshot, `<name>-manual`, that these may restore.
    ///
    /// # Errors
    ///
    /// RDS refuses.
    pub async fn make(&self, kind: Database, name: &str, encrypted: bool, restore: &[&str]) -> Result<()> {
        match kind {
            Database::Instance => {
                let call = self.rds.create_db_instance().db_instance_identifier(name).engine("postgres");
                let call = call.db_instance_class("db.t3.micro").allocated_storage(20).storage_encrypted(encrypted);
                call.master_username("administrator").master_user_password("not-a-secret").send().await?;
            }
            Database::Cluster => {
                let call = self.rds.create_db_cluster().db_cluster_identifier(name).engine("aurora-postgresql");
                let call = call.master_username("administrator").master_user_password("not-a-secret");
                call.storage_encrypted(encrypted).send().await?;
            }
        }
        self.make_snapshot(kind, name, &format!("{name}-manual"), restore).await
    }

    /// Takes one more manual snapshot, that these may restore.
    ///
    /// # Errors
    ///
    /// RDS refuses.
    pub async fn make_snapshot(&self, kind: Database, name: &str, snapshot: &str, restore: &[&str]) -> Result<()> {
        let restore: Vec<_> = restore.iter().map(ToString::to_string).collect();
        let added = (!restore.is_empty()).then_some(restore);
        match kind {
            Database::Instance => {
                let call = self.rds.create_db_snapshot().db_instance_identifier(name);
                call.db_snapshot_identifier(snapshot).send().await?;
                let call = self.rds.modify_db_snapshot_attribute().db_snapshot_identifier(snapshot);
                call.attribute_name("restore").set_values_to_add(added).send().await?;
            }
            Database::Cluster => {
                let call = self.rds.create_db_cluster_snapshot().db_cluster_identifier(name);
                call.db_cluster_snapshot_identifier(snapshot).send().await?;
                let call = self.rds.modify_db_cluster_snapshot_attribute().db_cluster_snapshot_identifier(snapshot);
                call.attribute_name("restore").set_values_to_add(added).send().await?;
            }
        }
        Ok(())
    }

    /// Lets one account, or `all`, restore a snapshot.
    ///
    /// # Errors
    ///
    /// RDS refuses.
    pub async fn share(&self, kind: Database, snapshot: &str, with: &str) -> Result<()> {
        match kind {
            Database::Instance => {
                let call = self.rds.modify_db_snapshot_attribute().db_snapshot_identifier(snapshot);
                call.attribute_name("restore").values_to_add(with).send().await?;
            }
            Database::Cluster => {
                let call = self.rds.modify_db_cluster_snapshot_attribute().db_cluster_snapshot_identifier(snapshot);
                call.attribute_name("restore").values_to_add(with).send().await?;
            }
        }
        Ok(())
    }

    /// Makes an instance that belongs to a cluster.
    ///
    /// # Errors
    ///
    /// RDS refuses.
    pub async fn make_member(&self, cluster: &str, name: &str) -> Result<()> {
        let call = self.rds.create_db_instance().db_instance_identifier(name).db_cluster_identifier(cluster);
        call.engine("aurora-postgresql").db_instance_class("db.r6g.large").send().await?;
        Ok(())
    }

    /// Renames a database. Its snapshots keep the old name.
    ///
    /// # Errors
    ///
    /// RDS refuses.
    pub async fn rename(&self, kind: Database, name: &str, new_name: &str) -> Result<()> {
        match kind {
            Database::Instance => {
                let call = self.rds.modify_db_instance().db_instance_identifier(name).apply_immediately(true);
                call.new_db_instance_identifier(new_name).send().await?;
            }
            Database::Cluster => {
                let call = self.rds.modify_db_cluster().db_cluster_identifier(name).apply_immediately(true);
                call.new_db_cluster_identifier(new_name).send().await?;
            }
        }
        Ok(())
    }

    /// The ID of a database that never changes, such as `db-…`.
    ///
    /// # Errors
    ///
    /// RDS refuses.
    pub async fn resource_id(&self, kind: Database, name: &str) -> Result<String> {
        let id = match kind {
            Database::Instance => {
                let answer = self.rds.describe_db_instances().db_instance_identifier(name).send().await?;
                answer.db_instances().first().and_then(|of| of.dbi_resource_id.clone())
            }
            Database::Cluster => {
                let answer = self.rds.describe_db_clusters().db_cluster_identifier(name).send().await?;
                answer.db_clusters().first().and_then(|of| of.db_cluster_resource_id.clone())
            }
        };
        Ok(id.ok_or("no resource ID")?)
    }

    /// Deletes a database and leaves its manual snapshots.
    ///
    /// # Errors
    ///
    /// RDS refuses.
    pub async fn delete(&self, kind: Database, name: &str) -> Result<()> {
        match kind {
            Database::Instance => {
                let call = self.rds.delete_db_instance().db_instance_identifier(name).skip_final_snapshot(true);
                call.send().await?;
            }
            Database::Cluster => {
                let call = self.rds.delete_db_cluster().db_cluster_identifier(name).skip_final_snapshot(true);
                call.send().await?;
            }
        }
        Ok(())
    }

    /// Who may restore a snapshot, sorted.
    ///
    /// # Errors
    ///
    /// RDS refuses.
    pub async fn restore(&self, kind: Database, snapshot: &str) -> Result<Vec<String>> {
        let mut values = match kind {
            Database::Instance => {
                let call = self.rds.describe_db_snapshot_attributes().db_snapshot_identifier(snapshot);
                let result = call.send().await?.db_snapshot_attributes_result.ok_or("no attributes")?;
                result.db_snapshot_attributes().iter().flat_map(|of| of.attribute_values().to_vec()).collect::<Vec<_>>()
            }
            Database::Cluster => {
                let call = self.rds.describe_db_cluster_snapshot_attributes().db_cluster_snapshot_identifier(snapshot);
                let result = call.send().await?.db_cluster_snapshot_attributes_result;
                let result = result.ok_or("no attributes")?;
                let attributes = result.db_cluster_snapshot_attributes();
                attributes.iter().flat_map(|of| of.attribute_values().to_vec()).collect()
            }
        };
        values.sort();
        Ok(values)
    }
}
