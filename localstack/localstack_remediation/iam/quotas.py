"""What IAM and STS refuse for its size.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: the defaults, for quotas that can be raised.
Lengths and values of parameters are read from the API's own model. The messages are those that people report.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from botocore.model import Shape

TRUST_POLICY = 2_048
MANAGED_POLICY = 6_144
INLINE_POLICIES = {"role": 10_240, "user": 2_048, "group": 5_120}
ATTACHED_POLICIES = 10
ROLES = 1_000


@dataclass(frozen=True)
class Refusal:
    code: str
    message: str
    status: int


def trust_policy(text: str) -> Refusal | None:
    return _exceeded("ACLSizePerRole", TRUST_POLICY) if size(text) > TRUST_POLICY else None


def managed_policy(text: str) -> Refusal | None:
    return _exceeded("PolicySize", MANAGED_POLICY) if size(text) > MANAGED_POLICY else None


def inline_policies(kind: str, name: str, texts: Iterable[str]) -> Refusal | None:
    """All inline policies of a role, user or group together."""
    quota = INLINE_POLICIES[kind]
    if sum(map(size, texts)) <= quota:
        return None
    return Refusal("LimitExceeded", f"Maximum policy size of {quota} bytes exceeded for {kind} {name}", 409)


def attached_policies(kind: str, arns: Iterable[str]) -> Refusal | None:
    return _exceeded(f"PoliciesPer{kind.title()}", ATTACHED_POLICIES) if len(set(arns)) > ATTACHED_POLICIES else None


def roles(count: int) -> Refusal | None:
    return _exceeded("RolesPerAccount", ROLES) if count > ROLES else None


def parameters(shape: Shape | None, given: Mapping) -> Refusal | None:
    """Strings and numbers that the API's model limits, by length, value or pattern."""
    members = shape.members if shape else {}
    broken = [
        f"Value at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: {constraint}"
        for name, value in given.items()
        if name in members and isinstance(value, str | int) and not isinstance(value, bool)
        for constraint in _broken_constraints(members[name].metadata, value)
    ]
    if not broken:
        return None
    errors = "1 validation error" if len(broken) == 1 else f"{len(broken)} validation errors"
    return Refusal("ValidationError", f"{errors} detected: {'; '.join(broken)}", 400)


def size(text: str) -> int:
    """White space is not counted."""
    return len("".join(text.split()))


def _broken_constraints(limits: Mapping, value: str | int) -> Iterable[str]:
    measured, what = (len(value), "length") if isinstance(value, str) else (value, "value")
    if measured > limits.get("max", measured):
        yield f"Member must have {what} less than or equal to {limits['max']}"
    if measured < limits.get("min", measured):
        yield f"Member must have {what} greater than or equal to {limits['min']}"
    pattern = limits.get("pattern")
    if pattern and isinstance(value, str) and not re.fullmatch(pattern, value):
        yield f"Member must satisfy regular expression pattern: {pattern}"


def _exceeded(name: str, quota: int) -> Refusal:
    return Refusal("LimitExceeded", f"Cannot exceed quota for {name}: {quota}", 409)
