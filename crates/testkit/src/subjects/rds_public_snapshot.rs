//! RDS instances and Aurora clusters with snapshots: `rds-public-snapshot`.

use aws_sdk_rds::Client;
use aws_sdk_rds::types::Tag;
use rules::rds_public_snapshot::RdsPublicSnapshot;
use serde_json::{Value, json};

use super::{AnySubject, Subject};
use crate::Result;
use crate::account::Account;

/// The subject of each control.
pub const SUBJECTS: &[AnySubject] = &[AnySubject::of::<Instance>()];
/// An account that the owner of the snapshots listed by name.
pub const PARTNER: &str = "999999999999";

/// An instance with a snapshot.
#[derive(Debug)]
pub struct Instance;

impl Subject for Instance {
    type Rule = RdsPublicSnapshot;
    const NAME: &'static str = "orders";
    const FOUND: &'static str = "a manual snapshot that everyone may restore";
    const THROTTLED: (&str, &[&str]) = (
        "Throttling",
        &[
            "rds:DescribeDBInstances",
            "rds:DescribeDBSnapshots",
            "rds:DescribeDBSnapshotAttributes",
            "rds:ModifyDBSnapshotAttribute",
        ],
    );

    async fn violating(account: &Account, name: &str) -> Result<String> {
        make(account, Database::Instance, name, &["all", PARTNER]).await
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        make(account, Database::Instance, name, &[PARTNER]).await
    }

    fn gone(account: &Account) -> String {
        arn(account, "db", "gone")
    }

    fn names(account: &Account, resource: &str) -> Vec<String> {
        vec![resource.to_owned(), arn(account, "db", resource)]
    }

    async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
        Databases::of(account).tag(&arn(account, "db", resource), key, value).await
    }

    async fn describe(account: &Account, resource: &str) -> Result<Value> {
        Ok(json!(restore(account, Database::Instance, resource).await?))
    }

    async fn complies(account: &Account, resource: &str) -> Result<bool> {
        Ok(!is_public(account, Database::Instance, resource).await?)
    }
}

/// A cluster with a snapshot.
#[derive(Debug)]
pub struct Cluster;

impl Subject for Cluster {
    type Rule = RdsPublicSnapshot;
    const NAME: &'static str = "ledger";
    const FOUND: &'static str = "a manual snapshot that everyone may restore";
    const THROTTLED: (&str, &[&str]) = (
        "Throttling",
        &[
            "rds:DescribeDBClusters",
            "rds:DescribeDBClusterSnapshots",
            "rds:DescribeDBClusterSnapshotAttributes",
            "rds:ModifyDBClusterSnapshotAttribute",
        ],
    );

    async fn violating(account: &Account, name: &str) -> Result<String> {
        make(account, Database::Cluster, name, &["all", PARTNER]).await
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        make(account, Database::Cluster, name, &[PARTNER]).await
    }

    fn gone(account: &Account) -> String {
        arn(account, "cluster", "gone")
    }

    fn names(account: &Account, resource: &str) -> Vec<String> {
        vec![resource.to_owned(), arn(account, "cluster", resource)]
    }

    async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
        Databases::of(account).tag(&arn(account, "cluster", resource), key, value).await
    }

    async fn describe(account: &Account, resource: &str) -> Result<Value> {
        Ok(json!(restore(account, Database::Cluster, resource).await?))
    }

    async fn complies(account: &Account, resource: &str) -> Result<bool> {
        Ok(!is_public(account, Database::Cluster, resource).await?)
    }
}

/// A name of an instance that is gone and left a public snapshot, and of a cluster with one: all the calls in one
/// finding.
#[derive(Debug)]
pub struct Both;

impl Subject for Both {
    type Rule = RdsPublicSnapshot;
    const NAME: &'static str = "archive";
    const FOUND: &'static str = "two manual snapshots that everyone may restore";
    const THROTTLED: (&str, &[&str]) = ("Throttling", &[]);

    async fn violating(account: &Account, name: &str) -> Result<String> {
        make(account, Database::Cluster, name, &["all"]).await?;
        make(account, Database::Instance, name, &["all"]).await?;
        Databases::of(account).delete(Database::Instance, name).await?;
        Ok(name.to_owned())
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        make(account, Database::Cluster, name, &[]).await
    }

    fn gone(account: &Account) -> String {
        arn(account, "db", "gone")
    }

    fn names(_: &Account, resource: &str) -> Vec<String> {
        vec![resource.to_owned()]
    }

    async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
        // What is left of the instance has a word, too.
        let databases = Databases::of(account);
        databases.tag(&arn(account, "snapshot", &manual(resource)), key, value).await?;
        databases.tag(&arn(account, "cluster", resource), key, value).await
    }

    async fn describe(account: &Account, resource: &str) -> Result<Value> {
        let instance = restore(account, Database::Instance, resource).await?;
        Ok(json!([instance, restore(account, Database::Cluster, resource).await?]))
    }

    async fn complies(account: &Account, resource: &str) -> Result<bool> {
        let instance = is_public(account, Database::Instance, resource).await?;
        Ok(!instance && !is_public(account, Database::Cluster, resource).await?)
    }
}

/// A database with one manual snapshot that these may restore.
async fn make(account: &Account, kind: Database, name: &str, restore: &[&str]) -> Result<String> {
    Databases::of(account).make(kind, name, false, restore).await?;
    Ok(name.to_owned())
}

/// Who may restore the manual snapshot of a database, sorted.
///
/// # Errors
///
/// RDS refuses.
pub async fn restore(account: &Account, kind: Database, name: &str) -> Result<Vec<String>> {
    Databases::of(account).restore(kind, &manual(name)).await
}

async fn is_public(account: &Account, kind: Database, name: &str) -> Result<bool> {
    Ok(restore(account, kind, name).await?.iter().any(|who| who == "all"))
}

/// The manual snapshot of a database.
fn manual(name: &str) -> String {
    format!("{name}-manual")
}

/// The ARN of something of RDS, such as a `db`, a `cluster`, a `snapshot`.
pub fn arn(account: &Account, kind: &str, name: &str) -> String {
    format!("arn:{}:rds:{}:{}:{kind}:{name}", account.partition(), account.region, account.id)
}

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
        self.make_snapshot(kind, name, &manual(name), restore).await
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

    /// Gives a database or a snapshot one more tag, by its ARN.
    ///
    /// # Errors
    ///
    /// RDS refuses.
    pub async fn tag(&self, arn: &str, key: &str, value: &str) -> Result<()> {
        let tag = Tag::builder().key(key).value(value).build();
        self.rds.add_tags_to_resource().resource_name(arn).tags(tag).send().await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases that one database goes through.
    macro_rules! database_cases {
        ($subject:ty) => {
            crate::rule_cases!($subject: a_violating_resource_is_fixed, a_complying_resource_is_left_alone,
                a_resource_that_is_gone_is_gone, every_form_of_the_name_works, throttled_and_then_fine,
                run_twice_the_second_finds_nothing_to_do, two_runs_at_once_end_in_the_same_state,
                undone_it_is_as_it_was_also_twice, mode_plan_writes_nothing, its_tags_are_read);
        };
    }

    mod instance {
        database_cases!(super::Instance);
    }

    mod cluster {
        database_cases!(super::Cluster);
    }

    mod permissions {
        crate::rule_cases!(super::Both: each_permission_taken_away_is_named, a_violating_resource_is_fixed,
            the_manifest_has_exactly_the_permissions_that_are_used, undone_it_is_as_it_was_also_twice,
            its_tags_are_read);
    }
}
