import pytest

from localstack_remediation.iam.decision import Policies, decide
from localstack_remediation.iam.matching import arn_matches, matches
from localstack_remediation.iam.policy import Effect, Permission, evaluate
from localstack_remediation.iam.resource_policy import ResourcePolicy

BUCKET = "arn:aws:s3:::findings"
OBJECT = f"{BUCKET}/a/b"
READ = Permission("s3:GetObject", OBJECT)
CONTEXT = {"aws:requestedregion": "eu-west-1", "aws:sourcevpce": None, "aws:epochtime": "7",
           "aws:securetransport": "true", "aws:principalarn": "arn:aws:iam::111111111111:role/x",
           "aws:principalorgpaths": ("o-1/r-1/ou-1/", "o-1/r-1/ou-2/"), "aws:principaltag/team": "blue",
           "aws:principaltag/*": None, "aws:calledvia": None, "s3:prefix": "reports/"}


def document(*statements):
    return {"Statement": list(statements)}


def statement(effect="Allow", action="s3:GetObject", resource=f"{BUCKET}/*", **more):
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("s3:Get*", "s3:GetObject", True),
        ("s3:Get?bject", "s3:GetObject", True),
        ("s3:Get", "s3:GetObject", False),
        ("s3:[G]etObject", "s3:GetObject", False),
        ("*", "anything", True),
    ],
)
def test_names(pattern, text, expected):
    assert matches(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "arn", "expected"),
    [
        ("*", "arn:aws:s3:::b", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/k/l", True),
        ("arn:aws:iam::*:role/r", "arn:aws:iam::111111111111:role/r", True),
        ("arn:aws:iam::*:role/r", "arn:aws:iam::111111111111:role/rr", False),
        ("arn:*:role/r", "arn:aws:iam::111111111111:role/r", False),
        ("arn:aws:logs:*:*:log-group:/aws/lambda/f:*", "arn:aws:logs:r:1:log-group:/aws/lambda/f:log-stream:s", True),
        ("arn:aws:s3:::b", "*", False),
    ],
)
def test_arns_are_matched_part_by_part(pattern, arn, expected):
    assert arn_matches(pattern, arn) is expected


@pytest.mark.parametrize(
    ("statements", "effect"),
    [
        ([], Effect.NONE),
        ([statement()], Effect.ALLOW),
        ([statement(action="S3:getobject")], Effect.ALLOW),
        ([statement(action=["s3:PutObject", "s3:Get*"])], Effect.ALLOW),
        ([statement(action="s3:PutObject")], Effect.NONE),
        ([statement(resource=BUCKET)], Effect.NONE),
        ([statement(), statement("Deny")], Effect.DENY),
        ([statement("Deny"), statement()], Effect.DENY),
        ([statement(), statement("Deny", resource=f"{BUCKET}/other")], Effect.ALLOW),
        ([{"Effect": "Allow", "NotAction": "s3:Put*", "Resource": "*"}], Effect.ALLOW),
        ([{"Effect": "Allow", "NotAction": "s3:Get*", "Resource": "*"}], Effect.NONE),
        ([{"Effect": "Allow", "Action": "*", "NotResource": f"{BUCKET}/*"}], Effect.NONE),
        ([{"Effect": "Allow", "Action": "*", "NotResource": BUCKET}], Effect.ALLOW),
        ([statement(resource="arn:aws:s3:::${aws:username}/*")], Effect.NONE),
    ],
)
def test_statements(statements, effect):
    assert evaluate([document(*statements)], READ, CONTEXT).effect is effect


def test_a_single_statement_needs_no_list():
    assert evaluate([{"Statement": statement()}], READ, CONTEXT).effect is Effect.ALLOW


def test_an_unknown_resource_is_any_of_the_actions_types():
    permission = Permission("s3:GetObject", None)
    assert evaluate([document(statement())], permission, CONTEXT).effect is Effect.ALLOW
    assert evaluate([document(statement(resource=BUCKET))], permission, CONTEXT).effect is Effect.NONE
    denied = [document(statement(), statement("Deny", resource="arn:aws:s3:::other/*"))]
    assert evaluate(denied, permission, CONTEXT).effect is Effect.DENY
    assert evaluate([document(statement(action="new:Do"))], Permission("new:Do", None), CONTEXT).effect is Effect.ALLOW


