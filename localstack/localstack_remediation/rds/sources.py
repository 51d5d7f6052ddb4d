"""What a snapshot is taken of: DB instances and DB clusters.

Both have a name, which can change, and a resource ID, which stays: a snapshot keeps the name that its source had then.
An instance that is a member of a cluster has no snapshots of its own, neither manual nor automated ones. moto gives
every instance the same resource ID, and loses the members of a cluster that gets another name.
"""

import random
import string

from localstack.aws.api import RequestContext
from localstack.services.moto import call_moto
from localstack.utils.patch import patch
from moto.rds.exceptions import InvalidParameterValue
from moto.rds.models import (
    DBCluster,
    DBClusterSnapshot,
    DBInstance,
    DBInstanceClustered,
    RDSBackend,
    rds_backends,
)
from moto.rds.utils import FilterDef

from ..moto_services import Operation, aws_error

OF_A_CLUSTER = (
    "The specified instance is a member of a cluster and a snapshot cannot be created directly. "
    "Please use the CreateDBClusterSnapshot API instead."
)

DBCluster.SUPPORTED_FILTERS["db-cluster-resource-id"] = FilterDef(["db_cluster_resource_id"], "Resource Ids")
DBInstance.SUPPORTED_FILTERS["db-cluster-id"] = FilterDef(  # moto compares the name only
    ["cluster.db_cluster_arn", "db_cluster_identifier"], "DB Cluster Identifiers", case_insensitive=True
)


@patch(DBInstance.__init__)
def _instance(fn, self, *arguments, **more) -> None:
    """moto's ID goes to the first instance of an account in a region, which a test can name without a look."""
    fn(self, *arguments, **more)
    known = [*self.backend.databases.values(), *self.backend.database_snapshots.values()]
    if self.dbi_resource_id in [each.dbi_resource_id for each in known]:
        self.dbi_resource_id = _resource_id("db")


@patch(RDSBackend.create_db_instance_read_replica)
def _replica(fn, self, *arguments, **more) -> DBInstance:
    replica = fn(self, *arguments, **more)  # a copy of its source, as far as moto is concerned
    replica.dbi_resource_id = _resource_id("db")
    return replica


@patch(DBClusterSnapshot.__init__)
def _cluster_snapshot(fn, self, *arguments, **more) -> None:
    fn(self, *arguments, **more)
    self.db_cluster_resource_id = self.cluster.db_cluster_resource_id
    self.db_cluster_arn = self.cluster.db_cluster_arn  # for the filter db-cluster-id


@patch(DBInstanceClustered.save_automated_backup)
def _no_backup_of_its_own(_fn, _self) -> None:
    """The cluster's backups hold it."""


@patch(RDSBackend.create_db_snapshot)
def _create_snapshot(fn, self, db_instance_identifier: str, *arguments, **more):
    """Whoever asks: CreateDBSnapshot, or DeleteDBInstance and StopDBInstance for a last one."""
    if isinstance(self.databases.get(db_instance_identifier), DBInstanceClustered):
        raise InvalidParameterValue(OF_A_CLUSTER)
    return fn(self, db_instance_identifier, *arguments, **more)


@patch(RDSBackend.modify_db_cluster)
def _modify_cluster(fn, self, request: dict) -> DBCluster:
    cluster = self.clusters.get(request["db_cluster_identifier"])
    members = cluster.members if cluster else []
    answer = fn(self, request)
    for member in members:
        member.db_cluster_identifier = cluster.db_cluster_identifier
    return answer


def _resource_id(prefix: str) -> str:
    return f"{prefix}-{''.join(random.choices(string.ascii_uppercase + string.digits, k=26))}"


def _rename(old: str, new: str, store: str, taken: str) -> Operation:
    """For an operation that takes a new name; without one it changes something else. moto renames at once."""

    def modify(context: RequestContext, request: dict) -> dict:
        present = getattr(rds_backends[context.account_id][context.region], store)
        name = (request.get(new) or "").lower()
        if name and name != request[old].lower() and name in present:
            raise aws_error(taken, f"{name} already exists")
        return call_moto(context)

    return modify


OPERATIONS = {
    "ModifyDBCluster": _rename(
        "DBClusterIdentifier", "NewDBClusterIdentifier", "clusters", "DBClusterAlreadyExistsFault"
    ),
    "ModifyDBInstance": _rename(
        "DBInstanceIdentifier", "NewDBInstanceIdentifier", "databases", "DBInstanceAlreadyExists"
    ),
}
