"""DryRun: whether the caller may do it is answered, and nothing is done.

"If you have the required permissions, the error response is DryRunOperation. Otherwise, it is UnauthorizedOperation":
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html, API_CreateFlowLogs.html.
The status is 412: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html. Who may not has been refused
before a request gets here.

moto knows it of its own operations, not of those that this package answers. That what a request names must be there is
inferred, and so is that all that its real call needs is asked for, iam:PassRole as well.
"""

from localstack.aws.api import RequestContext
from moto.ec2.models import ec2_backends

from ..moto_services import Operation, aws_error


def with_dry_run(name: str, own: Operation) -> Operation:
    def answer(context: RequestContext, request: dict) -> dict:
        if not request.get("DryRun"):
            return own(context, request)
        if check := NAMED.get(name):
            check(context, request)
        raise aws_error("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)

    return answer


def _group_is_there(context: RequestContext, request: dict) -> None:
    id_ = request.get("GroupId")
    if id_ and not ec2_backends[context.account_id][context.region].get_security_group_from_id(id_):
        raise aws_error("InvalidGroup.NotFound", f"The security group '{id_}' does not exist")


def _vpcs_are_there(context: RequestContext, request: dict) -> None:
    if request.get("ResourceType") != "VPC":
        return
    there = ec2_backends[context.account_id][context.region].vpcs
    if unknown := next((id_ for id_ in request.get("ResourceIds") or [] if id_ not in there), None):
        raise aws_error("InvalidVpcId.NotFound", f"The vpc ID '{unknown}' does not exist")


NAMED = {"AuthorizeSecurityGroupIngress": _group_is_there, "CreateFlowLogs": _vpcs_are_there}
