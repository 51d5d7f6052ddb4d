"""A bucket answers in its own region.

https://docs.aws.amazon.com/AmazonS3/latest/API/UsingRouting.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
"""

from xml.etree import ElementTree

import pytest
from functions import allow, trust
from raw_requests import send
from refusals import code, refusal

BLOCK = b"""<PublicAccessBlockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>"""


@pytest.fixture
def bucket_in(emulator, account):
    def make(region: str, constraint: str | None = None, owner: str = account) -> str:
        name = f"regions-{region}-{owner}"
        constraint = constraint or region
        configuration = {"CreateBucketConfiguration": {"LocationConstraint": constraint}}
        more = configuration if constraint != "us-east-1" else {}
        emulator.client("s3", owner, region).create_bucket(Bucket=name, **more)
        return name

    return make


def error(body: bytes) -> dict[str, str]:
    return {element.tag: element.text for element in ElementTree.fromstring(body)}


@pytest.mark.parametrize(
    ("method", "query", "body"),
    [("GET", "?publicAccessBlock", b""), ("PUT", "?publicAccessBlock", BLOCK), ("GET", "?website", b""),
     ("GET", "?tagging", b""), ("PUT", "/key", b"text"), ("GET", "/key", b""), ("GET", "?list-type=2", b"")],
)
def test_another_region_is_redirected(emulator, account, bucket_in, method, query, body):
    bucket = bucket_in("eu-west-1")
    status, headers, answer = send(emulator, account, "us-east-1", method, f"/{bucket}{query}", body)
    told = error(answer)
    assert (status, told["Code"], headers["x-amz-bucket-region"]) == (301, "PermanentRedirect", "eu-west-1")
    assert (told["Bucket"], told["Endpoint"]) == (bucket, f"{bucket}.s3.eu-west-1.amazonaws.com")
    s3 = emulator.client("s3", account, "eu-west-1")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)  # nothing was carried out
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]["RestrictPublicBuckets"]


def test_a_redirect_is_what_boto3_follows(emulator, account, bucket_in):
    bucket = bucket_in("eu-west-1")
    emulator.client("s3", account, "us-east-1").put_object(Bucket=bucket, Key="key", Body=b"text")
    assert emulator.client("s3", account, "eu-west-1").get_object(Bucket=bucket, Key="key")["Body"].read() == b"text"


def test_head_has_the_region_and_no_body(emulator, account, bucket_in):
    bucket = bucket_in("eu-west-1")
    for path, status in ((f"/{bucket}", 301), (f"/{bucket}/key", 301)):
        answer = send(emulator, account, "us-east-1", "HEAD", path)
        assert (answer[0], answer[1]["x-amz-bucket-region"], answer[2]) == (status, "eu-west-1", b"")
    status, headers, _ = send(emulator, account, "eu-west-1", "HEAD", f"/{bucket}")
    assert (status, headers["x-amz-bucket-region"]) == (200, "eu-west-1")


@pytest.mark.parametrize(("home", "asked"), [("me-south-1", "us-east-1"), ("us-west-2", "af-south-1")])
def test_a_region_launched_after_march_2019_does_not_redirect(emulator, account, bucket_in, home, asked):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/ErrorCodeBilling.html"""
    bucket = bucket_in(home)
    status, headers, answer = send(emulator, account, asked, "GET", f"/{bucket}?tagging")
    assert (status, error(answer)["Code"]) == (400, "IllegalLocationConstraintException")
    assert error(answer)["Message"].startswith(f"The {home} location constraint is incompatible")
    assert "x-amz-bucket-region" not in headers
    status, headers, answer = send(emulator, account, asked, "HEAD", f"/{bucket}")
    assert (status, headers["x-amz-bucket-region"], answer) == (400, home, b"")


def test_the_buckets_own_endpoint_finds_the_signature_wrong(emulator, account, bucket_in):
    bucket = bucket_in("eu-west-1")
    emulator.put(f"settings/{account}", s3_wrong_region="own endpoint")
    for query in ("?publicAccessBlock", "?location"):
        status, headers, answer = send(emulator, account, "us-east-1", "GET", f"/{bucket}{query}")
        assert (status, error(answer)["Code"]) == (400, "AuthorizationHeaderMalformed")
        assert error(answer)["Region"] == "eu-west-1"
        assert error(answer)["Message"].endswith("the region 'us-east-1' is wrong; expecting 'eu-west-1'")
    status, headers, answer = send(emulator, account, "us-east-1", "HEAD", f"/{bucket}")
    assert (status, headers["x-amz-bucket-region"], answer) == (400, "eu-west-1", b"")


def test_where_a_bucket_is_can_be_asked_anywhere(emulator, account, other_account, bucket_in):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html"""
    bucket = bucket_in("eu-central-1")
    for region in ("eu-central-1", "us-east-1", "ap-south-1"):
        location = emulator.client("s3", account, region).get_bucket_location(Bucket=bucket)
        assert location["LocationConstraint"] == "eu-central-1"
    theirs = emulator.client("s3", other_account, "us-east-1")
    assert refusal(theirs.get_bucket_location, Bucket=bucket)[:2] == (403, "AccessDenied")


