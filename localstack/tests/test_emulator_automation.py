"""https://docs.aws.amazon.com/systems-manager/latest/APIReference/ : API_StartAutomationExecution,
API_GetAutomationExecution, API_DescribeAutomationExecutions; the runbooks:
https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-runbook-reference.html
"""

import json
import uuid

import pytest
from emulator_process import eventually
from functions import allow, policy, trust
from refusals import code, refusal

SECURITY_GROUP = "AWS-DisablePublicAccessForSecurityGroup"
TRAIL = "AWSConfigRemediation-EnableCloudTrailLogFileValidation"
CLUSTER = "AWSConfigRemediation-DisablePublicAccessToRedshiftCluster"
BY_SSM = trust({"Service": "ssm.amazonaws.com"})
ANYONE = trust({"AWS": "*"})
INVALID = "InvalidAutomationExecutionParametersException"


@pytest.fixture
def ssm(emulator, account):
    emulator.put(f"settings/{account}", automation_step_seconds=0.01, redshift_modifying_seconds=0.2)
    return emulator.client("ssm", account)


def start(ssm, document: str, token: str | None = None, **parameters: str) -> str:
    more = {"ClientToken": token} if token else {}
    values = {name: [value] for name, value in parameters.items()}
    return ssm.start_automation_execution(DocumentName=document, Parameters=values, **more)["AutomationExecutionId"]


def end(ssm, id_: str) -> dict:
    def look():
        execution = ssm.get_automation_execution(AutomationExecutionId=id_)["AutomationExecution"]
        return execution["AutomationExecutionStatus"] not in ("Pending", "InProgress") and execution

    return eventually(look)


def run(ssm, document: str, **parameters: str) -> tuple[str, list[str], dict]:
    """(status, the steps' statuses, the failed step)"""
    execution = end(ssm, start(ssm, document, **parameters))
    steps = execution["StepExecutions"]
    failed = next((step for step in steps if step["StepStatus"] == "Failed"), {})
    assert execution.get("FailureMessage") == failed.get("FailureMessage")
    return execution["AutomationExecutionStatus"], [step["StepStatus"] for step in steps], failed


