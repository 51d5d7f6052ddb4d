"""Whether a role's trust policy lets a caller in."""

from collections.abc import Iterable

from .conditions import Context
from .decision import ALLOWED, Decision
from .global_keys import is_for_identities_only
from .policy import Effect, Permission, evaluate
from .principals import Caller, is_named


def check_trust(document: dict, caller: Caller, permissions: Iterable[Permission], context: Context) -> Decision:
    """Every action must be allowed: sts:AssumeRole alone does not let a caller set a source identity."""
    context = {key: value for key, value in context.items() if not is_for_identities_only(key)}
    for permission in permissions:
        verdict = evaluate([document], permission, context, lambda statement: is_named(statement, caller))
        doubt = f" ({verdict.not_understood})" if verdict.not_understood else ""
        if verdict.effect is Effect.DENY:
            return Decision(False, f"with an explicit deny in the role's trust policy{doubt}")
        if verdict.effect is Effect.NONE:
            reason = f"because the role's trust policy does not allow the {permission.action} action"
            return Decision(False, reason + doubt)
    return ALLOWED
