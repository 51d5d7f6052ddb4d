//! What a finding leads to: the databases that it names, and every snapshot of them.
//!
//! A snapshot keeps the name that its database had when it was taken, and the database's resource ID, which never
//! changes. So the snapshots of a database are looked for by both: by its name for what a former database of that name
//! left, and by its resource ID for what was taken before it was renamed. An instance of an Aurora or Multi-AZ cluster
//! has no snapshots of its own; its data is in its cluster's.
//!
//! A bare name can be an instance's, a cluster's and a snapshot's at once. Then all of them are looked at: only that
//! shows that nothing of the name is public.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use remediation::{Arn, Error, ErrorKind, Finding, Resource, Result, Seen, Tags};

use crate::api::{self, Database, Session, Snapshot};
use crate::named::{self, Id, Meant};
use crate::{Kind, SharedSnapshot, State};

/// Of so many snapshots it is asked at once who may restore them.
const AT_ONCE: usize = 8;

pub(crate) async fn look(session: &Session, finding: &Finding) -> Result<Seen<State>> {
    let named = named::parse(finding)?;
    let mut found = Found::nothing(session, finding);
    for kind in named.databases {
        found.look_at_database(*kind, &named.id).await?;
    }
    if let Id::Name(name) = &named.id {
        for kind in named.snapshots {
            found.look_at_snapshot(*kind, name).await?;
        }
    }
    let resource = found.resource(&named)?;
    let tags = found.words.into_iter().reduce(in_both).unwrap_or_default();
    let shared = async |Snapshot { kind, name, status, .. }: Snapshot| {
        let restore = api::who_may_restore(session, kind, &name).await?;
        // None: it was deleted since it was listed.
        Ok::<_, Error>(restore.map(|restore| SharedSnapshot { kind, name, status, restore }))
    };
    let shareable = found.snapshots.into_values().filter(|snapshot| snapshot.can_be_shared);
    let snapshots: Vec<_> = stream::iter(shareable).map(shared).buffered(AT_ONCE).try_collect().await?;
    Ok(Seen::now(resource, State { snapshots: snapshots.into_iter().flatten().collect(), tags }))
}

/// What was found so far.
struct Found<'a> {
    session: &'a Session,
    finding: &'a Finding,
    /// The answers on databases, so that RDS is asked for each one once.
    answers: BTreeMap<(Kind, Id), Option<Database>>,
    /// The databases that the finding names, each followed by the cluster that it belongs to.
    databases: Vec<Database>,
    /// What one is called that is gone and has left snapshots.
    gone: Option<Gone>,
    snapshots: BTreeMap<(Kind, String), Snapshot>,
    /// What the databases are called of snapshots that the finding names.
    origins: BTreeSet<String>,
    /// The tags of each thing that the finding can mean. Only what all of them say holds, so that nothing is spared for
    /// another's tag.
    words: Vec<Tags>,
}

/// A database of which only snapshots tell.
struct Gone {
    kind: Kind,
    arn: String,
    name: String,
}

impl<'a> Found<'a> {
    fn nothing(session: &'a Session, finding: &'a Finding) -> Self {
        let (databases, snapshots, origins, words) = (Vec::new(), BTreeMap::new(), BTreeSet::new(), Vec::new());
        let answers = BTreeMap::new();
        Self { session, finding, answers, databases, gone: None, snapshots, origins, words }
    }

    /// A database, if it exists.
    async fn database(&mut self, kind: Kind, id: &Id) -> Result<Option<Database>> {
        if let Some(known) = self.answers.get(&(kind, id.clone())) {
            return Ok(known.clone());
        }
        let found = api::database(self.session, kind, id).await?;
        let ids = found.iter().flat_map(|Database { name, resource_id, .. }| {
            [Some(Id::Name(name.clone())), resource_id.clone().map(Id::ResourceId)]
        });
        for id in ids.flatten().chain([id.clone()]) {
            self.answers.insert((kind, id), found.clone());
        }
        Ok(found)
    }

