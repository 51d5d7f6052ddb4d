"""CloudWatch Logs as LocalStack has it, and saved queries of Logs Insights, which it lacks. They are kept, and not run.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutQueryDefinition.html
"""

import time
import uuid
from collections import defaultdict

from localstack.aws.api import RequestContext
from localstack.services.logs.provider import LogsProvider
from localstack.services.plugins import Service, aws_provider

from .moto_services import aws_error, localstack_service

MOST_GROUPS = 50

_definitions: dict[tuple[str, str], dict[str, dict]] = defaultdict(dict)


def _of(context: RequestContext) -> dict[str, dict]:
    return _definitions[context.account_id, context.region]


def _put(context: RequestContext, request: dict) -> dict:
    groups, own = request.get("logGroupNames", []), _of(context)
    if len(groups) > MOST_GROUPS:
        raise aws_error("InvalidParameterException", f"More than {MOST_GROUPS} log groups.")
    id_ = request.get("queryDefinitionId") or str(uuid.uuid4())
    if request.get("queryDefinitionId") and id_ not in own:
        raise aws_error("ResourceNotFoundException", "The specified query definition does not exist.")
    own[id_] = {
        "queryDefinitionId": id_,
        "name": request["name"],
        "queryString": request["queryString"],
        "lastModified": int(time.time() * 1000),
        "logGroupNames": groups,
    }
    return {"queryDefinitionId": id_}


def _describe(context: RequestContext, request: dict) -> dict:
    prefix = request.get("queryDefinitionNamePrefix", "")
    found = [of for of in list(_of(context).values()) if of["name"].startswith(prefix)]
    return {"queryDefinitions": sorted(found, key=lambda of: of["name"])}


def _delete(context: RequestContext, request: dict) -> dict:
    if not _of(context).pop(request["queryDefinitionId"], None):
        raise aws_error("ResourceNotFoundException", "The specified query definition does not exist.")
    return {"success": True}


OPERATIONS = {
    "PutQueryDefinition": _put,
    "DescribeQueryDefinitions": _describe,
    "DeleteQueryDefinition": _delete,
}


@aws_provider(api="logs", name="remediation")
def logs() -> Service:
    return localstack_service(LogsProvider(), OPERATIONS)
