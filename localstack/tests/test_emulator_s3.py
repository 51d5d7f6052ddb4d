import pytest
from botocore.exceptions import ClientError

BLOCK = {"BlockPublicAcls": False, "IgnorePublicAcls": True, "BlockPublicPolicy": False, "RestrictPublicBuckets": True}


@pytest.fixture
def s3(emulator, account):
    client = emulator.client("s3", account)
    client.create_bucket(Bucket=f"s3-{account}")
    return client


def error(call, **parameters) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_objects_lie_in_the_instances_own_folder(emulator, s3, account):
    s3.put_object(Bucket=f"s3-{account}", Key="k", Body=b"x")
    stores = list(emulator.temporary.glob(f"autoremediate-emulator-*/tmp/s3-objects-*/s3-{account}"))
    assert len(stores) == 1


def test_no_public_access_block(s3, account):
    bucket = f"s3-{account}"
    s3.delete_public_access_block(Bucket=bucket)
    assert error(s3.get_public_access_block, Bucket=bucket) == (404, "NoSuchPublicAccessBlockConfiguration")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=BLOCK)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == BLOCK


def test_the_expected_owner_must_own_the_bucket(s3, account, other_account):
    theirs = {"Bucket": f"s3-{account}", "ExpectedBucketOwner": other_account}
    assert error(s3.get_public_access_block, **theirs) == (403, "AccessDenied")
    assert error(s3.put_public_access_block, PublicAccessBlockConfiguration=BLOCK, **theirs) == (403, "AccessDenied")
    assert error(s3.delete_public_access_block, **theirs) == (403, "AccessDenied")
    ours = {"Bucket": f"s3-{account}", "ExpectedBucketOwner": account}
    s3.put_public_access_block(PublicAccessBlockConfiguration=BLOCK, **ours)
    assert s3.get_public_access_block(**ours)["PublicAccessBlockConfiguration"] == BLOCK
    s3.delete_public_access_block(**ours)


def test_tags_and_a_website_are_the_expected_owners_alone(s3, account, other_account):
    ours = {"Bucket": f"s3-{account}", "ExpectedBucketOwner": account}
    assert error(s3.get_bucket_tagging, **ours) == (404, "NoSuchTagSet")
    assert error(s3.get_bucket_website, **ours) == (404, "NoSuchWebsiteConfiguration")
    tags, index = [{"Key": "k", "Value": "v"}], {"IndexDocument": {"Suffix": "index.html"}}
    s3.put_bucket_tagging(Bucket=f"s3-{account}", Tagging={"TagSet": tags})
    s3.put_bucket_website(Bucket=f"s3-{account}", WebsiteConfiguration=index)
    assert s3.get_bucket_tagging(**ours)["TagSet"] == tags
    assert s3.get_bucket_website(**ours)["IndexDocument"] == index["IndexDocument"]
    theirs = ours | {"ExpectedBucketOwner": other_account}
    assert error(s3.get_bucket_tagging, **theirs) == (403, "AccessDenied")
    assert error(s3.get_bucket_website, **theirs) == (403, "AccessDenied")
    missing = {"Bucket": f"gone-{account}"}
    assert error(s3.get_bucket_tagging, **missing) == error(s3.get_bucket_website, **missing) == (404, "NoSuchBucket")


def test_an_object_can_be_written_once(s3, account):
    once = {"Bucket": f"s3-{account}", "Key": "plan", "IfNoneMatch": "*"}
    s3.put_object(Body=b"first", **once)
    assert error(s3.put_object, Body=b"second", **once) == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=f"s3-{account}", Key="plan")["Body"].read() == b"first"
