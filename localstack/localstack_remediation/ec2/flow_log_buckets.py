"""Flow logs to S3: whether a bucket takes them, which EC2 finds out before it makes one, and again when it delivers.

https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html: delivery.logs.amazonaws.com must be
allowed to read the bucket's ACL and to put objects into <folder>/AWSLogs/<account>/, with the ACL
bucket-owner-full-control, on behalf of the flow log's account (aws:SourceAccount, and as aws:SourceArn the ARN of its
CloudWatch Logs in that region). That aws:SourceOrgID is sent as well follows from its general description:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-sourceorgid

Where the caller owns the bucket and may write its policy, AWS does so. Here nobody's policy is written.
"""

from localstack.aws.api import RequestContext
from moto.utilities.utils import get_partition

from ..iam import organization, stored
from ..iam.policy import Effect, Permission, evaluate
from ..iam.principals import is_named, service
from ..moto_services import aws_error

SERVICE = "delivery.logs.amazonaws.com"


def check(request: dict) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html; the texts are AWS's, as users of
    Terraform and LocalStack's own tests on AWS report them.
    """
    if request.get("DeliverLogsPermissionArn"):
        raise aws_error("InvalidParameter", "DeliverLogsPermissionArn is not applicable for s3 delivery")
    if request.get("LogGroupName"):
        both = "Please only provide LogGroupName or only provide LogDestination."
        one = "LogDestination type must be cloud-watch-logs if LogGroupName is provided."
        raise aws_error("InvalidParameter", both if request.get("LogDestination") else one)
    if not request.get("LogDestination"):
        raise aws_error("InvalidParameter", "LogDestination can't be empty if LogGroupName is not provided.")


def refusal(context: RequestContext, destination: str) -> str | None:
    """Why the bucket takes nothing, in EC2's words, which are the message of an Unsuccessful item.

    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-troubleshooting.html
    """
    bucket, _ = _parts(destination)
    if stored.bucket_owner(bucket) is None:
        return f"LogDestination: {bucket} does not exist"
    if stored.is_encrypted_by_key_id(bucket):
        return f"LogDestination {bucket} is undeliverable"
    if not takes_logs(context, destination):
        return f"Access Denied for LogDestination: {bucket}. Please check LogDestination permission"
    return None


def takes_logs(context: RequestContext, destination: str) -> bool:
    bucket, folder = _parts(destination)
    document = stored.bucket_policy(bucket)
    if document is None:
        return False
    account, partition = context.account_id, get_partition(context.region)
    arn = f"arn:{partition}:s3:::{bucket}"
    needed = [
        Permission("s3:GetBucketAcl", arn),
        Permission("s3:PutObject", f"{arn}/{folder}AWSLogs/{account}/vpcflowlogs/{context.region}/file.log.gz"),
    ]
    member = organization.membership(account, partition)
    keys = {
        "aws:principalisawsservice": "true",
        "aws:principalservicename": SERVICE,
        "aws:securetransport": "true",
        "aws:sourceaccount": account,
        "aws:sourcearn": f"arn:{partition}:logs:{context.region}:{account}:*",
        "aws:sourceorgid": member.organization if member else None,
        "aws:sourceorgpaths": (member.path,) if member else None,
        "s3:x-amz-acl": "bucket-owner-full-control",
    }
    keys |= {f"aws:principal{of}": None for of in ("account", "arn", "orgid", "orgpaths")}
    caller = service(SERVICE)
    verdicts = [evaluate([document], each, keys, lambda statement: is_named(statement, caller)) for each in needed]
    return all(verdict.effect is Effect.ALLOW for verdict in verdicts)


def _parts(destination: str) -> tuple[str, str]:
    """The bucket's name, and the folder with a slash at its end."""
    bucket, _, folder = destination.split(":", 5)[-1].partition("/")
    return bucket, f"{folder.rstrip('/')}/" if folder else ""
