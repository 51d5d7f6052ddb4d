"""Whether a caller may make a call: its own policies, the resource's, and, for AssumeRole, the role's trust policy."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from . import organization, request_context, stored, trust
from .conditions import Context
from .decision import Decision, Policies, decide
from .permissions import assume_role_permissions, permissions_for
from .policy import Permission
from .principals import role_session, service
from .resource_policy import ResourcePolicy
from .resources import Call
from .sessions import Session

LOG = logging.getLogger(__name__)
NO_ROLE = Decision(False, "because the role does not exist")  # AWS gives no reason, so that nobody can probe for names

Judged = tuple[Permission, Decision]


def judge_session(session: Session, call: Call) -> list[Judged]:
    """A decision for every permission that the call needs."""
    call = with_source_identity(session, call)
    context = request_context.of_session(session, call)
    policies = _policies(session)
    judged = []
    for permission in permissions_for(call):
        of_permission = context | request_context.of_permission(call, permission)
        with_resource = replace(policies, resource=_resource_policy(session, call, permission))
        decision = decide(with_resource, permission, of_permission)
        judged.append((permission, decision))
    if _is_assume_role(call) and all(decision.allowed for _, decision in judged):
        judged = [
            (permission, _judge_trust(session, permission, context | request_context.of_permission(call, permission)))
            for permission, _ in judged
        ]
    return judged


def judge_service(name: str, call: Call, source_arn: str | None) -> list[Judged]:
    """A service takes a role that was passed to it: only the trust policy counts."""
    role_arn = call.parameters["RoleArn"]
    role = stored.find_role(role_arn)
    context = request_context.of_service(name, role_arn, source_arn)
    return [
        (
            permission,
            trust.check_trust(stored.trust_policy(role), service(name), [permission], context) if role else NO_ROLE,
        )
        for permission in assume_role_permissions(call.parameters)
    ]


def service_may(name: str, role_arn: str, source_arn: str, calls: Iterable[Call]) -> bool:
    """Can a service take this role and make these calls with it? For a service that the emulator has no part of."""
    assume = Call("sts", "AssumeRole", {"RoleArn": role_arn}, "", "", "")
    try:
        judged = judge_service(name, assume, source_arn)
        session = Session(role_arn, name, None, None)
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
    caller = role_session(session.role_arn, session.arn)
    return trust.check_trust(stored.trust_policy(role), caller, [permission], context)


def _policies(session: Session) -> Policies:
    role = stored.find_role(session.role_arn)
    if role is None:  # deleted since
        return Policies(identity=[])
    member = organization.membership(session.account, session.partition)
    return Policies(
        identity=stored.identity_policies(role),
        boundary=stored.permissions_boundary(role),
        session=session.policies,
        control=member.control if member else None,
    )


def _resource_policy(session: Session, call: Call, permission: Permission) -> ResourcePolicy | None:
    """Of a bucket that is there. Whoever makes a bucket is told by S3 that the name is taken."""
    if not permission.action.startswith("s3:") or not permission.resource or call.operation == "CreateBucket":
        return None
    bucket = permission.resource.split(":", 5)[-1].partition("/")[0]
    owner = stored.bucket_owner(bucket)
    if owner is None:
        return None
    return ResourcePolicy(stored.bucket_policy(bucket), owner == session.account, session.role_arn, session.arn)


def _is_assume_role(call: Call) -> bool:
    return (call.service, call.operation) == ("sts", "AssumeRole")
