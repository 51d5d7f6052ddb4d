"""Public snapshots, those of one source, pages, and the states in which a snapshot cannot be shared."""

from dataclasses import dataclass

from localstack.aws.api import RequestContext
from localstack.aws.connect import connect_to
from localstack.services.moto import call_moto, call_moto_with_request
from moto.rds.models import rds_backends

from ..moto_services import Operation, aws_error
from ..paging import page

EVERYONE = "all"
FILTERS = {
    "DBInstanceIdentifier": "db-instance-id",
    "DBSnapshotIdentifier": "db-snapshot-id",
    "DbiResourceId": "dbi-resource-id",
    "DBClusterIdentifier": "db-cluster-id",
    "DBClusterSnapshotIdentifier": "db-cluster-snapshot-id",
}


@dataclass(frozen=True)
class Kind:
    """What instance and cluster snapshots have in common, under different names."""

    members: str  # of the answer
    list: str  # the SDK's call
    identifier: str
    arn: str
    source: str  # the member that names what it was taken of
    source_kind: str  # in an ARN
    resource_id: str  # the member that stays when the source gets another name
    store: str  # in moto's backend
    state_error: str

    def stored(self, account: str, region: str) -> dict:
        return getattr(rds_backends[account][region], self.store)


INSTANCE = Kind(
    "DBSnapshots", "describe_db_snapshots", "DBSnapshotIdentifier", "DBSnapshotArn", "DBInstanceIdentifier", "db",
    "DbiResourceId", "database_snapshots", "InvalidDBSnapshotState",
)
CLUSTER = Kind(
    "DBClusterSnapshots", "describe_db_cluster_snapshots", "DBClusterSnapshotIdentifier", "DBClusterSnapshotArn",
    "DBClusterIdentifier", "cluster", "DbClusterResourceId", "cluster_snapshots", "InvalidDBClusterSnapshotStateFault",
)


def _describe(kind: Kind) -> Operation:
    def describe(context: RequestContext, request: dict) -> dict:
        if request.get("SnapshotType") == "public":
            snapshots = _public(kind, context, request)
        else:
            snapshots = call_moto(context).get(kind.members, [])
            if resource_id := request.get(kind.resource_id):  # moto does not look at it
                snapshots = [each for each in snapshots if each[kind.resource_id] == resource_id]
            if request.get("IncludePublic"):
                snapshots += [each for each in _public(kind, context, request) if each not in snapshots]
        return _page(context, request, {kind.members: snapshots}, kind.members)

    return describe


def _public(kind: Kind, context: RequestContext, request: dict) -> list[dict]:
    """Of every account in the region. Another account's snapshot goes by its ARN."""
    found = []
    for account in list(rds_backends):
        stored = kind.stored(account, context.region)
        public = [name for name, snapshot in list(stored.items()) if EVERYONE in snapshot.attributes["restore"]]
        if not public:
            continue
        client = connect_to(aws_access_key_id=account, region_name=context.region).rds
        pages = client.get_paginator(kind.list).paginate(SnapshotType="manual")
        for snapshot in (each for page_ in pages for each in page_[kind.members]):
            if snapshot[kind.identifier] not in public or not _is_asked_for(kind, snapshot, request):
                continue
            if account != context.account_id:
                snapshot |= {kind.identifier: snapshot[kind.arn], "SnapshotType": "public"}
            found.append(snapshot)
    return found


def _is_asked_for(kind: Kind, snapshot: dict, request: dict) -> bool:
    """By the parameters and filters that moto knows for an account's own snapshots."""
    arn, source = snapshot[kind.arn], snapshot[kind.source]
    of_account, _, _ = arn.rsplit(":", 2)
    has = {
        kind.identifier: (snapshot[kind.identifier], arn),
        kind.source: (source, f"{of_account}:{kind.source_kind}:{source}"),
        kind.resource_id: (snapshot[kind.resource_id],),
        "engine": (snapshot["Engine"],),
        "snapshot-type": ("public", "manual"),
    }
    has |= {FILTERS[name]: values for name, values in has.items() if name in FILTERS}
    asked = {name: [request[name]] for name in (kind.identifier, kind.source, kind.resource_id) if request.get(name)}
    asked |= {each["Name"]: each["Values"] for each in request.get("Filters") or []}
    return all(any(value in has.get(name, ()) for value in values) for name, values in asked.items())


def _modify_attribute(kind: Kind) -> Operation:
    def modify(context: RequestContext, request: dict) -> dict:
        snapshot = kind.stored(context.account_id, context.region).get(request[kind.identifier])
        if snapshot is None:
            return call_moto(context)  # its error
        if snapshot.status != "available":
            raise aws_error(kind.state_error, f"The snapshot is in the state {snapshot.status}.")
        added = request.get("ValuesToAdd") or []
        # AWS documents that it does not work, and not with which error
        if EVERYONE in added and snapshot.encrypted:
            raise aws_error(kind.state_error, "An encrypted snapshot cannot be shared with everyone.")
        # moto keeps a value as often as it was added
        news = [value for value in dict.fromkeys(added) if value not in snapshot.attributes["restore"]]
        return call_moto_with_request(context, {**request, "ValuesToAdd": news})

    return modify


def _page(context: RequestContext, request: dict, answer: dict, members: str) -> dict:
    size = request.get("MaxRecords")
    if size is not None and not 20 <= size <= 100:
        raise aws_error("InvalidParameterValue", f"Invalid value {size} for MaxRecords. Must be between 20 and 100")
    try:
        items, marker = page(answer[members], request.get("Marker"), size or 100, context.account_id)
    except ValueError:
        raise aws_error("InvalidParameterValue", f"Marker {request['Marker']} does not exist") from None
    answer[members] = items
    return {**answer, "Marker": marker} if marker else answer


OPERATIONS = {
    "DescribeDBClusterSnapshots": _describe(CLUSTER),
    "DescribeDBSnapshots": _describe(INSTANCE),
    "ModifyDBClusterSnapshotAttribute": _modify_attribute(CLUSTER),
    "ModifyDBSnapshotAttribute": _modify_attribute(INSTANCE),
}
