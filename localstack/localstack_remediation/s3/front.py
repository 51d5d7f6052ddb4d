"""S3's front: what it answers by the bucket's name and region alone, before any policy is looked at.

A name that is no general purpose bucket's is refused, and a bucket is reached through its own region only. The
emulator has one address for all regions, so the region that a request is signed for is the one that it is sent to.
A request without a signature is let through: nothing tells its region.
"""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from localstack.aws import handlers
from localstack.aws.api import RequestContext
from localstack.http import Response
from localstack.runtime import hooks
from localstack.services.s3.models import S3Bucket, s3_stores
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header
from moto.utilities.utils import get_partition

from .. import settings
from . import names
from .errors import Refusal, refusal

BUCKET_REGION = "x-amz-bucket-region"
UNSIGNED = "injectedaccesskey"  # LocalStack signs with it what came without a signature

# The regions that were there on March 20, 2019, and redirect: "For all Regions that launched after March 20, 2019, if a
# request arrives at the wrong Amazon S3 location, Amazon S3 returns an HTTP 400 Bad Request error."
# https://docs.aws.amazon.com/AmazonS3/latest/API/UsingRouting.html
# The code of that error: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ErrorCodeBilling.html, and that it comes
# where either of the two regions is a later one: https://github.com/cloud-custodian/cloud-custodian/issues/8005
REDIRECTED_REGIONS = frozenset((
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
    "ca-central-1", "cn-north-1", "cn-northwest-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2",
    "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1", "us-west-1", "us-west-2",
))

# The calls that an access point takes, by its alias, too.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-service-api-support.html
OF_ACCESS_POINTS = frozenset((
    "AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload", "DeleteObject",
    "DeleteObjects", "DeleteObjectTagging", "GetBucketAcl", "GetBucketCors", "GetBucketLocation",
    "GetBucketNotificationConfiguration", "GetBucketPolicy", "GetObject", "GetObjectAcl", "GetObjectAttributes",
    "GetObjectLegalHold", "GetObjectRetention", "GetObjectTagging", "HeadBucket", "HeadObject",
    "ListMultipartUploads", "ListObjects", "ListObjectsV2", "ListObjectVersions", "ListParts", "PutObject",
    "PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention", "PutObjectTagging", "RestoreObject", "UploadPart",
    "UploadPartCopy",
))


@hooks.on_infra_start(priority=10)  # before IAM
def install_s3_front() -> None:
    handlers.serve_custom_service_request_handlers.append(_answer)
    handlers.run_custom_response_handlers.append(_tell_region)


def refused_by_name(name: str, operation: str, method: str, payload: str | None) -> Refusal | None:
    """Directory buckets have other endpoints. There a request to change a bucket is one to make it.

    What changes a directory bucket's configuration, in the words of Terraform's provider, which looks for them:
    https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/s3/bucket_public_access_block.go
    What reads or deletes it, and the code for an access point's alias, are inferred. That neither takes such calls is
    not: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-access-points.html and, for example,
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html
    """
    if operation == "CreateBucket":
        return None
    if name.endswith(names.OBJECT_LAMBDA_ALIAS):
        return refusal("InvalidAccessPointAliasError")  # the emulator has no access points, so none is valid
    if name.endswith(names.ACCESS_POINT_ALIAS):
        known = operation in OF_ACCESS_POINTS
        return refusal("InvalidAccessPointAliasError") if known else refusal("MethodNotAllowed")
    if name.endswith(names.DIRECTORY_BUCKET):
        if operation == "HeadBucket" or operation in OF_ACCESS_POINTS - {"GetBucketLocation"}:
            return refusal("NoSuchBucket", BucketName=name)
        if method == "PUT" and payload:
            message = f"{payload} is not valid, expected CreateBucketConfiguration"
            return Refusal(400, "InvalidArgument", message)
        return refusal("MethodNotAllowed")
    return None


