"""SimulatePrincipalPolicy, by the same decisions as those on real calls.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from collections.abc import Iterable

from localstack.aws.api import RequestContext
from moto.utilities.utils import get_partition

from ..moto_services import aws_error
from . import organization, stored
from .decision import Decision, Policies, decide
from .matching import as_list
from .policy import Permission

# What would change the simulation and is not simulated here
NOT_SIMULATED = (
    "CallerArn", "PermissionsBoundaryPolicyInputList", "PolicyInputList", "ResourceHandlingOption", "ResourceOwner",
    "ResourcePolicy",
)


def simulate_principal_policy(context: RequestContext, request: dict) -> dict:
    """Of roles only. A condition key that the request does not give is absent, and is named as missing."""
    if unknown := [name for name in NOT_SIMULATED if request.get(name)]:
        raise aws_error("InvalidInput", f"The emulator does not simulate {', '.join(unknown)}.")
    source = request["PolicySourceArn"]
    parts = source.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("role/"):
        raise aws_error("InvalidInput", f"The emulator simulates roles only, not {source}.")
    role = stored.find_role(source) if parts[4] == context.account_id else None
    if role is None:
        raise aws_error("NoSuchEntity", f"The role {source} cannot be found.", 404)

    policies = Policies(
        stored.identity_policies(role), stored.permissions_boundary(role), control=_control(context)
    )
    given = {each["ContextKeyName"].lower(): _value(each) for each in request.get("ContextEntries") or []}
    missing = sorted(set(_keys([*policies.identity, *(policies.boundary or [])])) - given.keys())
    conditions = {key: None for key in missing} | given
    return {
        "EvaluationResults": [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": _word(decide(policies, Permission(action, resource), conditions)),
                "MatchedStatements": [],
                "MissingContextValues": missing,
            }
            for action in request["ActionNames"]
            for resource in request.get("ResourceArns") or ["*"]
        ],
        "IsTruncated": False,
    }


def _control(context: RequestContext) -> list[list[dict]] | None:
    """The simulator leaves out service control policies that have conditions.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
    """
    member = organization.membership(context.account_id, get_partition(context.region))
    if member is None or member.control is None:
        return None
    return [[document for document in level if not list(_keys([document]))] for level in member.control]


def _value(entry: dict) -> str:
    values = entry.get("ContextKeyValues") or []
    if len(values) != 1:
        raise aws_error("InvalidInput", f"The emulator takes exactly one value of {entry['ContextKeyName']}.")
    return values[0]


def _keys(documents: Iterable[dict]) -> Iterable[str]:
    for document in documents:
        for statement in as_list(document.get("Statement", [])):
            for pairs in (statement.get("Condition") or {}).values():
                yield from (key.lower() for key in pairs)


def _word(decision: Decision) -> str:
    if decision.allowed:
        return "allowed"
    return "explicitDeny" if decision.is_explicit else "implicitDeny"
