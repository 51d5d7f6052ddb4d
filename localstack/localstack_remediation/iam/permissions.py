"""Every permission that one API call needs. Most need one; some touch several resources or have dependent actions."""

from urllib.parse import unquote

from .actions import action_of
from .dependent_actions import dependent_permissions
from .policy import Permission
from .resources import Call, key_arn, object_arn, resources_of


def permissions_for(call: Call) -> list[Permission]:
    action = action_of(call.service, call.operation, versioned=bool(call.parameters.get("VersionId")))
    match f"{call.service}:{call.operation}":
        case "sts:GetCallerIdentity":
            return []  # always allowed, even against an explicit deny
        case "sts:AssumeRole":
            return assume_role_permissions(call.parameters)
        case "kms:ReEncrypt":
            return [
                Permission(f"kms:ReEncrypt{side}", key_arn(call, call.parameters.get(parameter)))
                for side, parameter in (("From", "SourceKeyId"), ("To", "DestinationKeyId"))
            ]
        case "s3:DeleteObjects":
            bucket, objects = call.parameters["Bucket"], call.parameters["Delete"]["Objects"]
            return [
                Permission(
                    action_of("s3", "DeleteObject", versioned=bool(each.get("VersionId"))),
                    object_arn(call, bucket, each["Key"]),
                )
                for each in objects
            ]

    needed = [Permission(action, resource) for resource in resources_of(call, action)]
    if call.service == "s3" and (source := call.parameters.get("CopySource")):
        path, _, version = unquote(source).lstrip("/").partition("?versionId=")
        needed.append(
            Permission(action_of("s3", "GetObject", versioned=bool(version)), object_arn(call, *path.split("/", 1)))
        )
    if call.service == "s3" and action == "s3:PutObject" and call.parameters.get("IfMatch"):
        # "For If-Match, you must have s3:PutObject and s3:GetObject":
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        needed += [Permission("s3:GetObject", resource) for resource in resources_of(call, action)]
    if call.service == "s3" and action == "s3:PutObject":
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-actions.html
        for parameter, also in (("ObjectLockMode", "PutObjectRetention"), ("ObjectLockLegalHoldStatus", "PutObjectLegalHold")):
            if call.parameters.get(parameter):
                needed += [Permission(f"s3:{also}", resource) for resource in resources_of(call, action)]
    return needed + dependent_permissions(call, action)


def assume_role_permissions(parameters: dict) -> list[Permission]:
    """The caller's policies and the role's trust policy must both allow all of these."""
    role = parameters["RoleArn"]
    actions = ["sts:AssumeRole"]
    if parameters.get("SourceIdentity"):
        actions.append("sts:SetSourceIdentity")
    if parameters.get("Tags"):
        actions.append("sts:TagSession")
    return [Permission(action, role) for action in actions]
