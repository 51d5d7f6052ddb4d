"""Redshift: moto's, with the time that a change takes, the states in which there can be none, and Elastic IPs.

An Elastic IP comes with PubliclyAccessible, in the same call, and goes with it: a cluster that is public already has to
be made private first, and one that is made public again gets its old address only if the call names it.
https://docs.aws.amazon.com/redshift/latest/mgmt/managing-clusters-vpc.html
"""

import threading
import time
from dataclasses import dataclass

from localstack.aws.api import RequestContext
from localstack.services.moto import call_moto
from localstack.services.plugins import Service, aws_provider
from localstack.services.redshift.provider import RedshiftProvider
from moto.ec2.models import ec2_backends
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
    had_elastic_ip: str | None


_modifications: dict[str, Modification] = {}  # by the cluster's ARN


def create(context: RequestContext, request: dict) -> dict:
    with _changing:
        if elastic_ip := request.get("ElasticIp"):
            _check_elastic_ip(context, elastic_ip, is_public=False, becomes_public=request.get("PubliclyAccessible"))
        answer = call_moto(context)
        cluster = _cluster(context, request)
        cluster.elastic_ip = elastic_ip
        answer["Cluster"] = _as_it_is(cluster, answer["Cluster"])
    return answer


def modify(context: RequestContext, request: dict) -> dict:
    with _changing:
        cluster = _cluster(context, request)
        if cluster is None:
            return call_moto(context)  # its error
        _check_available(cluster)
        was_public, had_elastic_ip = _is_true(cluster.publicly_accessible), _elastic_ip(cluster)
        if elastic_ip := request.get("ElasticIp"):
            _check_elastic_ip(context, elastic_ip, was_public, request.get("PubliclyAccessible"))
        answer = call_moto(context)
        seconds = settings.of(context.account_id).redshift_modifying_seconds
        becomes_public = _is_true(cluster.publicly_accessible)
        cluster.elastic_ip = (elastic_ip or had_elastic_ip) if becomes_public else None
        _modifications[cluster.arn] = Modification(
            time.monotonic() + seconds, was_public, becomes_public, had_elastic_ip
        )
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


def _check_elastic_ip(
    context: RequestContext, elastic_ip: str, is_public: bool, becomes_public: bool | None
) -> None:
    """Which error it is for a cluster that is, or stays, in the wrong state is inferred."""
    if is_public or not becomes_public:
        raise _invalid_elastic_ip("The cluster must become publicly accessible in the same operation.")
    addresses = ec2_backends[context.account_id][context.region].addresses
    address = next((each for each in addresses if each.public_ip == elastic_ip), None)
    if address is None:
        raise _invalid_elastic_ip(f"The Elastic IP {elastic_ip} is invalid or cannot be found.")
    clusters = list(redshift_backends[context.account_id][context.region].clusters.values())
    if address.association_id or any(_elastic_ip(cluster) == elastic_ip for cluster in clusters):
        raise _invalid_elastic_ip(f"The Elastic IP {elastic_ip} is already in use.")


def _invalid_elastic_ip(message: str):
    return aws_error("InvalidElasticIpFault", message)


def _elastic_ip(cluster) -> str | None:
    return getattr(cluster, "elastic_ip", None)  # moto does not have it; a restored cluster has none


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
    modification, elastic_ip = _under_way(cluster), _elastic_ip(cluster)
    if modification:
        elastic_ip = modification.had_elastic_ip
    if elastic_ip:
        described["ElasticIpStatus"] = {"ElasticIp": elastic_ip, "Status": "active"}
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
            "CreateCluster": create,
            "DescribeClusters": describe,
            "ModifyCluster": modify,
            "PauseCluster": _only_when("available"),
            "ResumeCluster": _only_when("paused"),
        },
    )
