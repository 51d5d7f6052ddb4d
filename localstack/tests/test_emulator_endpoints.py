import urllib.error

import pytest
from functions import allow, trust
from refusals import refusal


def test_a_call_fails_as_often_as_asked(emulator, account, make_role, session_of):
    session = session_of(make_role(account, "r", trust({"AWS": "*"}), allow(["ec2:*", "s3:*"])))
    faults = {"ec2:DescribeVpcs": ["RequestLimitExceeded", "Throttling"], "s3:ListAllMyBuckets": ["SlowDown"]}
    emulator.put(f"faults/{account}", **faults)
    assert emulator.get(f"faults/{account}") == faults
    emulator.client("ec2", account).describe_vpcs()  # root's calls do not count
    ec2 = emulator.client("ec2", session)
    assert refusal(ec2.describe_vpcs)[:2] == (503, "RequestLimitExceeded")
    assert refusal(ec2.describe_vpcs)[:2] == (400, "Throttling")
    assert ec2.describe_vpcs()["Vpcs"]
    assert refusal(emulator.client("s3", session).list_buckets)[:2] == (503, "SlowDown")
    assert emulator.get(f"faults/{account}") == {}


def test_a_call_can_be_held_and_those_before_it_let_through(emulator, account, make_role, session_of):
    session = session_of(make_role(account, "r", trust({"AWS": "*"}), allow(["iam:*"])))
    iam = emulator.client("iam", session)
    emulator.put(f"faults/{account}", **{"iam:CreateUser": ["Pass", "Hold"]})
    iam.create_user(UserName="passed")
    assert refusal(lambda: iam.create_user(UserName="held"))[:2] == (503, "ServiceUnavailable")
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["passed"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("settings/{account}", {"unheard": 1}, 400),
        ("status", {"Arn": "arn:aws:redshift:us-east-1:{account}:cluster:missing", "Status": "paused"}, 404),
        ("status", {"Arn": "not-an-arn", "Status": "paused"}, 400),
        ("iam/access-keys/missing", {"CreateDate": "2020-01-01"}, 404),
        ("iam/access-keys/missing", {"CreateDate": "long ago"}, 400),
        ("iam/access-keys/missing", {"LastUsedDate": "2020-01-01"}, 400),
    ],
)
def test_a_mistaken_request_is_refused(emulator, account, path, body, status):
    body = {name: value.format(account=account) if isinstance(value, str) else value for name, value in body.items()}
    with pytest.raises(urllib.error.HTTPError) as caught:
        emulator.put(path.format(account=account), **body)
    assert caught.value.code == status
