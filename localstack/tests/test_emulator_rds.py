"""https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/ : API_DescribeDBSnapshots,
API_DescribeDBSnapshotAttributes, API_ModifyDBSnapshotAttribute, and the same of DB cluster snapshots
"""

import pytest
from refusals import code, refusal

INSTANCE = {
    "Engine": "postgres", "DBInstanceClass": "db.t3.micro", "AllocatedStorage": 20, "MasterUsername": "admin1",
    "MasterUserPassword": "password1",
}
CLUSTER = {"Engine": "aurora-postgresql", "MasterUsername": "admin1", "MasterUserPassword": "password1"}


class Snapshots:
    """The calls of one kind, instance or cluster, under the same names."""

    def __init__(self, rds, kind: str) -> None:
        self.rds, self.word = rds, "db_cluster" if kind == "Cluster" else "db"
        self.identifier = f"DB{kind}SnapshotIdentifier"
        self.source = "DBClusterIdentifier" if kind else "DBInstanceIdentifier"
        self.members, self.result = f"DB{kind}Snapshots", f"DB{kind}SnapshotAttributesResult"
        self.attributes_ = f"DB{kind}SnapshotAttributes"
        self.not_found = "DBClusterSnapshotNotFoundFault" if kind else "DBSnapshotNotFound"
        self.wrong_state = "InvalidDBClusterSnapshotStateFault" if kind else "InvalidDBSnapshotState"

    def _call(self, name: str):
        return getattr(self.rds, name.format(self.word))

    def make(self, name: str, source: str = "source", **more) -> str:
        if not self._call("describe_{}_snapshots")(**{self.source: source})[self.members]:
            if self.word == "db":
                self.rds.create_db_instance(DBInstanceIdentifier=source, **INSTANCE, **more)
            else:
                self.rds.create_db_cluster(DBClusterIdentifier=source, **CLUSTER, **more)
        created = self._call("create_{}_snapshot")(**{self.identifier: name, self.source: source})
        return created[self.members[:-1]][f"{self.members[:-1]}Arn"]

    def share(self, name: str, *values: str) -> None:
        self._call("modify_{}_snapshot_attribute")(
            **{self.identifier: name, "AttributeName": "restore", "ValuesToAdd": list(values)}
        )

    def unshare(self, name: str, *values: str) -> None:
        self._call("modify_{}_snapshot_attribute")(
            **{self.identifier: name, "AttributeName": "restore", "ValuesToRemove": list(values)}
        )

    def shared_with(self, name: str) -> list[str]:
        result = self._call("describe_{}_snapshot_attributes")(**{self.identifier: name})[self.result]
        [restore] = [each for each in result[self.attributes_] if each["AttributeName"] == "restore"]
        return restore["AttributeValues"]

    def listed(self, **asked) -> dict:
        """Without the automated ones: each instance and cluster starts with one."""
        return self._call("describe_{}_snapshots")(**{"SnapshotType": "manual", **asked})

    def names(self, **asked) -> list[str]:
        return [each[self.identifier] for each in self.listed(**asked)[self.members]]


@pytest.fixture(params=["", "Cluster"], ids=["instance", "cluster"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def snapshots(emulator, account, kind) -> Snapshots:
    return Snapshots(emulator.client("rds", account), kind)


def test_shared_with_everyone_and_no_longer(snapshots):
    snapshots.make("s")
    assert snapshots.shared_with("s") == []
    snapshots.share("s", "all", "222222222222")
    snapshots.share("s", "all")
    assert sorted(snapshots.shared_with("s")) == ["222222222222", "all"]
    snapshots.unshare("s", "all")
    snapshots.unshare("s", "all")
    assert snapshots.shared_with("s") == ["222222222222"]


def test_public_ones_are_those_of_every_account(emulator, kind, snapshots, other_account):
    snapshots.make("private")
    snapshots.make("public")
    snapshots.share("public", "all")
    other = Snapshots(emulator.client("rds", other_account), kind)
    arn = other.make("theirs")
    other.share("theirs", "all")
    everyones = snapshots.names(SnapshotType="public")
    assert "public" in everyones and arn in everyones and "private" not in everyones
    assert snapshots.names() == ["private", "public"]
    assert arn in snapshots.names(IncludePublic=True)


def test_those_of_one_source(snapshots):
    snapshots.make("a")
    snapshots.make("b", source="another")
    assert snapshots.names(**{snapshots.source: "source"}) == ["a"]
    assert snapshots.names(**{snapshots.source: "none"}) == []


def test_an_encrypted_one_cannot_be_public(snapshots):
    snapshots.make("s", StorageEncrypted=True)
    assert code(snapshots.share, "s", "all") == snapshots.wrong_state
    snapshots.share("s", "222222222222")
    assert snapshots.shared_with("s") == ["222222222222"]


def test_one_that_does_not_exist(snapshots):
    for call in (snapshots.shared_with, snapshots.share, snapshots.unshare):
        assert refusal(call, "missing")[:2] == (404, snapshots.not_found)
    assert code(snapshots.names, **{snapshots.identifier: "missing"}) == snapshots.not_found


@pytest.mark.parametrize("status", ["creating", "copying"])
def test_one_that_is_not_available(emulator, snapshots, status):
    """A snapshot that CopyDBSnapshot or CopyDBClusterSnapshot makes is `copying` for as long as that takes."""
    arn = snapshots.make("s")
    emulator.put("status", Arn=arn, Status=status)
    assert snapshots.listed()[snapshots.members][0]["Status"] == status
    for change in (snapshots.share, snapshots.unshare):
        assert refusal(change, "s", "all")[:2] == (400, snapshots.wrong_state)
    emulator.put("status", Arn=arn, Status="available")
    snapshots.share("s", "all")


def test_pages(emulator, account, snapshots):
    for name in "abc":
        snapshots.make(name)
    emulator.put(f"settings/{account}", page_size=2)
    first = snapshots.listed()
    second = snapshots.listed(Marker=first["Marker"])
    assert [len(each[snapshots.members]) for each in (first, second)] == [2, 1] and "Marker" not in second
    assert code(snapshots.listed, MaxRecords=19) == "InvalidParameterValue"
