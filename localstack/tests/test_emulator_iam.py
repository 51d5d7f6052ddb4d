"""Enforcement, on a running emulator. What a policy means is in test_policy.py; this is about how it is reached."""

import json

import pytest
from functions import allow, deny, policy, trust, zipped
from refusals import refusal

ANYONE = trust({"AWS": "*"}, ["sts:AssumeRole", "sts:SetSourceIdentity"])


@pytest.fixture
def bucket(emulator, account):
    emulator.client("s3", account).create_bucket(Bucket=f"iam-{account}")
    return f"iam-{account}"


def test_identity_policies(emulator, account, make_role, session_of, bucket):
    role = make_role(
        account, "writer", ANYONE,
        allow("s3:PutObject", f"arn:aws:s3:::{bucket}/findings/*"),
        deny("s3:PutObject", f"arn:aws:s3:::{bucket}/findings/secret/*"),
    )
    s3 = emulator.client("s3", session_of(role))
    s3.put_object(Bucket=bucket, Key="findings/1", Body=b"x")
    status, code, message = refusal(s3.put_object, Bucket=bucket, Key="other/1", Body=b"x")
    assert (status, code) == (403, "AccessDenied")
    assert message == (
        f"User: arn:aws:sts::{account}:assumed-role/writer/test is not authorized to perform: s3:PutObject on resource:"
        f" arn:aws:s3:::{bucket}/other/1 because no identity-based policy allows the s3:PutObject action"
    )
    assert "explicit deny" in refusal(s3.put_object, Bucket=bucket, Key="findings/secret/1", Body=b"x")[2]
    assert "s3:GetObject" in refusal(s3.get_object, Bucket=bucket, Key="findings/1")[2]


def test_managed_policies_and_changes_of_them(emulator, account, make_role, session_of, bucket):
    iam = emulator.client("iam", account)
    reading = iam.create_policy(PolicyName="read", PolicyDocument=policy(allow("s3:List*")))["Policy"]["Arn"]
    role = make_role(account, "reader", ANYONE)
    s3 = emulator.client("s3", session_of(role))
    assert refusal(s3.list_objects_v2, Bucket=bucket)[0] == 403
    iam.attach_role_policy(RoleName="reader", PolicyArn=reading)
    s3.list_objects_v2(Bucket=bucket)
    iam.create_policy_version(PolicyArn=reading, PolicyDocument=policy(allow("s3:Get*")), SetAsDefault=True)
    assert refusal(s3.list_objects_v2, Bucket=bucket)[0] == 403


def test_policies_of_aws_are_the_same_in_all_accounts_and_what_one_does_with_them_stays_its_own(
    emulator, account, other_account, make_role, session_of
):
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    make_role(account, "reader", ANYONE)
    other_role = make_role(other_account, "reader", ANYONE)
    mine, others = emulator.client("iam", account), emulator.client("iam", other_account)
    mine.attach_role_policy(RoleName="reader", PolicyArn=arn)
    assert mine.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    policy_of_other = others.get_policy(PolicyArn=arn)["Policy"]
    assert policy_of_other["AttachmentCount"] == 0
    assert mine.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"][0]["RoleName"] == "reader"
    assert others.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"] == []
    assert refusal(emulator.client("s3", session_of(other_role)).list_buckets)[0] == 403
    emulator.client("s3", session_of(f"arn:aws:iam::{account}:role/reader")).list_buckets()


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code"),
    [
        ("s3", "list_buckets", {}, "AccessDenied"),
        ("sts", "assume_role", {"RoleArn": "arn:aws:iam::1:role/x", "RoleSessionName": "s1"}, "AccessDenied"),
        ("iam", "list_users", {}, "AccessDenied"),
        ("secretsmanager", "get_secret_value", {"SecretId": "x"}, "AccessDeniedException"),
        ("lambda", "list_functions", {}, "AccessDeniedException"),
        ("logs", "describe_log_groups", {}, "AccessDeniedException"),
        ("kms", "list_keys", {}, "AccessDeniedException"),
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation"),
        ("rds", "describe_db_instances", {}, "AccessDenied"),
        ("redshift", "describe_clusters", {}, "AccessDenied"),
        ("cloudtrail", "describe_trails", {}, "AccessDeniedException"),
        ("ssm", "describe_automation_executions", {}, "AccessDeniedException"),
    ],
)
def test_error_codes_by_protocol(emulator, account, make_role, session_of, service, operation, parameters, code):
    client = emulator.client(service, session_of(make_role(account, "nobody", ANYONE)))
    assert refusal(getattr(client, operation), **parameters)[:2] == (403, code)


