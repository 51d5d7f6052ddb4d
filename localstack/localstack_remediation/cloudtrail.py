"""CloudTrail: moto's, with home regions, organization trails and trails by ARN.

A name means a trail of this account and region. An ARN means any trail of the account, and an organization trail of
the management account, in any region; but a trail changes in its home region only, and by its owner only. For an
organization trail that is the management account, for which the delegated administrators of CloudTrail may act.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-delegated-administrator.html
"""

from botocore import xform_name
from localstack.aws.api import RequestContext
from localstack.aws.connect import connect_to
from localstack.services.moto import call_moto, call_moto_with_request
from localstack.services.plugins import Service, aws_provider
from localstack.services.s3.models import s3_stores
from localstack.utils.patch import patch
from moto.cloudtrail.exceptions import S3BucketDoesNotExistException
from moto.cloudtrail.models import Trail, cloudtrail_backends

from . import organization
from .moto_services import Operation, aws_error, moto_service

CLOUDTRAIL = organization.CLOUDTRAIL
DELEGATED_ADMINISTRATORS = 3  # at most


@patch(Trail.check_bucket_exists)
def _check_bucket_exists(_fn, self) -> None:  # moto looks into its own S3, which LocalStack does not use
    if self.bucket_name not in s3_stores[self.account_id][self.region_name].global_bucket_map:
        raise S3BucketDoesNotExistException(f"S3 bucket {self.bucket_name} does not exist!")


def create(context: RequestContext, request: dict) -> dict:
    """The management account owns what a delegated administrator makes for the organization."""
    if not request.get("IsOrganizationTrail"):
        return call_moto(context)
    management = _management_account(context)
    if management is None or not _may_act_for(context, management):
        raise _not_management_account()
    return _in_account(management, context, request)


def get(context: RequestContext, request: dict) -> dict:
    return {"Trail": _described(_find(context, request["Name"]))}


def describe(context: RequestContext, request: dict) -> dict:
    if names := request.get("trailNameList"):
        trails = [trail for name in names if (trail := _look_up(context, name))]
    else:
        trails = _trails_here(context, shadows=request.get("includeShadowTrails") is not False)
    return {"trailList": [_described(trail) for trail in trails]}


def list_tags(context: RequestContext, request: dict) -> dict:
    """Of the trails of this region; the code for others is inferred."""
    for arn in request["ResourceIdList"]:
        if not arn.startswith("arn:"):
            raise aws_error("CloudTrailARNInvalidException", f"{arn} is not the ARN of a trail.")
        trail = _look_up(context, arn)
        if trail is None or (trail.account_id, trail.region_name) != (context.account_id, context.region):
            raise aws_error("ResourceNotFoundException", f"The resource {arn} was not found.")
    return call_moto(context)


def update(context: RequestContext, request: dict) -> dict:
    trail = _own(context, request["Name"])
    if request.get("IsOrganizationTrail") and not _may_act_for(context, _management_account(context)):
        raise _not_management_account()
    _in_account(trail.account_id, context, {**request, "Name": trail.trail_name})
    described = _described(trail)
    return {name: value for name, value in described.items() if name != "HomeRegion"}


def _by_name(context: RequestContext, request: dict) -> dict:
    """For an operation that moto does by the trail's name only."""
    trail = _own(context, request["Name"])
    return _in_account(trail.account_id, context, {**request, "Name": trail.trail_name})


def register(context: RequestContext, request: dict) -> dict:
    """https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_RegisterOrganizationDelegatedAdmin.html"""
    account = request["MemberAccountId"]
    _check_management_account(context, account)
    if account in _delegated_administrators(context):
        raise aws_error("AccountRegisteredException", f"{account} is the delegated administrator already.")
    if len(_delegated_administrators(context)) >= DELEGATED_ADMINISTRATORS:
        raise aws_error("DelegatedAdminAccountLimitExceededException", "There are three delegated administrators.")
    _organizations(context).register_delegated_administrator(AccountId=account, ServicePrincipal=CLOUDTRAIL)
    return {}


def deregister(context: RequestContext, request: dict) -> dict:
    account = request["DelegatedAdminAccountId"]
    _check_management_account(context, account)
    if account not in _delegated_administrators(context):
        raise aws_error("AccountNotRegisteredException", f"{account} is no delegated administrator.")
    _organizations(context).deregister_delegated_administrator(AccountId=account, ServicePrincipal=CLOUDTRAIL)
    return {}


