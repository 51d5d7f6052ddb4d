"""The regions of China and GovCloud. LocalStack takes any region outside of the partition `aws` for us-east-1."""

from boto3.session import Session
from localstack.aws.handlers.region import DefaultRegionRewriterStrategy
from localstack.runtime import hooks


@hooks.on_infra_start()
def know_all_partitions() -> None:
    session = Session()
    DefaultRegionRewriterStrategy.available_regions = [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("s3", partition)
    ]