def test_who_am_i_is_always_allowed(emulator, account, make_role, session_of):
    session = session_of(make_role(account, "nobody", ANYONE, deny("*")))
    who = emulator.client("sts", session).get_caller_identity()["Arn"]
    assert who == f"arn:aws:sts::{account}:assumed-role/nobody/test"


def test_a_secret_by_name_is_judged_by_its_arn(emulator, account, make_role, session_of):
    root = emulator.client("secretsmanager", account)
    arn = root.create_secret(Name="token", SecretString="s")["ARN"]
    root.create_secret(Name="token-2", SecretString="s")
    role = make_role(account, "poller", ANYONE, allow("secretsmanager:GetSecretValue", arn))
    secrets = emulator.client("secretsmanager", session_of(role))
    assert secrets.get_secret_value(SecretId="token")["SecretString"] == "s"
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "s"
    assert refusal(secrets.get_secret_value, SecretId="token-2")[0] == 403


def test_a_session_policy_restricts_its_session_only(emulator, account, make_role, session_of, bucket):
    role = make_role(account, "rule", ANYONE, allow(["s3:GetObject", "s3:PutObject"]))
    reading = policy(allow(["s3:GetObject", "s3:ListBucket"]))
    full, limited = session_of(role), session_of(role, Policy=reading)
    emulator.client("s3", full).put_object(Bucket=bucket, Key="k", Body=b"x")
    s3 = emulator.client("s3", limited)
    s3.get_object(Bucket=bucket, Key="k")
    message = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"y")[2]
    assert "because no session policy allows the s3:PutObject action" in message
    message = refusal(s3.list_objects_v2, Bucket=bucket)[2]
    assert "because no identity-based policy allows the s3:ListBucket action" in message


def test_managed_session_policies(emulator, account, make_role, session_of, bucket):
    role = make_role(account, "rule", ANYONE, allow("s3:*"))
    listing = emulator.client("iam", account).create_policy(
        PolicyName="listing", PolicyDocument=policy(allow("s3:ListBucket"))
    )["Policy"]["Arn"]
    s3 = emulator.client("s3", session_of(role, PolicyArns=[{"arn": listing}]))
    s3.list_objects_v2(Bucket=bucket)
    assert "session policy" in refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"y")[2]


def test_a_session_policy_must_be_json_and_short(account, make_role, session_of):
    role = make_role(account, "rule", ANYONE)
    assert refusal(session_of, role, Policy="{")[:2] == (400, "MalformedPolicyDocument")
    assert refusal(session_of, role, Policy=policy(allow("s3:*" + " " * 2048)))[:2] == (400, "ValidationError")


def test_a_permissions_boundary(emulator, account, make_role, session_of, bucket):
    boundary = emulator.client("iam", account).create_policy(
        PolicyName="boundary", PolicyDocument=policy(allow("s3:ListBucket"))
    )["Policy"]["Arn"]
    role = make_role(account, "bounded", ANYONE, allow("s3:*"), PermissionsBoundary=boundary)
    s3 = emulator.client("s3", session_of(role))
    s3.list_objects_v2(Bucket=bucket)
    message = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"y")[2]
    assert "because no permissions boundary allows the s3:PutObject action" in message