class TestSecurityGroups:
    @pytest.fixture
    def ec2(self, emulator, account):
        return emulator.client("ec2", account)

    @pytest.fixture
    def make_group(self, ec2):
        def make(*rules: tuple[int, str], default_vpc: bool = False) -> str:
            if default_vpc:
                [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
            else:
                vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
            group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc["VpcId"])["GroupId"]
            ec2.authorize_security_group_ingress(
                GroupId=group,
                IpPermissions=[
                    {
                        "IpProtocol": "tcp", "FromPort": port, "ToPort": port,
                        **({"Ipv6Ranges": [{"CidrIpv6": cidr}]} if ":" in cidr else {"IpRanges": [{"CidrIp": cidr}]}),
                    }
                    for port, cidr in rules
                ],
            )
            return group

        return make

    @pytest.fixture
    def left(self, ec2):
        def look(group: str) -> set[tuple[int, str]]:
            filters = [{"Name": "group-id", "Values": [group]}]
            rules = ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
            return {
                (rule["FromPort"], rule.get("CidrIpv4") or rule["CidrIpv6"]) for rule in rules if not rule["IsEgress"]
            }

        return look

    ALL_FOUR = ((22, "0.0.0.0/0"), (22, "::/0"), (3389, "0.0.0.0/0"), (3389, "::/0"))

    def test_all_four_patterns_go_and_nothing_else(self, ssm, make_group, left):
        group = make_group(*self.ALL_FOUR, (443, "0.0.0.0/0"), (22, "10.0.0.0/8"))
        assert run(ssm, SECURITY_GROUP, GroupId=group)[:2] == ("Success", ["Success", "Success", "Pending", "Pending"])
        assert left(group) == {(443, "0.0.0.0/0"), (22, "10.0.0.0/8")}

    def test_one_missing_pattern_keeps_them_all(self, ssm, make_group, left):
        group = make_group(*self.ALL_FOUR[:3])
        status, _, failed = run(ssm, SECURITY_GROUP, GroupId=group)
        assert status == "Failed" and "InvalidPermission.NotFound" in failed["FailureMessage"]
        assert failed["FailureDetails"]["FailureType"] == "Action"
        assert left(group) == set(self.ALL_FOUR[:3])

    def test_in_a_default_vpc_any_pattern_will_do(self, ssm, make_group, left):
        group = make_group(self.ALL_FOUR[0], default_vpc=True)
        assert run(ssm, SECURITY_GROUP, GroupId=group)[0] == "Success"
        assert left(group) == set()

    def test_a_success_without_a_change(self, ssm, make_group, left):
        group = make_group((23, "0.0.0.0/0"), default_vpc=True)
        assert run(ssm, SECURITY_GROUP, GroupId=group)[0] == "Success"
        assert left(group) == {(23, "0.0.0.0/0")}

    @pytest.mark.parametrize("address", ["10.0.0.0/8", "2001:db8::/32"])
    def test_an_address_instead_of_all(self, ssm, make_group, left, address):
        group = make_group(*self.ALL_FOUR, (22, address), (3389, address))
        assert run(ssm, SECURITY_GROUP, GroupId=group, IpAddressToBlock=address)[0] == "Success"
        assert left(group) == set(self.ALL_FOUR)

    def test_with_the_roles_rights(self, emulator, account, ssm, make_group, make_role, left):
        group = make_group(*self.ALL_FOUR)
        role = make_role(account, "automation", BY_SSM)
        status, _, failed = run(ssm, SECURITY_GROUP, GroupId=group, AutomationAssumeRole=role)
        assert (status, failed["FailureDetails"]["FailureType"]) == ("Failed", "Permission")
        assert "UnauthorizedOperation" in failed["FailureMessage"]
        arn = f"arn:aws:ec2:us-east-1:{account}:security-group/{group}"
        allowed = policy(allow("ec2:RevokeSecurityGroupIngress", arn))
        emulator.client("iam", account).put_role_policy(RoleName="automation", PolicyName="p", PolicyDocument=allowed)
        assert run(ssm, SECURITY_GROUP, GroupId=group, AutomationAssumeRole=role)[0] == "Success"
        assert left(group) == set()
        made = [each for each in emulator.decisions() if each["resource"] == arn]
        assert [(each["allowed"], each["internal"]) for each in made] == [(False, False), (True, False)]

    def test_without_a_role_with_the_callers_rights(self, emulator, account, ssm, make_group, make_role, session_of):
        group = make_group(*self.ALL_FOUR)
        role = make_role(account, "caller", ANYONE, allow("ssm:*"))
        caller = emulator.client("ssm", session_of(role))
        status, _, failed = run(caller, SECURITY_GROUP, GroupId=group)
        assert (status, failed["FailureDetails"]["FailureType"]) == ("Failed", "Permission")
        assert "assumed-role/caller/test" in failed["FailureMessage"]

    def test_a_group_that_does_not_exist(self, ssm):
        failed = run(ssm, SECURITY_GROUP, GroupId="sg-0123456789abcdef0")[2]
        assert "InvalidGroup.NotFound" in failed["FailureMessage"]


@pytest.mark.parametrize(
    ("region", "there"),
    [
        # https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-config.html: none of AWS Config's
        ("us-gov-west-1", {SECURITY_GROUP}),
        ("cn-north-1", {TRAIL, CLUSTER}),
        ("eu-west-1", {SECURITY_GROUP, TRAIL, CLUSTER}),
    ],
)
def test_which_runbooks_a_partition_has(emulator, account, region, there):
    ssm = emulator.client("ssm", account, region)
    parameters = {
        SECURITY_GROUP: {"GroupId": "sg-0123456789abcdef0"},
        TRAIL: {"TrailName": "t", "AutomationAssumeRole": "x"},
        CLUSTER: {"ClusterIdentifier": "c", "AutomationAssumeRole": "x"},
    }
    for runbook, asked in parameters.items():
        if runbook in there:
            assert ssm.describe_document(Name=runbook)["Document"]["Owner"] == "Amazon"
        else:
            assert code(ssm.describe_document, Name=runbook) == "InvalidDocument"
            assert code(start, ssm, runbook, **asked) == "AutomationDefinitionNotFoundException"