def test_us_east_1_has_no_location_constraint(emulator, account, bucket_in):
    bucket = bucket_in("us-east-1")
    assert emulator.client("s3", account, "eu-west-1").get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    _, _, answer = send(emulator, account, "eu-west-1", "GET", f"/{bucket}?location")
    assert not ElementTree.fromstring(answer).text


@pytest.mark.parametrize("made_in", ["us-east-1", "eu-west-1"])
def test_a_bucket_made_with_eu_is_in_eu_west_1(emulator, account, bucket_in, made_in):
    """"Buckets in Region eu-west-1 can have LocationConstraint of EU": API_GetBucketLocation, as above."""
    bucket = bucket_in(made_in, "EU")
    s3 = emulator.client("s3", account, "eu-west-1")
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "EU"
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "eu-west-1"
    status, headers, _ = send(emulator, account, "us-east-1", "GET", f"/{bucket}?tagging")
    assert (status, headers["x-amz-bucket-region"]) == (301, "eu-west-1")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-west-1"


def test_another_partition_is_another_s3(emulator, account, bucket_in):
    bucket = bucket_in("cn-north-1")
    status, headers, answer = send(emulator, account, "us-east-1", "GET", f"/{bucket}?tagging")
    assert (status, error(answer)["Code"]) == (404, "NoSuchBucket")
    status, headers, answer = send(emulator, account, "us-east-1", "HEAD", f"/{bucket}")
    assert (status, "x-amz-bucket-region" in headers) == (404, False)
    status, headers, answer = send(emulator, account, "cn-northwest-1", "GET", f"/{bucket}?tagging")
    assert (status, error(answer)["Endpoint"]) == (301, f"{bucket}.s3.cn-north-1.amazonaws.com.cn")


def test_the_region_comes_before_the_permission(emulator, account, bucket_in, make_role, session_of):
    """And HEAD tells it "whether access to the bucket is authorized or not": API_GetBucketLocation, as above."""
    bucket = bucket_in("eu-west-1")
    nobody = session_of(make_role(account, "nobody", trust({"AWS": "*"}), allow("s3:ListAllMyBuckets")))
    here, there = emulator.client("s3", nobody, "eu-west-1"), emulator.client("s3", nobody, "us-east-1")
    assert code(here.get_bucket_tagging, Bucket=bucket) == "AccessDenied"
    with pytest.raises(here.exceptions.ClientError) as caught:
        here.head_bucket(Bucket=bucket)
    told = caught.value.response["ResponseMetadata"]
    assert (told["HTTPStatusCode"], told["HTTPHeaders"]["x-amz-bucket-region"]) == (403, "eu-west-1")
    before = len(emulator.decisions())
    assert code(there.get_bucket_tagging, Bucket=bucket) == "AccessDenied"  # once boto3 has followed to eu-west-1
    judged = [each for each in emulator.decisions()[before:] if each["action"] == "s3:GetBucketTagging"]
    assert len(judged) == 1


def test_list_buckets_tells_regions_where_it_is_narrowed(emulator, account, bucket_in):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_Bucket.html"""
    here, there = bucket_in("us-east-1"), bucket_in("eu-west-1")
    s3 = emulator.client("s3", account, "us-east-1")
    everything = s3.list_buckets()["Buckets"]
    assert {bucket["Name"] for bucket in everything} == {here, there}
    assert not any("BucketRegion" in bucket for bucket in everything)
    narrowed = s3.list_buckets(MaxBuckets=10)["Buckets"]
    assert {bucket["Name"]: bucket["BucketRegion"] for bucket in narrowed} == {here: "us-east-1", there: "eu-west-1"}
    assert [bucket["Name"] for bucket in s3.list_buckets(BucketRegion="eu-west-1")["Buckets"]] == [there]