def test_public_access_block_actions(emulator, account, make_role, session_of, bucket):
    role = make_role(account, "fixer", ANYONE, allow("s3:PutBucketPublicAccessBlock", f"arn:aws:s3:::{bucket}"))
    s3 = emulator.client("s3", session_of(role))
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"IgnorePublicAcls": True})
    s3.delete_public_access_block(Bucket=bucket)
    assert "s3:GetBucketPublicAccessBlock" in refusal(s3.get_public_access_block, Bucket=bucket)[2]


def test_listing_below_a_prefix_only(emulator, account, make_role, session_of, bucket):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html"""
    condition = {"StringLike": {"s3:prefix": ["reports/rule/*"]}}
    listing = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", Condition=condition)
    role = make_role(account, "reader", ANYONE, listing, allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*"))
    s3 = emulator.client("s3", session_of(role))
    s3.put_object(Bucket=bucket, Key="reports/rule/2026/1", Body=b"x")
    for call in (s3.list_objects, s3.list_objects_v2):
        for prefix in ("reports/rule/", "reports/rule/2026/"):
            assert [each["Key"] for each in call(Bucket=bucket, Prefix=prefix)["Contents"]] == ["reports/rule/2026/1"]
        for prefix in ("reports/", "reports/rule", "reports/rule-2/", "plans/rule/"):
            assert "s3:ListBucket" in refusal(call, Bucket=bucket, Prefix=prefix)[2]
        message = refusal(call, Bucket=bucket)[2]
        assert message.endswith("because no identity-based policy allows the s3:ListBucket action")


def test_tags_of_what_is_created_only(emulator, account, make_role, session_of):
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html"""
    condition = {"StringEquals": {"ec2:CreateAction": "AuthorizeSecurityGroupIngress"}}
    role = make_role(
        account, "tagger", ANYONE,
        allow(["ec2:AuthorizeSecurityGroupIngress", "ec2:CreateVpc"]),
        allow("ec2:CreateTags", Condition=condition),
    )
    group = emulator.client("ec2", account).describe_security_groups()["SecurityGroups"][0]["GroupId"]
    ec2 = emulator.client("ec2", session_of(role))
    tags = [{"Key": "k", "Value": "v"}]
    permission = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    specification = {"ResourceType": "security-group-rule", "Tags": tags}
    [rule] = ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[permission], TagSpecifications=[specification]
    )["SecurityGroupRules"]
    assert "ec2:CreateTags" in refusal(ec2.create_tags, Resources=[rule["SecurityGroupRuleId"]], Tags=tags)[2]
    of_vpc = [{"ResourceType": "vpc", "Tags": tags}]
    assert "ec2:CreateTags" in refusal(ec2.create_vpc, CidrBlock="10.0.0.0/16", TagSpecifications=of_vpc)[2]


def test_passing_a_role(emulator, account, make_role, session_of):
    passed = make_role(account, "passed", trust({"Service": "scheduler.amazonaws.com"}))
    role = make_role(account, "deployer", ANYONE, allow("scheduler:*"))
    scheduler = emulator.client("scheduler", session_of(role))
    schedule = {
        "Name": "s",
        "ScheduleExpression": "at(2020-01-01T00:00:00)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": f"arn:aws:lambda:us-east-1:{account}:function:f", "RoleArn": passed},
    }
    assert f"iam:PassRole on resource: {passed}" in refusal(scheduler.create_schedule, **schedule)[2]
    condition = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    allowed = policy(allow("iam:PassRole", passed, Condition=condition))
    emulator.client("iam", account).put_role_policy(RoleName="deployer", PolicyName="pass", PolicyDocument=allowed)
    scheduler.create_schedule(**schedule)


