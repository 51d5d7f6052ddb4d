"""S3 as LocalStack has it, except for what it does not check and where it keeps objects."""

import tempfile
from contextlib import contextmanager
from weakref import WeakSet

from localstack.aws.api import RequestContext, ServiceException, handler
from localstack.aws.api.s3 import AccessDenied, InvalidBucketName, NoSuchBucket
from localstack.aws.api.s3 import NotImplemented as NotImplementedByS3
from localstack.services.plugins import Service, aws_provider
from localstack.services.s3 import provider as localstack_s3
from localstack.services.s3.models import S3Bucket
from localstack.services.s3.notifications import S3EventNotificationContext

from .. import settings
from ..iam import enforcement
from . import names, notifications
from .store import ObjectStore
from .writes import Writes

# Whether a name is valid depends on more than the name here: `create_bucket` below decides it.
localstack_s3.is_bucket_name_valid = lambda bucket_name: True

EU, EU_REGION = "EU", "eu-west-1"


class RemediationS3Provider(localstack_s3.S3Provider):
    def __init__(self, storage_backend) -> None:
        super().__init__(storage_backend)
        self._made_with_eu: WeakSet[S3Bucket] = WeakSet()
        self._notification_dispatcher = notifications.Dispatcher()
        self._writes = Writes()

    @handler("CreateBucket", expand=False)
    def create_bucket(self, context: RequestContext, request):
        name, region = request["Bucket"], context.region
        before = settings.of(context.account_id).s3_is_before_march_2018
        if not names.can_be_made(name) and not (before and names.could_be_made_before_march_2018(name, region)):
            raise InvalidBucketName("The specified bucket is not valid.", BucketName=name)
        configuration = request.get("CreateBucketConfiguration") or {}
        with_eu = configuration.get("LocationConstraint") == EU
        if with_eu:
            request["CreateBucketConfiguration"] = {**configuration, "LocationConstraint": EU_REGION}
        answer = super().create_bucket(context, request)
        if with_eu:
            self._made_with_eu.add(self._get_cross_account_bucket(context, name)[1])
        return answer

    def list_buckets(
        self, context, max_buckets=None, continuation_token=None, prefix=None, bucket_region=None, **kwargs
    ):
        """BucketRegion: "If the request contains at least one valid parameter, it is included in the response."

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_Bucket.html
        """
        answer = super().list_buckets(context, max_buckets, continuation_token, prefix, bucket_region, **kwargs)
        if not (max_buckets or continuation_token or prefix or bucket_region):
            for bucket in answer["Buckets"]:
                bucket.pop("BucketRegion", None)
        return answer

    def head_bucket(self, context, bucket, expected_bucket_owner=None, **kwargs):
        self._get_cross_account_bucket(context, bucket)
        return super().head_bucket(context, bucket, expected_bucket_owner, **kwargs)

    def get_bucket_location(self, context, bucket, expected_bucket_owner=None, **kwargs):
        """`EU` stays what it was made with: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html"""
        answer = super().get_bucket_location(context, bucket, expected_bucket_owner, **kwargs)
        if self._get_cross_account_bucket(context, bucket)[1] in self._made_with_eu:
            answer["LocationConstraint"] = answer["LocationConstraint"].replace(f">{EU_REGION}<", f">{EU}<")
        return answer

    @handler("GetObject", expand=False)
    def get_object(self, context: RequestContext, request):
        with _missing_only_for_who_may_list(context):
            return super().get_object(context, request)

    @handler("HeadObject", expand=False)
    def head_object(self, context: RequestContext, request):
        with _missing_only_for_who_may_list(context):
            return super().head_object(context, request)

    @handler("PutObject", expand=False)
    def put_object(self, context: RequestContext, request):
        is_for_new = request.get("IfNoneMatch")
        turn = self._writes.turn_of_new(request["Bucket"], request["Key"]) if is_for_new else self._writes.turn()
        with turn:
            return super().put_object(context, request)

    @handler("CopyObject", expand=False)
    def copy_object(self, context: RequestContext, request):
        if any(header in context.request.headers for header in ("If-Match", "If-None-Match")):
            raise NotImplementedByS3("The emulator knows no conditional copies.")  # LocalStack would make them
        with self._writes.turn():
            return super().copy_object(context, request)

    def complete_multipart_upload(self, context, **parameters):
        with self._writes.turn():
            return super().complete_multipart_upload(context, **parameters)

    def post_object(self, context, **parameters):
        with self._writes.turn():
            return super().post_object(context, **parameters)

    def delete_object(self, context, bucket, key, **parameters):
        with self._writes.turn_of_deletion(bucket, key):
            return super().delete_object(context, bucket, key, **parameters)

    def delete_objects(self, context, bucket, delete, **parameters):
        objects = delete.get("Objects") or []
        if any(each.get("ETag") for each in objects):
            raise NotImplementedByS3("The emulator knows no conditional deletions.")  # LocalStack would make them
        with self._writes.turn_of_deletion(bucket, *(each["Key"] for each in objects)):
            return super().delete_objects(context, bucket, delete, **parameters)

    def _notify(self, context, s3_bucket, s3_object=None, s3_notif_ctx=None):
        if not s3_bucket.notification_configuration:
            return
        event = s3_notif_ctx or S3EventNotificationContext.from_request_context_native(context, s3_bucket, s3_object)
        event.caller = notifications.principal_id(context)
        super()._notify(context, s3_bucket, s3_notif_ctx=event)

    def _get_cross_account_bucket(self, context, bucket_name, *, expected_bucket_owner=None):
        """Every call comes here for its bucket, and some of LocalStack's do not tell whose it has to be."""
        asked = context.service_request or {}
        is_source = bucket_name != asked.get("Bucket")
        expected = asked.get("ExpectedSourceBucketOwner" if is_source else "ExpectedBucketOwner")
        return super()._get_cross_account_bucket(
            context, bucket_name, expected_bucket_owner=expected_bucket_owner or expected
        )


@contextmanager
def _missing_only_for_who_may_list(context: RequestContext):
    """Without s3:ListBucket a key that is not there is 403: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html

    That a right to list some prefixes only is none here is inferred: the request has no prefix.
    """
    try:
        yield
    except ServiceException as error:
        is_missing_key = error.status_code == 404 and not isinstance(error, NoSuchBucket)
        if is_missing_key and not enforcement.could(context, "ListObjectsV2", {"Bucket": context.service_request["Bucket"]}):
            raise AccessDenied("Access Denied") from error
        raise


@aws_provider(name="remediation")
def s3() -> Service:
    # LocalStack's own default is a fixed folder in /tmp, which every instance on the machine would share.
    objects = ObjectStore(tempfile.mkdtemp(prefix="s3-objects-"))
    return Service.for_provider(RemediationS3Provider(objects))
