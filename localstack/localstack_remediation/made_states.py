"""States that AWS gets into by itself or with time, for a test to make.

PUT /_remediation/iam/access-keys/<id> {"CreateDate": "2020-01-01T00:00:00"} makes a key old, and
{"LastUsedDate": …, "ServiceName": "s3", "Region": "eu-central-1"} one that was used then.
PUT /_remediation/status {"Arn": …, "Status": …} puts a Redshift cluster or an RDS snapshot into a status.
"""

import json
from datetime import UTC, datetime

from localstack.http import Response
from localstack.runtime import hooks
from localstack.services.edge import ROUTER
from moto.iam.models import AccessKeyLastUsed, iam_backends
from moto.rds.models import rds_backends
from moto.redshift.models import redshift_backends

STATUS_PATH = "/_remediation/status"
ACCESS_KEY_PATH = "/_remediation/iam/access-keys/<access_key>"


@hooks.on_infra_ready()  # not earlier: importing moto while services load can deadlock
def serve_remediation_states() -> None:
    ROUTER.add(STATUS_PATH, _put_status, methods=["PUT"])
    ROUTER.add(ACCESS_KEY_PATH, _put_access_key, methods=["PUT"])


def _put_status(request) -> Response:
    try:
        wanted = json.loads(request.get_data())
        arn, status = wanted["Arn"], wanted["Status"]
        resource = _resource(arn)
    except (KeyError, ValueError) as error:
        return Response(f"{error!r}\n", 400)
    if resource is None:
        return Response(f"nothing has the ARN {arn}\n", 404)
    resource.status = status
    return Response(status=204)


def _resource(arn: str):
    _, _, service, region, account, kind, name = arn.split(":", 6)
    match service, kind:
        case "redshift", "cluster":
            return redshift_backends[account][region].clusters.get(name)
        case "rds", "snapshot":
            return rds_backends[account][region].database_snapshots.get(name)
        case "rds", "cluster-snapshot":
            return rds_backends[account][region].cluster_snapshots.get(name)
    return None


def _put_access_key(request, access_key: str) -> Response:
    try:
        wanted = json.loads(request.get_data())
        created, used = _time(wanted.get("CreateDate")), _time(wanted.get("LastUsedDate"))
        last_used = AccessKeyLastUsed(used, wanted["ServiceName"], wanted["Region"]) if used else None
    except (KeyError, ValueError) as error:
        return Response(f"{error!r}\n", 400)
    for partitions in list(iam_backends.values()):
        for backend in list(partitions.values()):
            if key := backend.access_keys.get(access_key):
                key.create_date = created or key.create_date
                key.last_used = last_used or key.last_used
                return Response(status=204)
    return Response(f"there is no access key {access_key}\n", 404)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time  # moto's times have no zone
