"""Services made of moto, which comes with LocalStack, and of what it gets wrong.

`moto_service` is for a service that LocalStack community does not have at all, `localstack_service` for one that it
has. Both take the operations that this package answers itself, by their API names.
"""

from collections.abc import Callable, Mapping
from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.spec import load_service
from localstack.services.moto import MotoFallbackDispatcher, call_moto
from localstack.services.plugins import Service
from moto.backends import get_backend

Operation = Callable[[RequestContext, dict], Any]


class _Moto:
    def __init__(self, service: str) -> None:
        self.service = service


def moto_service(name: str, own: Mapping[str, Operation] | None = None) -> Service:
    get_backend(name)  # imported here, because two first calls at once can deadlock in moto's imports

    def operations(_provider) -> dict:
        every = {name_: lambda context, _request: call_moto(context) for name_ in load_service(name).operation_names}
        return {**every, **(own or {})}

    return Service.for_provider(_Moto(name), dispatch_table_factory=operations)


def localstack_service(provider, own: Mapping[str, Operation]) -> Service:
    get_backend(provider.service)  # as above
    return Service.for_provider(
        provider, dispatch_table_factory=lambda provider_: {**MotoFallbackDispatcher(provider_), **own}
    )


def aws_error(code: str, message: str, status: int = 400) -> CommonServiceException:
    return CommonServiceException(code, message, status_code=status, sender_fault=True)
