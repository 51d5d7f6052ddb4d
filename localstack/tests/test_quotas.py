"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

import botocore.session
import pytest

from localstack_remediation.iam import quotas


@pytest.mark.parametrize(
    ("check", "quota", "name"),
    [(quotas.trust_policy, 2048, "ACLSizePerRole"), (quotas.managed_policy, 6144, "PolicySize")],
)
def test_the_size_of_a_policy(check, quota, name):
    assert check("x" * quota) is None
    # "IAM doesn't count white space when calculating the size of a policy against these quotas"
    assert check("x" * quota + " \n\t" * 1000) is None
    refusal = check("x" * (quota + 1))
    assert (refusal.code, refusal.status) == ("LimitExceeded", 409)
    assert refusal.message == f"Cannot exceed quota for {name}: {quota}"


@pytest.mark.parametrize(("kind", "quota"), [("role", 10_240), ("user", 2_048), ("group", 5_120)])
def test_inline_policies_together(kind, quota):
    half = "x" * (quota // 2)
    assert quotas.inline_policies(kind, "n", [half, half + "  "]) is None
    refusal = quotas.inline_policies(kind, "n", [half, half, "x"])
    assert (refusal.code, refusal.status) == ("LimitExceeded", 409)
    assert refusal.message == f"Maximum policy size of {quota} bytes exceeded for {kind} n"


def test_numbers():
    arns = [f"arn:{number}" for number in range(10)]
    assert quotas.attached_policies("role", [*arns, arns[0]]) is None
    assert quotas.attached_policies("role", [*arns, "arn:x"]).message == "Cannot exceed quota for PoliciesPerRole: 10"
    assert quotas.roles(1000) is None
    assert quotas.roles(1001).message == "Cannot exceed quota for RolesPerAccount: 1000"


@pytest.mark.parametrize(
    ("service", "operation", "parameter", "longest"),
    [
        ("iam", "CreateRole", "RoleName", 64),
        ("iam", "CreateRole", "Description", 1000),
        ("iam", "CreateUser", "UserName", 64),
        ("iam", "CreateGroup", "GroupName", 128),
        ("iam", "CreatePolicy", "PolicyName", 128),
        ("iam", "PutRolePolicy", "PolicyName", 128),
        ("iam", "CreateInstanceProfile", "InstanceProfileName", 128),
        ("sts", "AssumeRole", "RoleSessionName", 64),
        ("sts", "AssumeRole", "SourceIdentity", 64),
        ("sts", "AssumeRole", "ExternalId", 1224),
    ],
)
def test_the_length_of_a_name(service, operation, parameter, longest):
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    assert quotas.parameters(shape, {parameter: "x" * longest}) is None
    refusal = quotas.parameters(shape, {parameter: "x" * (longest + 1)})
    name = parameter[0].lower() + parameter[1:]
    assert (refusal.code, refusal.status, refusal.message) == (
        "ValidationError",
        400,
        f"1 validation error detected: Value at '{name}' failed to satisfy constraint: "
        f"Member must have length less than or equal to {longest}",
    )


def test_what_a_name_may_hold():
    shape = botocore.session.get_session().get_service_model("iam").operation_model("CreateRole").input_shape
    assert quotas.parameters(shape, {"RoleName": "a-b_c+=,.@1"}) is None
    assert "regular expression" in quotas.parameters(shape, {"RoleName": "a/b"}).message
    assert "3600" in quotas.parameters(shape, {"MaxSessionDuration": 60}).message
    assert "2 validation errors" in quotas.parameters(shape, {"RoleName": "a/b", "MaxSessionDuration": 60}).message
