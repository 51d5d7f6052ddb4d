"""Whether a role session may do something: all its policies together."""

from collections.abc import Sequence
from dataclasses import dataclass

from .conditions import Context
from .policy import Effect, Permission, evaluate


@dataclass(frozen=True)
class Policies:
    """Documents by kind. A boundary or session policy that is not there (None) does not limit anything."""

    identity: Sequence[dict]
    boundary: Sequence[dict] | None = None
    session: Sequence[dict] | None = None


@dataclass(frozen=True)
class Decision:
    allowed: bool
    reason: str
    is_explicit: bool = False  # a deny, and not only nothing that allows


ALLOWED = Decision(True, "allowed")


def decide(policies: Policies, permission: Permission, context: Context) -> Decision:
    """AWS's order: an explicit deny anywhere, else every kind that is there must allow. Its words, too."""
    kinds = [
        ("identity-based policy", policies.identity),
        ("permissions boundary", policies.boundary),
        ("session policy", policies.session),
    ]
    verdicts = [(kind, evaluate(found, permission, context)) for kind, found in kinds if found is not None]
    for kind, verdict in verdicts:
        if verdict.effect is Effect.DENY:
            reason = _with_doubt(f"with an explicit deny in {_article(kind)}", verdict.not_understood)
            return Decision(False, reason, is_explicit=True)
    for kind, verdict in verdicts:
        if verdict.effect is Effect.NONE:
            reason = f"because no {kind} allows the {permission.action} action"
            return Decision(False, _with_doubt(reason, verdict.not_understood))
    return ALLOWED


def _with_doubt(reason: str, not_understood: str | None) -> str:
    return f"{reason} ({not_understood})" if not_understood else reason


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
