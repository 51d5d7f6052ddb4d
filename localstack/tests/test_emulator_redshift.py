"""https://docs.aws.amazon.com/redshift/latest/APIReference/ : API_ModifyCluster, API_DescribeClusters,
API_PauseCluster
"""

import pytest
from emulator_process import eventually
from refusals import refusal


@pytest.fixture
def redshift(emulator, account):
    client = emulator.client("redshift", account)
    client.create_cluster(
        ClusterIdentifier="c", NodeType="ra3.large", ClusterType="single-node", MasterUsername="admin1",
        MasterUserPassword="Password1", PubliclyAccessible=True,
    )
    return client


def cluster(redshift) -> dict:
    return redshift.describe_clusters(ClusterIdentifier="c")["Clusters"][0]


def modify(redshift, public: bool) -> dict:
    return redshift.modify_cluster(ClusterIdentifier="c", PubliclyAccessible=public)["Cluster"]


def test_a_change_takes_its_time(redshift):
    assert (cluster(redshift)["ClusterStatus"], cluster(redshift)["PubliclyAccessible"]) == ("available", True)
    changing = modify(redshift, False)
    assert (changing["ClusterStatus"], changing["PubliclyAccessible"]) == ("modifying", True)
    assert changing["PendingModifiedValues"] == {"PubliclyAccessible": False}
    assert refusal(modify, redshift, True)[:2] == (400, "InvalidClusterState")
    changed = eventually(lambda: cluster(redshift)["ClusterStatus"] == "available" and cluster(redshift))
    assert changed["PubliclyAccessible"] is False and not changed.get("PendingModifiedValues")


def test_what_the_waiters_look_at(redshift):
    described = cluster(redshift)
    assert described["ClusterAvailabilityStatus"] == "Available"
    redshift.get_waiter("cluster_available").wait(ClusterIdentifier="c")


def test_a_paused_cluster(redshift):
    redshift.pause_cluster(ClusterIdentifier="c")
    assert cluster(redshift)["ClusterStatus"] == "paused"
    assert refusal(modify, redshift, False)[:2] == (400, "InvalidClusterState")
    redshift.resume_cluster(ClusterIdentifier="c")
    modify(redshift, False)


@pytest.mark.parametrize(
    ("status", "allowed"), [("resizing", False), ("modifying", False), ("available, prep-for-resize", True)]
)
def test_any_status_can_be_made(emulator, account, redshift, status, allowed):
    emulator.put("status", Arn=f"arn:aws:redshift:us-east-1:{account}:cluster:c", Status=status)
    assert cluster(redshift)["ClusterStatus"] == status
    if allowed:
        modify(redshift, False)
    else:
        assert refusal(modify, redshift, False)[:2] == (400, "InvalidClusterState")


def test_a_cluster_that_does_not_exist(redshift):
    for call, more in ((redshift.modify_cluster, {"PubliclyAccessible": False}), (redshift.describe_clusters, {})):
        assert refusal(call, ClusterIdentifier="missing", **more)[:2] == (404, "ClusterNotFound")
