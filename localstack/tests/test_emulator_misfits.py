"""GET /_remediation/iam/misfits: what was stored and says what AWS does not understand."""

import json

import pytest
from functions import allow, deny, policy, trust

ANYONE = trust({"AWS": "*"})
BAD = allow("s3:GetObjects")
SAID = "no action is called s3:GetObjects"


@pytest.fixture
def found(emulator, account):
    def read() -> list[tuple[str, str, str]]:
        listed = emulator.get("iam/misfits")
        return [(each["operation"], each["name"], each["misfit"]) for each in listed if each["account"] == account]

    return read


def test_what_fits_is_not_listed(account, make_role, found):
    make_role(account, "good", ANYONE, allow("s3:GetObject", "arn:aws:s3:::b/*"), allow("ec2:DescribeVpcs"))
    assert found() == []


def test_roles(emulator, account, make_role, found):
    external_id = {"StringEquals": {"sts:ExternalId": "x"}}
    trusted = trust({"AWS": account}, ["sts:AssumeRole", "sts:SetSourceIdentity"], Condition=external_id)
    make_role(account, "r", trusted, BAD)
    make_role(account, "r2", ANYONE, BAD)
    emulator.client("iam", account).update_assume_role_policy(RoleName="r2", PolicyDocument=policy(trusted))
    said = "sts:SetSourceIdentity on * does not have the condition key sts:ExternalId"
    assert found() == [
        ("iam:CreateRole", "r", said), ("iam:PutRolePolicy", "r", SAID), ("iam:PutRolePolicy", "r2", SAID),
        ("iam:UpdateAssumeRolePolicy", "r2", said),
    ]


def test_other_policies(emulator, account, make_role, session_of, found):
    document = policy(BAD)
    iam = emulator.client("iam", account)
    iam.create_user(UserName="u")
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=document)
    arn = iam.create_policy(PolicyName="p", PolicyDocument=document)["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document)
    s3 = emulator.client("s3", account)
    s3.create_bucket(Bucket=f"b-{account}")
    refused = {**deny("s3:GetObjects", f"arn:aws:s3:::b-{account}/*"), "Principal": "*"}
    s3.put_bucket_policy(Bucket=f"b-{account}", Policy=policy(refused))
    sqs = emulator.client("sqs", account)
    sending = {**allow("sqs:SendMessages"), "Principal": "*"}
    url = sqs.create_queue(QueueName="q", Attributes={"Policy": policy(sending)})["QueueUrl"]
    session_of(make_role(account, "r", ANYONE), Policy=document)
    role = f"arn:aws:iam::{account}:role/r"
    assert found() == [
        ("iam:PutUserPolicy", "u", SAID), ("iam:CreatePolicy", "p", SAID), ("iam:CreatePolicyVersion", arn, SAID),
        ("s3:PutBucketPolicy", f"b-{account}", SAID),
        ("sqs:CreateQueue", "q", "no action is called sqs:SendMessages"),
        ("sts:AssumeRole", role, SAID),
    ]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": 7})})
    assert "could not look at it" in found()[-1][2]
