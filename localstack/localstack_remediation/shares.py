"""AWS RAM: moto's. A share holds at once: nobody has to accept it.

https://docs.aws.amazon.com/ram/latest/userguide/getting-started-sharing.html
"""

from collections.abc import Iterator

from localstack.services.plugins import Service, aws_provider
from moto.ram.models import ResourceShare, ram_backends

from . import organization
from .moto_services import moto_service


def shared_with(account: str, region: str, kind: str) -> dict[str, str]:
    """The owners of the resources of this kind, as an ARN names it, that other accounts share: by their IDs."""
    owners = {}
    for share in _shares(region):
        if share.status == "ACTIVE" and share.account_id != account and _includes(share, account):
            for arn in share.resource_arns:
                _, _, _, of_region, owner, resource = arn.split(":", 5)
                of_kind, _, id_ = resource.partition("/")
                if (of_region, of_kind) == (region, kind):
                    owners[id_] = owner
    return owners


def _shares(region: str) -> Iterator[ResourceShare]:
    for account in list(ram_backends):
        if region in ram_backends[account]:
            yield from list(ram_backends[account][region].resource_shares)


def _includes(share: ResourceShare, account: str) -> bool:
    """Named, or in the organization that is named. Organizational units are not looked into."""
    return account in share.principals or any(
        account in organization.members(share.account_id, share.region, principal) for principal in share.principals
    )


@aws_provider()
def ram() -> Service:
    return moto_service("ram")
