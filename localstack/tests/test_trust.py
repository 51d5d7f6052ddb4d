import pytest

from localstack_remediation.iam import trust
from localstack_remediation.iam.policy import Permission
from localstack_remediation.iam.principals import role_session, service

ROLE = "arn:aws:iam::111111111111:role/path/caller"
CALLER = role_session(ROLE, "arn:aws:sts::111111111111:assumed-role/caller/s")
ASSUME = Permission("sts:AssumeRole", "arn:aws:iam::222222222222:role/target")
IDENTITY = Permission("sts:SetSourceIdentity", ASSUME.resource)
CONTEXT = {"aws:principalarn": ROLE, "sts:externalid": "e", "sts:sourceidentity": "i",
           "lambda:sourcefunctionarn": "arn:aws:lambda:us-east-1:111111111111:function:f"}


def allowed(*statements, caller=CALLER, permissions=(ASSUME,)):
    document = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", **each} for each in statements]}
    return trust.check_trust(document, caller, permissions, CONTEXT).allowed


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": "111111111111"}, True),
        ({"AWS": "arn:aws:iam::111111111111:root"}, True),
        ({"AWS": ["arn:aws:iam::333333333333:root", ROLE]}, True),
        ({"AWS": "arn:aws:sts::111111111111:assumed-role/caller/s"}, True),
        ({"AWS": "arn:aws:iam::111111111111:role/*"}, False),
        ({"AWS": "arn:aws:iam::333333333333:root"}, False),
        ({"Service": "lambda.amazonaws.com"}, False),
        ({"Federated": "*"}, False),
    ],
)
def test_principals(principal, expected):
    assert allowed({"Principal": principal}) is expected


def test_services():
    caller = service("lambda.amazonaws.com")
    assert allowed({"Principal": {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}}, caller=caller)
    assert not allowed({"Principal": {"Service": "ec2.amazonaws.com"}}, caller=caller)


def test_every_action_must_be_trusted():
    assume = {"Principal": {"AWS": ROLE}}
    both = {"Principal": {"AWS": ROLE}, "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"]}
    assert not allowed(assume, permissions=(ASSUME, IDENTITY))
    assert allowed(both, permissions=(ASSUME, IDENTITY))
    assert allowed(assume, {"Principal": {"AWS": ROLE}, "Action": "sts:Set*"}, permissions=(ASSUME, IDENTITY))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"sts:ExternalId": "e"}, "ArnEquals": {"aws:PrincipalArn": ROLE}}, True),
        ({"StringEquals": {"sts:ExternalId": "other"}, "ArnEquals": {"aws:PrincipalArn": ROLE}}, False),
        ({"StringEquals": {"sts:ExternalId": "e"}, "ArnEquals": {"aws:PrincipalArn": f"{ROLE}2"}}, False),
        ({"StringLike": {"sts:SourceIdentity": "?"}}, True),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, False),
        # https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html: not in resource policies
        ({"StringLike": {"lambda:SourceFunctionArn": "*"}}, False),
    ],
)
def test_conditions(condition, expected):
    assert allowed({"Principal": {"AWS": "111111111111"}, "Condition": condition}) is expected


def test_an_explicit_deny_wins():
    assert not allowed({"Principal": "*"}, {"Effect": "Deny", "Principal": {"AWS": ROLE}})


def test_not_principal_is_not_understood_and_so_denies():
    assert not allowed({"NotPrincipal": {"AWS": "arn:aws:iam::333333333333:root"}})


def test_the_external_id_is_of_assume_role_alone():
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html"""
    terms = {"Condition": {"StringEquals": {"sts:ExternalId": "e"}}}
    both = {"Principal": {"AWS": ROLE}, "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"], **terms}
    assert allowed(both)
    assert not allowed(both, permissions=(ASSUME, IDENTITY))
