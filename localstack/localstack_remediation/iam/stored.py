"""What decisions need of what LocalStack and moto have stored: roles, policies, owners and tags."""

import json

from localstack.constants import AWS_REGION_US_EAST_1, DEFAULT_AWS_ACCOUNT_ID
from localstack.services.s3.models import S3Bucket, s3_stores
from moto.cloudtrail.models import cloudtrail_backends
from moto.ec2.models import ec2_backends
from moto.iam.models import Role, iam_backends
from moto.secretsmanager.models import secretsmanager_backends


def find_role(arn: str) -> Role | None:
    _, partition, _, _, account, resource = arn.split(":", 5)
    # A copy: others make roles meanwhile. So it is wherever moto's own dictionaries are gone through.
    roles = list(iam_backends[account][partition].roles.values())
    return next((role for role in roles if role.arn == arn and resource.startswith("role/")), None)


def trust_policy(role: Role) -> dict:
    return json.loads(role.assume_role_policy_document)


def identity_policies(role: Role) -> list[dict]:
    inline = [_text(policy) for policy in list(role.policies.values())]
    managed = [_default_version(policy) for policy in list(role.managed_policies.values())]
    return [json.loads(text) for text in inline + managed]


def inline_policies(account: str, partition: str, kind: str, name: str) -> dict[str, str]:
    """Of a role, user or group, by their names."""
    holder = _holder(account, partition, kind, name)
    return {policy_name: _text(policy) for policy_name, policy in list(holder.policies.items())} if holder else {}


def attached_policies(account: str, partition: str, kind: str, name: str) -> list[str]:
    holder = _holder(account, partition, kind, name)
    return list(holder.managed_policies) if holder else []


def count_of_roles(account: str, partition: str) -> int:
    return len(iam_backends[account][partition].roles)


def _holder(account: str, partition: str, kind: str, name: str):
    backend = iam_backends[account][partition]
    every = {"role": backend.roles, "user": backend.users, "group": backend.groups}[kind]
    return next((each for each in list(every.values()) if each.name == name), None)


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


def is_organization_trail(account: str, region: str, name: str) -> bool:
    trails = list(cloudtrail_backends[account][region].trails.values())
    return any(trail.is_org_trail for trail in trails if name in (trail.trail_name, trail.arn))


def bucket_owner(name: str) -> str | None:
    bucket = _bucket(name)
    return bucket.bucket_account_id if bucket else None


def bucket_policy(name: str) -> dict | None:
    bucket = _bucket(name)
    return json.loads(bucket.policy) if bucket and bucket.policy else None


def bucket_key(name: str) -> str | None:
    """The KMS key of the account's own by which a bucket encrypts what is put into it."""
    bucket = _bucket(name)
    default = ((bucket.encryption_rule if bucket else None) or {}).get("ApplyServerSideEncryptionByDefault") or {}
    return _key_arn(default.get("KMSMasterKeyID"))


def is_encrypted_by_key_id(name: str) -> bool:
    """Whether the KMS key by which a bucket encrypts is named by its ID or an alias, and not by its ARN."""
    bucket = _bucket(name)
    default = ((bucket.encryption_rule if bucket else None) or {}).get("ApplyServerSideEncryptionByDefault") or {}
    return not default.get("KMSMasterKeyID", "arn:").startswith("arn:")


def delivers_to_bucket(account: str, region: str, flow_log: str) -> bool:
    found = ec2_backends[account][region].flow_logs.get(flow_log)
    return found is not None and found.log_destination_type == "s3"


def object_key(bucket_name: str, key: str, version: str | None) -> str | None:
    """The KMS key of the account's own by which an object is encrypted, if it is there."""
    bucket = _bucket(bucket_name)
    if not bucket:
        return None
    found = bucket.objects.get(key, version) if version else bucket.objects.get(key)
    return _key_arn(getattr(found, "kms_key_id", None))


def _key_arn(key: str | None) -> str | None:
    # what is not an ARN is AWS's own key for S3, which everybody in the account may use
    return key if key and key.startswith("arn:") and ":key/" in key else None


def tags_of_role(role: Role) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in role.tags}


def tags(arn: str) -> dict[str, str] | None:
    """The tags of a resource, as aws:ResourceTag sees them; None where the emulator does not know."""
    if arn == "*":
        return {}
    _, partition, service, region, account, resource = arn.split(":", 5)
    kind, _, name = resource.partition("/")
    if service == "s3":  # no condition keys until the bucket's owner turns that on, which LocalStack does not know
        return {}
    if service == "iam" and kind == "role":
        role = find_role(arn)
        return tags_of_role(role) if role else {}
    if service == "iam" and kind == "user":
        return iam_backends[account][partition].tagger.get_tag_dict_for_resource(arn)
    if service == "ec2":
        return dict(ec2_backends[account][region].tags.get(name, {}))
    return None


def _bucket(name: str) -> S3Bucket | None:
    # the map of names is shared by all accounts, and each account's buckets by all of its regions
    owner = s3_stores[DEFAULT_AWS_ACCOUNT_ID][AWS_REGION_US_EAST_1].global_bucket_map.get(name)
    return s3_stores[owner][AWS_REGION_US_EAST_1].buckets.get(name) if owner else None


def _text(policy) -> str:
    return getattr(policy, "policy_document", policy)  # LocalStack's patch keeps an object, moto a text


def _default_version(policy) -> str:
    return next(version.document for version in policy.versions if version.is_default)
