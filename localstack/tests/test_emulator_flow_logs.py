"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/ : API_CreateFlowLogs, API_DescribeFlowLogs, API_FlowLog,
API_DeleteFlowLogs; https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
"""

import pytest
from emulator_process import eventually
from functions import allow, policy, trust
from refusals import code, refusal

DELIVERY = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:Describe*"]


@pytest.fixture
def delivery_role(account, make_role):
    terms = {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:us-east-1:{account}:vpc-flow-log/*"},
    }
    return make_role(
        account, "delivery", trust({"Service": "vpc-flow-logs.amazonaws.com"}, Condition=terms), allow(DELIVERY)
    )


def create(ec2, vpc: str, role: str, group: str = "flow-logs") -> dict:
    tags = [{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "made-by", "Value": "test"}]}]
    return ec2.create_flow_logs(
        ResourceIds=[vpc], ResourceType="VPC", TrafficType="ALL", LogGroupName=group, DeliverLogsPermissionArn=role,
        TagSpecifications=tags,
    )


def of(ec2, vpc: str) -> list[dict]:
    return ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc]}])["FlowLogs"]


def test_only_what_has_the_tag_may_be_deleted(emulator, account, ec2, vpc, delivery_role, make_role, session_of):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_tags.html"""
    arn = f"arn:aws:ec2:*:{account}:vpc-flow-log/*"
    session = {}
    for name, value in (("owner", "test"), ("other", "somebody")):
        condition = {"StringEquals": {"aws:ResourceTag/made-by": value}}
        may = allow("ec2:DeleteFlowLogs", arn, Condition=condition)
        session[name] = session_of(make_role(account, name, trust({"AWS": "*"}), may))
    [log] = create(ec2, vpc, delivery_role)["FlowLogIds"]
    refused = emulator.client("ec2", session["other"])
    assert refusal(refused.delete_flow_logs, FlowLogIds=[log])[1] == "UnauthorizedOperation"
    assert len(of(ec2, vpc)) == 1
    emulator.client("ec2", session["owner"]).delete_flow_logs(FlowLogIds=[log])
    assert of(ec2, vpc) == []


def test_created_found_and_deleted(ec2, vpc, delivery_role):
    assert of(ec2, vpc) == []
    created = create(ec2, vpc, delivery_role)
    assert created["Unsuccessful"] == []
    [log] = of(ec2, vpc)
    assert [log["FlowLogId"]] == created["FlowLogIds"]
    assert (log["FlowLogStatus"], log["DeliverLogsStatus"], log["TrafficType"]) == ("ACTIVE", "SUCCESS", "ALL")
    assert "DeliverLogsErrorMessage" not in log
    assert (log["LogGroupName"], log["Tags"]) == ("flow-logs", [{"Key": "made-by", "Value": "test"}])
    tagged = ec2.describe_flow_logs(Filters=[{"Name": "tag:made-by", "Values": ["test"]}])["FlowLogs"]
    assert tagged == [log]
    assert ec2.delete_flow_logs(FlowLogIds=created["FlowLogIds"])["Unsuccessful"] == []
    assert of(ec2, vpc) == []
    assert code(ec2.delete_flow_logs, FlowLogIds=created["FlowLogIds"]) == "InvalidFlowLogId.NotFound"


def test_the_same_flow_log_twice(ec2, vpc, delivery_role):
    create(ec2, vpc, delivery_role)
    assert code(create, ec2, vpc, delivery_role) == "FlowLogAlreadyExists"
    create(ec2, vpc, delivery_role, group="another")
    assert len(of(ec2, vpc)) == 2


def test_a_failure_in_a_success(emulator, account, ec2, vpc, delivery_role):
    emulator.put(f"settings/{account}", flow_logs_error="Access Denied for LogDestination")
    answer = create(ec2, vpc, delivery_role)
    assert answer["FlowLogIds"] == []
    assert answer["Unsuccessful"] == [
        {"ResourceId": vpc, "Error": {"Code": "400", "Message": "Access Denied for LogDestination"}}
    ]
    assert of(ec2, vpc) == []


@pytest.mark.parametrize(
    ("service", "allowed"),
    [("ec2.amazonaws.com", DELIVERY), ("vpc-flow-logs.amazonaws.com", DELIVERY[:2]), (None, None)],
)
def test_a_role_that_cannot_deliver(ec2, vpc, account, make_role, service, allowed):
    role = f"arn:aws:iam::{account}:role/missing"
    if service:
        role = make_role(account, "delivery", trust({"Service": service}), allow(allowed))
    create(ec2, vpc, role)
    [log] = of(ec2, vpc)
    assert (log["FlowLogStatus"], log["DeliverLogsStatus"]) == ("ACTIVE", "FAILED")
    assert log["DeliverLogsErrorMessage"] == "Access error"


