"""IAM's quotas, for the account's root, too.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

import json

import pytest
from functions import allow, policy, trust
from refusals import refusal

ANYONE = trust({"AWS": "*"})
TOO_LONG_A_TRUST = (409, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048")
TOO_LONG_A_POLICY = (409, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144")


@pytest.fixture
def iam(emulator, account):
    return emulator.client("iam", account)


def sized(statement: dict, characters: int) -> str:
    """A policy of so many characters that count."""
    text = json.dumps({"Version": "2012-10-17", "Statement": {"Sid": "", **statement}}, separators=(",", ":"))
    return text.replace('"Sid":""', f'"Sid":"{"x" * (characters - len(text))}"')


def test_a_trust_policy(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=sized(ANYONE, 2048))
    spaced = json.dumps(json.loads(sized(ANYONE, 2048)), indent=200)
    assert len(spaced) > 3000
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=spaced)
    long = sized(ANYONE, 2049)
    assert refusal(iam.create_role, RoleName="s", AssumeRolePolicyDocument=long) == TOO_LONG_A_TRUST
    assert refusal(iam.update_assume_role_policy, RoleName="r", PolicyDocument=long) == TOO_LONG_A_TRUST


def test_a_managed_policy(iam):
    arn = iam.create_policy(PolicyName="p", PolicyDocument=sized(allow("s3:*"), 6144))["Policy"]["Arn"]
    long = sized(allow("s3:*"), 6145)
    assert refusal(iam.create_policy, PolicyName="q", PolicyDocument=long) == TOO_LONG_A_POLICY
    assert refusal(iam.create_policy_version, PolicyArn=arn, PolicyDocument=long) == TOO_LONG_A_POLICY


@pytest.mark.parametrize(("kind", "quota"), [("role", 10_240), ("user", 2_048), ("group", 5_120)])
def test_inline_policies(iam, kind, quota):
    name = {f"{kind.title()}Name": "n"}
    more = {"AssumeRolePolicyDocument": policy(ANYONE)} if kind == "role" else {}
    getattr(iam, f"create_{kind}")(**name, **more)
    put = getattr(iam, f"put_{kind}_policy")
    put(**name, PolicyName="a", PolicyDocument=sized(allow("s3:*"), quota - 200))
    put(**name, PolicyName="b", PolicyDocument=sized(allow("s3:*"), 200))
    put(**name, PolicyName="b", PolicyDocument=sized(allow("ec2:*"), 200))  # takes the place of the other
    message = f"Maximum policy size of {quota} bytes exceeded for {kind} n"
    assert refusal(put, **name, PolicyName="b", PolicyDocument=sized(allow("s3:*"), 201)) == (
        409, "LimitExceeded", message
    )


def test_attached_policies(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=policy(ANYONE))
    arns = [
        iam.create_policy(PolicyName=f"p{number}", PolicyDocument=policy(allow("s3:*")))["Policy"]["Arn"]
        for number in range(11)
    ]
    for arn in [*arns[:10], arns[0]]:
        iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    assert refusal(iam.attach_role_policy, RoleName="r", PolicyArn=arns[10]) == (
        409, "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10"
    )


def test_names(iam, account, make_role, session_of):
    trusted = policy(ANYONE)
    iam.create_role(RoleName="r" * 64, AssumeRolePolicyDocument=trusted)
    status, code, message = refusal(iam.create_role, RoleName="r" * 65, AssumeRolePolicyDocument=trusted)
    assert (status, code) == (400, "ValidationError")
    assert message == (
        "1 validation error detected: Value at 'roleName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64"
    )
    assert refusal(iam.create_user, UserName="u" * 65)[1] == "ValidationError"
    document = policy(allow("s3:*"))
    assert refusal(iam.create_policy, PolicyName="p" * 129, PolicyDocument=document)[1] == "ValidationError"
    role = make_role(account, "r", ANYONE)
    assert refusal(session_of, role, RoleSessionName="s" * 65)[1] == "ValidationError"
    # at most so many characters: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    session_of(role, Policy=sized(allow("s3:*"), 2048))
    assert refusal(session_of, role, Policy=sized(allow("s3:*"), 2049))[1] == "ValidationError"
