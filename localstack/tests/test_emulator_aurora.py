"""Clusters, their instances, and names that change.

https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/ : API_DescribeDBSnapshots, API_DescribeDBClusterSnapshots,
API_ModifyDBInstance, API_ModifyDBCluster, API_DBSnapshot, API_DBClusterSnapshot;
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_RenameInstance.html;
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-snapshots.html: what is backed up is the cluster
"""

import pytest
from refusals import refusal

CLUSTER = {"Engine": "aurora-mysql", "MasterUsername": "admin1", "MasterUserPassword": "password1"}
MEMBER = {"Engine": "aurora-mysql", "DBInstanceClass": "db.r5.large"}
INSTANCE = {
    "Engine": "mysql", "DBInstanceClass": "db.t3.micro", "AllocatedStorage": 20, "MasterUsername": "admin1",
    "MasterUserPassword": "password1",
}


@pytest.fixture
def rds(emulator, account):
    return emulator.client("rds", account)


@pytest.fixture
def aurora(rds) -> dict:
    """The writer of a cluster."""
    rds.create_db_cluster(DBClusterIdentifier="orders", **CLUSTER)
    rds.create_db_instance(DBInstanceIdentifier="orders-writer", DBClusterIdentifier="orders", **MEMBER)
    return instance(rds, "orders-writer")


def instance(rds, name: str) -> dict:
    return rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]


def cluster(rds, name: str) -> dict:
    return rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]


def snapshots(rds, **asked) -> list[str]:
    return [each["DBSnapshotIdentifier"] for each in rds.describe_db_snapshots(**asked)["DBSnapshots"]]


def cluster_snapshots(rds, **asked) -> list[str]:
    found = rds.describe_db_cluster_snapshots(**{"SnapshotType": "manual", **asked})["DBClusterSnapshots"]
    return [each["DBClusterSnapshotIdentifier"] for each in found]


def by(name: str, *values: str) -> dict:
    return {"Filters": [{"Name": name, "Values": list(values)}]}


def test_a_members_snapshots_are_its_clusters(rds, aurora):
    """Code and message: https://github.com/cloud-custodian/cloud-custodian/issues/313"""
    assert aurora["DBClusterIdentifier"] == "orders"
    own = {"DBInstanceIdentifier": "orders-writer", "DBSnapshotIdentifier": "s"}
    assert refusal(rds.create_db_snapshot, **own) == (
        400,
        "InvalidParameterValue",
        "The specified instance is a member of a cluster and a snapshot cannot be created directly. "
        "Please use the CreateDBClusterSnapshot API instead.",
    )
    assert snapshots(rds, DBInstanceIdentifier="orders-writer") == []  # no automated one, either
    rds.create_db_cluster_snapshot(DBClusterIdentifier="orders", DBClusterSnapshotIdentifier="s")
    assert cluster_snapshots(rds, DBClusterIdentifier=aurora["DBClusterIdentifier"]) == ["s"]


def test_an_instance_outlives_a_last_snapshot_that_it_cannot_have(rds, aurora):
    last = {"DBInstanceIdentifier": "orders-writer", "FinalDBSnapshotIdentifier": "last"}
    assert refusal(rds.delete_db_instance, **last)[:2] == (400, "InvalidParameterValue")
    assert instance(rds, "orders-writer")["DbiResourceId"] == aurora["DbiResourceId"]


def test_an_instance_and_a_cluster_of_one_name(rds):
    rds.create_db_cluster(DBClusterIdentifier="shop", **CLUSTER)
    rds.create_db_instance(DBInstanceIdentifier="shop", **INSTANCE)
    rds.create_db_snapshot(DBInstanceIdentifier="shop", DBSnapshotIdentifier="of-the-instance")
    rds.create_db_cluster_snapshot(DBClusterIdentifier="shop", DBClusterSnapshotIdentifier="of-the-cluster")
    assert snapshots(rds, DBInstanceIdentifier="shop", SnapshotType="manual") == ["of-the-instance"]
    assert cluster_snapshots(rds, DBClusterIdentifier="shop") == ["of-the-cluster"]


