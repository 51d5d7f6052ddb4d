"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/ : API_AuthorizeSecurityGroupIngress, API_CreateFlowLogs,
errors-overview
"""

import pytest
from botocore.exceptions import ClientError
from functions import allow, trust
from refusals import refusal

ANYONE = trust({"AWS": "*"})
WOULD = (412, "DryRunOperation")


def tags(kind: str) -> list[dict]:
    return [{"ResourceType": kind, "Tags": [{"Key": "made-by", "Value": "test"}]}]


def add_rule(ec2, group: str, **more) -> dict:
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.1/32"}]}
    return ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[permission], TagSpecifications=tags("security-group-rule"), **more
    )


def create_flow_log(ec2, vpc: str, role: str, **more) -> dict:
    return ec2.create_flow_logs(
        ResourceIds=[vpc], ResourceType="VPC", TrafficType="ALL", LogGroupName="flow-logs",
        DeliverLogsPermissionArn=role, TagSpecifications=tags("vpc-flow-log"), **more,
    )


def test_who_may_is_told_so_and_nothing_changes(emulator, account, ec2, vpc, make_role, session_of):
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    role = make_role(account, "delivery", trust({"Service": "vpc-flow-logs.amazonaws.com"}))
    caller = make_role(account, "caller", ANYONE, allow(["ec2:*", "iam:PassRole"]))
    theirs = emulator.client("ec2", session_of(caller))
    assert refusal(add_rule, theirs, group, DryRun=True)[:2] == WOULD
    assert refusal(create_flow_log, theirs, vpc, role, DryRun=True)[:2] == WOULD
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"] == []
    assert ec2.describe_flow_logs()["FlowLogs"] == []
    add_rule(theirs, group, DryRun=False)
    create_flow_log(theirs, vpc, role)
    # even where the real call would be refused now: what the rule is, a dry run does not look at
    assert refusal(add_rule, theirs, group, DryRun=True)[:2] == WOULD


@pytest.mark.parametrize(("missing", "call"), [
    ("ec2:AuthorizeSecurityGroupIngress", "rule"), ("ec2:CreateTags", "rule"),
    ("ec2:CreateFlowLogs", "flow log"), ("ec2:CreateTags", "flow log"), ("iam:PassRole", "flow log"),
])
def test_who_may_not_is_refused(emulator, account, ec2, vpc, make_role, session_of, missing, call):
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    role = make_role(account, "delivery", trust({"Service": "vpc-flow-logs.amazonaws.com"}))
    needed = ["ec2:AuthorizeSecurityGroupIngress", "ec2:CreateFlowLogs", "ec2:CreateTags", "iam:PassRole"]
    caller = make_role(account, "caller", ANYONE, allow([action for action in needed if action != missing]))
    theirs = emulator.client("ec2", session_of(caller))
    with pytest.raises(ClientError) as caught:
        add_rule(theirs, group, DryRun=True) if call == "rule" else create_flow_log(theirs, vpc, role, DryRun=True)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["Error"]["Code"] == "UnauthorizedOperation"
    message = answer["Error"]["Message"]
    assert message.startswith("You are not authorized to perform this operation. User: ") and missing in message
    assert "because no identity-based policy allows" in message
    assert len(message.partition("Encoded authorization failure message: ")[2]) > 1000


def test_what_is_not_there(ec2, vpc):
    nowhere = ("sg-0123456789abcdef0", "vpc-0123456789abcdef0")
    assert refusal(add_rule, ec2, nowhere[0], DryRun=True)[:2] == (400, "InvalidGroup.NotFound")
    assert refusal(create_flow_log, ec2, nowhere[1], "arn:aws:iam::1:role/r", DryRun=True)[:2] == (
        400, "InvalidVpcId.NotFound",
    )