def test_a_test_can_take_a_runbook_away(emulator, account, ssm):
    emulator.put(f"settings/{account}", missing_runbooks=[SECURITY_GROUP])
    group = {"GroupId": "sg-0123456789abcdef0"}
    assert code(ssm.describe_document, Name=SECURITY_GROUP) == "InvalidDocument"
    assert code(start, ssm, SECURITY_GROUP, **group) == "AutomationDefinitionNotFoundException"


class TestTrails:
    @pytest.fixture
    def role(self, account, make_role) -> str:
        return make_role(account, "automation", BY_SSM, allow(["cloudtrail:UpdateTrail", "cloudtrail:GetTrail"]))

    @pytest.fixture
    def trail(self, emulator, account) -> str:
        emulator.client("s3", account).create_bucket(Bucket=f"automation-{account}")
        cloudtrail = emulator.client("cloudtrail", account)
        made = cloudtrail.create_trail(Name="trail", S3BucketName=f"automation-{account}", IsMultiRegionTrail=True)
        return made["TrailARN"]

    @pytest.mark.parametrize("by", ["name", "arn"])
    def test_validation_is_on_afterwards(self, emulator, account, ssm, role, trail, by):
        name = trail if by == "arn" else "trail"
        status, steps, _ = run(ssm, TRAIL, TrailName=name, AutomationAssumeRole=role)
        assert (status, steps) == ("Success", ["Success", "Success"])
        described = emulator.client("cloudtrail", account).get_trail(Name=trail)["Trail"]
        assert described["LogFileValidationEnabled"] is True

    def test_only_in_the_home_region(self, emulator, account, ssm, role, trail):
        elsewhere = emulator.client("ssm", account, "eu-west-1")
        status, steps, failed = run(elsewhere, TRAIL, TrailName=trail, AutomationAssumeRole=role)
        assert (status, steps) == ("Failed", ["Failed", "Pending"])
        assert "InvalidHomeRegionException" in failed["FailureMessage"]


class TestClusters:
    @pytest.fixture
    def redshift(self, emulator, account):
        client = emulator.client("redshift", account)
        client.create_cluster(
            ClusterIdentifier="c", NodeType="ra3.large", ClusterType="single-node", MasterUsername="admin1",
            MasterUserPassword="Password1", PubliclyAccessible=True,
        )
        return client

    @pytest.fixture
    def role(self, account, make_role) -> str:
        cluster = f"arn:aws:redshift:us-east-1:{account}:cluster:c"
        return make_role(
            account, "automation", BY_SSM, allow("redshift:ModifyCluster", cluster), allow("redshift:DescribeClusters")
        )

    def test_private_and_available_afterwards(self, ssm, redshift, role):
        assert run(ssm, CLUSTER, ClusterIdentifier="c", AutomationAssumeRole=role)[:2] == ("Success", ["Success"] * 3)
        [cluster] = redshift.describe_clusters()["Clusters"]
        assert (cluster["ClusterStatus"], cluster["PubliclyAccessible"]) == ("available", False)

    def test_a_paused_cluster(self, ssm, redshift, role):
        redshift.pause_cluster(ClusterIdentifier="c")
        status, steps, failed = run(ssm, CLUSTER, ClusterIdentifier="c", AutomationAssumeRole=role)
        assert (status, steps) == ("Failed", ["Failed", "Pending", "Pending"])
        assert "InvalidClusterState" in failed["FailureMessage"]

    def test_a_step_that_is_throttled(self, emulator, account, ssm, redshift, role, make_role, session_of):
        """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_FailureDetails.html"""
        emulator.put(f"faults/{account}", **{"automation:redshift:ModifyCluster": ["Throttle"]})
        others = session_of(make_role(account, "others", ANYONE, allow("redshift:*")))
        modify = {"ClusterIdentifier": "c", "AllowVersionUpgrade": False}
        emulator.client("redshift", others).modify_cluster(**modify)  # the fault is for runbooks alone
        eventually(lambda: redshift.describe_clusters()["Clusters"][0]["ClusterStatus"] == "available")
        status, steps, failed = run(ssm, CLUSTER, ClusterIdentifier="c", AutomationAssumeRole=role)
        assert (status, steps) == ("Failed", ["Failed", "Pending", "Pending"])
        assert failed["FailureDetails"]["FailureType"] == "Throttling"
        assert "(Throttling)" in failed["FailureMessage"] and "Rate exceeded" in failed["FailureMessage"]
        assert emulator.get(f"faults/{account}") == {}

    def test_the_role_must_be_given(self, ssm, redshift):
        assert code(start, ssm, CLUSTER, ClusterIdentifier="c") == INVALID