def test_every_source_has_a_resource_id_of_its_own(rds, aurora):
    rds.create_db_instance(DBInstanceIdentifier="source", **INSTANCE)
    rds.create_db_instance_read_replica(DBInstanceIdentifier="replica", SourceDBInstanceIdentifier="source")
    ids = {each["DbiResourceId"] for each in rds.describe_db_instances()["DBInstances"]}
    assert len(ids) == 3 and all(each.startswith("db-") for each in ids)
    [found] = rds.describe_db_instances(**by("dbi-resource-id", aurora["DbiResourceId"]))["DBInstances"]
    assert found["DBInstanceIdentifier"] == "orders-writer"
    id_ = cluster(rds, "orders")["DbClusterResourceId"]
    [found] = rds.describe_db_clusters(**by("db-cluster-resource-id", id_))["DBClusters"]
    assert found["DBClusterIdentifier"] == "orders"
    for of in ("orders", cluster(rds, "orders")["DBClusterArn"]):
        [found] = rds.describe_db_instances(**by("db-cluster-id", of))["DBInstances"]
        assert found["DBInstanceIdentifier"] == "orders-writer"


def test_a_renamed_instance_and_its_old_snapshot(rds):
    rds.create_db_instance(DBInstanceIdentifier="before", **INSTANCE)
    rds.create_db_instance(DBInstanceIdentifier="another", **INSTANCE)
    before = instance(rds, "before")
    rds.create_db_snapshot(DBInstanceIdentifier="before", DBSnapshotIdentifier="old")
    rds.create_db_snapshot(DBInstanceIdentifier="another", DBSnapshotIdentifier="others")
    rename = {"DBInstanceIdentifier": "before", "ApplyImmediately": True}
    taken = refusal(rds.modify_db_instance, NewDBInstanceIdentifier="Another", **rename)
    assert taken[:2] == (400, "DBInstanceAlreadyExists")
    rds.modify_db_instance(NewDBInstanceIdentifier="after", **rename)
    after, id_ = instance(rds, "after"), before["DbiResourceId"]
    assert after["DbiResourceId"] == id_ and after["DBInstanceArn"].endswith(":db:after")
    assert refusal(rds.describe_db_instances, DBInstanceIdentifier="before")[1] == "DBInstanceNotFound"

    rds.create_db_snapshot(DBInstanceIdentifier="after", DBSnapshotIdentifier="new")
    manual = {"SnapshotType": "manual"}
    assert snapshots(rds, DbiResourceId=id_, **manual) == ["old", "new"]
    assert snapshots(rds, **by("dbi-resource-id", id_), **manual) == ["old", "new"]
    assert snapshots(rds, DBInstanceIdentifier="after", **manual) == ["new"]
    for old in ("before", before["DBInstanceArn"]):
        assert snapshots(rds, **by("db-instance-id", old), **manual) == ["old"]
    [old] = rds.describe_db_snapshots(DBSnapshotIdentifier="old")["DBSnapshots"]
    assert (old["DBInstanceIdentifier"], old["DbiResourceId"]) == ("before", id_)


def test_who_takes_an_old_name_is_another(rds):
    """Also when the old one is gone and has left a snapshot."""
    rds.create_db_instance(DBInstanceIdentifier="db", **INSTANCE)
    first = instance(rds, "db")["DbiResourceId"]
    rds.modify_db_instance(DBInstanceIdentifier="db", NewDBInstanceIdentifier="old", ApplyImmediately=True)
    rds.create_db_instance(DBInstanceIdentifier="db", **INSTANCE)
    assert instance(rds, "db")["DbiResourceId"] != first == instance(rds, "old")["DbiResourceId"]
    rds.create_db_snapshot(DBInstanceIdentifier="old", DBSnapshotIdentifier="left")
    rds.delete_db_instance(DBInstanceIdentifier="old", SkipFinalSnapshot=True)
    rds.create_db_instance(DBInstanceIdentifier="old", **INSTANCE)
    assert instance(rds, "old")["DbiResourceId"] != first
    assert snapshots(rds, DbiResourceId=first, SnapshotType="manual") == ["left"]


