"""Organizations: moto's, which anybody may ask, for those alone whom AWS answers.

Describe… and List… are for the management account, for a delegated administrator of any service, and for who is named
with the action in the organization's delegation policy (PutResourcePolicy, which moto lacks); DescribeOrganization is for
every member, and all else for the management account. Who is none of these gets AccessDeniedException, and an account
without an organization AWSOrganizationsNotInUseException.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_delegate_policies.html

Accounts have a State and no Status, which AWS has retired, and lists have pages of at most 20.
https://docs.aws.amazon.com/organizations/latest/APIReference/API_Account.html
https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccountsForParent.html

The role that CreateAccount makes in the new account, which trusts the management account, may do everything there.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html
"""

import json
from collections.abc import Mapping

from botocore import xform_name
from localstack.aws.api import RequestContext
from localstack.aws.connect import connect_to
from localstack.aws.spec import load_service
from localstack.services.moto import call_moto
from localstack.services.plugins import Service, aws_provider
from localstack.utils.patch import patch
from moto.iam import iam_backends
from moto.organizations.models import FakeAccount, OrganizationsBackend, organizations_backends
from moto.utilities.utils import get_partition

from . import organization, paging
from .iam.matching import as_list
from .iam.policy import Effect, Permission, evaluate
from .moto_services import Operation, aws_error, moto_service

PAGE_SIZE = 20  # also the most that MaxResults may ask for
FOR_MEMBERS = ("DescribeOrganization",)
FOR_ANYBODY = ("CreateOrganization",)

_delegation_policies: dict[str, str] = {}  # by management account


@patch(FakeAccount.__init__)
def _make(fn, self, organization, **asked) -> None:
    fn(self, organization, **asked)
    role = asked.get("RoleName", "OrganizationAccountAccessRole")
    iam_backends[self.id]["global"].attach_role_policy("arn:aws:iam::aws:policy/AdministratorAccess", role)


@patch(FakeAccount.describe)
def _describe(fn, self) -> dict:
    described = fn(self)
    return {"State": described.pop("Status"), **described}


def list_accounts(context: RequestContext, request: dict) -> dict:
    return _page(context, request, "Accounts", [each.describe() for each in _backend(context).accounts])


def list_accounts_for_parent(context: RequestContext, request: dict) -> dict:
    parent = _parent(context, request)
    members = [each.describe() for each in _backend(context).accounts if each.parent_id == parent]
    return _page(context, request, "Accounts", members)


def list_units_for_parent(context: RequestContext, request: dict) -> dict:
    parent = _parent(context, request)
    units = [each.describe()["OrganizationalUnit"] for each in _backend(context).ou if each.parent_id == parent]
    return _page(context, request, "OrganizationalUnits", units)


def put_resource_policy(context: RequestContext, request: dict) -> dict:
    _delegation_policies[context.account_id] = request["Content"]
    return describe_resource_policy(context, request)


def describe_resource_policy(context: RequestContext, _request: dict) -> dict:
    content = _delegation_policies.get(context.account_id)
    if content is None:
        raise aws_error("ResourcePolicyNotFoundException", "The organization has no resource policy.")
    return {"ResourcePolicy": {"Content": content}}


OWN: Mapping[str, Operation] = {
    "ListAccounts": list_accounts,
    "ListAccountsForParent": list_accounts_for_parent,
    "ListOrganizationalUnitsForParent": list_units_for_parent,
    "PutResourcePolicy": put_resource_policy,
    "DescribeResourcePolicy": describe_resource_policy,
}


def _guarded(operation: str) -> Operation:
    answer = OWN.get(operation) or (lambda context, _request: call_moto(context))

    def call(context: RequestContext, request: dict) -> dict:
        management = organization.management_account(context.account_id, context.region)
        if context.account_id == management or operation in FOR_ANYBODY:
            return answer(context, request)
        if management is None:
            raise aws_error("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
        if operation in FOR_MEMBERS:
            return answer(context, request)
        if not operation.startswith(("Describe", "List")) or not _may_read(context, management, operation):
            raise aws_error("AccessDeniedException", "You don't have permissions to access this resource.")
        theirs = connect_to(aws_access_key_id=management, region_name=context.region).organizations
        answered = getattr(theirs, xform_name(operation))(**request)
        return {name: value for name, value in answered.items() if name != "ResponseMetadata"}

    return call


def _may_read(context: RequestContext, management: str, operation: str) -> bool:
    account = context.account_id
    backend = organizations_backends[management][get_partition(context.region)]
    if any(each.account.id == account for each in list(backend.admins)):
        return True
    document = json.loads(_delegation_policies.get(management) or '{"Statement": []}')
    root = f"arn:{get_partition(context.region)}:iam::{account}:root"

    def names_account(statement: dict) -> bool:
        return any(each in (account, root) for each in as_list(statement["Principal"].get("AWS", [])))

    verdict = evaluate([document], Permission(f"organizations:{operation}", "*"), {}, names_account)
    return verdict.effect is Effect.ALLOW


def _backend(context: RequestContext) -> OrganizationsBackend:
    return organizations_backends[context.account_id][get_partition(context.region)]


def _parent(context: RequestContext, request: dict) -> str:
    parent = request["ParentId"]
    if all(each.id != parent for each in _backend(context).ou):
        raise aws_error("ParentNotFoundException", "You specified parent that doesn't exist.")
    return parent


def _page(context: RequestContext, request: dict, name: str, items: list[dict]) -> dict:
    size = request.get("MaxResults") or PAGE_SIZE
    if size > PAGE_SIZE:
        raise aws_error("InvalidInputException", f"MaxResults must be at most {PAGE_SIZE}.")
    try:
        items, token = paging.page(items, request.get("NextToken"), size, context.account_id)
    except ValueError:
        raise aws_error("InvalidInputException", "You specified an invalid value for nextToken.") from None
    return {name: items} | ({"NextToken": token} if token else {})


@aws_provider()
def organizations() -> Service:
    return moto_service(
        "organizations", {name: _guarded(name) for name in load_service("organizations").operation_names}
    )
