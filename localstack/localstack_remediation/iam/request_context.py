"""The condition keys of a request: what is known of the caller, the call and the resource.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html

A key that is not here is not supported. Which of them an action has is judged later, by the service authorization
data.
"""

from collections.abc import Iterable

from . import organization, stored
from .conditions import Value
from .policy import Permission
from .resources import Call
from .sessions import Session

PASSED_TO = {
    "ec2": "vpc-flow-logs.amazonaws.com",  # of EC2's operations only CreateFlowLogs is known to pass a role here
    "lambda": "lambda.amazonaws.com",
    "scheduler": "scheduler.amazonaws.com",
    "ssm": "ssm.amazonaws.com",
}

# Of S3, by the parameter that says it; they are sent as headers or as a part of the query
S3_KEYS = {
    "s3:delimiter": "Delimiter",
    "s3:if-match": "IfMatch",
    "s3:if-none-match": "IfNoneMatch",
    "s3:max-keys": "MaxKeys",
    "s3:object-lock-legal-hold": "ObjectLockLegalHoldStatus",
    "s3:object-lock-mode": "ObjectLockMode",
    "s3:prefix": "Prefix",
    "s3:versionid": "VersionId",
    "s3:x-amz-acl": "ACL",
    "s3:x-amz-copy-source": "CopySource",
    "s3:x-amz-metadata-directive": "MetadataDirective",
    "s3:x-amz-server-side-encryption": "ServerSideEncryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "s3:x-amz-storage-class": "StorageClass",
}

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html: those that begin or feed a
# multipart upload make no object, and have no conditional headers
MAKES_NO_OBJECT = ("CreateMultipartUpload", "UploadPart", "UploadPartCopy")


def of_session(session: Session, call: Call) -> dict[str, Value]:
    asked = call.parameters if (call.service, call.operation) == ("sts", "AssumeRole") else {}
    role = stored.find_role(session.role_arn)
    tags = (stored.tags_of_role(role) if role else {}) | session.tags
    return {
        "aws:calledvia": None,
        "aws:federatedprovider": None,
        "aws:multifactorauthpresent": None,
        "aws:principalaccount": session.account,
        "aws:principalarn": session.role_arn,
        "aws:principalisawsservice": "false",
        "aws:principalservicename": None,
        "aws:principaltype": "AssumedRole",
        "aws:requestedregion": call.region,
        "aws:securetransport": "true" if call.secure else "false",
        "aws:sourceaccount": None,
        "aws:sourcearn": None,
        "aws:sourceidentity": session.source_identity,
        "aws:sourcevpc": None,
        "aws:sourcevpce": None,
        "aws:userid": f"{role.id}:{session.name}" if role else None,
        "aws:username": None,
        "aws:viaawsservice": "false",
        "iam:passedtoservice": PASSED_TO.get(call.service),
        "lambda:sourcefunctionarn": session.function_arn,
        "sts:externalid": asked.get("ExternalId"),
        "sts:rolesessionname": asked.get("RoleSessionName"),
        "sts:sourceidentity": asked.get("SourceIdentity"),
        **_of_organization("aws:principal", session.account, session.partition),
        **_tags("aws:principaltag", tags),
        **(_of_s3(call) if call.service == "s3" else {}),
    }


def of_service(service: str, role_arn: str, source_arn: str | None) -> dict[str, Value]:
    """Of a service that takes a role."""
    _, partition, _, _, account, _ = role_arn.split(":", 5)
    context: dict[str, Value] = {
        "aws:principalarn": None,
        "aws:principalaccount": None,
        "aws:principalorgid": None,
        "aws:principalorgpaths": None,
        "aws:principalisawsservice": "true",
        "aws:principalservicename": service,
        "aws:securetransport": "true",
        "aws:sourceaccount": account,
        "sts:externalid": None,
        "sts:sourceidentity": None,
        **of_resource(Permission("sts:AssumeRole", role_arn), account, partition),
    }
    if source_arn:  # where LocalStack does not tell, a condition on it cannot be judged
        context["aws:sourcearn"] = source_arn
    return context


