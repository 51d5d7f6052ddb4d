"""The API: StartAutomationExecution, GetAutomationExecution, DescribeAutomationExecutions, DescribeDocument."""

import re
import threading
import uuid
from collections import defaultdict
from dataclasses import dataclass, field

from botocore.config import Config
from botocore.exceptions import ClientError
from localstack import config
from localstack.aws.api import RequestContext
from localstack.aws.connect import connect_externally_to, connect_to
from localstack.services.moto import call_moto
from localstack.services.plugins import Service, aws_provider
from localstack.services.ssm.provider import SsmProvider
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header
from moto.utilities.utils import get_partition

from .. import settings
from ..iam import sessions, stored
from ..moto_services import aws_error, localstack_service
from ..paging import page
from .execution import Execution
from .runbooks import ROLE, Clients, Runbook, find, problem_of

VERSIONS = ("$DEFAULT", "$LATEST", "1")
TOKEN = r"[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}"
ROLE_ARN = r"arn:[\w-]+:iam::(\d{12}):role/[\w+=,.@/-]+"
METADATA = (
    "AutomationExecutionId", "AutomationExecutionStatus", "CurrentAction", "CurrentStepName", "DocumentName",
    "DocumentVersion", "ExecutedBy", "ExecutionEndTime", "ExecutionStartTime", "FailureMessage", "Mode", "Outputs",
)
FILTERS = {
    "DocumentNamePrefix": lambda value, row: row["DocumentName"].startswith(value),
    "ExecutionId": lambda value, row: row["AutomationExecutionId"] == value,
    "ExecutionStatus": lambda value, row: row["AutomationExecutionStatus"] == value,
}


@dataclass
class _Region:
    """Of one account."""

    executions: dict[str, Execution] = field(default_factory=dict)
    tokens: dict[str, tuple[dict, str]] = field(default_factory=dict)  # the request and the execution's ID
    lock: threading.Lock = field(default_factory=threading.Lock)


_regions: dict[tuple[str, str], _Region] = defaultdict(_Region)


def start(context: RequestContext, request: dict) -> dict:
    """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartAutomationExecution.html"""
    region = _regions[context.account_id, context.region]
    document, given = request["DocumentName"], request.get("Parameters") or {}
    token = (request.get("ClientToken") or "").lower()  # "case insensitive"
    with region.lock:
        if token and (earlier := _earlier(region, token, request, context)):
            return {"AutomationExecutionId": earlier}
        runbook = _runbook(context, document)
        if runbook is None:
            raise aws_error("AutomationDefinitionNotFoundException", f"There is no runbook {document}.")
        if request.get("DocumentVersion", "$DEFAULT") not in VERSIONS:
            raise aws_error("AutomationDefinitionVersionNotFoundException", f"{document} has no such version.")
        if problem := problem_of(runbook, given):
            raise _invalid(problem)
        id_ = str(uuid.uuid4())
        role = next(iter(given.get(ROLE, [])), "")
        clients = _clients_of_role(context, role, id_) if role else _clients_of_caller(context)
        limits = settings.of(context.account_id)
        if sum(each.is_under_way() for each in list(region.executions.values())) >= limits.automation_limit:
            raise aws_error(
                "AutomationExecutionLimitExceededException",
                "The number of simultaneously running Automation executions exceeded the allowable limit.",
            )
        execution = Execution(id_, document, runbook, given, _caller(context))
        region.executions[id_] = execution
        if token:
            region.tokens[token] = (_without_token(request), id_)
    execution.start(clients, limits.automation_step_seconds)
    return {"AutomationExecutionId": id_}


def get(context: RequestContext, request: dict) -> dict:
    id_ = request["AutomationExecutionId"]
    execution = _regions[context.account_id, context.region].executions.get(id_)
    if execution is None:
        raise aws_error("AutomationExecutionNotFoundException", f"There is no automation execution {id_}.")
    return {"AutomationExecution": execution.describe()}


