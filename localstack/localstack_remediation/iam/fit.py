"""Whether a policy document says what AWS understands: its actions exist, and resources and condition keys fit them.

IAM stores a policy whose action does not exist, or whose resource can never match: nobody is told, and the permission
is missing when it is needed. Each misfit here is a sentence for a person.
"""

from collections.abc import Iterable
from enum import Enum

from . import service_authorization
from .global_keys import is_for_identities_only, is_global
from .matching import as_list
from .service_authorization import Action


class Kind(Enum):
    IDENTITY = "identity"
    TRUST = "trust"
    RESOURCE = "resource"
    CONTROL = "service control"

    @property
    def is_of_resource(self) -> bool:
        return self in (Kind.TRUST, Kind.RESOURCE)


def misfits(document: dict, kind: Kind) -> list[str]:
    statements = as_list(document.get("Statement", []))
    found = [each for statement in statements for each in _of_statement(statement, kind)]
    return found + (_uncovered(statements) if kind is Kind.IDENTITY else [])


def _of_statement(statement: dict, kind: Kind) -> Iterable[str]:
    named = as_list(statement.get("Action", statement.get("NotAction", [])))
    actions = {pattern: service_authorization.expand(pattern) for pattern in named}
    for pattern, meant in actions.items():
        if not meant:
            yield _no_action(pattern)
    known = {pattern: meant for pattern, meant in actions.items() if meant}
    resources = as_list(statement.get("Resource", "*"))  # a trust policy has none, and NotResource is not judged
    if "Action" in statement and "Resource" in statement:
        yield from _of_resources(known, resources)
    yield from _of_conditions(statement.get("Condition") or {}, known, resources, kind)


def _no_action(pattern: str) -> str:
    service = pattern.partition(":")[0].lower()
    if ":" in pattern and service not in service_authorization.services():
        return f"the emulator has no data about the service of {pattern}: see make-service-authorization"
    return f"no action is called {pattern}"


def _of_resources(actions: dict[str, list[Action]], resources: list[str]) -> Iterable[str]:
    """Some resource for every action, and some action for every resource."""
    for pattern, meant in actions.items():
        if not any(action.fits(resource) for action in meant for resource in resources):
            yield f"{pattern} is {_types(meant)}, which none of {', '.join(resources)} is"
    fitting = [action for meant in actions.values() for action in meant if any(map(action.fits, resources))]
    for resource in resources:
        if fitting and not any(action.fits(resource) for action in fitting):
            yield f"no action of the statement is on {resource}"


def _types(actions: list[Action]) -> str:
    names = sorted({kind.template for action in actions for kind in action.types})
    return f"on {' or '.join(names)}" if names else "on * only"


def _of_conditions(
    block: dict, actions: dict[str, list[Action]], resources: list[str], kind: Kind
) -> Iterable[str]:
    for key in sorted({key for pairs in block.values() for key in pairs}):
        if kind.is_of_resource and is_for_identities_only(key):
            yield f"{key} is in no {kind.value} policy"
        if is_global(key):
            continue
        for pattern, meant in actions.items():
            # A key that only some resources of the statement have leaves the others out, which may well be meant
            if not any(action.knows(key, resource) for action in meant for resource in resources):
                yield f"{pattern} on {', '.join(resources)} does not have the condition key {key}"


def _uncovered(statements: list[dict]) -> list[str]:
    """An action that needs several types of resources is allowed on each of them, or it is never allowed."""
    allowed: dict[str, set[str]] = {}
    for statement in statements:
        if statement.get("Effect") == "Allow" and "Action" in statement and "Resource" in statement:
            for name in as_list(statement["Action"]):
                allowed.setdefault(name, set()).update(as_list(statement["Resource"]))
    return [
        f"{name} needs {kind.template}, too"
        for name, resources in allowed.items()
        if (action := service_authorization.find(name)) and any(map(action.fits, resources))
        for kind in action.types
        if kind.is_required and not any(map(kind.concerns, resources))
    ]
