"""Flow logs: failures in a 200, and whether the delivery role lets the logs through."""

import threading

from localstack.aws.api import RequestContext
from localstack.services.moto import call_moto
from moto.logs.models import logs_backends
from moto.utilities.utils import get_partition

from .. import settings
from ..iam import authorization
from ..iam.resources import Call

SERVICE = "vpc-flow-logs.amazonaws.com"
_creating = threading.Lock()  # moto looks for an equal one and then creates


def create(context: RequestContext, request: dict) -> dict:
    if message := settings.of(context.account_id).flow_logs_error:
        error = {"Code": "400", "Message": message}
        return {
            "FlowLogIds": [],
            "Unsuccessful": [{"ResourceId": id_, "Error": error} for id_ in request["ResourceIds"]],
        }
    with _creating:
        return call_moto(context)


def describe(context: RequestContext, _request: dict) -> dict:
    answer = call_moto(context)
    for log in answer.get("FlowLogs", []):
        if log["LogDestinationType"] != "cloud-watch-logs":
            continue
        log.pop("DeliverLogsErrorMessage", None)
        log["DeliverLogsStatus"] = "SUCCESS"
        if not _delivers(context, log):
            log |= {"DeliverLogsStatus": "FAILED", "DeliverLogsErrorMessage": "Access error"}
    return answer


def _delivers(context: RequestContext, log: dict) -> bool:
    """AWS finds out when it delivers; here it is found out at once, from the role's policies."""
    role = log.get("DeliverLogsPermissionArn", "")
    group = log.get("LogGroupName") or log.get("LogDestination", "").split(":log-group:")[-1].removesuffix(":*")
    stream = {"logGroupName": group, "logStreamName": f"{log['ResourceId']}-all"}
    needed = {"DescribeLogGroups": {}, "DescribeLogStreams": {"logGroupName": group}}
    needed |= {"CreateLogStream": stream, "PutLogEvents": stream}
    if group not in logs_backends[context.account_id][context.region].groups:
        needed["CreateLogGroup"] = {"logGroupName": group}
    calls = [
        Call("logs", operation, parameters, get_partition(context.region), context.region, context.account_id)
        for operation, parameters in needed.items()
    ]
    source = calls[0].arn("ec2", f"vpc-flow-log/{log['FlowLogId']}")
    return authorization.service_may(SERVICE, role, source, calls)


OPERATIONS = {"CreateFlowLogs": create, "DescribeFlowLogs": describe}
