"""IAM as LocalStack has it, but ListAccessKeys and ListUserTags have pages, and SimulatePrincipalPolicy answers."""

from localstack.aws.api import RequestContext
from localstack.services.iam.provider import IamProvider
from localstack.services.moto import call_moto
from localstack.services.plugins import Service, aws_provider

from .iam.simulation import simulate_principal_policy
from .moto_services import Operation, aws_error, localstack_service
from .paging import page


def _paged(member: str) -> Operation:
    def answer_a_page(context: RequestContext, request: dict) -> dict:
        answer = call_moto(context)
        try:
            items, marker = page(answer[member], request.get("Marker"), request.get("MaxItems"), context.account_id)
        except ValueError:
            raise aws_error("ValidationError", "Invalid Marker.") from None
        answer |= {member: items, "IsTruncated": marker is not None}
        return {**answer, "Marker": marker} if marker else answer

    return answer_a_page


OPERATIONS = {
    "ListAccessKeys": _paged("AccessKeyMetadata"),
    "ListUserTags": _paged("Tags"),
    "SimulatePrincipalPolicy": simulate_principal_policy,
}


@aws_provider(api="iam", name="remediation")
def iam() -> Service:
    return localstack_service(IamProvider(), OPERATIONS)
