//! RDS's DB instances, each with one manual snapshot.

use std::collections::BTreeSet;

use super::call::{Call, Form, Output, Refusal, Result, unknown};
use super::{REGION, Things};

/// The instances, by their names; the snapshot of `db-1` is `db-1-snapshot`.
#[derive(Debug, Default)]
pub(crate) struct Databases(Things<Snapshot>);

#[derive(Debug)]
struct Snapshot {
    restore: BTreeSet<String>,
}

const SNAPSHOT: &str = "-snapshot";

impl Databases {
    /// Makes an instance with a snapshot that anyone may restore, and gives the instance's ARN.
    pub(crate) fn violate(&mut self, account: &str, n: usize) -> String {
        let snapshot = Snapshot { restore: BTreeSet::from(["all".to_owned()]) };
        let name = self.0.insert(account, format!("db-{n:06}"), snapshot);
        format!("arn:aws:rds:{REGION}:{account}:db:{name}")
    }

    pub(crate) fn answer(&mut self, call: &Call, account: &str) -> Result<Output> {
        let form = call.form()?;
        match call.operation.as_str() {
            "DescribeDBInstances" => self.describe(form, account),
            "DescribeDBSnapshots" => self.describe_snapshots(form, account),
            "DescribeDBSnapshotAttributes" => {
                let id = form.required("DBSnapshotIdentifier")?;
                let Snapshot { restore } = self.snapshot(account, id)?;
                let values: String =
                    restore.iter().map(|of| format!("<AttributeValue>{of}</AttributeValue>")).collect();
                Ok(Output::Xml(format!(
                    "<DBSnapshotAttributesResult><DBSnapshotIdentifier>{id}</DBSnapshotIdentifier><DBSnapshotAttributes>\
                     <DBSnapshotAttribute><AttributeName>restore</AttributeName><AttributeValues>{values}\
                     </AttributeValues></DBSnapshotAttribute></DBSnapshotAttributes></DBSnapshotAttributesResult>"
                )))
            }
            "ModifyDBSnapshotAttribute" => {
                let id = form.required("DBSnapshotIdentifier")?;
                let snapshot = self.snapshot(account, id)?;
                form.list("ValuesToAdd.AttributeValue").into_iter().for_each(|of| {
                    snapshot.restore.insert(of.to_owned());
                });
                form.list("ValuesToRemove.AttributeValue").into_iter().for_each(|of| {
                    snapshot.restore.remove(of);
                });
                Ok(Output::Xml(String::new()))
            }
            other => Err(unknown(other)),
        }
    }

    /// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBInstances.html>
    fn describe(&self, form: &Form, account: &str) -> Result<Output> {
        let names = match form.text("DBInstanceIdentifier") {
            Some(name) if self.0.get(account, name).is_none() => {
                return Err(Refusal::new(404, "DBInstanceNotFound", format!("DBInstance {name} not found.")));
            }
            Some(name) => vec![name],
            None => form.filter("db-instance-id").ok_or_else(|| unknown("a list of every instance"))?,
        };
        let names = names.into_iter().filter(|name| self.0.get(account, name).is_some());
        let items: String = names
            .map(|name| {
                format!(
                    "<DBInstance><DBInstanceIdentifier>{name}</DBInstanceIdentifier>\
                     <DBInstanceArn>arn:aws:rds:{REGION}:{account}:db:{name}</DBInstanceArn>\
                     <DbiResourceId>{}</DbiResourceId><TagList/></DBInstance>",
                    resource_id(name)
                )
            })
            .collect();
        Ok(Output::Xml(format!("<DBInstances>{items}</DBInstances>")))
    }

    /// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshots.html>
    fn describe_snapshots(&self, form: &Form, account: &str) -> Result<Output> {
        let by_name = form.filter("db-instance-id");
        let by_id = form.filter("dbi-resource-id");
        let names: Vec<&str> = match (form.text("DBSnapshotIdentifier"), by_name, by_id) {
            (Some(id), ..) => {
                let name = id.strip_suffix(SNAPSHOT).filter(|name| self.0.get(account, name).is_some());
                vec![name.ok_or_else(|| missing(id))?]
            }
            (None, Some(names), _) => names,
            (None, None, Some(ids)) => {
                let named = self.0.of(account).map(|(name, _)| name);
                named.filter(|name| ids.contains(&resource_id(name).as_str())).collect()
            }
            // Every manual one of the account.
            (None, None, None) => self.0.of(account).map(|(name, _)| name).collect(),
        };
        let names = names.into_iter().filter(|name| self.0.get(account, name).is_some());
        let items: String = names
            .map(|name| {
                format!(
                    "<DBSnapshot><DBSnapshotIdentifier>{name}{SNAPSHOT}</DBSnapshotIdentifier>\
                     <DBInstanceIdentifier>{name}</DBInstanceIdentifier><Status>available</Status>\
                     <SnapshotType>manual</SnapshotType><DbiResourceId>{}</DbiResourceId>\
                     <DBSnapshotArn>arn:aws:rds:{REGION}:{account}:snapshot:{name}{SNAPSHOT}</DBSnapshotArn>\
                     <TagList/></DBSnapshot>",
                    resource_id(name)
                )
            })
            .collect();
        Ok(Output::Xml(format!("<DBSnapshots>{items}</DBSnapshots>")))
    }

    fn snapshot(&mut self, account: &str, id: &str) -> Result<&mut Snapshot> {
        let name = id.strip_suffix(SNAPSHOT).unwrap_or_default();
        self.0.get_mut(account, name).ok_or_else(|| missing(id))
    }
}

/// The ID of an instance that never changes.
fn resource_id(name: &str) -> String {
    format!("db-BENCH{}", name.trim_start_matches("db-"))
}

fn missing(snapshot: &str) -> Refusal {
    Refusal::new(404, "DBSnapshotNotFound", format!("DBSnapshot {snapshot} not found."))
}
