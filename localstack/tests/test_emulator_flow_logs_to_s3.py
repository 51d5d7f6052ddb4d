"""Flow logs to S3.

https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html, flow-logs-s3-create-flow-log.html,
flow-logs-troubleshooting.html; https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html
"""

import pytest
from functions import allow, policy, trust
from refusals import code, refusal

SERVICE = {"Service": "delivery.logs.amazonaws.com"}


class Bucket:
    """One of another account, as a central one is."""

    def __init__(self, emulator, owner: str) -> None:
        self.s3, self.name = emulator.client("s3", owner), f"flow-logs-{owner}"
        self.s3.create_bucket(Bucket=self.name)
        self.arn = f"arn:aws:s3:::{self.name}"

    def let_in(self, source: dict, folder: str = "", **acl: str) -> None:
        """As the user guide has it; `source` are the conditions that say on whose behalf."""
        equals = {"s3:x-amz-acl": "bucket-owner-full-control", **acl, **source.get("StringEquals", {})}
        put = allow("s3:PutObject", f"{self.arn}/{folder}*", Condition={**source, "StringEquals": equals})
        read = allow("s3:GetBucketAcl", self.arn, Condition=source)
        self.s3.put_bucket_policy(
            Bucket=self.name, Policy=policy({**put, "Principal": SERVICE}, {**read, "Principal": SERVICE})
        )


@pytest.fixture
def bucket(emulator, other_account) -> Bucket:
    return Bucket(emulator, other_account)


def of(account: str) -> dict:
    return {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": f"arn:aws:logs:us-east-1:{account}:*"},
    }


def create(ec2, vpc: str, destination: str | None, **more) -> dict:
    to = {"LogDestination": destination} if destination else {}
    return ec2.create_flow_logs(
        ResourceIds=[vpc], ResourceType="VPC", TrafficType="ALL", LogDestinationType="s3", **to, **more
    )


def unsuccessful(answer: dict) -> list[str]:
    assert answer["FlowLogIds"] == [] and {each["Error"]["Code"] for each in answer["Unsuccessful"]} == {"400"}
    return [each["Error"]["Message"] for each in answer["Unsuccessful"]]


def only(ec2, vpc: str) -> dict:
    [log] = ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc]}])["FlowLogs"]
    return log


@pytest.mark.parametrize("folder", ["", "/", "/vpc/"])
def test_created_found_and_deleted(ec2, vpc, account, bucket, folder):
    bucket.let_in(of(account))
    destination = f"{bucket.arn}{folder}"
    created = create(ec2, vpc, destination)
    assert created["Unsuccessful"] == []
    log = only(ec2, vpc)
    assert (log["LogDestinationType"], log["LogDestination"]) == ("s3", destination)
    assert (log["FlowLogStatus"], log["DeliverLogsStatus"]) == ("ACTIVE", "SUCCESS")
    assert "LogGroupName" not in log and "DeliverLogsPermissionArn" not in log
    to_s3 = [{"Name": "log-destination-type", "Values": ["s3"]}]
    assert ec2.describe_flow_logs(Filters=to_s3)["FlowLogs"] == [log]
    assert code(create, ec2, vpc, destination) == "FlowLogAlreadyExists"
    assert ec2.delete_flow_logs(FlowLogIds=created["FlowLogIds"])["Unsuccessful"] == []
    assert ec2.describe_flow_logs(Filters=to_s3)["FlowLogs"] == []


def test_parameters_of_the_other_kind(ec2, vpc, account, bucket):
    role = f"arn:aws:iam::{account}:role/delivery"
    for destination, more, message in (
        (bucket.arn, {"DeliverLogsPermissionArn": role}, "DeliverLogsPermissionArn is not applicable for s3 delivery"),
        (bucket.arn, {"LogGroupName": "g"}, "Please only provide LogGroupName or only provide LogDestination."),
        (None, {"LogGroupName": "g"}, "LogDestination type must be cloud-watch-logs if LogGroupName is provided."),
        (None, {}, "LogDestination can't be empty if LogGroupName is not provided."),
    ):
        assert refusal(create, ec2, vpc, destination, **more) == (400, "InvalidParameter", message)


def test_a_bucket_that_does_not_exist(ec2, vpc):
    assert unsuccessful(create(ec2, vpc, "arn:aws:s3:::no-such-bucket-of-anybodys/vpc/")) == [
        "LogDestination: no-such-bucket-of-anybodys does not exist"
    ]