class TestAcrossAccounts:
    """A central role that assumes a target account's role, with the terms that the product sets."""

    @pytest.fixture
    def central(self, account, other_account, make_role):
        target = f"arn:aws:iam::{other_account}:role/fixer"
        return make_role(account, "central", ANYONE, allow(["sts:AssumeRole", "sts:SetSourceIdentity"], target))

    @pytest.fixture
    def target(self, account, other_account, make_role, central):
        terms = {"ArnEquals": {"aws:PrincipalArn": central}, "StringEquals": {"sts:ExternalId": "right"}}
        root = {"AWS": f"arn:aws:iam::{account}:root"}
        # the external ID is a condition key of sts:AssumeRole alone
        trusted = [trust(root, Condition=terms), trust(root, "sts:SetSourceIdentity")]
        return make_role(other_account, "fixer", trusted, allow("s3:ListAllMyBuckets"))

    @pytest.fixture
    def assume(self, emulator, central, target, session_of):
        def call(credentials=None, **more):
            sts = emulator.client("sts", credentials or session_of(central))
            asked = {"RoleArn": target, "RoleSessionName": "fix", "ExternalId": "right", "SourceIdentity": "run-1"}
            return sts.assume_role(**{name: value for name, value in (asked | more).items() if value})["Credentials"]

        return call

    def test_as_it_should_be(self, emulator, assume, other_account):
        session = assume()
        emulator.client("s3", session).list_buckets()
        assert "s3:GetObject" in refusal(emulator.client("s3", session).get_object, Bucket="b", Key="k")[2]
        who = emulator.client("sts", session).get_caller_identity()["Arn"]
        assert who == f"arn:aws:sts::{other_account}:assumed-role/fixer/fix"

    @pytest.mark.parametrize("external_id", [None, "wrong"])
    def test_the_external_id_must_be_right(self, assume, account, target, external_id):
        status, code, message = refusal(assume, ExternalId=external_id)
        assert (status, code) == (403, "AccessDenied")
        assert message.startswith(
            f"User: arn:aws:sts::{account}:assumed-role/central/test is not authorized to perform: sts:AssumeRole"
            f" on resource: {target} because the role's trust policy"
        )

    def test_another_role_of_the_account_is_not_let_in(self, account, make_role, session_of, assume):
        stranger = make_role(account, "stranger", ANYONE, allow("sts:*"))
        assert "trust policy" in refusal(assume, session_of(stranger))[2]

    def test_a_role_that_does_not_exist(self, assume, target, emulator, central, session_of):
        emulator.client("iam", target.split(":")[4]).delete_role_policy(RoleName="fixer", PolicyName="inline")
        emulator.client("iam", target.split(":")[4]).delete_role(RoleName="fixer")
        assert refusal(assume)[:2] == (403, "AccessDenied")

    def test_the_caller_may_only_assume_what_its_policy_names(self, emulator, central, session_of, other_account):
        sts = emulator.client("sts", session_of(central))
        other = f"arn:aws:iam::{other_account}:role/other"
        message = refusal(sts.assume_role, RoleArn=other, RoleSessionName="s1")[2]
        assert "because no identity-based policy allows the sts:AssumeRole action" in message

    def test_a_source_identity_needs_its_own_permission_of_the_caller(self, emulator, account, assume, target):
        emulator.client("iam", account).put_role_policy(
            RoleName="central", PolicyName="inline", PolicyDocument=policy(allow("sts:AssumeRole", target))
        )
        assume(SourceIdentity=None)
        message = refusal(assume)[2]
        assert f"is not authorized to perform: sts:SetSourceIdentity on resource: {target}" in message
        assert "identity-based policy" in message

    def test_a_source_identity_needs_its_own_trust(self, emulator, account, assume, target):
        emulator.client("iam", target.split(":")[4]).update_assume_role_policy(
            RoleName="fixer", PolicyDocument=policy(trust({"AWS": account}))
        )
        assume(SourceIdentity=None)
        message = refusal(assume)[2]
        assert f"is not authorized to perform: sts:SetSourceIdentity on resource: {target}" in message
        assert "trust policy" in message

    def test_a_source_identity_stays(self, emulator, account, central, session_of, assume, target):
        named = session_of(central, SourceIdentity="run-7")
        assert "cannot be changed" in refusal(assume, named, SourceIdentity="run-8")[2]
        assume(named, SourceIdentity="run-7")
        assume(named, SourceIdentity=None)
        kept = [each["source_identity"] for each in emulator.get("iam/sessions") if each["role"] == target]
        assert kept == ["run-7", "run-7"]
        emulator.client("iam", account).put_role_policy(
            RoleName="central", PolicyName="inline", PolicyDocument=policy(allow("sts:AssumeRole"))
        )
        assert "sts:SetSourceIdentity" in refusal(assume, named, SourceIdentity=None)[2]

    def test_a_session_policy_restricts_across_the_chain(self, emulator, assume):
        nothing = policy(allow("s3:GetObject"))
        s3 = emulator.client("s3", assume(Policy=nothing))
        assert "session policy" in refusal(s3.list_buckets)[2]

    def test_from_a_lambda_function(self, emulator, account, make_function, make_role, other_account):
        target = f"arn:aws:iam::{other_account}:role/lambda-target"
        functions = make_function("chain", allow(["sts:AssumeRole", "sts:SetSourceIdentity"], target), timeout=20)
        terms = {"StringEquals": {"sts:ExternalId": "right"}}
        trusted = [trust({"AWS": account}, Condition=terms), trust({"AWS": account}, "sts:SetSourceIdentity")]
        make_role(other_account, "lambda-target", trusted)
        asked = {"RoleArn": target, "RoleSessionName": "fix", "ExternalId": "right", "SourceIdentity": "run-1"}

        def invoke(**more):
            answer = functions.invoke(FunctionName="chain", Payload=json.dumps({"assume": asked | more}))
            return answer.get("FunctionError"), json.load(answer["Payload"])

        error, answer = invoke()
        assert error is None, answer
        assert answer["identity"] == f"arn:aws:sts::{other_account}:assumed-role/lambda-target/fix"
        assert invoke(ExternalId="wrong")[0] == "Unhandled"


