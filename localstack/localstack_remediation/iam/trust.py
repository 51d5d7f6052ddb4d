"""Whether a role's trust policy lets a caller in."""

from collections.abc import Iterable
from dataclasses import dataclass

from .conditions import Context, NotUnderstood
from .decision import ALLOWED, Decision
from .matching import as_list
from .policy import Effect, Permission, evaluate


@dataclass(frozen=True)
class Caller:
    """A kind of principal (`AWS` or `Service`) and every name by which a policy may mean this caller."""

    kind: str
    names: tuple[str, ...]


def role_session(role_arn: str, session_arn: str) -> Caller:
    partition, account = role_arn.split(":")[1], role_arn.split(":")[4]
    return Caller("AWS", (role_arn, session_arn, f"arn:{partition}:iam::{account}:root", account))


def service(name: str) -> Caller:
    return Caller("Service", (name,))


def check_trust(document: dict, caller: Caller, permissions: Iterable[Permission], context: Context) -> Decision:
    """Every action must be allowed: sts:AssumeRole alone does not let a caller set a source identity."""
    for permission in permissions:
        verdict = evaluate([document], permission, context, lambda statement: _names(statement, caller))
        doubt = f" ({verdict.not_understood})" if verdict.not_understood else ""
        if verdict.effect is Effect.DENY:
            return Decision(False, f"with an explicit deny in the role's trust policy{doubt}")
        if verdict.effect is Effect.NONE:
            reason = f"because the role's trust policy does not allow the {permission.action} action"
            return Decision(False, reason + doubt)
    return ALLOWED


def _names(statement: dict, caller: Caller) -> bool:
    if "NotPrincipal" in statement:
        raise NotUnderstood("NotPrincipal is not supported by the emulator")
    principal = statement.get("Principal", {})
    if principal == "*":
        return True
    wanted = as_list(principal.get(caller.kind, []))
    return any(name in caller.names or (name == "*" and caller.kind == "AWS") for name in wanted)