    /// A database and its snapshots. Where nothing has the name any more, the snapshots that still have it: their
    /// resource ID tells whether their database is gone or has another name now.
    async fn look_at_database(&mut self, kind: Kind, id: &Id) -> Result<()> {
        if let Some(database) = self.database(kind, id).await? {
            return self.look_at_existing(database).await;
        }
        let left = self.list(kind, id).await?;
        let by_origin = left.iter().map(|snapshot| (snapshot.database_id.clone(), snapshot));
        let mut by_origin: Vec<_> = by_origin.collect();
        by_origin.sort_by(|(one, _), (other, _)| one.cmp(other));
        for of_one in by_origin.chunk_by(|(one, _), (other, _)| one == other) {
            let (_, snapshot) = of_one[0];
            if let Some(renamed) = self.origin(snapshot).await? {
                self.look_at_existing(renamed).await?;
                continue;
            }
            self.words.extend(of_one.iter().map(|(_, snapshot)| snapshot.tags.clone()));
            if self.gone.is_none() {
                self.gone = Some(snapshot.database()?);
            }
        }
        self.keep(left);
        Ok(())
    }

    async fn look_at_existing(&mut self, database: Database) -> Result<()> {
        let mut tags = database.tags.clone();
        let cluster = database.cluster.clone().map(Id::Name);
        self.look_at_snapshots_of(database).await?;
        if let Some(cluster) = cluster
            && let Some(cluster) = self.database(Kind::Cluster, &cluster).await?
        {
            // The snapshots are the cluster's, so its tags hold for them as well.
            tags = in_either(tags, &cluster.tags);
            self.look_at_snapshots_of(cluster).await?;
        }
        self.words.push(tags);
        Ok(())
    }

    async fn look_at_snapshots_of(&mut self, database: Database) -> Result<()> {
        if self.databases.iter().any(|known| known.arn == database.arn) {
            return Ok(());
        }
        let by_name = Id::Name(database.name.clone());
        let by_resource_id = database.resource_id.clone().map(Id::ResourceId);
        let ids: Vec<_> = [by_name].into_iter().chain(by_resource_id).collect();
        let listed = try_join_all(ids.iter().map(|id| self.list(database.kind, id))).await?;
        self.keep(listed.into_iter().flatten().collect());
        self.databases.push(database);
        Ok(())
    }

    /// A snapshot by its own name. What is said of its database, by tags and names, holds for it as well.
    async fn look_at_snapshot(&mut self, kind: Kind, name: &str) -> Result<()> {
        let Some(snapshot) = api::snapshot(self.session, kind, name).await? else { return Ok(()) };
        if !self.is_owned(&snapshot) {
            return Ok(());
        }
        let mut tags = snapshot.tags.clone();
        if let Some(Database { arn, name, tags: its_tags, .. }) = self.origin(&snapshot).await? {
            tags = in_either(tags, &its_tags);
            self.origins.extend([arn, name]);
        }
        self.words.push(tags);
        self.keep(vec![snapshot]);
        Ok(())
    }

    /// The database that a snapshot was taken of, whatever its name is now; none where it is gone.
    async fn origin(&mut self, snapshot: &Snapshot) -> Result<Option<Database>> {
        let Some(id) = snapshot.database_id.clone() else { return Ok(None) };
        self.database(snapshot.kind, &Id::ResourceId(id)).await
    }

    async fn list(&self, kind: Kind, id: &Id) -> Result<Vec<Snapshot>> {
        let mut listed = api::manual_snapshots(self.session, kind, id).await?;
        listed.retain(|snapshot| self.is_owned(snapshot));
        Ok(listed)
    }

    fn keep(&mut self, snapshots: Vec<Snapshot>) {
        let keyed = |snapshot: Snapshot| ((snapshot.kind, snapshot.name.clone()), snapshot);
        self.snapshots.extend(snapshots.into_iter().map(keyed));
    }

