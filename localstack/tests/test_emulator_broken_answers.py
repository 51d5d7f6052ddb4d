"""Calls that are carried out, and whose answer does not arrive: Lost, Lost:CODE and Cut."""

import pytest
from botocore.exceptions import BotoCoreError, ConnectionClosedError
from functions import allow, trust
from refusals import refusal

# What botocore says where a body ends early depends on how it reads it.
ENDED_EARLY = (BotoCoreError, OSError)


@pytest.fixture
def session(account, make_role, session_of):
    return session_of(make_role(account, "r", trust({"AWS": "*"}), allow(["s3:*", "iam:*", "ec2:*", "logs:*"])))


@pytest.fixture
def bucket(emulator, account):
    name = f"broken-{account}"
    emulator.client("s3", account).create_bucket(Bucket=name)
    return name


def test_a_conditional_write_whose_answer_is_lost_meets_itself(emulator, account, session, bucket):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""
    s3, once = emulator.client("s3", session), {"Bucket": bucket, "Key": "card", "IfNoneMatch": "*"}
    emulator.put(f"faults/{account}", **{"s3:PutObject": ["Lost"]})
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Body=b"mine", **once)
    assert emulator.get(f"faults/{account}") == {}
    assert refusal(s3.put_object, Body=b"mine", **once)[:2] == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=bucket, Key="card")["Body"].read() == b"mine"


@pytest.mark.parametrize(("code", "status"), [("InternalError", 500), ("ServiceUnavailable", 503)])
def test_an_error_instead_of_the_answer(emulator, account, session, bucket, code, status):
    s3 = emulator.client("s3", session)
    etag = s3.put_object(Bucket=bucket, Key="card", Body=b"old")["ETag"]
    emulator.put(f"faults/{account}", **{"s3:PutObject": ["Pass", f"Lost:{code}"]})
    s3.put_object(Bucket=bucket, Key="another", Body=b"passes")
    replace = {"Bucket": bucket, "Key": "card", "IfMatch": etag}
    assert refusal(s3.put_object, Body=b"new", **replace)[:2] == (status, code)
    assert refusal(s3.put_object, Body=b"new", **replace)[:2] == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=bucket, Key="card")["Body"].read() == b"new"


@pytest.mark.parametrize("size", [0, 1, 2, 100_000])
def test_an_object_that_ends_early(emulator, account, session, bucket, size):
    s3 = emulator.client("s3", session)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * size)
    emulator.put(f"faults/{account}", **{"s3:GetObject": ["Cut"]})
    with pytest.raises(ENDED_EARLY):
        s3.get_object(Bucket=bucket, Key="k")["Body"].read()
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x" * size


def test_an_answer_that_ends_early_in_every_protocol(emulator, account, session):
    """Query, EC2's own, and JSON: each call is carried out, and then seen."""
    iam, ec2, logs = (emulator.client(service, session) for service in ("iam", "ec2", "logs"))
    faults = {"iam:CreateUser": ["Cut"], "ec2:CreateVpc": ["Cut"], "logs:CreateLogGroup": ["Cut"]}
    emulator.put(f"faults/{account}", **faults)
    with pytest.raises(ENDED_EARLY):
        iam.create_user(UserName="made")
    with pytest.raises(ENDED_EARLY):
        ec2.create_vpc(CidrBlock="10.9.0.0/16")
    with pytest.raises(ENDED_EARLY):
        logs.create_log_group(logGroupName="made")
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["made"]
    assert "10.9.0.0/16" in [vpc["CidrBlock"] for vpc in ec2.describe_vpcs()["Vpcs"]]
    assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == ["made"]


def test_an_answer_is_lost_in_every_protocol(emulator, account, session):
    iam, ec2, logs = (emulator.client(service, session) for service in ("iam", "ec2", "logs"))
    faults = {"iam:CreateUser": ["Lost"], "ec2:CreateVpc": ["Lost:Unavailable"], "logs:CreateLogGroup": ["Lost"]}
    emulator.put(f"faults/{account}", **faults)
    with pytest.raises(ConnectionClosedError):
        iam.create_user(UserName="made")
    assert refusal(ec2.create_vpc, CidrBlock="10.9.0.0/16")[:2] == (503, "Unavailable")
    with pytest.raises(ConnectionClosedError):
        logs.create_log_group(logGroupName="made")
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["made"]
    assert "10.9.0.0/16" in [vpc["CidrBlock"] for vpc in ec2.describe_vpcs()["Vpcs"]]
    assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == ["made"]


def test_what_has_no_body_is_lost(emulator, account, session, bucket):
    s3 = emulator.client("s3", session)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    emulator.put(f"faults/{account}", **{"s3:DeleteObject": ["Cut"]})
    with pytest.raises(ConnectionClosedError):
        s3.delete_object(Bucket=bucket, Key="k")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
