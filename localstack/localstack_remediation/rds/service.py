"""moto's RDS with this package's operations in it."""

from localstack.services.plugins import Service, aws_provider

from ..moto_services import moto_service
from . import snapshots, sources


@aws_provider()
def rds() -> Service:
    return moto_service("rds", {**snapshots.OPERATIONS, **sources.OPERATIONS})