def of_permission(call: Call, permission: Permission) -> dict[str, Value]:
    """What is of one permission only, of those that a call needs."""
    tags_what_it_makes = permission.action == "ec2:CreateTags" and call.operation != "CreateTags"
    owner = resource_owner(call, permission)
    tags = dict(_requested_tags(call, permission))
    return {
        "ec2:createaction": call.operation if tags_what_it_makes else None,
        "s3:resourceaccount": owner,
        **_of_service_in_between(call, permission),
        "aws:tagkeys": tuple(tags) or None,
        **_tags("aws:requesttag", tags),
        **of_resource(permission, owner, call.partition),
    }


def _of_service_in_between(call: Call, permission: Permission) -> dict[str, Value]:
    """A service that asks KMS in the caller's name says so, and tells nothing of the caller's function.

    https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_forward_access_sessions.html
    """
    if not permission.action.startswith("kms:") or call.service == "kms":
        return {"kms:viaservice": None}
    return {
        "kms:viaservice": f"{call.service}.{call.region}.amazonaws.com",
        "aws:viaawsservice": "true",
        "lambda:sourcefunctionarn": None,
    }


def of_resource(permission: Permission, owner: str | None, partition: str) -> dict[str, Value]:
    tags = stored.tags(permission.resource) if permission.resource else None
    return {
        "aws:resourceaccount": owner,
        **_of_organization("aws:resource", owner, partition),
        **({} if tags is None else _tags("aws:resourcetag", tags)),
    }


def resource_owner(call: Call, permission: Permission) -> str | None:
    """The account that has the resource; None for one of AWS's own. A call without a resource is about the caller's."""
    if permission.resource in (None, "*"):
        return call.account
    _, _, service, _, account, resource = permission.resource.split(":", 5)
    if service == "s3":
        return stored.bucket_owner(resource.partition("/")[0]) or call.account
    return account or None


def _of_organization(prefix: str, account: str | None, partition: str) -> dict[str, Value]:
    member = organization.membership(account, partition) if account else None
    return {
        f"{prefix}orgid": member.organization if member else None,
        f"{prefix}orgpaths": (member.path,) if member else None,
    }


def _of_s3(call: Call) -> dict[str, Value]:
    asked = {key: call.parameters.get(parameter) for key, parameter in S3_KEYS.items()}
    return {
        **{key: None if value is None else str(value) for key, value in asked.items()},
        "s3:authtype": "REST-HEADER",  # the calls that are judged are found by that header
        "s3:signatureversion": "AWS4-HMAC-SHA256",
        "s3:objectcreationoperation": "false" if call.operation in MAKES_NO_OBJECT else "true",
        # a bucket's tags are no condition keys until its owner turns that on, which LocalStack does not know:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging-enable-abac.html
        "s3:buckettag/*": None,
    }


def _requested_tags(call: Call, permission: Permission) -> Iterable[tuple[str, str]]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_tags.html#access_tags_control-requests"""
    if specifications := call.parameters.get("TagSpecifications"):
        kind = (permission.resource or "").rpartition(":")[2].partition("/")[0]
        listed = [tag for each in specifications if each.get("ResourceType") == kind for tag in each.get("Tags") or []]
    else:
        listed = call.parameters.get("Tags") or call.parameters.get("tags") or []
    if isinstance(listed, dict):
        yield from listed.items()
        return
    for tag in listed:
        key = tag.get("Key") or tag.get("TagKey") or tag.get("key")
        if key:
            yield key, str(tag.get("Value") or tag.get("TagValue") or tag.get("value") or "")


def _tags(prefix: str, tags: dict[str, str]) -> dict[str, Value]:
    return {f"{prefix}/{key.lower()}": value for key, value in tags.items()} | {f"{prefix}/*": None}
