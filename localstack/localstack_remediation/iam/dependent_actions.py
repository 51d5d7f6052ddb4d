"""The other actions that a call needs, too.

The service authorization data lists as dependent what an action *may* need. What makes it need one is in no data, so
each trigger that is known is here, with its source; NOT_ENFORCED says why the others ask for nothing.
"""

from urllib.parse import unquote

from .policy import Permission
from .resources import Call, key_arn

# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/creating-an-organizational-trail-prepare.html
ORGANIZATION_TRAILS = ("cloudtrail:CreateTrail", "cloudtrail:UpdateTrail")
CLOUDTRAIL_ROLE = "aws-service-role/cloudtrail.amazonaws.com/AWSServiceRoleForCloudTrail"

# (actions, dependent actions, why a call that the emulator sees does not ask for them)
NOT_ENFORCED = (
    ("ec2:CreateFlowLogs", "ecs:*", "of ECS resources only, which the emulator does not have"),
    ("redshift:*", "kms:*", "of clusters that are encrypted with a customer's key only: the emulator has none"),
    ("redshift:*", "secretsmanager:*", "of clusters whose password Secrets Manager keeps only: moto has none"),
    ("redshift:*", "acm:*", "of custom domain names only, which moto does not have"),
    ("*", "*", "the trigger is not known, and no rule calls the action"),
)


def dependent_permissions(call: Call, action: str) -> list[Permission]:
    needed = _tags_of_what_is_made(call)
    if action in ORGANIZATION_TRAILS and _is_of_organization(call):
        role = call.arn("iam", f"role/{CLOUDTRAIL_ROLE}", region="")
        needed += [
            Permission("iam:GetRole", role),
            Permission("iam:CreateServiceLinkedRole", role),
            Permission("organizations:ListAWSServiceAccessForOrganization", "*"),
        ]
    needed += _log_deliveries(call)
    needed += _keys_of_objects(call)
    if role := _passed_role(call):
        needed.append(Permission("iam:PassRole", role))
    return needed


def refused_as(call: Call, permission: Permission) -> str | None:
    """The service's own code, with 400, where it has one for a dependent action that is not allowed.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_UpdateTrail.html#API_UpdateTrail_Errors
    """
    if call.service == "cloudtrail" and not permission.action.startswith("cloudtrail:"):
        return "InsufficientDependencyServiceAccessPermissionException"
    return None


def _tags_of_what_is_made(call: Call) -> list[Permission]:
    """Whoever creates something with tags must be allowed to tag it.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    """
    if call.service != "ec2":
        return []
    return [
        Permission("ec2:CreateTags", call.arn("ec2", f"{each['ResourceType']}/*"))
        for each in call.parameters.get("TagSpecifications") or []
        if each.get("Tags")
    ]


def _log_deliveries(call: Call) -> list[Permission]:
    """Of flow logs to S3. "The IAM principal that creates the flow log must have" both; that a deletion asks for the
    second is inferred.

    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-create-flow-log.html
    """
    match f"{call.service}:{call.operation}":
        case "ec2:CreateFlowLogs" if call.parameters.get("LogDestinationType") == "s3":
            return [Permission(f"logs:{verb}LogDelivery", "*") for verb in ("Create", "Delete")]
        case "ec2:DeleteFlowLogs" if any(map(call.delivers_to_bucket, call.parameters.get("FlowLogIds", []))):
            return [Permission("logs:DeleteLogDelivery", "*")]
    return []


def _keys_of_objects(call: Call) -> list[Permission]:
    """S3 asks KMS in the caller's name. A multipart upload needs both.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms
    """
    if call.service != "s3":
        return []
    bucket, key = call.parameters.get("Bucket"), call.parameters.get("Key")
    needed = []
    if call.operation in ("GetObject", "HeadObject") and bucket and key:
        needed.append(("kms:Decrypt", call.object_key(bucket, key, call.parameters.get("VersionId"))))
    if call.operation in ("PutObject", "CopyObject", "CreateMultipartUpload") and bucket:
        needed.append(("kms:GenerateDataKey", call.parameters.get("SSEKMSKeyId") or call.bucket_key(bucket)))
    if call.operation == "CreateMultipartUpload":
        needed.append(("kms:Decrypt", needed[-1][1]))
    if call.operation == "CopyObject":
        source, _, version = unquote(call.parameters["CopySource"]).lstrip("/").partition("?versionId=")
        needed.append(("kms:Decrypt", call.object_key(*source.split("/", 1), version or None)))
    return [Permission(action, key_arn(call, arn)) for action, arn in needed if arn]


def _is_of_organization(call: Call) -> bool:
    asked = call.parameters.get("IsOrganizationTrail")
    return bool(asked) or (call.operation == "UpdateTrail" and call.is_organization_trail(call.parameters["Name"]))


def _passed_role(call: Call) -> str | None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html"""
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