GROUP = {"GroupId": "sg-0123456789abcdef0"}


class TestStart:
    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"GroupId": "g"},
            {**GROUP, "Unknown": "x"},
            {**GROUP, "IpAddressToBlock": "everywhere"},
            {**GROUP, "AutomationAssumeRole": "not-an-arn"},
            {**GROUP, "AutomationAssumeRole": "arn:aws:iam::{account}:role/missing"},
        ],
    )
    def test_wrong_parameters(self, ssm, account, parameters):
        given = {name: value.format(account=account) for name, value in parameters.items()}
        assert code(start, ssm, SECURITY_GROUP, **given) == INVALID

    def test_roles_that_cannot_be_assumed(self, ssm, account, other_account, make_role):
        untrusting = make_role(account, "untrusting", trust({"Service": "ec2.amazonaws.com"}))
        elsewhere = make_role(other_account, "elsewhere", BY_SSM)
        of_another = trust({"Service": "ssm.amazonaws.com"}, Condition={"StringEquals": {"aws:SourceAccount": "1"}})
        for role in (untrusting, elsewhere, make_role(account, "of-another", of_another)):
            status, found, message = refusal(start, ssm, SECURITY_GROUP, **GROUP, AutomationAssumeRole=role)
            assert (status, found) == (400, INVALID) and "unable to be assumed" in message

    def test_the_confused_deputys_terms(self, ssm, account, make_role):
        terms = {
            "StringEquals": {"aws:SourceAccount": account},
            "ArnLike": {"aws:SourceArn": f"arn:aws:ssm:us-east-1:{account}:automation-execution/*"},
        }
        role = make_role(account, "careful", trust({"Service": "ssm.amazonaws.com"}, Condition=terms))
        start(ssm, SECURITY_GROUP, **GROUP, AutomationAssumeRole=role)

    def test_passing_the_role_needs_a_permission(self, emulator, account, ssm, make_role, session_of):
        role = make_role(account, "automation", BY_SSM)
        started = [
            f"arn:aws:ssm:us-east-1::automation-definition/{SECURITY_GROUP}:$DEFAULT",
            f"arn:aws:ssm:us-east-1::document/{SECURITY_GROUP}",
            f"arn:aws:ssm:us-east-1:{account}:automation-execution/*",
        ]
        caller = make_role(account, "caller", ANYONE, allow("ssm:StartAutomationExecution", started))
        client = emulator.client("ssm", session_of(caller))
        status, found, message = refusal(start, client, SECURITY_GROUP, **GROUP, AutomationAssumeRole=role)
        assert found == "AccessDeniedException" and f"iam:PassRole on resource: {role}" in message
        condition = {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}}
        passing = policy(allow("iam:PassRole", role, Condition=condition))
        emulator.client("iam", account).put_role_policy(RoleName="caller", PolicyName="p", PolicyDocument=passing)
        start(client, SECURITY_GROUP, **GROUP, AutomationAssumeRole=role)

    def test_unknown_runbooks_and_versions(self, ssm):
        assert code(start, ssm, "AWS-NoSuchThing", **GROUP) == "AutomationDefinitionNotFoundException"
        asked = {"DocumentName": SECURITY_GROUP, "Parameters": {"GroupId": [GROUP["GroupId"]]}}
        for version in ("$LATEST", "1"):
            ssm.start_automation_execution(**asked, DocumentVersion=version)
        call = ssm.start_automation_execution
        assert code(call, **asked, DocumentVersion="77") == "AutomationDefinitionVersionNotFoundException"

    def test_a_token_cannot_be_used_again(self, emulator, account, ssm):
        token = str(uuid.uuid4())
        first = start(ssm, SECURITY_GROUP, token, **GROUP)
        assert code(start, ssm, SECURITY_GROUP, token.upper(), **GROUP) == "IdempotentParameterMismatch"
        emulator.put(f"settings/{account}", automation_token="return")
        assert start(ssm, SECURITY_GROUP, token, **GROUP) == first
        other = {"GroupId": "sg-11111111111111111"}
        assert code(start, ssm, SECURITY_GROUP, token, **other) == "IdempotentParameterMismatch"
        assert len(ssm.describe_automation_executions()["AutomationExecutionMetadataList"]) == 1
        assert code(start, ssm, SECURITY_GROUP, "z" * 36, **GROUP) == "ValidationException"

    def test_the_limit(self, emulator, account, ssm):
        emulator.put(f"settings/{account}", automation_limit=1, automation_step_seconds=1)
        start(ssm, SECURITY_GROUP, **GROUP)
        assert code(start, ssm, SECURITY_GROUP, **GROUP) == "AutomationExecutionLimitExceededException"
        elsewhere = emulator.client("ssm", account, "eu-west-1")
        start(elsewhere, SECURITY_GROUP, **GROUP)


