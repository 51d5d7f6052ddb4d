"""Condition keys that work across services, so that no action lists them.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html

aws:RequestTag, aws:ResourceTag and aws:TagKeys are global by name and not here: the service authorization data lists
them for each action that has them.
"""

from functools import lru_cache

from .matching import matches

KEYS = (
    # of the principal
    "aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgPaths", "aws:PrincipalOrgID", "aws:PrincipalTag/*",
    "aws:PrincipalIsAWSService", "aws:PrincipalServiceName", "aws:PrincipalServiceNamesList", "aws:PrincipalType",
    "aws:userid", "aws:username",
    # of a role's session
    "aws:AssumedRoot", "aws:FederatedProvider", "aws:TokenIssueTime", "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent", "aws:ChatbotSourceArn", "aws:Ec2InstanceSourceVpc",
    "aws:Ec2InstanceSourcePrivateIPv4", "aws:SourceIdentity", "ec2:RoleDelivery", "ec2:SourceInstanceArn",
    "glue:RoleAssumedBy", "glue:CredentialIssuingService", "lambda:SourceFunctionArn", "ssm:SourceInstanceArn",
    "identitystore:UserId",
    # of the network
    "aws:SourceIp", "aws:SourceVpc", "aws:SourceVpcArn", "aws:SourceVpce", "aws:VpceAccount", "aws:VpceOrgID",
    "aws:VpceOrgPaths", "aws:VpcSourceIp",
    # of the resource
    "aws:ResourceAccount", "aws:ResourceOrgID", "aws:ResourceOrgPaths",
    # of the request
    "aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast", "aws:ViaAWSService", "aws:CurrentTime",
    "aws:EpochTime", "aws:referer", "aws:RequestedRegion", "aws:SecureTransport", "aws:SourceAccount",
    "aws:SourceArn", "aws:SourceOrgID", "aws:SourceOrgPaths", "aws:UserAgent",
)

# In identity policies and service control policies only, and only for calls by a function's own code:
# https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
NOT_IN_RESOURCE_POLICIES = ("lambda:SourceFunctionArn",)


@lru_cache(maxsize=16384)
def is_global(key: str) -> bool:
    return any(matches(pattern, key, ignore_case=True) for pattern in KEYS)


def is_for_identities_only(key: str) -> bool:
    return key.lower() in (each.lower() for each in NOT_IN_RESOURCE_POLICIES)
