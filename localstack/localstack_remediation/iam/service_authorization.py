"""What AWS's service authorization reference says of an action: its resource types, condition keys, dependent actions.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html

The data is service_authorization.json, for the services that the emulator runs; make-service-authorization makes it.
An action without resource types matches the resource `*` alone. A condition key counts for an action when the action
lists it, for all resources or for a type; where the action lists none for a type, the type's own keys count. Keys that
work across services (global_keys) are listed by no action.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from .global_keys import is_global
from .matching import arns_meet, matches

DATA = Path(__file__).with_name("service_authorization.json")


@dataclass(frozen=True)
class ResourceType:
    """As one action sees it."""

    name: str
    template: str  # `arn:${Partition}:ec2:${Region}:${Account}:vpc/${VpcId}`
    is_required: bool
    keys: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """Every ARN of this type, those of AWS's own resources, which have no account, too."""
        return re.sub(r"\$\{\w+\}", "*", self.template)

    def concerns(self, pattern: str) -> bool:
        """Does an ARN of this type fit the pattern of a policy's Resource?"""
        # the name of a bucket has no slash: otherwise every object's ARN would be a bucket's, too
        return arns_meet(re.sub(r"\$\{BucketName\}", "\0", self.template), pattern)

    def fill(self, partition: str, region: str, account: str) -> str:
        """The ARN of any resource of this type in one account: what a call is about that makes such a resource."""
        known = {"Partition": partition, "Region": region, "Account": account}
        return re.sub(r"\$\{(\w+)\}", lambda variable: known.get(variable[1], "*"), self.template)


@dataclass(frozen=True)
class Action:
    name: str
    types: tuple[ResourceType, ...]
    keys: tuple[str, ...]  # for every resource
    dependent_actions: tuple[str, ...]

    def fits(self, resource: str) -> bool:
        """Does the pattern of a policy's Resource mean any resource of this action?"""
        return resource == "*" or any(kind.concerns(resource) for kind in self.types)

    def knows(self, key: str, resource: str | None = None) -> bool:
        """A condition key, global ones aside, with a resource or with any."""
        kinds = [kind for kind in self.types if resource in (None, "*") or kind.concerns(resource)]
        listed = [*self.keys, *(key for kind in kinds for key in kind.keys)]
        return any(matches(_key_pattern(each), key, ignore_case=True) for each in listed)


def find(name: str) -> Action | None:
    return _actions().get(name.lower())


def expand(pattern: str) -> list[Action]:
    """The actions that a policy's Action means."""
    if "*" not in pattern and "?" not in pattern:
        return [action] if (action := find(pattern)) else []
    return [action for action in _actions().values() if matches(pattern, action.name, ignore_case=True)]


def services() -> frozenset[str]:
    return frozenset(name.partition(":")[0] for name in _actions())


def known_to(action: str, resource: str | None, context: Mapping) -> dict:
    """Of a request's context the keys that the action knows; all of them for an action that the data does not have."""
    found = find(action)
    if found is None:
        return dict(context)
    return {key: value for key, value in context.items() if is_global(key) or _knows(found.name, key, resource)}


@lru_cache(maxsize=65536)
def _knows(action: str, key: str, resource: str | None) -> bool:
    """Asked for each statement of each policy, and the emulator's time went here."""
    return find(action).knows(key, resource)


@cache
def _key_pattern(key: str) -> str:
    """`aws:ResourceTag/${TagKey}`, `s3:ExistingObjectTag/<key>` and `ssm:resourceTag/tag-key` mean any tag."""
    return re.sub(r"\$\{\w+\}|<\w+>|(?<=/)tag-key$", "*", key)


@cache
def _actions() -> dict[str, Action]:
    data = json.loads(DATA.read_text())
    key_lists = [tuple(keys) for keys in data["keys"]]
    found = {}
    for prefix, service in data["services"].items():
        templates = {kind: (template, key_lists[number]) for kind, (template, number) in service["resources"].items()}
        for name, rows in service["actions"].items():
            action = f"{prefix}:{name}"
            types = tuple(
                ResourceType(kind, templates[kind][0], required, key_lists[number] or templates[kind][1])
                for kind, (required, number, _) in rows.items()
                if kind
            )
            keys = key_lists[rows[""][1]] if "" in rows else ()
            dependent = sorted({each for _, _, listed in rows.values() for each in listed})
            found[action.lower()] = Action(action, types, keys, tuple(dependent))
    return found
