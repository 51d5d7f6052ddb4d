"""https://docs.aws.amazon.com/redshift/latest/APIReference/ : API_ModifyCluster, API_DescribeClusters,
API_PauseCluster, API_CreateCluster, API_ElasticIpStatus
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


class TestElasticIps:
    """https://docs.aws.amazon.com/redshift/latest/mgmt/managing-clusters-vpc.html: "first update the cluster so that it
    isn't publicly accessible. Next, make it both publicly accessible and add an Elastic IP address in the same
    operation". API_ModifyCluster: "The cluster must be […] publicly-accessible"; InvalidElasticIpFault.
    """

    @pytest.fixture
    def address(self, emulator, account) -> str:
        return emulator.client("ec2", account).allocate_address(Domain="vpc")["PublicIp"]

    def change(self, redshift, **asked) -> dict:
        redshift.modify_cluster(ClusterIdentifier="c", **asked)
        return eventually(lambda: cluster(redshift)["ClusterStatus"] == "available" and cluster(redshift))

    def test_it_is_there_from_the_start(self, redshift, address):
        made = redshift.create_cluster(
            ClusterIdentifier="with-address", NodeType="ra3.large", ClusterType="single-node",
            MasterUsername="admin1", MasterUserPassword="Password1", PubliclyAccessible=True, ElasticIp=address,
        )["Cluster"]
        assert made["ElasticIpStatus"] == {"ElasticIp": address, "Status": "active"}
        taken = {"ClusterIdentifier": "c", "PubliclyAccessible": True, "ElasticIp": address}
        modify(redshift, False)
        eventually(lambda: cluster(redshift)["ClusterStatus"] == "available")
        assert refusal(redshift.modify_cluster, **taken)[:2] == (400, "InvalidElasticIpFault")

    def test_it_goes_when_the_cluster_is_made_private_and_comes_back_by_name_only(self, redshift, address):
        assert "ElasticIpStatus" not in cluster(redshift)
        self.change(redshift, PubliclyAccessible=False)
        with_address = self.change(redshift, PubliclyAccessible=True, ElasticIp=address)
        assert with_address["ElasticIpStatus"] == {"ElasticIp": address, "Status": "active"}
        changing = modify(redshift, False)
        assert changing["ElasticIpStatus"]["ElasticIp"] == address  # until it is done
        eventually(lambda: cluster(redshift)["ClusterStatus"] == "available")
        assert "ElasticIpStatus" not in cluster(redshift)
        assert "ElasticIpStatus" not in self.change(redshift, PubliclyAccessible=True)
        self.change(redshift, PubliclyAccessible=False)
        again = self.change(redshift, PubliclyAccessible=True, ElasticIp=address)
        assert again["ElasticIpStatus"]["ElasticIp"] == address

    def test_it_needs_a_cluster_that_becomes_public_and_an_address_that_exists(self, redshift, address):
        """The code is documented for an address that cannot be found, and inferred for the state of the cluster."""
        call, code_ = redshift.modify_cluster, (400, "InvalidElasticIpFault")
        assert refusal(call, ClusterIdentifier="c", ElasticIp=address)[:2] == code_  # it is public already
        self.change(redshift, PubliclyAccessible=False)
        assert refusal(call, ClusterIdentifier="c", ElasticIp=address)[:2] == code_
        missing = {"PubliclyAccessible": True, "ElasticIp": "203.0.113.7"}
        assert refusal(call, ClusterIdentifier="c", **missing)[:2] == code_
        assert "ElasticIpStatus" not in cluster(redshift) and cluster(redshift)["PubliclyAccessible"] is False

    def test_any_other_change_leaves_it(self, redshift, address):
        self.change(redshift, PubliclyAccessible=False)
        self.change(redshift, PubliclyAccessible=True, ElasticIp=address)
        assert self.change(redshift, AllowVersionUpgrade=False)["ElasticIpStatus"]["ElasticIp"] == address
