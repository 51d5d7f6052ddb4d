"""A region that an account has not enabled.

Codes and status: https://github.com/ekristen/aws-nuke/issues/774 (json 400, query 403),
https://github.com/segmentio/aws-okta/issues/225 (EC2, STS), https://github.com/epsagon/clear-lambda-storage/issues/9
(Lambda); https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (RegionDisabledException)
"""

import pytest
from functions import allow, trust
from refusals import refusal

DISABLED = "ap-east-1"
UNKNOWN = "The security token included in the request is invalid."


@pytest.fixture
def disabled(emulator, account) -> str:
    emulator.put(f"settings/{account}", disabled_regions=[DISABLED])
    return DISABLED


@pytest.mark.parametrize("by", ["root", "session"])
@pytest.mark.parametrize(
    ("service", "call", "answer"),
    [
        ("ec2", "describe_vpcs", (401, "AuthFailure", "AWS was not able to validate the provided access credentials")),
        ("rds", "describe_db_instances", (403, "InvalidClientTokenId", UNKNOWN)),
        ("redshift", "describe_clusters", (403, "InvalidClientTokenId", UNKNOWN)),
        ("sts", "get_caller_identity", (403, "InvalidClientTokenId", UNKNOWN)),
        ("cloudtrail", "describe_trails", (400, "UnrecognizedClientException", UNKNOWN)),
        ("ssm", "describe_automation_executions", (400, "UnrecognizedClientException", UNKNOWN)),
        ("logs", "describe_log_groups", (400, "UnrecognizedClientException", UNKNOWN)),
        ("lambda", "list_functions", (403, "UnrecognizedClientException", UNKNOWN)),
    ],
)
def test_every_protocol_has_its_own_word(emulator, account, disabled, make_role, session_of, service, call, answer, by):
    who = account if by == "root" else session_of(make_role(account, "r", trust({"AWS": "*"}), allow("*")))
    assert refusal(getattr(emulator.client(service, who, disabled), call)) == answer
    getattr(emulator.client(service, who, "eu-west-1"), call)()


def test_iam_and_organizations_have_no_regions(emulator, account, disabled):
    assert emulator.client("iam", account, disabled).list_users()["Users"] == []
    assert emulator.client("organizations", account, disabled).create_organization(FeatureSet="ALL")


def test_a_role_is_assumed_where_both_accounts_are(emulator, account, other_account, disabled, make_role):
    role = make_role(account, "r", trust({"AWS": "*"}))
    assume = {"RoleArn": role, "RoleSessionName": "test"}
    for caller in (account, other_account):
        status, code, message = refusal(emulator.client("sts", caller, disabled).assume_role, **assume)
        assert (status, code) == (403, "RegionDisabledException") and disabled in message
        assert emulator.client("sts", caller, "eu-west-1").assume_role(**assume)["Credentials"]
    theirs = make_role(other_account, "r", trust({"AWS": "*"}))
    assert refusal(emulator.client("sts", account, disabled).assume_role, **{**assume, "RoleArn": theirs})[1] == (
        "RegionDisabledException"
    )


def test_it_is_the_accounts_own_setting(emulator, other_account, disabled):
    assert emulator.client("ec2", other_account, disabled).describe_vpcs()["Vpcs"]
