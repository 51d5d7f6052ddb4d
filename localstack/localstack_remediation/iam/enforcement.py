"""The hooks in LocalStack's chain of handlers: each request is judged before its service sees it.

REMEDIATION_IAM: `off`, `record` (judge, keep the decisions, refuse nothing) or `enforce`. Only role sessions, and
services that assume a role, are judged: the keys of an account's root, which are its 12 digits, may do everything.
"""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace

from localstack.aws import handlers
from localstack.aws.api import CommonServiceException, RequestContext
from localstack.runtime import hooks
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header
from moto.logs.models import logs_backends
from moto.utilities.utils import get_partition

from .. import tls
from . import authorization, decisions, lifetimes, sessions, stored
from .actions import action_of
from .authorization import Judged
from .decision import Decision
from .dependent_actions import refused_as
from .policy import Permission
from .resources import Call

LOG = logging.getLogger(__name__)
MODE = os.environ.get("REMEDIATION_IAM") or "off"
MAX_SESSION_POLICY = 2048
# What EC2 adds to a refusal: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html. Some thousands of
# characters on AWS, which sts:DecodeAuthorizationMessage decodes.
ENCODED = f"Encoded authorization failure message: {'0' * 1024}"
DENIED_CODES = {"ec2": "UnauthorizedOperation", "json": "AccessDeniedException", "rest-json": "AccessDeniedException"}


@hooks.on_infra_start(should_load=lambda: MODE != "off")
def install_remediation_iam() -> None:
    if MODE not in ("record", "enforce"):
        raise ValueError(f"REMEDIATION_IAM is off, record or enforce, not {MODE}")
    handlers.serve_custom_service_request_handlers.append(check)
    handlers.run_custom_response_handlers.append(remember_session)
    decisions.serve()
    lifetimes.serve()


def check(_chain, context: RequestContext, _response) -> None:
    if not context.service or not context.operation:
        return
    call = call_of(context)
    session = _session(context)
    if session and session.lifetime and not session.lifetime.use():
        _refuse_ended(context, session, call)
    internal = context.internal_request_params or {}
    is_limited = _is_assume_role(context) and not internal.get("service_principal")
    if _is_assume_role(context):
        _check_session_policy(call)
    if is_limited:
        lifetimes.check_range(call.parameters)
    if session:
        if _log_group_exists(context, call):
            return
        if authorization.source_identity_conflict(session, call):
            _refuse(context, None, "a session's source identity cannot be changed")
        principal, judged = session.arn, _failing_closed(call, lambda: authorization.judge_session(session, call))
    elif _is_assume_role(context) and internal.get("service_principal"):
        principal = f"{internal['service_principal']}.amazonaws.com"
        source_arn = internal.get("source_arn")
        judged = _failing_closed(call, lambda: authorization.judge_service(principal, call, source_arn))
    else:
        judged = []

    for permission, decision in judged:
        decisions.add(
            decisions.Record(
                principal, permission.action, permission.resource, decision.allowed, decision.reason,
                context.is_internal_call,
            )
        )
    for permission, decision in judged:
        if not decision.allowed:
            _refuse(
                context,
                refused_as(call, permission),
                f"User: {principal} is not authorized to perform: {permission.action} "
                f"on resource: {permission.resource or '*'} {decision.reason}",
            )
    if is_limited:
        role_arn = call.parameters["RoleArn"]
        role = stored.find_role(role_arn) if role_arn.count(":") >= 5 else None
        lifetimes.check_role(call.parameters, role, chained=session is not None)


def could(context: RequestContext, operation: str, parameters: dict) -> bool:
    """Whether this request's caller could make another call of the same service. Nothing of it is recorded."""
    session = _session(context)
    if MODE != "enforce" or not session:
        return True
    call = replace(call_of(context), operation=operation, parameters=parameters)
    judged = _failing_closed(call, lambda: authorization.judge_session(session, call))
    return all(decision.allowed for _, decision in judged)


