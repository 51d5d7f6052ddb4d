"""A VPC of which another account shares subnets by RAM: what a participant sees, and what it cannot change.

The VPC, the shared subnets, and the VPC's groups and ACLs are in the participant's lists, with their owner's ID and
without their tags; flow logs are not. Groups that it makes there are its own.
https://docs.aws.amazon.com/vpc/latest/userguide/vpc-sharing.html, vpc-share-limitations.html
"""

from collections import defaultdict
from dataclasses import dataclass

from localstack.aws.api import RequestContext
from localstack.aws.connect import connect_to
from localstack.utils.patch import patch
from moto.ec2.models import ec2_backends
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule

from .. import shares
from ..moto_services import Operation, aws_error


@dataclass(frozen=True)
class Shared:
    """Of one owner in one region, the resources by their IDs."""

    owner: str
    vpcs: frozenset[str]
    subnets: frozenset[str]
    groups: frozenset[str]
    acls: frozenset[str]

    def has(self, id_: str) -> bool:
        return id_ in self.vpcs | self.subnets | self.groups | self.acls


@dataclass(frozen=True)
class Listing:
    """Of one of EC2's lists: the request's IDs, the answer's list, an item's ID, and by what it is a shared one."""

    method: str
    ids: str
    members: str
    id: str
    place: str
    places: str  # of Shared


LISTINGS = {
    "DescribeNetworkAcls": Listing(
        "describe_network_acls", "NetworkAclIds", "NetworkAcls", "NetworkAclId", "NetworkAclId", "acls"
    ),
    "DescribeSecurityGroupRules": Listing(
        "describe_security_group_rules", "SecurityGroupRuleIds", "SecurityGroupRules", "SecurityGroupRuleId", "GroupId",
        "groups",
    ),
    "DescribeSecurityGroups": Listing(
        "describe_security_groups", "GroupIds", "SecurityGroups", "GroupId", "GroupId", "groups"
    ),
    "DescribeSubnets": Listing("describe_subnets", "SubnetIds", "Subnets", "SubnetId", "SubnetId", "subnets"),
    "DescribeVpcs": Listing("describe_vpcs", "VpcIds", "Vpcs", "VpcId", "VpcId", "vpcs"),
}
# the member that names what an operation changes
CHANGES = {
    "AuthorizeSecurityGroupEgress": "GroupId",
    "AuthorizeSecurityGroupIngress": "GroupId",
    "CreateFlowLogs": "ResourceIds",
    "CreateNetworkAcl": "VpcId",
    "CreateNetworkAclEntry": "NetworkAclId",
    "DeleteNetworkAcl": "NetworkAclId",
    "DeleteNetworkAclEntry": "NetworkAclId",
    "ModifySecurityGroupRules": "GroupId",
    "ReplaceNetworkAclEntry": "NetworkAclId",
    "RevokeSecurityGroupIngress": "GroupId",
}


def with_shared(operation: str, own: Operation) -> Operation:
    """The list that `own` gives, and what other accounts share."""
    listing = LISTINGS[operation]

    def describe(context: RequestContext, request: dict) -> dict:
        shared = _shared_with(context)
        if not shared:
            return own(context, request)
        asked = request.get(listing.ids) or []
        known = {each[listing.id] for of_one in shared for each in _listed(listing, context, of_one, [])}
        theirs = [
            each for of_one in shared for each in _listed(listing, context, of_one, request.get("Filters") or [])
        ]
        left = [id_ for id_ in asked if id_ not in known]
        answer = own(context, {**request, listing.ids: left}) if left or not asked else {listing.members: []}
        answer[listing.members] = [
            *answer.get(listing.members, []),
            *(each for each in theirs if not asked or each[listing.id] in asked),
        ]
        return answer

    return describe


def refuse_to_participants(operation: str, own: Operation) -> Operation:
    """With which code is inferred."""
    member = CHANGES[operation]

    def change(context: RequestContext, request: dict) -> dict:
        changed = request.get(member) or []
        changed = [changed] if isinstance(changed, str) else changed
        if any(of_one.has(id_) for of_one in _shared_with(context) for id_ in changed):
            raise aws_error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
        return own(context, request)

    return change


def _shared_with(context: RequestContext) -> list[Shared]:
    subnets = defaultdict(set)
    for id_, owner in shares.shared_with(context.account_id, context.region, "subnet").items():
        subnets[owner].add(id_)
    return [_of_owner(owner, context.region, ids) for owner, ids in subnets.items()]


def _of_owner(owner: str, region: str, subnets: set[str]) -> Shared:
    backend = ec2_backends[owner][region]
    there = [subnet for zone in list(backend.subnets.values()) for subnet in list(zone.values())]
    there = [subnet for subnet in there if subnet.id in subnets]
    vpcs = frozenset(subnet.vpc_id for subnet in there)
    return Shared(
        owner,
        vpcs,
        frozenset(subnet.id for subnet in there),
        frozenset(group for vpc in vpcs for group in list(backend.groups[vpc])),
        frozenset(acl.id for acl in list(backend.network_acls.values()) if acl.vpc_id in vpcs),
    )


def _listed(listing: Listing, context: RequestContext, shared: Shared, filters: list[dict]) -> list[dict]:
    if any(each["Name"].startswith("tag") for each in filters):  # tags are not shared
        return []
    ec2 = connect_to(aws_access_key_id=shared.owner, region_name=context.region).ec2
    pages = ec2.get_paginator(listing.method).paginate(Filters=filters)
    found = [each for page in pages for each in page[listing.members]]
    places = getattr(shared, listing.places)
    return [{**each, "Tags": []} for each in found if each[listing.place] in places]


@patch(SecurityGroup.__init__)
def _group(fn, self, *arguments, **more) -> None:
    fn(self, *arguments, **more)
    if self.vpc_id and self.vpc_id not in self.ec2_backend.vpcs:  # shared: moto leaves out the rule for all traffic
        everywhere = {"CidrIp": "0.0.0.0/0"}
        self.egress_rules.append(SecurityGroupRule(self.ec2_backend, "-1", self.id, None, None, everywhere))
