"""What a bucket can be called: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""

import pytest
from raw_requests import send
from refusals import refusal

BLOCK = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}


@pytest.fixture
def s3(emulator, account):
    return emulator.client("s3", account)


def check_that_it_works(s3, bucket: str, account: str) -> None:
    ours = {"Bucket": bucket, "ExpectedBucketOwner": account}
    s3.put_public_access_block(PublicAccessBlockConfiguration=BLOCK, **ours)
    assert s3.get_public_access_block(**ours)["PublicAccessBlockConfiguration"] == BLOCK
    assert refusal(s3.get_bucket_website, **ours)[:2] == (404, "NoSuchWebsiteConfiguration")
    s3.put_object(Key="a key", Body=b"text", **ours)
    assert s3.get_object(Key="a key", **ours)["Body"].read() == b"text"
    assert [each["Key"] for each in s3.list_objects_v2(**ours)["Contents"]] == ["a key"]
    s3.delete_object(Key="a key", **ours)
    s3.delete_bucket(**ours)


@pytest.mark.parametrize("name", ["Reports.{}", "my_reports_{}", "A-{}" + "x" * 240, "-{}.", "{}" + "y" * 60])
def test_a_name_from_before_march_2018(emulator, s3, account, name):
    bucket = name.format(account)
    assert refusal(s3.create_bucket, Bucket=bucket)[:2] == (400, "InvalidBucketName")
    emulator.put(f"settings/{account}", s3_is_before_march_2018=True)
    s3.create_bucket(Bucket=bucket)
    emulator.put(f"settings/{account}", s3_is_before_march_2018=False)
    assert bucket in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    check_that_it_works(s3, bucket, account)


def test_such_names_were_for_us_east_1_only_and_at_most_255_long(emulator, s3, account):
    emulator.put(f"settings/{account}", s3_is_before_march_2018=True)
    europe, there = emulator.client("s3", account, "eu-west-1"), {"LocationConstraint": "eu-west-1"}
    capitals = {"Bucket": f"Reports-{account}", "CreateBucketConfiguration": there}
    assert refusal(europe.create_bucket, **capitals)[:2] == (400, "InvalidBucketName")
    longest = account.ljust(255, "L")
    s3.create_bucket(Bucket=longest)
    check_that_it_works(s3, longest, account)
    status, headers, _ = send(emulator, account, "us-east-1", "PUT", f"/{longest}L")
    assert status == 400


@pytest.mark.parametrize(
    "name",
    ["b-s3alias", "b--ol-s3", "b.mrap", "b--table-s3", "xn--b", "sthree-b", "amzn-s3-demo-b",
     "Capital", "under_score", "two..dots", "192.168.0.1", "-hyphen"],
)
def test_a_name_that_no_new_bucket_can_have(s3, name):
    assert refusal(s3.create_bucket, Bucket=name)[:2] == (400, "InvalidBucketName")


def test_the_emulator_makes_no_directory_buckets(emulator, account):
    status, _, answer = send(emulator, account, "us-east-1", "PUT", f"/d-{account}--use1-az4--x-s3")
    assert (status, b"<Code>InvalidBucketName</Code>" in answer) == (400, True)


def test_a_dotted_name_is_reached_over_the_emulators_address(emulator, s3, account):
    bucket = f"www.{account}.example.com"
    s3.create_bucket(Bucket=bucket)
    check_that_it_works(s3, bucket, account)


# Directory buckets and access points do not take these calls, so a rule about buckets meets a refusal and no answer.


def test_a_directory_bucket_takes_no_configuration(emulator, account):
    """The words for a change: the provider of Terraform waits for them, see front.py."""
    bucket = f"/d-{account}--usw2-az1--x-s3"
    for query in ("?publicAccessBlock", "?tagging", "?website", "?policyStatus", "?location"):
        status, _, answer = send(emulator, account, "us-west-2", "GET", bucket + query)
        assert (status, b"<Code>MethodNotAllowed</Code>" in answer) == (405, True), query
    body = b"<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>"
    status, _, answer = send(emulator, account, "us-west-2", "PUT", bucket + "?publicAccessBlock", body)
    assert (status, b"<Code>InvalidArgument</Code>" in answer) == (400, True)
    assert b"PublicAccessBlockConfiguration is not valid, expected CreateBucketConfiguration" in answer
    assert send(emulator, account, "us-west-2", "DELETE", bucket + "?publicAccessBlock")[0] == 405
    assert send(emulator, account, "us-west-2", "HEAD", bucket)[0] == 404


def test_an_sdk_asks_about_a_directory_bucket(emulator, account):
    s3 = emulator.client("s3", account, "us-west-2")
    bucket = {"Bucket": f"d-{account}--usw2-az1--x-s3", "ExpectedBucketOwner": account}
    assert refusal(s3.get_public_access_block, **bucket)[:2] == (405, "MethodNotAllowed")
    assert refusal(s3.get_bucket_tagging, **bucket)[:2] == (405, "MethodNotAllowed")
    assert refusal(s3.get_bucket_website, **bucket)[:2] == (405, "MethodNotAllowed")
    change = {**bucket, "PublicAccessBlockConfiguration": BLOCK}
    assert refusal(s3.put_public_access_block, **change)[:2] == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("suffix", "configuration", "objects"),
    [
        ("abc123-s3alias", (405, "MethodNotAllowed"), (400, "InvalidAccessPointAliasError")),
        ("abc123--ol-s3", (400, "InvalidAccessPointAliasError"), (400, "InvalidAccessPointAliasError")),
    ],
)
def test_an_access_points_alias_is_no_bucket(s3, account, suffix, configuration, objects):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-access-points.html: "You can't use access points to
    perform other Amazon S3 operations, such as modifying or deleting buckets." InvalidAccessPointAliasError: the
    parameter Bucket in https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html
    """
    alias = {"Bucket": f"ap-{account}-{suffix}", "ExpectedBucketOwner": account}
    change = {**alias, "PublicAccessBlockConfiguration": BLOCK}
    assert refusal(s3.get_public_access_block, **alias)[:2] == configuration
    assert refusal(s3.put_public_access_block, **change)[:2] == configuration
    assert refusal(s3.delete_public_access_block, **alias)[:2] == configuration
    assert refusal(s3.get_bucket_website, **alias)[:2] == configuration
    assert refusal(s3.get_bucket_tagging, **alias)[:2] == configuration
    assert refusal(s3.get_object, Key="key", **alias)[:2] == objects
    assert refusal(s3.get_bucket_location, **alias)[:2] == objects


@pytest.mark.parametrize("call", ["head_bucket", "get_bucket_location", "list_objects_v2", "get_bucket_policy"])
def test_every_call_checks_the_expected_owner(s3, account, other_account, call):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html"""
    bucket = f"owned-{account}"
    s3.create_bucket(Bucket=bucket)
    assert refusal(getattr(s3, call), Bucket=bucket, ExpectedBucketOwner=other_account)[0] == 403


def test_a_copy_checks_both_owners(s3, account, other_account):
    for name in ("from", "to"):
        s3.create_bucket(Bucket=f"{name}-{account}")
    s3.put_object(Bucket=f"from-{account}", Key="k", Body=b"x")
    copy = {"Bucket": f"to-{account}", "Key": "k", "CopySource": f"from-{account}/k"}
    assert refusal(s3.copy_object, ExpectedSourceBucketOwner=other_account, **copy)[0] == 403
    assert refusal(s3.copy_object, ExpectedBucketOwner=other_account, **copy)[0] == 403
    s3.copy_object(ExpectedSourceBucketOwner=account, ExpectedBucketOwner=account, **copy)