@pytest.mark.parametrize(
    ("source", "folder", "acl"),
    [
        ({"StringEquals": {"aws:SourceAccount": "999999999999"}}, "", {}),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:logs:eu-west-1:*:*"}}, "", {}),
        ({"StringEquals": {"aws:SourceOrgID": "o-a1b2c3d4e5"}}, "", {}),
        ({}, "another-folder/", {}),
        ({}, "vpc/AWSLogs/999999999999/", {}),
        ({}, "", {"s3:x-amz-acl": "private"}),
    ],
)
def test_a_bucket_that_does_not_let_the_logs_in(ec2, vpc, bucket, source, folder, acl):
    destination, message = f"{bucket.arn}/vpc/", f"Access Denied for LogDestination: {bucket.name}. "
    expected = [f"{message}Please check LogDestination permission"]
    assert unsuccessful(create(ec2, vpc, destination)) == expected
    bucket.let_in(source, folder, **acl)
    assert unsuccessful(create(ec2, vpc, destination)) == expected
    bucket.let_in({}, "vpc/AWSLogs/")
    assert create(ec2, vpc, destination)["Unsuccessful"] == []


def test_who_may_read_the_acl_alone_and_who_is_no_service(ec2, vpc, account, bucket):
    read = {**allow("s3:GetBucketAcl", bucket.arn), "Principal": SERVICE}
    put = {**allow("s3:PutObject", f"{bucket.arn}/*"), "Principal": {"AWS": account}}
    for statements in ([read], [read, put], [put, {**read, "Principal": {"AWS": account}}]):
        bucket.s3.put_bucket_policy(Bucket=bucket.name, Policy=policy(*statements))
        assert unsuccessful(create(ec2, vpc, bucket.arn))[0].startswith("Access Denied for LogDestination")


def test_the_accounts_of_an_organization(emulator, account, bucket):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-sourceorgid"""
    organizations = emulator.client("organizations", account)
    organization = organizations.create_organization(FeatureSet="ALL")["Organization"]["Id"]
    bucket.let_in({"StringEquals": {"aws:SourceOrgID": organization}})
    ec2 = emulator.client("ec2", account)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    assert create(ec2, vpc, bucket.arn)["Unsuccessful"] == []


def test_a_key_that_the_bucket_names_by_its_id(ec2, vpc, account, bucket):
    bucket.let_in(of(account))
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/mine"}}
    bucket.s3.put_bucket_encryption(Bucket=bucket.name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert unsuccessful(create(ec2, vpc, bucket.arn)) == [f"LogDestination {bucket.name} is undeliverable"]


@pytest.mark.parametrize("change", ["policy", "bucket"])
def test_a_bucket_that_takes_no_logs_any_more(ec2, vpc, account, bucket, change):
    bucket.let_in(of(account))
    create(ec2, vpc, bucket.arn)
    bucket.s3.delete_bucket_policy(Bucket=bucket.name)
    if change == "bucket":
        bucket.s3.delete_bucket(Bucket=bucket.name)
    log = only(ec2, vpc)
    assert (log["FlowLogStatus"], log["DeliverLogsStatus"]) == ("ACTIVE", "FAILED")
    assert log["DeliverLogsErrorMessage"] == "Access error"


def test_the_caller_needs_log_deliveries_and_no_role(emulator, account, ec2, vpc, bucket, make_role, session_of):
    bucket.let_in(of(account))
    flow_logs = allow(["ec2:CreateFlowLogs", "ec2:DeleteFlowLogs"])
    for name, missing in (("creator", "logs:CreateLogDelivery"), ("deleter", "logs:DeleteLogDelivery")):
        others = {"logs:CreateLogDelivery", "logs:DeleteLogDelivery"} - {missing}
        role = make_role(account, name, trust({"AWS": "*"}), flow_logs, allow(sorted(others)))
        theirs = emulator.client("ec2", session_of(role))
        status, found, message = refusal(create, theirs, vpc, bucket.arn)
        assert (status, found) == (403, "UnauthorizedOperation") and missing in message
    both = allow(["logs:CreateLogDelivery", "logs:DeleteLogDelivery"])
    whole = emulator.client("ec2", session_of(make_role(account, "whole", trust({"AWS": "*"}), flow_logs, both)))
    [log] = create(whole, vpc, bucket.arn)["FlowLogIds"]
    without = emulator.client("ec2", session_of(f"arn:aws:iam::{account}:role/deleter"))
    assert "logs:DeleteLogDelivery" in refusal(without.delete_flow_logs, FlowLogIds=[log])[2]
    whole.delete_flow_logs(FlowLogIds=[log])