def remember_session(_chain, context: RequestContext, response) -> None:
    if not _is_assume_role(context) or not context.service_response:
        return
    call = call_of(context)
    caller = _session(context)
    if caller:
        call = authorization.with_source_identity(caller, call)
    asked = call.parameters
    _, partition, _, _, account, _ = asked["RoleArn"].split(":", 5)
    policies = [json.loads(asked["Policy"])] if asked.get("Policy") else []
    policy_arns = [each["arn"] for each in asked.get("PolicyArns") or []]
    policies += stored.managed_policies(account, partition, policy_arns)
    by_service = bool((context.internal_request_params or {}).get("service_principal"))
    lifetime = lifetimes.begin(asked, chained=caller is not None, by_service=by_service)
    lifetimes.tell(lifetime, response)
    sessions.remember(
        context.service_response["Credentials"]["AccessKeyId"],
        sessions.Session(
            role_arn=asked["RoleArn"],
            name=asked["RoleSessionName"],
            source_identity=asked.get("SourceIdentity"),
            policies=tuple(policies) if asked.get("Policy") or policy_arns else None,
            tags={tag["Key"]: tag["Value"] for tag in asked.get("Tags") or []},
            lifetime=lifetime,
        ),
    )


def _failing_closed(call: Call, judge: Callable[[], list[Judged]]) -> list[Judged]:
    """A policy that trips this code up allows nothing, and says so."""
    try:
        return judge()
    except Exception as error:
        LOG.exception("could not judge %s:%s", call.service, call.operation)
        permission = Permission(action_of(call.service, call.operation), None)
        return [(permission, Decision(False, f"because the emulator could not judge it: {error!r}"))]


def call_of(context: RequestContext) -> Call:
    account, region = context.account_id, context.region
    partition = get_partition(region)
    return Call(
        service=context.service.service_name,
        operation=context.operation.name,
        parameters=context.service_request or {},
        partition=partition,
        region=region,
        account=account,
        secure=context.is_internal_call or tls.is_secure(context.request.scheme),
        bucket_key=stored.bucket_key,
        object_key=stored.object_key,
        secret_arn=lambda name: stored.secret_arn(account, region, name),
        access_key_owner=lambda key: stored.access_key_owner(account, partition, key),
        is_organization_trail=lambda name: stored.is_organization_trail(account, region, name),
        delivers_to_bucket=lambda flow_log: stored.delivers_to_bucket(account, region, flow_log),
    )


def _session(context: RequestContext) -> sessions.Session | None:
    return sessions.find(extract_access_key_id_from_auth_header(context.request.headers))


def _is_assume_role(context: RequestContext) -> bool:
    if not context.service or not context.operation:
        return False
    return (context.service.service_name, context.operation.name) == ("sts", "AssumeRole")


def _log_group_exists(context: RequestContext, call: Call) -> bool:
    """LocalStack's log shipper asks for the group before each stream. Lambda does not, so a role needs no right to."""
    if not context.is_internal_call or (call.service, call.operation) != ("logs", "CreateLogGroup"):
        return False
    return call.parameters["logGroupName"] in logs_backends[call.account][call.region].groups


def _check_session_policy(call: Call) -> None:
    text = call.parameters.get("Policy")
    if not text:
        return
    if len(text) > MAX_SESSION_POLICY:
        raise CommonServiceException(
            "ValidationError",
            "1 validation error detected: Value at 'policy' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_SESSION_POLICY}",
            sender_fault=True,
        )
    try:
        if not isinstance(json.loads(text), dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise CommonServiceException(
            "MalformedPolicyDocument", f"The session policy is not JSON: {error}", sender_fault=True
        ) from error


def _refuse_ended(context: RequestContext, session: sessions.Session, call: Call) -> None:
    action = action_of(call.service, call.operation)
    decisions.add(
        decisions.Record(session.arn, action, None, False, "because the session has ended", context.is_internal_call)
    )
    LOG.info("the session %s has ended: %s", session.arn, action)
    if MODE == "enforce":
        raise lifetimes.ended(context)


def _refuse(context: RequestContext, code: str | None, message: str) -> None:
    LOG.info("%s: %s", "denied" if MODE == "enforce" else "would be denied", message)
    if MODE == "enforce":
        if code:
            raise CommonServiceException(code, message, sender_fault=True)
        code = DENIED_CODES.get(context.service.protocol, "AccessDenied")
        if context.service.protocol == "ec2":
            message = f"You are not authorized to perform this operation. {message} {ENCODED}"
        raise CommonServiceException(code, message, status_code=403, sender_fault=True)
