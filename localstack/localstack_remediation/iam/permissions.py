"""Every permission that one API call needs. Most need one; some pass a role on or touch several resources."""

from urllib.parse import unquote

from .actions import action_of
from .policy import Permission
from .resources import Call, object_arn, resources_of


def permissions_for(call: Call) -> list[Permission]:
    action = action_of(call.service, call.operation, versioned=bool(call.parameters.get("VersionId")))
    match f"{call.service}:{call.operation}":
        case "sts:GetCallerIdentity":
            return []  # always allowed, even against an explicit deny
        case "sts:AssumeRole":
            return assume_role_permissions(call.parameters)
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
    if call.service == "ec2":  # whoever creates something with tags must be allowed to tag it
        needed += [
            Permission("ec2:CreateTags", call.arn("ec2", f"{each['ResourceType']}/*"))
            for each in call.parameters.get("TagSpecifications") or []
            if each.get("Tags")
        ]
    if call.service == "s3" and (source := call.parameters.get("CopySource")):
        path, _, version = unquote(source).lstrip("/").partition("?versionId=")
        needed.append(
            Permission(action_of("s3", "GetObject", versioned=bool(version)), object_arn(call, *path.split("/", 1)))
        )
    if call.service == "s3" and action == "s3:PutObject" and call.parameters.get("IfMatch"):
        # "For If-Match, you must have s3:PutObject and s3:GetObject":
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        needed += [Permission("s3:GetObject", resource) for resource in resources_of(call, action)]
    if role := _passed_role(call):
        needed.append(Permission("iam:PassRole", role))
    return needed


def assume_role_permissions(parameters: dict) -> list[Permission]:
    """The caller's policies and the role's trust policy must both allow all of these."""
    role = parameters["RoleArn"]
    actions = ["sts:AssumeRole"]
    if parameters.get("SourceIdentity"):
        actions.append("sts:SetSourceIdentity")
    if parameters.get("Tags"):
        actions.append("sts:TagSession")
    return [Permission(action, role) for action in actions]


def _passed_role(call: Call) -> str | None:
    match f"{call.service}:{call.operation}":
        case "ec2:CreateFlowLogs":
            return call.parameters.get("DeliverLogsPermissionArn")
        case "lambda:CreateFunction" | "lambda:UpdateFunctionConfiguration":
            return call.parameters.get("Role")
        case "scheduler:CreateSchedule" | "scheduler:UpdateSchedule":
            return call.parameters["Target"].get("RoleArn")
        case "ssm:StartAutomationExecution":
            return next(iter((call.parameters.get("Parameters") or {}).get("AutomationAssumeRole", [])), None)
    return None