def test_an_action_without_resources_needs_all_of_them():
    permission = Permission("s3:ListAllMyBuckets", "*")
    assert evaluate([document(statement(action="*"))], permission, CONTEXT).effect is Effect.NONE
    assert evaluate([document(statement(action="*", resource="*"))], permission, CONTEXT).effect is Effect.ALLOW


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
@pytest.mark.parametrize(
    ("operator", "key", "wanted", "expected"),
    [
        ("StringEquals", "aws:RequestedRegion", "eu-west-1", True),
        ("StringEquals", "AWS:requestedregion", ["us-east-1", "eu-west-1"], True),
        ("StringEquals", "aws:RequestedRegion", "EU-WEST-1", False),
        ("StringEqualsIgnoreCase", "aws:RequestedRegion", "EU-WEST-1", True),
        ("StringNotEquals", "aws:RequestedRegion", "eu-west-1", False),
        ("StringNotEquals", "aws:RequestedRegion", ["us-east-1", "us-east-2"], True),
        ("StringNotEquals", "aws:SourceVpce", "x", True),
        ("StringEquals", "aws:SourceVpce", "x", False),
        ("StringEqualsIfExists", "aws:SourceVpce", "x", True),
        ("StringLike", "aws:RequestedRegion", "eu-*", True),
        ("StringNotLike", "aws:RequestedRegion", "eu-*", False),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/x", True),
        ("ArnEquals", "aws:PrincipalArn", ["arn:aws:iam::111111111111:role/y", "arn:aws:iam::*:role/?"], True),
        ("ArnNotEquals", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/x", False),
        ("Null", "aws:SourceVpce", "true", True),
        ("Null", "aws:SourceVpce", False, False),
        ("Null", "aws:RequestedRegion", "false", True),
        ("Bool", "aws:SecureTransport", True, True),
        ("Bool", "aws:SecureTransport", "false", False),
        ("NumericEquals", "aws:EpochTime", 7, True),
        ("NumericLessThan", "aws:EpochTime", "7", False),
        ("NumericLessThanEquals", "aws:EpochTime", "7", True),
        ("NumericGreaterThan", "aws:EpochTime", ["9", "6"], True),
        ("NumericNotEquals", "aws:EpochTime", "7.0", False),
        ("NumericEquals", "aws:RequestedRegion", "7", False),
        ("StringEquals", "aws:PrincipalTag/Team", "blue", True),
        ("StringEquals", "aws:PrincipalTag/other", "blue", False),
        ("Null", "aws:PrincipalTag/other", "true", True),
        ("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-1/r-1/ou-2/*", True),
        ("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-1/r-1/ou-3/*", False),
        ("ForAllValues:StringLike", "aws:PrincipalOrgPaths", "o-1/r-1/ou-2/*", False),
        ("ForAllValues:StringLike", "aws:PrincipalOrgPaths", ["o-1/r-1/ou-2/*", "*ou-1/"], True),
        ("ForAnyValue:StringNotLike", "aws:PrincipalOrgPaths", "o-1/r-1/ou-2/*", True),
        ("ForAllValues:StringEquals", "aws:RequestedRegion", "eu-west-1", True),
        # without the key
        ("ForAnyValue:StringEquals", "aws:CalledVia", "x", False),
        ("ForAllValues:StringEquals", "aws:CalledVia", "x", True),
        ("ForAnyValue:StringEqualsIfExists", "aws:CalledVia", "x", True),
    ],
)
def test_conditions(operator, key, wanted, expected):
    conditional = statement(Condition={operator: {key: wanted}})
    assert (evaluate([document(conditional)], READ, CONTEXT).effect is Effect.ALLOW) is expected


def test_all_conditions_must_hold():
    condition = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}, "Null": {"aws:SourceVpce": "false"}}
    assert evaluate([document(statement(Condition=condition))], READ, CONTEXT).effect is Effect.NONE


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        ({"StringEquals": {"aws:SourceVpc": "vpc-1"}}, "aws:SourceVpc"),
        ({"StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}, "aws:SourceVpc"),
        ({"IpAddress": {"aws:RequestedRegion": "10.0.0.0/8"}}, "IpAddress"),
        ({"ForSomeValues:StringEquals": {"aws:RequestedRegion": "x"}}, "ForSomeValues:StringEquals"),
        ({"StringEquals": {"aws:PrincipalOrgPaths": "o-1/r-1/ou-1/"}}, "aws:PrincipalOrgPaths"),
        # of s3:ListBucket, and not of s3:GetObject
        ({"StringEquals": {"s3:prefix": "reports/"}}, "s3:prefix"),
        ({"StringEquals": {"aws:RequestedRegion": "${aws:username}"}}, "${aws:username}"),
        ({"StringEquals": {"aws:RequestedRegion": "x", "aws:SourceVpc": "vpc-1"}}, "aws:SourceVpc"),
    ],
)
def test_what_is_not_understood_counts_against_the_request(condition, named):
    allowing = evaluate([document(statement(Condition=condition))], READ, CONTEXT)
    assert allowing.effect is Effect.NONE and named in allowing.not_understood
    denying = evaluate([document(statement(), statement("Deny", Condition=condition))], READ, CONTEXT)
    assert denying.effect is Effect.DENY and named in denying.not_understood


