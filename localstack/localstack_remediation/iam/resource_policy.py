"""What a resource's own policy says of a role session.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html

In the resource's own account it may allow by itself: what it allows to the role (or to everybody) needs no identity
policy, and what it allows to the session by name is limited by no boundary or session policy, either. What it allows
to the account leaves the decision to the account. From another account, both sides must allow.
"""

from dataclasses import dataclass
from enum import Enum

from .conditions import Context
from .global_keys import is_for_identities_only
from .policy import Effect, Permission, Verdict, evaluate
from .principals import Caller, is_named, is_named_literally, role_session


@dataclass(frozen=True)
class ResourcePolicy:
    document: dict | None  # None: there is none, so that another account is not let in
    is_own_account: bool
    role_arn: str
    session_arn: str


class Grant(Enum):
    NONE = 0
    ACCOUNT = 1
    ROLE = 2
    SESSION = 3


def verdict(policy: ResourcePolicy, permission: Permission, context: Context) -> Verdict:
    """By whatever name the caller is meant."""
    caller = role_session(policy.role_arn, policy.session_arn)
    return _evaluate(policy, permission, context, lambda statement: is_named(statement, caller))


def grant(policy: ResourcePolicy, permission: Permission, context: Context) -> Grant:
    """The strongest name by which the policy allows; there is no explicit deny."""
    caller = role_session(policy.role_arn, policy.session_arn)
    by_name = {
        Grant.SESSION: lambda statement: is_named_literally(statement, policy.session_arn),
        Grant.ROLE: lambda statement: is_named(statement, Caller("AWS", (policy.role_arn,))),
        Grant.ACCOUNT: lambda statement: is_named(statement, caller),
    }
    for name, concerns in by_name.items():
        if _evaluate(policy, permission, context, concerns).effect is Effect.ALLOW:
            return name
    return Grant.NONE


def _evaluate(policy: ResourcePolicy, permission: Permission, context: Context, concerns) -> Verdict:
    documents = [policy.document] if policy.document else []
    here = {key: value for key, value in context.items() if not is_for_identities_only(key)}
    return evaluate(documents, permission, here, concerns)
