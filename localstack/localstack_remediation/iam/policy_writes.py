"""Every call that writes a policy, whoever makes it and whether IAM is enforced or not: quotas and misfits."""

from localstack.aws import handlers
from localstack.aws.api import CommonServiceException, RequestContext
from localstack.runtime import hooks

from . import misfits, quotas, stored
from .enforcement import call_of
from .quotas import Refusal
from .resources import Call

ATTACHING = {"AttachRolePolicy": "role", "AttachUserPolicy": "user", "AttachGroupPolicy": "group"}
EMBEDDING = {"PutRolePolicy": "role", "PutUserPolicy": "user", "PutGroupPolicy": "group"}


@hooks.on_infra_start()
def watch_policy_writes() -> None:
    handlers.serve_custom_service_request_handlers.append(_check)
    misfits.serve()


def _check(_chain, context: RequestContext, _response) -> None:
    if not context.service or not context.operation:
        return
    call = call_of(context)
    if call.service in ("iam", "sts"):
        if refusal := quotas.parameters(context.operation.input_shape, call.parameters):
            raise _error(refusal)
    if call.service == "iam" and (refusal := _over_quota(call)):
        raise _error(refusal)
    misfits.look_at(call)


def _over_quota(call: Call) -> Refusal | None:
    asked = call.parameters
    if kind := EMBEDDING.get(call.operation):
        name = asked[f"{kind.title()}Name"]
        embedded = stored.inline_policies(call.account, call.partition, kind, name)
        return quotas.inline_policies(kind, name, (embedded | {asked["PolicyName"]: asked["PolicyDocument"]}).values())
    if kind := ATTACHING.get(call.operation):
        attached = stored.attached_policies(call.account, call.partition, kind, asked[f"{kind.title()}Name"])
        return quotas.attached_policies(kind, [*attached, asked["PolicyArn"]])
    match call.operation:
        case "CreateRole":
            count = stored.count_of_roles(call.account, call.partition)
            return quotas.trust_policy(asked["AssumeRolePolicyDocument"]) or quotas.roles(count + 1)
        case "UpdateAssumeRolePolicy":
            return quotas.trust_policy(asked["PolicyDocument"])
        case "CreatePolicy" | "CreatePolicyVersion":
            return quotas.managed_policy(asked["PolicyDocument"])
    return None


def _error(refusal: Refusal) -> CommonServiceException:
    return CommonServiceException(refusal.code, refusal.message, status_code=refusal.status, sender_fault=True)
