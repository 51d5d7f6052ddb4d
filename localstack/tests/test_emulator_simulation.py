"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html"""

import pytest
from functions import allow, deny, policy, trust
from refusals import code, refusal

PASSED = {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}}
ANYONE = trust({"AWS": "*"})


@pytest.fixture
def iam(emulator, account):
    return emulator.client("iam", account)


def simulate(iam, role: str, actions: list[str], resources: list[str] | None = None, **context: str) -> dict:
    """The decisions by action and resource."""
    entries = [
        {"ContextKeyName": key.replace("_", ":"), "ContextKeyValues": [value], "ContextKeyType": "string"}
        for key, value in context.items()
    ]
    more = {"ResourceArns": resources} if resources else {}
    call = {"PolicySourceArn": role, "ActionNames": actions, "ContextEntries": entries, **more}
    answer = iam.simulate_principal_policy(**call)
    assert answer["IsTruncated"] is False
    results = answer["EvaluationResults"]
    return {(each["EvalActionName"], each["EvalResourceName"]): each["EvalDecision"] for each in results}


def test_each_action_on_each_resource(iam, account, make_role):
    role = make_role(
        account, "r", ANYONE, allow("s3:Get*", "arn:aws:s3:::mine/*"), deny("s3:GetObjectAcl"), allow("ec2:DescribeVpcs")
    )
    mine, yours = "arn:aws:s3:::mine/k", "arn:aws:s3:::yours/k"
    assert simulate(iam, role, ["s3:GetObject", "s3:GetObjectAcl", "s3:PutObject"], [mine, yours]) == {
        ("s3:GetObject", mine): "allowed",
        ("s3:GetObject", yours): "implicitDeny",
        ("s3:GetObjectAcl", mine): "explicitDeny",
        ("s3:GetObjectAcl", yours): "explicitDeny",
        ("s3:PutObject", mine): "implicitDeny",
        ("s3:PutObject", yours): "implicitDeny",
    }
    # without resources, all of them are meant: a policy for some is not enough
    assert simulate(iam, role, ["ec2:DescribeVpcs", "s3:GetObject"]) == {
        ("ec2:DescribeVpcs", "*"): "allowed",
        ("s3:GetObject", "*"): "implicitDeny",
    }


def test_a_condition_holds_with_the_context_that_is_given(iam, account, make_role):
    role = make_role(account, "r", ANYONE, allow("iam:PassRole", Condition=PASSED))
    key = ("iam:PassRole", "*")
    assert simulate(iam, role, ["iam:PassRole"], iam_PassedToService="ssm.amazonaws.com")[key] == "allowed"
    assert simulate(iam, role, ["iam:PassRole"], iam_PassedToService="ec2.amazonaws.com")[key] == "implicitDeny"
    [result] = iam.simulate_principal_policy(PolicySourceArn=role, ActionNames=["iam:PassRole"])["EvaluationResults"]
    assert (result["EvalDecision"], result["MissingContextValues"]) == ("implicitDeny", ["iam:passedtoservice"])


def test_a_permissions_boundary_counts(iam, account, make_role):
    boundary = iam.create_policy(PolicyName="b", PolicyDocument=policy(allow("s3:GetObject")))["Policy"]["Arn"]
    role = make_role(account, "r", ANYONE, allow("s3:*"), PermissionsBoundary=boundary)
    decisions = simulate(iam, role, ["s3:GetObject", "s3:PutObject"])
    assert decisions == {("s3:GetObject", "*"): "allowed", ("s3:PutObject", "*"): "implicitDeny"}


def test_what_cannot_be_simulated_is_refused(iam, account, other_account, make_role):
    def refused(source: str, **more) -> str:
        call = {"PolicySourceArn": source, "ActionNames": ["s3:GetObject"], **more}
        return code(iam.simulate_principal_policy, **call)

    for source in (f"arn:aws:iam::{account}:role/nobody", make_role(other_account, "theirs", ANYONE)):
        assert refused(source) == "NoSuchEntity"
    assert refused(f"arn:aws:iam::{account}:user/u") == "InvalidInput"
    assert refused(make_role(account, "r", ANYONE), PolicyInputList=[policy(allow("*"))]) == "InvalidInput"


def test_it_is_a_permission_on_the_simulated_role(emulator, account, make_role, session_of):
    simulated = make_role(account, "simulated", ANYONE)
    caller = make_role(account, "caller", ANYONE, allow("iam:SimulatePrincipalPolicy", simulated))
    iam = emulator.client("iam", session_of(caller))
    assert simulate(iam, simulated, ["s3:GetObject"]) == {("s3:GetObject", "*"): "implicitDeny"}
    _, denied, message = refusal(iam.simulate_principal_policy, PolicySourceArn=caller, ActionNames=["s3:GetObject"])
    assert denied == "AccessDenied" and f"iam:SimulatePrincipalPolicy on resource: {caller}" in message
