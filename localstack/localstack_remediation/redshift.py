"""Redshift: moto's, with the time that a change takes and the states in which there can be none."""

import threading
import time
from dataclasses import dataclass

from localstack.aws.api import RequestContext
from localstack.services.moto import call_moto
from localstack.services.plugins import Service, aws_provider
from localstack.services.redshift.provider import RedshiftProvider
from moto.redshift.models import redshift_backends

from . import settings
from .moto_services import Operation, aws_error, localstack_service
from .paging import page

_changing = threading.Lock()


@dataclass(frozen=True)
class Modification:
    until: float
    was_public: bool
    becomes_public: bool


_modifications: dict[str, Modification] = {}  # by the cluster's ARN


def modify(context: RequestContext, request: dict) -> dict:
    with _changing:
        cluster = _cluster(context, request)
        if cluster is None:
            return call_moto(context)  # its error
        _check_available(cluster)
        was_public = _is_true(cluster.publicly_accessible)
        answer = call_moto(context)
        seconds = settings.of(context.account_id).redshift_modifying_seconds
        becomes_public = _is_true(cluster.publicly_accessible)
        _modifications[cluster.arn] = Modification(time.monotonic() + seconds, was_public, becomes_public)
        answer["Cluster"] = _as_it_is(cluster, answer["Cluster"])
    return answer


def describe(context: RequestContext, request: dict) -> dict:
    size = request.get("MaxRecords")
    if size is not None and not 20 <= size <= 100:
        raise aws_error("InvalidParameterValue", f"Invalid value {size} for MaxRecords. Must be between 20 and 100")
    answer = call_moto(context)
    try:
        clusters, marker = page(answer.get("Clusters", []), request.get("Marker"), size or 100, context.account_id)
    except ValueError:
        raise aws_error("InvalidParameterValue", "Invalid Marker") from None
    stored = redshift_backends[context.account_id][context.region].clusters
    answer["Clusters"] = [_as_it_is(stored[each["ClusterIdentifier"]], each) for each in clusters]
    return {**answer, "Marker": marker} if marker else answer


def _only_when(status: str) -> Operation:
    def change(context: RequestContext, request: dict) -> dict:
        with _changing:
            cluster = _cluster(context, request)
            if cluster is not None and _status(cluster) != status:
                raise _wrong_state()
            return call_moto(context)

    return change


def _cluster(context: RequestContext, request: dict):
    return redshift_backends[context.account_id][context.region].clusters.get(request["ClusterIdentifier"])


def _check_available(cluster) -> None:
    if not _status(cluster).startswith("available"):  # also `available, prep-for-resize` and the like
        raise _wrong_state()


def _wrong_state():
    return aws_error(
        "InvalidClusterState",
        "There is an operation running on the Cluster. Please try to modify it at a later time.",
    )


def _status(cluster) -> str:
    return "modifying" if _under_way(cluster) else cluster.status


def _under_way(cluster) -> Modification | None:
    modification = _modifications.get(cluster.arn)
    if cluster.status != "available" or modification is None or modification.until <= time.monotonic():
        return None
    return modification


def _as_it_is(cluster, described: dict) -> dict:
    status = _status(cluster)
    described |= {
        "ClusterStatus": status,
        # the SDKs' and Terraform's waiters look at these, which moto does not have
        "ClusterAvailabilityStatus": {"available": "Available", "paused": "Paused"}.get(status, "Modifying"),
        "AvailabilityZoneRelocationStatus": "disabled",
        "MultiAZ": "Disabled",
    }
    modification = _under_way(cluster)
    if modification and modification.was_public != modification.becomes_public:
        described["PubliclyAccessible"] = modification.was_public
        described["PendingModifiedValues"] = {"PubliclyAccessible": modification.becomes_public}
    return described


def _is_true(value) -> bool:
    return value if isinstance(value, bool) else value == "true"  # moto keeps what the request's text was


@aws_provider(api="redshift", name="remediation")
def redshift() -> Service:
    return localstack_service(
        RedshiftProvider(),
        {
            "DescribeClusters": describe,
            "ModifyCluster": modify,
            "PauseCluster": _only_when("available"),
            "ResumeCluster": _only_when("paused"),
        },
    )
