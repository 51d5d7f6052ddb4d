"""Where an account is in its organization, and the service control policies that limit it.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html

The organization is moto's: CreateAccount, AttachPolicy and the like make it. As on AWS, service control policies count
once EnablePolicyType has turned them on, never for the management account, and each level must allow.
"""

import json
from dataclasses import dataclass

from moto.organizations.models import organizations_backends

TYPE = "SERVICE_CONTROL_POLICY"


@dataclass(frozen=True)
class Membership:
    organization: str
    path: str  # `o-…/r-…/ou-…/`
    control: tuple[tuple[dict, ...], ...] | None  # from the root down to the account; None where they do not count


def management_account(account: str, partition: str) -> str | None:
    """None without an organization."""
    if organizations_backends[account][partition].org:
        return account
    management, _ = organizations_backends.master_accounts.get(account, (None, None))
    return management


def membership(account: str, partition: str) -> Membership | None:
    management = management_account(account, partition)
    if management is None:
        return None
    backend = organizations_backends[management][partition]
    member = next((each for each in backend.accounts if each.id == account), None)
    if member is None:
        return None
    levels = [member]
    while parent := next((unit for unit in backend.ou if unit.id == levels[0].parent_id), None):
        levels.insert(0, parent)
    root = levels[0]
    counts = account != management and {"Type": TYPE, "Status": "ENABLED"} in root.policy_types
    return Membership(
        organization=backend.org.id,
        path="/".join([backend.org.id, *(unit.id for unit in levels[:-1])]) + "/",
        control=tuple(_documents(level) for level in levels) if counts else None,
    )


def _documents(target) -> tuple[dict, ...]:
    return tuple(json.loads(policy.content) for policy in target.attached_policies if policy.type == TYPE)
