"""Flow logs: failures in a 200, and whether the delivery role lets the logs through, which shows some time later.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_FlowLog.html has two states of delivery, SUCCESS and FAILED,
and https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-troubleshooting.html says that a first delivery can take
ten minutes or more. No page says which state it is until then.

What is delivered is of network interfaces, each into a stream of its own:
https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html. Where none is in use, nothing ever is. There is no
traffic here, so an interface's stream gets the record for none, NODATA, when somebody looks at the flow log. Into a
bucket nothing is put.
"""

import threading
import time

from localstack.aws.api import RequestContext
from localstack.services.moto import call_moto, call_moto_with_request
from moto.ec2.models import ec2_backends
from moto.logs.models import logs_backends
from moto.utilities.utils import get_partition

from .. import settings
from ..iam import authorization
from ..iam.resources import Call
from . import flow_log_buckets
from .filters import fits

SERVICE = "vpc-flow-logs.amazonaws.com"
STATUS_FILTER = "deliver-log-status"
UNKNOWN_TYPE = "to be replaced"
_creating = threading.Lock()  # moto looks for an equal one and then creates
_delivering = threading.Lock()


def create(context: RequestContext, request: dict) -> dict:
    if message := settings.of(context.account_id).flow_logs_error:
        return _unsuccessful(request, message)
    to_bucket = request.get("LogDestinationType") == "s3"
    if to_bucket:
        flow_log_buckets.check(request)
        if message := flow_log_buckets.refusal(context, request["LogDestination"]):
            return _unsuccessful(request, message)
        # moto would look for the bucket among its own, which has none
        request = {**request, "LogDestinationType": UNKNOWN_TYPE}
    with _creating:
        answer = call_moto_with_request(context, request) if to_bucket else call_moto(context)
        for id_ in answer.get("FlowLogIds", []):
            made = _backend(context).flow_logs[id_]
            made.made_at, made.delivered = time.monotonic(), set()
            if to_bucket:
                made.log_destination_type = "s3"
    return answer


def _unsuccessful(request: dict, message: str) -> dict:
    error = {"Code": "400", "Message": message}
    return {
        "FlowLogIds": [],
        "Unsuccessful": [{"ResourceId": id_, "Error": error} for id_ in request["ResourceIds"]],
    }


def describe(context: RequestContext, request: dict) -> dict:
    filters = request.get("Filter") or []
    of_status = [each for each in filters if each["Name"] == STATUS_FILTER]
    others = [each for each in filters if each["Name"] != STATUS_FILTER]
    answer = call_moto_with_request(context, {**request, "Filter": others}) if of_status else call_moto(context)
    for log in answer.get("FlowLogs", []):
        if log["LogDestinationType"] in ("cloud-watch-logs", "s3"):
            _say_whether_it_delivers(context, log)
    answer["FlowLogs"] = [
        log for log in answer.get("FlowLogs", []) if fits(of_status, {STATUS_FILTER: [log.get("DeliverLogsStatus")]})
    ]
    return answer


def _say_whether_it_delivers(context: RequestContext, log: dict) -> None:
    limits = settings.of(context.account_id)
    for name in ("DeliverLogsStatus", "DeliverLogsErrorMessage"):
        log.pop(name, None)
    made_at = _backend(context).flow_logs[log["FlowLogId"]].made_at
    if time.monotonic() < made_at + limits.flow_logs_delivery_seconds:
        log |= {"DeliverLogsStatus": limits.flow_logs_status_at_first} if limits.flow_logs_status_at_first else {}
    elif log["LogDestinationType"] == "s3" and flow_log_buckets.takes_logs(context, log["LogDestination"]):
        log["DeliverLogsStatus"] = "SUCCESS"
    elif log["LogDestinationType"] != "s3" and _delivers(context, log):
        log["DeliverLogsStatus"] = "SUCCESS"
        _deliver(context, log)
    else:
        log |= {"DeliverLogsStatus": "FAILED", "DeliverLogsErrorMessage": "Access error"}


def _delivers(context: RequestContext, log: dict) -> bool:
    """AWS finds out when it delivers; here the role's policies tell."""
    role, group = log.get("DeliverLogsPermissionArn", ""), _group(log)
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


def _deliver(context: RequestContext, log: dict) -> None:
    """Once for each interface that the flow log is about, also where the stream has older records."""
    logs, group = logs_backends[context.account_id][context.region], _group(log)
    delivered = _backend(context).flow_logs[log["FlowLogId"]].delivered
    with _delivering:
        for interface in _interfaces_in_use(context, log["ResourceId"]):
            stream = f"{interface}-{log['TrafficType'].lower()}"
            if stream in delivered:
                continue
            logs.ensure_log_group(group)
            logs.ensure_log_stream(group, stream)
            now = int(time.time())
            record = f"2 {context.account_id} {interface} - - - - - - - {now} {now} - NODATA"
            logs.put_log_events(group, stream, [{"timestamp": now * 1000, "message": record}])
            delivered.add(stream)


def _interfaces_in_use(context: RequestContext, of: str) -> list[str]:
    """Those of a VPC or a subnet, or the one itself."""
    interfaces = _backend(context).get_all_network_interfaces()
    return [
        each.id for each in interfaces
        if each.status == "in-use" and of in (each.id, each.subnet.id, each.subnet.vpc_id)
    ]


def _group(log: dict) -> str:
    return log.get("LogGroupName") or log.get("LogDestination", "").split(":log-group:")[-1].removesuffix(":*")


def _backend(context: RequestContext):
    return ec2_backends[context.account_id][context.region]


OPERATIONS = {"CreateFlowLogs": create, "DescribeFlowLogs": describe}
