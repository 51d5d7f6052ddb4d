"""Whom the Principal of a trust policy or a resource policy means.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from dataclasses import dataclass

from .conditions import NotUnderstood
from .matching import as_list


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


def is_named(statement: dict, caller: Caller) -> bool:
    if "NotPrincipal" in statement:
        raise NotUnderstood("NotPrincipal is not supported by the emulator")
    principal = statement.get("Principal", {})
    if principal == "*":
        return True
    wanted = as_list(principal.get(caller.kind, []))
    return any(name in caller.names or (name == "*" and caller.kind == "AWS") for name in wanted)


def is_named_literally(statement: dict, arn: str) -> bool:
    principal = statement.get("Principal", {})
    return principal != "*" and arn in as_list(principal.get("AWS", []))
