"""Regions: those of China and GovCloud, and those that an account has not enabled.

LocalStack takes any region outside of the partition `aws` for us-east-1, and lets everybody into all of them. On AWS a
region that is not enabled does not know the account's credentials, and each protocol has its own word for that:
https://github.com/ekristen/aws-nuke/issues/774 (json 400, query 403), https://github.com/segmentio/aws-okta/issues/225
(EC2), https://github.com/epsagon/clear-lambda-storage/issues/9 (Lambda).
"""

from boto3.session import Session
from localstack.aws import handlers
from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.handlers.region import DefaultRegionRewriterStrategy
from localstack.runtime import hooks

from . import settings
from .moto_services import aws_error

GLOBAL = ("iam", "organizations")  # one control plane, whatever region a request is signed for
UNKNOWN_TOKEN = "The security token included in the request is invalid."
UNKNOWN = {
    "ec2": ("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
    "json": ("UnrecognizedClientException", UNKNOWN_TOKEN, 400),
    "query": ("InvalidClientTokenId", UNKNOWN_TOKEN, 403),
    "rest-json": ("UnrecognizedClientException", UNKNOWN_TOKEN, 403),
    # S3; inferred
    "rest-xml": ("InvalidToken", "The provided token is malformed or otherwise invalid.", 400),
}


@hooks.on_infra_start(priority=10)  # before IAM: who is not known is not judged
def know_all_partitions() -> None:
    session = Session()
    DefaultRegionRewriterStrategy.available_regions = [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("s3", partition)
    ]
    handlers.serve_custom_service_request_handlers.append(_refuse_where_not_enabled)


def _refuse_where_not_enabled(_chain, context: RequestContext, _response) -> None:
    if not context.service or not context.operation or context.is_internal_call:
        return
    if context.service.service_name in GLOBAL:
        return
    accounts = [context.account_id]
    role = (context.service_request or {}).get("RoleArn", "")
    assumes_role = (context.service.service_name, context.operation.name) == ("sts", "AssumeRole")
    if assumes_role and role.count(":") >= 5:
        accounts.append(role.split(":")[4])
    if any(context.region in settings.of(account).disabled_regions for account in accounts):
        raise _region_disabled(context.region) if assumes_role else _unknown(context)


def _region_disabled(region: str) -> CommonServiceException:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""
    return aws_error(
        "RegionDisabledException",
        f"STS is not activated in this region for account. Your account administrator can activate STS in {region} "
        "using the IAM Console.",
        403,
    )


def _unknown(context: RequestContext) -> CommonServiceException:
    return aws_error(*UNKNOWN[context.service.protocol])