@pytest.mark.parametrize("at_first", ["SUCCESS", None])
def test_whether_it_delivers_shows_later(emulator, ec2, vpc, account, make_role, at_first):
    """https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-troubleshooting.html: it can take minutes"""
    emulator.put(f"settings/{account}", flow_logs_delivery_seconds=2, flow_logs_status_at_first=at_first)
    create(ec2, vpc, make_role(account, "delivery", trust({"Service": "ec2.amazonaws.com"}), allow(DELIVERY)))
    [log] = of(ec2, vpc)
    assert log.get("DeliverLogsStatus") == at_first and "DeliverLogsErrorMessage" not in log
    failed = {"Name": "deliver-log-status", "Values": ["FAILED"]}
    assert ec2.describe_flow_logs(Filters=[failed])["FlowLogs"] == []
    [log] = eventually(lambda: ec2.describe_flow_logs(Filters=[failed])["FlowLogs"])
    assert (log["DeliverLogsErrorMessage"], log["FlowLogStatus"]) == ("Access error", "ACTIVE")


def test_what_is_delivered_is_of_the_interfaces_in_use(emulator, account, ec2, vpc, delivery_role):
    """https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html and flow-log-records.html: NODATA"""
    logs = emulator.client("logs", account)
    [first] = create(ec2, vpc, delivery_role)["FlowLogIds"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    ec2.create_network_interface(SubnetId=subnet)
    assert of(ec2, vpc)[0]["DeliverLogsStatus"] == "SUCCESS"
    assert logs.describe_log_groups()["logGroups"] == []
    image = ec2.register_image(Name="image")["ImageId"]
    [instance] = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"]
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def records() -> list[str]:
        of(ec2, vpc)
        events = logs.get_log_events(logGroupName="flow-logs", logStreamName=f"{interface}-all")["events"]
        return [each["message"] for each in events]

    assert len(records()) == 1
    [record] = records()
    assert record.startswith(f"2 {account} {interface} - ") and record.endswith(" NODATA")
    [stream] = logs.describe_log_streams(logGroupName="flow-logs")["logStreams"]
    assert stream["logStreamName"] == f"{interface}-all" and stream["lastIngestionTime"]
    # another flow log delivers for itself
    ec2.delete_flow_logs(FlowLogIds=[first])
    create(ec2, vpc, delivery_role)
    assert len(records()) == 2


def test_a_role_that_cannot_deliver_delivers_nothing(emulator, ec2, vpc, account, make_role):
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    image = ec2.register_image(Name="image")["ImageId"]
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet)
    create(ec2, vpc, make_role(account, "delivery", trust({"Service": "ec2.amazonaws.com"}), allow(DELIVERY)))
    assert of(ec2, vpc)[0]["DeliverLogsStatus"] == "FAILED"
    assert emulator.client("logs", account).describe_log_groups()["logGroups"] == []


def test_a_log_group_that_exists_need_not_be_created(emulator, ec2, vpc, account, make_role):
    emulator.client("logs", account).create_log_group(logGroupName="flow-logs")
    trusted = trust({"Service": "vpc-flow-logs.amazonaws.com"})
    create(ec2, vpc, make_role(account, "delivery", trusted, allow(DELIVERY[1:])))
    assert of(ec2, vpc)[0]["DeliverLogsStatus"] == "SUCCESS"


def test_passing_the_role(emulator, account, vpc, make_role, session_of, delivery_role):
    """https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html#flow-logs-iam-user"""
    caller = make_role(account, "caller", trust({"AWS": "*"}), allow(["ec2:CreateFlowLogs", "ec2:CreateTags"]))
    theirs = emulator.client("ec2", session_of(caller))
    status, found, message = refusal(create, theirs, vpc, delivery_role)
    assert (status, found) == (403, "UnauthorizedOperation")
    assert f"iam:PassRole on resource: {delivery_role}" in message
    condition = {"StringEquals": {"iam:PassedToService": "vpc-flow-logs.amazonaws.com"}}
    emulator.client("iam", account).put_role_policy(
        RoleName="caller", PolicyName="pass",
        PolicyDocument=policy(allow("iam:PassRole", delivery_role, Condition=condition)),
    )
    create(theirs, vpc, delivery_role)


def test_tagging_only_what_is_created(emulator, account, ec2, vpc, make_role, session_of, delivery_role):
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html"""
    terms = {"StringEquals": {"ec2:CreateAction": "CreateFlowLogs"}}
    tagging, passing = allow("ec2:CreateTags", Condition=terms), allow("iam:PassRole")
    caller = make_role(account, "caller", trust({"AWS": "*"}), allow("ec2:CreateFlowLogs"), passing, tagging)
    theirs = emulator.client("ec2", session_of(caller))
    [log] = create(theirs, vpc, delivery_role)["FlowLogIds"]
    tags = [{"Key": "made-by", "Value": "somebody else"}]
    status, found, message = refusal(theirs.create_tags, Resources=[log], Tags=tags)
    assert (status, found) == (403, "UnauthorizedOperation") and "ec2:CreateTags" in message
    assert of(ec2, vpc)[0]["Tags"] == [{"Key": "made-by", "Value": "test"}]
    # the key is there for the tagging alone
    other = make_role(
        account, "other", trust({"AWS": "*"}), allow("ec2:CreateFlowLogs", Condition=terms), passing, tagging
    )
    _, _, message = refusal(create, emulator.client("ec2", session_of(other)), vpc, delivery_role, group="another")
    assert "not authorized to perform: ec2:CreateFlowLogs" in message


def test_a_vpc_that_does_not_exist(ec2, delivery_role):
    assert code(create, ec2, "vpc-0123456789abcdef0", delivery_role) == "InvalidVpcID.NotFound"
