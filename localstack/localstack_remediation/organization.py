"""An account's organization, as moto keeps it: with the management account."""

from collections.abc import Collection

from moto.organizations.models import FakeDelegatedAdministrator, OrganizationsBackend, organizations_backends
from moto.utilities.utils import get_partition

CLOUDTRAIL = "cloudtrail.amazonaws.com"
# moto's list is an old one:
# https://docs.aws.amazon.com/organizations/latest/userguide/orgs_integrate_services_list.html
if CLOUDTRAIL not in FakeDelegatedAdministrator.SUPPORTED_SERVICES:
    FakeDelegatedAdministrator.SUPPORTED_SERVICES.append(CLOUDTRAIL)


def management_account(account: str, region: str) -> str | None:
    if organization := organizations_backends[account][get_partition(region)].org:
        return organization.master_account_id
    management, _ = organizations_backends.master_accounts.get(account, (None, None))
    return management


def delegated_administrators(account: str, region: str, service: str) -> Collection[str]:
    backend = _backend(account, region)
    return [each.account.id for each in list(backend.admins) if service in each.services] if backend else []


def members(account: str, region: str, organization_arn: str) -> Collection[str]:
    """Of the account's organization, if that is its ARN."""
    backend = _backend(account, region)
    if backend is None or backend.org is None or backend.org.arn != organization_arn:
        return []
    return [each.id for each in list(backend.accounts)]


def _backend(account: str, region: str) -> OrganizationsBackend | None:
    management = management_account(account, region)
    return organizations_backends[management][get_partition(region)] if management else None
