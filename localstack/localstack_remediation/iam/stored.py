"""Roles and policies as moto, behind LocalStack's IAM, has stored them."""

import json

from moto.iam.models import Role, iam_backends
from moto.secretsmanager.models import secretsmanager_backends


def find_role(arn: str) -> Role | None:
    _, partition, _, _, account, resource = arn.split(":", 5)
    roles = iam_backends[account][partition].roles.values()
    return next((role for role in roles if role.arn == arn and resource.startswith("role/")), None)


def trust_policy(role: Role) -> dict:
    return json.loads(role.assume_role_policy_document)


def identity_policies(role: Role) -> list[dict]:
    inline = [_text(policy) for policy in role.policies.values()]
    managed = [_default_version(policy) for policy in role.managed_policies.values()]
    return [json.loads(text) for text in inline + managed]


def permissions_boundary(role: Role) -> list[dict] | None:
    arn = role.permissions_boundary_arn
    return managed_policies(role.account_id, role.partition, [arn]) if arn else None


def managed_policies(account: str, partition: str, arns: list[str]) -> list[dict]:
    """A policy that does not exist is left out: it allows nothing."""
    known = iam_backends[account][partition].managed_policies
    return [json.loads(_default_version(known[arn])) for arn in arns if arn in known]


def secret_arn(account: str, region: str, name: str) -> str | None:
    secret = secretsmanager_backends[account][region].secrets.get(name)
    return secret.arn if secret else None


def access_key_owner(account: str, partition: str, access_key: str) -> str | None:
    key = iam_backends[account][partition].access_keys.get(access_key)
    return key.user_name if key else None


def _text(policy) -> str:
    return getattr(policy, "policy_document", policy)  # LocalStack's patch keeps an object, moto a text


def _default_version(policy) -> str:
    return next(version.document for version in policy.versions if version.is_default)
