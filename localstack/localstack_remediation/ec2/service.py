"""LocalStack's EC2 with this package's operations in it."""

from localstack.aws.api import RequestContext
from localstack.services.ec2.provider import Ec2Provider
from localstack.services.moto import call_moto_with_request
from localstack.services.plugins import Service, aws_provider

from ..moto_services import Operation, aws_error, localstack_service
from ..paging import page
from . import dry_run, flow_logs, network_acls, prefix_lists, security_groups, sharing

# the list of the answer, and the limits of MaxResults in the API reference
PAGED = {
    "DescribeFlowLogs": ("FlowLogs", 1, 1000),
    "DescribeManagedPrefixLists": ("PrefixLists", 1, 100),
    "DescribeNetworkAcls": ("NetworkAcls", 5, 1000),
    "DescribeNetworkInterfaces": ("NetworkInterfaces", 5, 1000),
    "DescribeSecurityGroupRules": ("SecurityGroupRules", 5, 1000),
    "DescribeSecurityGroups": ("SecurityGroups", 5, 1000),
    "DescribeSubnets": ("Subnets", 5, 1000),
    "DescribeVpcs": ("Vpcs", 5, 1000),
    "GetManagedPrefixListEntries": ("Entries", 1, 100),
}
OWN = {
    name: dry_run.with_dry_run(name, own)
    for operations in (
        flow_logs.OPERATIONS, network_acls.OPERATIONS, prefix_lists.OPERATIONS, security_groups.OPERATIONS,
    )
    for name, own in operations.items()
}


@aws_provider(api="ec2", name="remediation")
def ec2() -> Service:
    changes = {
        name: sharing.refuse_to_participants(name, OWN.get(name, call_moto_with_request)) for name in sharing.CHANGES
    }
    lists = {name: OWN.get(name, call_moto_with_request) for name in PAGED}
    lists |= {name: sharing.with_shared(name, lists[name]) for name in sharing.LISTINGS}
    paged = {name: _paged(name, everything) for name, everything in lists.items()}
    return localstack_service(Ec2Provider(), {**OWN, **changes, **paged})


def _paged(operation: str, everything: Operation) -> Operation:
    member, least, most = PAGED[operation]

    def answer_a_page(context: RequestContext, request: dict) -> dict:
        size = request.get("MaxResults")
        if size is not None and not least <= size <= most:
            raise aws_error(
                "InvalidParameterValue",
                f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value between {least} and {most}.",
            )
        answer = everything(context, request)
        try:
            items, token = page(answer.get(member, []), request.get("NextToken"), size, context.account_id)
        except ValueError:
            raise aws_error("InvalidPaginationToken", "The pagination token is not valid.") from None
        answer[member] = items
        return {**answer, "NextToken": token} if token else answer

    return answer_a_page
