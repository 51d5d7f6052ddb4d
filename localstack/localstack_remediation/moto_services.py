"""Services that LocalStack community does not offer at all: moto, which comes with it, answers instead."""

from localstack.aws.spec import load_service
from localstack.services.moto import call_moto
from localstack.services.plugins import Service, aws_provider
from moto.backends import get_backend


class _Moto:
    def __init__(self, service: str) -> None:
        self.service = service


def _moto_service(name: str) -> Service:
    get_backend(name)  # imported here, because two first calls at once can deadlock in moto's imports

    def every_operation(_provider) -> dict:
        return {name_: lambda context, _request: call_moto(context) for name_ in load_service(name).operation_names}

    return Service.for_provider(_Moto(name), dispatch_table_factory=every_operation)


@aws_provider()
def organizations() -> Service:
    return _moto_service("organizations")