def elsewhere(bucket: str, home: str, asked: str, own_endpoint: bool) -> Refusal:
    """The answer to a request for a bucket of the region `home` that is signed for the region `asked`.

    `own_endpoint`: the bucket's own region answers, as where a client sends to `BUCKET.s3.amazonaws.com` and DNS
    knows the way, or is given an endpoint. A client that has one region for both reaches the other region's endpoint.
    """
    if own_endpoint:
        message = f"The authorization header is malformed; the region '{asked}' is wrong; expecting '{home}'"
        return Refusal(400, "AuthorizationHeaderMalformed", message, {"Region": home})
    if not {home, asked} <= REDIRECTED_REGIONS:
        return Refusal(
            400, "IllegalLocationConstraintException",
            f"The {home} location constraint is incompatible for the region specific endpoint this request was sent to.",
        )
    return Refusal(
        301, "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint.",
        {"Endpoint": f"{bucket}.s3.{home}.{_dns_suffix(home)}", "Bucket": bucket},
        {BUCKET_REGION: home},
    )


def _dns_suffix(region: str) -> str:
    return "amazonaws.com.cn" if get_partition(region) == "aws-cn" else "amazonaws.com"


def _answer(chain, context: RequestContext, response: Response) -> None:
    name = _bucket_name(context)
    if not name or context.is_internal_call:
        return
    operation, method = context.operation.name, context.request.method
    if operation == "CreateSession" and name.endswith(names.DIRECTORY_BUCKET):
        _respond(chain, response, 200, _own_session(context))
    elif refused := refused_by_name(name, operation, method, _payload(context)) or _refused_by_region(name, context):
        response.headers.update(refused.headers)
        _respond(chain, response, refused.status, b"" if method == "HEAD" else refused.body(context.request_id))


def _respond(chain, response: Response, status: int, body: bytes) -> None:
    response.status_code = status
    response.content_type = "application/xml"
    response.data = body
    chain.stop()


def _own_session(context: RequestContext) -> bytes:
    """The caller's own key. SDKs that are given an endpoint, as they are here, ask for a session before any call about a
    directory bucket; on AWS they do so for its objects alone, and send what configures it to an endpoint of its own.
    """
    values = {
        "AccessKeyId": extract_access_key_id_from_auth_header(context.request.headers),
        "SecretAccessKey": "secret",
        "SessionToken": context.request.headers.get("x-amz-security-token") or "token",
        "Expiration": (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    root = ElementTree.Element("CreateSessionResult")
    credentials = ElementTree.SubElement(root, "Credentials")
    for name, text in values.items():
        ElementTree.SubElement(credentials, name).text = text
    return ElementTree.tostring(root)


def _refused_by_region(name: str, context: RequestContext) -> Refusal | None:
    access_key = extract_access_key_id_from_auth_header(context.request.headers)
    bucket = _find(name)
    if bucket is None or access_key == UNSIGNED or context.operation.name == "CreateBucket":
        return None
    home, asked = bucket.bucket_region, context.region
    if home == asked:
        return None
    if get_partition(home) != get_partition(asked):  # another partition is another S3
        return refusal("NoSuchBucket", BucketName=name)
    own_endpoint = settings.of(context.account_id).s3_wrong_region == settings.OWN_ENDPOINT
    if context.operation.name == "GetBucketLocation" and not own_endpoint:
        # "In other Regions, the bucket policy doesn't apply, which means that cross-account access won't be authorized."
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
        return None if bucket.bucket_account_id == context.account_id else refusal("AccessDenied")
    return elsewhere(name, home, asked, own_endpoint)


def _tell_region(_chain, context: RequestContext, response: Response) -> None:
    """ "HeadBucket always returns the bucket's location through an HTTP response header, whether access to the bucket
    is authorized or not": https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
    """
    name = _bucket_name(context)
    if not name or context.operation.name != "HeadBucket":
        return
    bucket = _find(name)
    if bucket and get_partition(bucket.bucket_region) == get_partition(context.region):
        response.headers[BUCKET_REGION] = bucket.bucket_region


def _bucket_name(context: RequestContext) -> str | None:
    if not context.service or context.service.service_name != "s3" or not context.operation:
        return None
    return (context.service_request or {}).get("Bucket")


def _find(name: str) -> S3Bucket | None:
    any_store = s3_stores["000000000000"]["us-east-1"]  # the map of owners is one for all accounts and regions
    owner = any_store.global_bucket_map.get(name)
    return s3_stores[owner]["us-east-1"].buckets.get(name) if owner else None


def _payload(context: RequestContext) -> str | None:
    """The root element of what the operation takes in its body."""
    shape = context.operation.input_shape
    member = shape.serialization.get("payload") if shape else None
    return shape.members[member].serialization.get("name", member) if member else None