YES, NO, NOTHING = document(statement()), document(statement("Deny")), document()


@pytest.mark.parametrize(
    ("policies", "reason"),
    [
        (Policies([YES]), "allowed"),
        (Policies([NOTHING, YES]), "allowed"),
        (Policies([]), "because no identity-based policy allows the s3:GetObject action"),
        (Policies([YES, NO]), "with an explicit deny in an identity-based policy"),
        (Policies([YES], boundary=[YES], session=[YES]), "allowed"),
        (Policies([YES], boundary=[]), "because no permissions boundary allows the s3:GetObject action"),
        (Policies([YES], boundary=[NO]), "with an explicit deny in a permissions boundary"),
        (Policies([YES], session=[NOTHING]), "because no session policy allows the s3:GetObject action"),
        (Policies([YES], session=[NO]), "with an explicit deny in a session policy"),
        (Policies([], session=[YES]), "because no identity-based policy allows the s3:GetObject action"),
    ],
)
def test_every_kind_of_policy_must_allow(policies, reason):
    decision = decide(policies, READ, CONTEXT)
    assert (decision.allowed, decision.reason) == (reason == "allowed", reason)


ROLE, ACCOUNT = CONTEXT["aws:principalarn"], "arn:aws:iam::111111111111:root"
SESSION = "arn:aws:sts::111111111111:assumed-role/x/s"


def of_bucket(*statements, own_account=True):
    return ResourcePolicy(document(*statements), own_account, ROLE, SESSION)


def to(principal, **more):
    return statement(Principal={"AWS": principal}, **more)


@pytest.mark.parametrize(
    ("policies", "reason"),
    [
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
        (Policies([YES], resource=of_bucket()), "allowed"),
        (Policies([], resource=of_bucket(to(ROLE))), "allowed"),
        (Policies([], resource=of_bucket(to("*"))), "allowed"),
        (Policies([], resource=of_bucket(to(ACCOUNT))), "because no identity-based policy allows"),
        (Policies([], resource=of_bucket(to(ROLE.replace("x", "y")))), "because no identity-based policy allows"),
        (Policies([], boundary=[NOTHING], resource=of_bucket(to(ROLE))), "because no permissions boundary allows"),
        (Policies([], session=[NOTHING], resource=of_bucket(to(ROLE))), "because no session policy allows"),
        (Policies([], [NOTHING], [NOTHING], resource=of_bucket(to(SESSION))), "allowed"),
        (Policies([], control=[[NOTHING]], resource=of_bucket(to(SESSION))),
         "because no service control policy allows"),
        (Policies([YES], resource=of_bucket(to("*", effect="Deny"))),
         "with an explicit deny in a resource-based policy"),
        (Policies([NO], resource=of_bucket(to(SESSION))), "with an explicit deny in an identity-based policy"),
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
        (Policies([YES], resource=of_bucket(own_account=False)), "because no resource-based policy allows"),
        (Policies([], resource=of_bucket(to(ROLE), own_account=False)), "because no identity-based policy allows"),
        (Policies([YES], resource=of_bucket(to(ACCOUNT), own_account=False)), "allowed"),
        # https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
        (Policies([YES], control=[[YES], [YES]]), "allowed"),
        (Policies([YES], control=[[YES], [NOTHING]]), "because no service control policy allows"),
        (Policies([YES], control=[[YES], [YES, NO]]), "with an explicit deny in a service control policy"),
    ],
)
def test_policies_of_resources_and_of_organizations(policies, reason):
    decision = decide(policies, READ, CONTEXT)
    expected = f"{reason} the s3:GetObject action" if reason.startswith("because") else reason
    assert (decision.allowed, decision.reason) == (reason == "allowed", expected)


def test_a_functions_arn_is_in_no_resource_policy():
    """https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html"""
    condition = {"Null": {"lambda:SourceFunctionArn": "false"}}
    context = {**CONTEXT, "lambda:sourcefunctionarn": "arn:aws:lambda:us-east-1:111111111111:function:f"}
    conditional = statement(Condition=condition)
    assert decide(Policies([document(conditional)]), READ, context).allowed
    assert not decide(Policies([], resource=of_bucket(to(ROLE, Condition=condition))), READ, context).allowed