def test_an_execution_that_does_not_exist(ssm):
    missing = {"AutomationExecutionId": str(uuid.uuid4())}
    assert code(ssm.get_automation_execution, **missing) == "AutomationExecutionNotFoundException"


def test_under_way(emulator, account, ssm):
    emulator.put(f"settings/{account}", automation_step_seconds=0.3)
    id_ = start(ssm, SECURITY_GROUP, **GROUP)
    seen = []

    def ended() -> bool:
        execution = ssm.get_automation_execution(AutomationExecutionId=id_)["AutomationExecution"]
        seen.append(execution["AutomationExecutionStatus"])
        assert ("ExecutionEndTime" in execution) == (seen[-1] == "Failed")
        return seen[-1] == "Failed"

    eventually(ended)
    assert list(dict.fromkeys(seen)) == ["Pending", "InProgress", "Failed"]


def test_lists(ssm):
    ids = [start(ssm, SECURITY_GROUP, **GROUP) for _ in range(3)]
    for id_ in ids:
        end(ssm, id_)

    def listed(**asked) -> list[str]:
        rows = ssm.describe_automation_executions(**asked)["AutomationExecutionMetadataList"]
        return [row["AutomationExecutionId"] for row in rows]

    assert listed() == ids[::-1]
    first = ssm.describe_automation_executions(MaxResults=2)
    assert listed(MaxResults=2, NextToken=first["NextToken"]) == ids[:1]
    assert listed(Filters=[{"Key": "ExecutionStatus", "Values": ["Success"]}]) == []
    assert listed(Filters=[{"Key": "DocumentNamePrefix", "Values": ["AWS-Disable"]}]) == ids[::-1]
    assert listed(Filters=[{"Key": "ExecutionId", "Values": [ids[1]]}]) == [ids[1]]
    assert "Parameters" not in json.dumps(first, default=str)


def test_the_runbooks_are_documents_of_amazon(emulator, account, ssm):
    """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeDocument.html"""
    for name in (SECURITY_GROUP, TRAIL, CLUSTER):
        document = ssm.describe_document(Name=name)["Document"]
        assert (document["Name"], document["Owner"], document["Status"]) == (name, "Amazon", "Active")
        assert document["DocumentType"] == "Automation"
    china = emulator.client("ssm", account, "cn-north-1")
    assert china.describe_document(Name=CLUSTER)["Document"]["Name"] == CLUSTER
    for client, name in ((china, SECURITY_GROUP), (ssm, "AWS-NoSuchRunbook")):
        assert code(client.describe_document, Name=name) == "InvalidDocument"
    content = json.dumps({"schemaVersion": "0.3", "mainSteps": []})
    ssm.create_document(Name="own", Content=content, DocumentType="Automation")
    assert ssm.describe_document(Name="own")["Document"]["Name"] == "own"
