"""IAM as LocalStack has it, but ListAccessKeys and ListUserTags have pages, SimulatePrincipalPolicy answers, and
GetAccessKeyLastUsed knows the keys of the caller's account alone.
"""

from localstack.aws.api import RequestContext
from localstack.services.iam.provider import IamProvider
from localstack.services.moto import call_moto
from localstack.services.plugins import Service, aws_provider
from localstack.utils.patch import patch
from moto.iam.models import IAMBackend

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


@patch(IAMBackend.get_all_access_keys_for_all_users)
def _of_this_account(_, backend: IAMBackend) -> list:
    """moto looks through every account, and fails where somebody makes a user in one of them meanwhile. AWS: "AccessDenied"
    for a key of another account, and here as for one that there is not.
    """
    return [key for user in list(backend.users) for key in backend.list_access_keys(user)]


OPERATIONS = {
    "ListAccessKeys": _paged("AccessKeyMetadata"),
    "ListUserTags": _paged("Tags"),
    "SimulatePrincipalPolicy": simulate_principal_policy,
}


@aws_provider(api="iam", name="remediation")
def iam() -> Service:
    return localstack_service(IamProvider(), OPERATIONS)