def test_a_renamed_cluster_and_its_old_snapshot(rds, aurora):
    before = cluster(rds, "orders")
    rds.create_db_cluster(DBClusterIdentifier="another", **CLUSTER)
    rds.create_db_cluster_snapshot(DBClusterIdentifier="orders", DBClusterSnapshotIdentifier="old")
    rds.create_db_cluster_snapshot(DBClusterIdentifier="another", DBClusterSnapshotIdentifier="others")
    rename = {"DBClusterIdentifier": "orders", "ApplyImmediately": True}
    taken = refusal(rds.modify_db_cluster, NewDBClusterIdentifier="another", **rename)
    assert taken[:2] == (400, "DBClusterAlreadyExistsFault")
    rds.modify_db_cluster(NewDBClusterIdentifier="sales", **rename)
    id_ = before["DbClusterResourceId"]
    assert cluster(rds, "sales")["DbClusterResourceId"] == id_
    assert refusal(rds.describe_db_clusters, DBClusterIdentifier="orders")[1] == "DBClusterNotFoundFault"
    assert instance(rds, "orders-writer")["DBClusterIdentifier"] == "sales"
    assert [each["DBInstanceIdentifier"] for each in cluster(rds, "sales")["DBClusterMembers"]] == ["orders-writer"]

    rds.create_db_cluster_snapshot(DBClusterIdentifier="sales", DBClusterSnapshotIdentifier="new")
    assert cluster_snapshots(rds, DbClusterResourceId=id_) == ["old", "new"]
    assert cluster_snapshots(rds, DBClusterIdentifier="sales") == ["new"]
    for old in ("orders", before["DBClusterArn"]):
        assert cluster_snapshots(rds, **by("db-cluster-id", old)) == ["old"]
    [old] = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="old")["DBClusterSnapshots"]
    assert (old["DBClusterIdentifier"], old["DbClusterResourceId"]) == ("orders", id_)


def test_public_snapshots_of_one_source(rds, aurora):
    """By name and by resource ID: `public` is a list of every account's."""
    rds.create_db_instance(DBInstanceIdentifier="before", **INSTANCE)
    source = instance(rds, "before")
    for name, of in (("of-before", "before"), ("private", "before")):
        rds.create_db_snapshot(DBInstanceIdentifier=of, DBSnapshotIdentifier=name)
    rds.modify_db_snapshot_attribute(DBSnapshotIdentifier="of-before", AttributeName="restore", ValuesToAdd=["all"])
    rds.modify_db_instance(DBInstanceIdentifier="before", NewDBInstanceIdentifier="after", ApplyImmediately=True)
    public = {"SnapshotType": "public"}
    assert snapshots(rds, DBInstanceIdentifier="after", **public) == []
    assert snapshots(rds, DbiResourceId=source["DbiResourceId"], **public) == ["of-before"]
    assert snapshots(rds, **by("dbi-resource-id", source["DbiResourceId"]), **public) == ["of-before"]
    assert snapshots(rds, **by("db-instance-id", source["DBInstanceArn"]), **public) == ["of-before"]

    rds.create_db_cluster_snapshot(DBClusterIdentifier="orders", DBClusterSnapshotIdentifier="c")
    rds.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier="c", AttributeName="restore", ValuesToAdd=["all"]
    )
    id_ = cluster(rds, "orders")["DbClusterResourceId"]
    assert cluster_snapshots(rds, DbClusterResourceId=id_, **public) == ["c"]
    assert cluster_snapshots(rds, **by("db-cluster-id", "another"), **public) == []