    fn is_owned(&self, snapshot: &Snapshot) -> bool {
        Arn::parse(&snapshot.arn).is_some_and(|arn| arn.account == self.finding.account.as_ref())
    }

    /// The resource: the database that the finding names, also where it is gone and has left snapshots; else the
    /// snapshot.
    fn resource(&self, named: &Meant) -> Result<Resource> {
        let of_databases = self.databases.iter().flat_map(|database| {
            let Database { arn, name, resource_id, .. } = database;
            [Some(arn), Some(name), resource_id.as_ref()]
        });
        let of_snapshots = self.snapshots.values().flat_map(|snapshot| {
            let Snapshot { database, database_id, .. } = snapshot;
            [database.as_ref(), database_id.as_ref()]
        });
        let names: BTreeSet<String> =
            of_databases.chain(of_snapshots).flatten().chain(&self.origins).cloned().collect();
        let resource = match (self.databases.first(), &self.gone, self.snapshots.values().next()) {
            (Some(Database { kind, arn, name, .. }), ..) => {
                Resource::of_arn(kind.describes(), arn.clone(), name.clone())
            }
            (None, Some(Gone { kind, arn, name }), _) => {
                Resource::of_arn(kind.describes_snapshots(), arn.clone(), name.clone())
            }
            (None, None, Some(Snapshot { kind, arn, name, .. })) => {
                Resource::of_arn(kind.describes_snapshots(), arn.clone(), name.clone())
            }
            (None, None, None) => Err(nothing(named, self.finding)),
        }?;
        let names = names.into_iter().filter(|name| *name != resource.arn).collect::<Vec<_>>();
        Ok(resource.called(names))
    }
}

impl Snapshot {
    /// The database that it was taken of, by the name that this had then.
    fn database(&self) -> Result<Gone> {
        let unusable =
            || Error::unusable(self.kind.describes_snapshots(), "a snapshot without the name of its database");
        let Arn { partition, region, account, .. } = Arn::parse(&self.arn).ok_or_else(unusable)?;
        let name = self.database.clone().ok_or_else(unusable)?;
        let resource = match self.kind {
            Kind::Instance => "db",
            Kind::Cluster => "cluster",
        };
        let arn = format!("arn:{partition}:rds:{region}:{account}:{resource}:{name}");
        Ok(Gone { kind: self.kind, arn, name })
    }
}

/// All tags of both; where they differ, these hold.
fn in_either(mut these: Tags, those: &Tags) -> Tags {
    for (key, value) in those {
        these.entry(key.clone()).or_insert_with(|| value.clone());
    }
    these
}

/// The tags that both have, with the same value.
fn in_both(these: Tags, those: Tags) -> Tags {
    these.into_iter().filter(|(key, value)| those.get(key) == Some(value)).collect()
}

/// An ARN and a resource ID are known to be gone; a name may be a wrong one.
fn nothing(named: &Meant, finding: &Finding) -> Error {
    let Finding { account, region, resource, .. } = finding;
    let (action, what) = match (named.databases, named.snapshots) {
        ([Kind::Instance], []) => {
            (Kind::Instance.describes(), "DB instance, and no manual snapshot that one has left,")
        }
        ([Kind::Cluster], []) => (Kind::Cluster.describes(), "DB cluster, and no manual snapshot that one has left,"),
        ([], [Kind::Instance]) => (Kind::Instance.describes_snapshots(), "DB snapshot"),
        ([], [Kind::Cluster]) => (Kind::Cluster.describes_snapshots(), "DB cluster snapshot"),
        ([], _) => (Kind::Cluster.describes_snapshots(), "DB snapshot or DB cluster snapshot"),
        _ => {
            let what = "DB instance, DB cluster, snapshot of either, or manual snapshot that one has left,";
            (Kind::Cluster.describes(), what)
        }
    };
    let message = format!("there is no {what} `{resource}` in {region} of the account {account}");
    if named.is_exact {
        Error::new(action, ErrorKind::Gone, message)
    } else {
        Error::invalid_finding("resource", message)
    }
}
