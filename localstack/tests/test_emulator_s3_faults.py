"""S3's refusals, as a fault names them: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

import pytest
from functions import allow, policy, trust
from refusals import code, refusal

BLOCK = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}


@pytest.fixture
def bucket(emulator, account):
    name = f"faults-{account}"
    emulator.client("s3", account).create_bucket(Bucket=name)
    return name


@pytest.fixture
def s3(emulator, account, make_role, session_of):
    return emulator.client("s3", session_of(make_role(account, "r", trust({"AWS": "*"}), allow("s3:*"))))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("OperationAborted", 409), ("ConditionalRequestConflict", 409), ("PreconditionFailed", 412), ("SlowDown", 503),
        ("InternalError", 500), ("ServiceUnavailable", 503), ("RequestTimeout", 400), ("AccessDenied", 403),
        ("NoSuchKey", 404), ("ExpiredToken", 400), ("RequestTimeTooSkewed", 403), ("InvalidAccessKeyId", 403),
    ],
)
def test_a_code_has_its_status(emulator, account, s3, bucket, code, status):
    emulator.put(f"faults/{account}", **{"s3:PutObject": [code]})
    found = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"x")
    assert found[:2] == (status, code)
    assert "fault" not in found[2]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_configuration_that_another_change_of_the_bucket_aborts(emulator, account, s3, bucket):
    """https://github.com/hashicorp/terraform-provider-aws/issues/7628"""
    emulator.put(f"faults/{account}", **{"s3:PutBucketPublicAccessBlock": ["OperationAborted"] * 2})
    change = {"Bucket": bucket, "PublicAccessBlockConfiguration": BLOCK}
    found = refusal(s3.put_public_access_block, **change)
    assert found[:2] == (409, "OperationAborted")
    assert found[2].startswith("A conflicting conditional operation is currently in progress against this resource.")
    assert refusal(s3.delete_public_access_block, Bucket=bucket)[:2] == (409, "OperationAborted")
    s3.put_public_access_block(**change)


# Conditional writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html


def test_if_none_match_writes_once(s3, bucket):
    once = {"Bucket": bucket, "Key": "k", "IfNoneMatch": "*"}
    s3.put_object(Body=b"first", **once)
    assert refusal(s3.put_object, Body=b"second", **once)[:2] == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"


def test_if_match_writes_over_what_was_read(s3, bucket):
    where = {"Bucket": bucket, "Key": "k"}
    assert refusal(s3.put_object, Body=b"x", IfMatch='"anything"', **where)[:2] == (404, "NoSuchKey")
    first = s3.put_object(Body=b"first", **where)["ETag"]
    second = s3.put_object(Body=b"second", IfMatch=first, **where)["ETag"]
    assert refusal(s3.put_object, Body=b"third", IfMatch=first, **where)[:2] == (412, "PreconditionFailed")
    assert s3.get_object(**where)["Body"].read() == b"second"
    assert s3.put_object(Body=b"second", IfMatch=second, **where)["ETag"] == second  # equal content, equal ETag


def test_if_match_needs_the_right_to_read(emulator, account, make_role, session_of, bucket):
    writes = session_of(make_role(account, "writes", trust({"AWS": "*"}), allow("s3:PutObject")))
    reads_too = session_of(
        make_role(account, "reads", trust({"AWS": "*"}), allow(["s3:PutObject"]), allow("s3:GetObject", "arn:aws:s3:::*/k"))
    )
    s3 = emulator.client("s3", writes)
    where = {"Bucket": bucket, "Key": "k", "Body": b"x"}
    etag = s3.put_object(IfNoneMatch="*", **where)["ETag"]
    status, error, message = refusal(s3.put_object, IfMatch=etag, **where)
    assert (status, error) == (403, "AccessDenied") and "s3:GetObject" in message
    emulator.client("s3", reads_too).put_object(IfMatch=etag, **where)
    assert code(emulator.client("s3", reads_too).put_object, IfMatch=etag, **where | {"Key": "other"}) == "AccessDenied"


def test_a_missing_key_is_missing_only_for_who_may_list(emulator, account, make_role, session_of, bucket):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html (Permissions)"""
    reads = allow(["s3:GetObject", "s3:GetObjectVersion"])
    some = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", Condition={"StringLike": {"s3:prefix": "reports/*"}})
    every = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}")
    found = {}
    for name, statements in {"none": [reads], "some": [reads, some], "every": [reads, every]}.items():
        s3 = emulator.client("s3", session_of(make_role(account, name, trust({"AWS": "*"}), *statements)))
        missing = {"Bucket": bucket, "Key": "reports/missing"}
        found[name] = refusal(s3.get_object, **missing)[:2], refusal(s3.head_object, **missing)[0]
        assert refusal(s3.get_object, Bucket=f"no-{bucket}", Key="k")[:2] == (404, "NoSuchBucket")
    denied = ((403, "AccessDenied"), 403)
    assert found == {"none": denied, "some": denied, "every": ((404, "NoSuchKey"), 404)}
    s3 = emulator.client("s3", account)
    assert refusal(s3.get_object, Bucket=bucket, Key="missing")[:2] == (404, "NoSuchKey")


@pytest.mark.parametrize(
    ("condition", "of_missing"),
    [
        (None, (404, "NoSuchKey")),
        ({"StringEquals": {"s3:prefix": ["", "k"]}}, (403, "AccessDenied")),
        ({"StringLikeIfExists": {"s3:prefix": "reports/*"}}, (404, "NoSuchKey")),
    ],
)
def test_so_it_is_where_the_bucket_lets_list(emulator, account, make_role, session_of, bucket, condition, of_missing):
    """And what was deleted from a versioned bucket is missing, too. GetObject has no s3:prefix:

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
    """
    root = emulator.client("s3", account)
    root.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    role = make_role(account, "reads", trust({"AWS": "*"}), allow("s3:GetObject"))
    lists = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", **({"Condition": condition} if condition else {}))
    root.put_bucket_policy(Bucket=bucket, Policy=policy(lists | {"Principal": {"AWS": role}}))
    root.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3, where = emulator.client("s3", session_of(role)), {"Bucket": bucket, "Key": "k"}
    assert s3.get_object(**where)["Body"].read() == b"x"
    root.delete_object(**where)
    assert refusal(s3.get_object, **where)[:2] == of_missing
    assert refusal(s3.head_object, **where)[0] == of_missing[0]