def _check_management_account(context: RequestContext, delegated: str) -> None:
    management = _management_account(context)
    if management is None:
        raise aws_error("OrganizationsNotInUseException", "The account is not in an organization.")
    if management != context.account_id:
        raise aws_error("NotOrganizationManagementAccountException", "The account is not the management account.")
    if delegated == management:
        raise aws_error("CannotDelegateManagementAccountException", "The management account cannot be delegated to.")
    if organization.management_account(delegated, context.region) != management:
        raise aws_error("AccountNotFoundException", f"{delegated} is not in the organization.")


def _organizations(context: RequestContext):
    return connect_to(aws_access_key_id=context.account_id, region_name=context.region).organizations


def _delegated_administrators(context: RequestContext):
    return organization.delegated_administrators(context.account_id, context.region, CLOUDTRAIL)


def _may_act_for(context: RequestContext, owner: str | None) -> bool:
    if owner == context.account_id:
        return True
    return owner == _management_account(context) and context.account_id in _delegated_administrators(context)


def _in_account(owner: str, context: RequestContext, request: dict) -> dict:
    if owner == context.account_id:
        return call_moto_with_request(context, request)
    owners = connect_to(aws_access_key_id=owner, region_name=context.region).cloudtrail
    answer = getattr(owners, xform_name(context.operation.name))(**request)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def _own(context: RequestContext, name: str) -> Trail:
    trail = _find(context, name, shadows=True)
    if trail.account_id != context.account_id and not (trail.is_org_trail and _may_act_for(context, trail.account_id)):
        raise _not_management_account()
    if trail.region_name != context.region:
        raise aws_error(
            "InvalidHomeRegionException", f"The home region of the trail {trail.arn} is {trail.region_name}."
        )
    return trail


def _find(context: RequestContext, name: str, shadows: bool = False) -> Trail:
    trail = _look_up(context, name)
    if trail is None and shadows:
        trail = next((each for each in _trails_here(context, shadows=True) if each.trail_name == name), None)
    if trail is None:
        raise aws_error("TrailNotFoundException", f"Unknown trail: {name} for the user: {context.account_id}")
    return trail


def _look_up(context: RequestContext, name: str) -> Trail | None:
    if not name.startswith("arn:"):
        return cloudtrail_backends[context.account_id][context.region].trails.get(name)
    parts = name.split(":", 5)
    if len(parts) != 6 or parts[2] != "cloudtrail" or not parts[5].startswith("trail/"):
        raise aws_error("CloudTrailARNInvalidException", f"{name} is not the ARN of a trail.")
    return next((trail for trail in _visible(context) if trail.arn == name), None)


def _trails_here(context: RequestContext, shadows: bool) -> list[Trail]:
    """With shadows: also those that log here and belong to another region or to the management account."""
    return [
        trail
        for trail in _visible(context)
        if (trail.account_id, trail.region_name) == (context.account_id, context.region)
        or (shadows and (trail.is_multi_region or trail.region_name == context.region))
    ]


def _visible(context: RequestContext) -> list[Trail]:
    management = _management_account(context)
    own = [trail for backend in _backends(context.account_id) for trail in list(backend.trails.values())]
    if management in (None, context.account_id):
        return own
    shared = [trail for backend in _backends(management) for trail in list(backend.trails.values())]
    return own + [trail for trail in shared if trail.is_org_trail]


def _backends(account: str) -> list:
    return list(cloudtrail_backends[account].values())


def _management_account(context: RequestContext) -> str | None:
    return organization.management_account(context.account_id, context.region)


def _described(trail: Trail) -> dict:
    described = trail.description(include_region=True)
    return {name: value for name, value in described.items() if value is not None}


def _not_management_account():
    return aws_error(
        "NotOrganizationMasterAccountException",
        "The account that makes the request is not the management account of the organization.",
    )


OPERATIONS: dict[str, Operation] = {
    "CreateTrail": create,
    "DeleteTrail": _by_name,
    "DeregisterOrganizationDelegatedAdmin": deregister,
    "DescribeTrails": describe,
    "GetTrail": get,
    "ListTags": list_tags,
    "RegisterOrganizationDelegatedAdmin": register,
    "StartLogging": _by_name,
    "StopLogging": _by_name,
    "UpdateTrail": update,
}


@aws_provider()
def cloudtrail() -> Service:
    return moto_service("cloudtrail", OPERATIONS)
