"""S3 as LocalStack has it, except for where it keeps objects and for the calls that ignored the expected owner."""

import tempfile

from localstack.services.plugins import Service, aws_provider
from localstack.services.s3.provider import S3Provider
from localstack.services.s3.storage.ephemeral import EphemeralS3ObjectStore


class OwnerCheckingS3Provider(S3Provider):
    """Answers 403 where the bucket belongs to another account than ExpectedBucketOwner says, as AWS does."""

    def get_public_access_block(self, context, bucket, expected_bucket_owner=None, **kwargs):
        self._check_owner(context, bucket, expected_bucket_owner)
        return super().get_public_access_block(context, bucket, expected_bucket_owner, **kwargs)

    def put_public_access_block(
        self, context, bucket, public_access_block_configuration, expected_bucket_owner=None, **kwargs
    ):
        self._check_owner(context, bucket, expected_bucket_owner)
        super().put_public_access_block(context, bucket, public_access_block_configuration, **kwargs)

    def delete_public_access_block(self, context, bucket, expected_bucket_owner=None, **kwargs):
        self._check_owner(context, bucket, expected_bucket_owner)
        super().delete_public_access_block(context, bucket, expected_bucket_owner, **kwargs)

    def get_bucket_tagging(self, context, bucket, expected_bucket_owner=None, **kwargs):
        self._check_owner(context, bucket, expected_bucket_owner)
        return super().get_bucket_tagging(context, bucket, expected_bucket_owner, **kwargs)

    def get_bucket_website(self, context, bucket, expected_bucket_owner=None, **kwargs):
        self._check_owner(context, bucket, expected_bucket_owner)
        return super().get_bucket_website(context, bucket, expected_bucket_owner, **kwargs)

    def _check_owner(self, context, bucket: str, expected: str | None) -> None:
        self._get_cross_account_bucket(context, bucket, expected_bucket_owner=expected)


@aws_provider(name="remediation")
def s3() -> Service:
    # LocalStack's own default is a fixed folder in /tmp, which every instance on the machine would share.
    objects = EphemeralS3ObjectStore(tempfile.mkdtemp(prefix="s3-objects-"))
    return Service.for_provider(OwnerCheckingS3Provider(storage_backend=objects))
