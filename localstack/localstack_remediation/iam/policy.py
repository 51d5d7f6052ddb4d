"""What a set of policy documents says about one action on one resource."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from . import conditions, service_authorization
from .conditions import Context, NotUnderstood
from .matching import arn_matches, as_list, matches


@dataclass(frozen=True)
class Permission:
    """One action on one resource: `*` for an action that takes none.

    None is a resource that the emulator cannot tell: it may be any of the types that the action has.
    """

    action: str
    resource: str | None


class Effect(Enum):
    ALLOW = "allow"
    DENY = "explicit deny"
    NONE = "not mentioned"


@dataclass(frozen=True)
class Verdict:
    effect: Effect
    not_understood: str | None = None  # why a statement was taken for the stricter of its possible meanings


def evaluate(
    documents: Iterable[dict],
    permission: Permission,
    context: Context,
    concerns: Callable[[dict], bool] = lambda statement: True,
) -> Verdict:
    """`concerns` further restricts the statements, for documents that have principals."""
    allowed, doubt = False, None
    for document in documents:
        for statement in as_list(document.get("Statement", [])):
            denies = statement["Effect"] == "Deny"
            try:
                applies = _applies(statement, permission, context, concerns)
            except NotUnderstood as error:
                applies, doubt = denies, str(error)
            if applies and denies:
                return Verdict(Effect.DENY, doubt)
            allowed = allowed or applies
    return Verdict(Effect.ALLOW) if allowed else Verdict(Effect.NONE, doubt)


def _applies(
    statement: dict, permission: Permission, context: Context, concerns: Callable[[dict], bool]
) -> bool:
    return (
        _names_action(statement, permission.action)
        and _names_resource(statement, permission)
        and concerns(statement)
        and conditions.hold(
            statement.get("Condition") or {},
            service_authorization.known_to(permission.action, permission.resource, context),
        )
    )


def _names_action(statement: dict, action: str) -> bool:
    if "NotAction" in statement:
        return not _any_action(statement["NotAction"], action)
    return _any_action(statement.get("Action", []), action)


def _any_action(patterns, action: str) -> bool:
    return any(matches(pattern, action, ignore_case=True) for pattern in as_list(patterns))


def _names_resource(statement: dict, permission: Permission) -> bool:
    patterns = as_list(statement.get("Resource", statement.get("NotResource", "*")))
    for pattern in patterns:
        if "${" in pattern:
            raise NotUnderstood(f"policy variable in {pattern} is not supported by the emulator")
    if permission.resource is None:
        action = service_authorization.find(permission.action)
        return "NotResource" in statement or action is None or any(map(action.fits, patterns))
    return any(arn_matches(pattern, permission.resource) for pattern in patterns) != ("NotResource" in statement)
