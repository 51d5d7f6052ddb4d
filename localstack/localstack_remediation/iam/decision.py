"""Whether a role session may do something: all its policies together."""

from collections.abc import Sequence
from dataclasses import dataclass

from .conditions import Context
from .policy import Effect, Permission, Verdict, evaluate
from .resource_policy import Grant, ResourcePolicy, grant
from .resource_policy import verdict as resource_verdict

SCP = "service control policy"
RESOURCE = "resource-based policy"
IDENTITY = "identity-based policy"
BOUNDARY = "permissions boundary"
SESSION = "session policy"


@dataclass(frozen=True)
class Policies:
    """Documents by kind. A kind that is not there (None) does not limit anything."""

    identity: Sequence[dict]
    boundary: Sequence[dict] | None = None
    session: Sequence[dict] | None = None
    # service control policies of the organization's root, of each unit below it and of the account: all must allow
    control: Sequence[Sequence[dict]] | None = None
    resource: ResourcePolicy | None = None


@dataclass(frozen=True)
class Decision:
    allowed: bool
    reason: str
    is_explicit: bool = False  # a deny, and not only nothing that allows


ALLOWED = Decision(True, "allowed")


def decide(policies: Policies, permission: Permission, context: Context) -> Decision:
    """AWS's order: an explicit deny anywhere, else every kind that is there must allow. Its words, too.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    kinds = [
        *((SCP, level) for level in policies.control or []),
        (IDENTITY, policies.identity),
        (BOUNDARY, policies.boundary),
        (SESSION, policies.session),
    ]
    verdicts = [(kind, evaluate(found, permission, context)) for kind, found in kinds if found is not None]
    if policies.resource:
        verdicts.append((RESOURCE, resource_verdict(policies.resource, permission, context)))
    for kind, verdict in verdicts:
        if verdict.effect is Effect.DENY:
            reason = _with_doubt(f"with an explicit deny in {_article(kind)}", verdict.not_understood)
            return Decision(False, reason, is_explicit=True)

    spared = _kinds_that_need_not_allow(policies.resource, permission, context)
    for kind, verdict in verdicts:
        if verdict.effect is Effect.NONE and kind not in spared:
            return Decision(False, _nothing_allows(kind, permission, verdict))
    return ALLOWED


def _kinds_that_need_not_allow(policy: ResourcePolicy | None, permission: Permission, context: Context) -> list[str]:
    if policy is None or not policy.is_own_account:
        return []
    match grant(policy, permission, context):
        case Grant.SESSION:
            return [IDENTITY, BOUNDARY, SESSION]
        case Grant.ROLE:
            return [IDENTITY]
    return [RESOURCE]


def _nothing_allows(kind: str, permission: Permission, verdict: Verdict) -> str:
    return _with_doubt(f"because no {kind} allows the {permission.action} action", verdict.not_understood)


def _with_doubt(reason: str, not_understood: str | None) -> str:
    return f"{reason} ({not_understood})" if not_understood else reason


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