def test_calls_by_a_functions_code(emulator, account, make_function, make_role, session_of):
    """https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html"""
    target = make_role(account, "target", ANYONE)
    function = f"arn:aws:lambda:us-east-1:{account}:function:f"
    may = allow("sts:AssumeRole", target, Condition={"ArnEquals": {"lambda:SourceFunctionArn": function}})
    functions = make_function("f", may, timeout=20)
    asked = {"RoleArn": target, "RoleSessionName": "s1"}
    answer = functions.invoke(FunctionName="f", Payload=json.dumps({"assume": asked}))
    assert answer.get("FunctionError") is None, json.load(answer["Payload"])
    # the same role, without the function
    sts = emulator.client("sts", session_of(f"arn:aws:iam::{account}:role/f"))
    assert "no identity-based policy" in refusal(sts.assume_role, **asked)[2]


def test_a_service_needs_the_roles_trust(emulator, account, make_role):
    role = make_role(account, "not-for-lambda", trust({"Service": "ec2.amazonaws.com"}))
    code = refusal(
        emulator.client("lambda", account).create_function,
        FunctionName="f", Runtime="provided.al2023", Handler="bootstrap", Role=role, Code={"ZipFile": zipped()},
    )[:2]
    assert code == (400, "InvalidParameterValueException")  # "cannot be assumed by Lambda", as on AWS
    judged = [record for record in emulator.decisions() if record["resource"] == role]
    assert judged and not any(record["allowed"] for record in judged)
    assert {record["principal"] for record in judged} == {"lambda.amazonaws.com"}


def test_decisions_can_be_read(emulator, account, make_role, session_of):
    role = make_role(account, "seen", ANYONE, allow("s3:ListAllMyBuckets"))
    emulator.client("s3", session_of(role)).list_buckets()
    principal = f"arn:aws:sts::{account}:assumed-role/seen/test"
    own = [record for record in emulator.decisions() if record["principal"] == principal]
    assert all(record.pop("number") > 0 for record in own)
    assert own == [
        {
            "principal": principal,
            "action": "s3:ListAllMyBuckets",
            "resource": "*",
            "allowed": True,
            "reason": "allowed",
            "internal": False,
        }
    ]
