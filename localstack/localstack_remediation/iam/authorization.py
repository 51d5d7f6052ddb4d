"""Whether a caller may make a call: its own policies and, for AssumeRole, the role's trust policy."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from . import stored, trust
from .conditions import Context
from .decision import Decision, Policies, decide
from .permissions import assume_role_permissions, permissions_for
from .policy import Permission
from .resources import Call
from .sessions import Session

LOG = logging.getLogger(__name__)
NO_ROLE = Decision(False, "because the role does not exist")  # AWS gives no reason, so that nobody can probe for names
PASSED_TO = {
    "ec2": "vpc-flow-logs.amazonaws.com",  # of EC2's operations only CreateFlowLogs is known to pass a role here
    "lambda": "lambda.amazonaws.com",
    "scheduler": "scheduler.amazonaws.com",
    "ssm": "ssm.amazonaws.com",
}

Judged = tuple[Permission, Decision]


def judge_session(session: Session, call: Call) -> list[Judged]:
    """A decision for every permission that the call needs."""
    call = with_source_identity(session, call)
    context = _context(session, call)
    policies = _policies(session)
    judged = [
        (permission, decide(policies, permission, context | _of_creation(call, permission)))
        for permission in permissions_for(call)
    ]
    if _is_assume_role(call) and all(decision.allowed for _, decision in judged):
        judged = [(permission, _judge_trust(session, permission, context)) for permission, _ in judged]
    return judged


def judge_service(service: str, call: Call, source_arn: str | None) -> list[Judged]:
    """A service takes a role that was passed to it: only the trust policy counts."""
    role = stored.find_role(call.parameters["RoleArn"])
    context = {
        "aws:sourceaccount": role.account_id if role else None,
        "aws:principalisawsservice": "true",
        "aws:principalservicename": service,
        "sts:externalid": None,
        "sts:sourceidentity": None,
    }
    if source_arn:  # where LocalStack does not tell, a condition on it cannot be judged
        context["aws:sourcearn"] = source_arn
    return [
        (
            permission,
            trust.check_trust(stored.trust_policy(role), trust.service(service), [permission], context)
            if role
            else NO_ROLE,
        )
        for permission in assume_role_permissions(call.parameters)
    ]


def service_may(service: str, role_arn: str, source_arn: str, calls: Iterable[Call]) -> bool:
    """Can a service take this role and make these calls with it? For a service that the emulator has no part of."""
    assume = Call("sts", "AssumeRole", {"RoleArn": role_arn}, "", "", "")
    try:
        judged = judge_service(service, assume, source_arn)
        session = Session(role_arn, service, None, None)
        judged += [each for call in calls for each in judge_session(session, call)]
    except Exception:  # a policy that trips this code up allows nothing
        LOG.exception("could not judge %s", role_arn)
        return False
    return all(decision.allowed for _, decision in judged)


def with_source_identity(session: Session, call: Call) -> Call:
    """A source identity stays with the caller through every role that it assumes from there."""
    if not _is_assume_role(call) or not session.source_identity:
        return call
    return replace(call, parameters={"SourceIdentity": session.source_identity, **call.parameters})


def source_identity_conflict(session: Session, call: Call) -> bool:
    asked = call.parameters.get("SourceIdentity") if _is_assume_role(call) else None
    return bool(asked and session.source_identity and asked != session.source_identity)


def _judge_trust(session: Session, permission: Permission, context: Context) -> Decision:
    role = stored.find_role(permission.resource)
    if role is None:
        return NO_ROLE
    caller = trust.role_session(session.role_arn, session.arn)
    return trust.check_trust(stored.trust_policy(role), caller, [permission], context)


def _policies(session: Session) -> Policies:
    role = stored.find_role(session.role_arn)
    if role is None:  # deleted since
        return Policies(identity=[])
    return Policies(stored.identity_policies(role), stored.permissions_boundary(role), session.policies)


def _context(session: Session, call: Call) -> dict[str, str | None]:
    asked = call.parameters if _is_assume_role(call) else {}
    return {
        "aws:principalarn": session.role_arn,
        "aws:principalaccount": session.account,
        "aws:principaltype": "AssumedRole",
        "aws:principalisawsservice": "false",
        "aws:requestedregion": call.region,
        "aws:sourceidentity": session.source_identity,
        "aws:multifactorauthpresent": None,
        "aws:sourceaccount": None,
        "aws:sourcearn": None,
        "aws:securetransport": "true" if call.secure else "false",
        "iam:passedtoservice": PASSED_TO.get(call.service),
        "s3:prefix": call.parameters.get("Prefix") if call.service == "s3" else None,
        "sts:externalid": asked.get("ExternalId"),
        "sts:rolesessionname": asked.get("RoleSessionName"),
        "sts:sourceidentity": asked.get("SourceIdentity"),
    }


def _of_creation(call: Call, permission: Permission) -> dict[str, str | None]:
    """Which call makes what is tagged: only where that call itself has the tags.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    """
    tags_what_it_makes = permission.action == "ec2:CreateTags" and call.operation != "CreateTags"
    return {"ec2:createaction": call.operation if tags_what_it_makes else None}


def _is_assume_role(call: Call) -> bool:
    return (call.service, call.operation) == ("sts", "AssumeRole")