def describe(context: RequestContext, request: dict) -> dict:
    rows = [each.describe() for each in list(_regions[context.account_id, context.region].executions.values())]
    for each in request.get("Filters") or []:
        if each["Key"] not in FILTERS:
            raise aws_error("InvalidFilterKey", f"The emulator does not know the filter {each['Key']}.")
        fits = FILTERS[each["Key"]]
        rows = [row for row in rows if any(fits(value, row) for value in each["Values"])]
    rows.reverse()  # the latest first
    try:
        rows, token = page(rows, request.get("NextToken"), request.get("MaxResults") or 50, context.account_id)
    except ValueError:
        raise aws_error("InvalidNextToken", "The specified token isn't valid.") from None
    answer = {
        "AutomationExecutionMetadataList": [{name: row[name] for name in METADATA if name in row} for row in rows]
    }
    return {**answer, "NextToken": token} if token else answer


def describe_document(context: RequestContext, request: dict) -> dict:
    """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeDocument.html"""
    name = request["Name"]
    if _runbook(context, name) is None:
        return call_moto(context)  # the account's own, or InvalidDocument
    return {
        "Document": {
            "Name": name, "Owner": "Amazon", "Status": "Active", "DocumentType": "Automation", "DocumentFormat": "JSON",
            "SchemaVersion": "0.3", "DocumentVersion": "1", "DefaultVersion": "1", "LatestVersion": "1",
        }
    }


def _runbook(context: RequestContext, name: str) -> Runbook | None:
    return None if name in settings.of(context.account_id).missing_runbooks else find(name, context.region)


def _earlier(region: _Region, token: str, request: dict, context: RequestContext) -> str | None:
    """The reference says that a token "can't be reused", and lists one error that can mean it."""
    if not re.fullmatch(TOKEN, token):
        raise aws_error("ValidationException", "Value at 'clientToken' failed to satisfy constraint: a UUID")
    if token not in region.tokens:
        return None
    earlier, id_ = region.tokens[token]
    if earlier != _without_token(request):
        raise aws_error("IdempotentParameterMismatch", "The client token was used with other parameters.")
    if settings.of(context.account_id).automation_token == "return":
        return id_
    raise aws_error("IdempotentParameterMismatch", "The client token was used before.")


def _without_token(request: dict) -> dict:
    return {name: value for name, value in request.items() if name != "ClientToken"}


def _clients_of_role(context: RequestContext, role: str, id_: str) -> Clients:
    """The role is assumed here: one that cannot be is an error of the start, not of a step."""
    found = re.fullmatch(ROLE_ARN, role)
    if not found:
        raise _invalid("The format of the supplied assume role ARN is invalid.")
    if found[1] != context.account_id or stored.find_role(role) is None:
        raise _invalid("The defined assume role is unable to be assumed.")
    source = f"arn:{get_partition(context.region)}:ssm:{context.region}:{context.account_id}:automation-execution/{id_}"
    sts = connect_to(region_name=context.region).sts.request_metadata(service_principal="ssm", source_arn=source)
    try:
        session = sts.assume_role(RoleArn=role, RoleSessionName=f"Automation-{id_}")["Credentials"]
    except ClientError as error:  # the trust policy
        raise _invalid("The defined assume role is unable to be assumed.") from error
    return _clients(context, session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])


def _clients_of_caller(context: RequestContext) -> Clients:
    headers = context.request.headers
    return _clients(
        context, extract_access_key_id_from_auth_header(headers), "any", headers.get("X-Amz-Security-Token")
    )


def _clients(context: RequestContext, access_key: str, secret_key: str, token: str | None) -> Clients:
    """Over HTTP, as any other caller: the decisions on these calls are no internal ones of LocalStack."""
    factory = connect_externally_to(
        region_name=context.region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=token,
        endpoint_url=f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}",
        config=Config(retries={"total_max_attempts": 1}),
    )
    return lambda service: getattr(factory, service)


def _caller(context: RequestContext) -> str:
    session = sessions.find(extract_access_key_id_from_auth_header(context.request.headers))
    return session.arn if session else f"arn:{get_partition(context.region)}:iam::{context.account_id}:root"


def _invalid(message: str):
    return aws_error("InvalidAutomationExecutionParametersException", message)


OPERATIONS = {
    "DescribeAutomationExecutions": describe,
    "DescribeDocument": describe_document,
    "GetAutomationExecution": get,
    "StartAutomationExecution": start,
}


@aws_provider(api="ssm", name="remediation")
def ssm() -> Service:
    return localstack_service(SsmProvider(), OPERATIONS)
