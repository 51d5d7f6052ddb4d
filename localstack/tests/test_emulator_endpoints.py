import time
import urllib.error

import pytest
from functions import allow, trust
from refusals import refusal


def test_a_call_fails_as_often_as_asked(emulator, account, make_role, session_of):
    session = session_of(make_role(account, "r", trust({"AWS": "*"}), allow(["ec2:*", "s3:*"])))
    faults = {"ec2:DescribeVpcs": ["RequestLimitExceeded", "Throttling"], "s3:ListAllMyBuckets": ["SlowDown"]}
    emulator.put(f"faults/{account}", **faults)
    assert emulator.get(f"faults/{account}") == faults
    emulator.client("ec2", account).describe_vpcs()  # root's calls do not count
    ec2 = emulator.client("ec2", session)
    assert refusal(ec2.describe_vpcs)[:2] == (503, "RequestLimitExceeded")
    assert refusal(ec2.describe_vpcs)[:2] == (400, "Throttling")
    assert ec2.describe_vpcs()["Vpcs"]
    assert refusal(emulator.client("s3", session).list_buckets)[:2] == (503, "SlowDown")
    assert emulator.get(f"faults/{account}") == {}


def test_a_call_can_be_held_and_those_before_it_let_through(emulator, account, make_role, session_of):
    session = session_of(make_role(account, "r", trust({"AWS": "*"}), allow(["iam:*"])))
    iam = emulator.client("iam", session)
    emulator.put(f"faults/{account}", **{"iam:CreateUser": ["Pass", "Hold"]})
    iam.create_user(UserName="passed")
    assert refusal(lambda: iam.create_user(UserName="held"))[:2] == (503, "ServiceUnavailable")
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["passed"]


def test_a_call_can_be_slow(emulator, account, make_role, session_of):
    session = session_of(make_role(account, "r", trust({"AWS": "*"}), allow(["iam:*"])))
    iam = emulator.client("iam", session)
    emulator.put(f"faults/{account}", **{"iam:CreateUser": ["Slow"]})
    began = time.monotonic()
    iam.create_user(UserName="late")
    assert time.monotonic() - began > 4
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["late"]


@pytest.mark.parametrize(
    ("service", "action", "call", "answer"),
    [
        # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/throttling.html
        ("ec2", "ec2:DescribeVpcs", "describe_vpcs", (503, "RequestLimitExceeded", "Request limit exceeded.")),
        # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        ("s3", "s3:ListAllMyBuckets", "list_buckets", (503, "SlowDown", "Please reduce your request rate.")),
        # https://github.com/cloud-custodian/cloud-custodian/issues/3340
        ("rds", "rds:DescribeDBSnapshots", "describe_db_snapshots", (400, "Throttling", "Rate exceeded")),
        ("iam", "iam:ListUsers", "list_users", (400, "Throttling", "Rate exceeded")),
        ("redshift", "redshift:DescribeClusters", "describe_clusters", (400, "Throttling", "Rate exceeded")),
        ("sts", "sts:GetCallerIdentity", "get_caller_identity", (400, "Throttling", "Rate exceeded")),
        # https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/CommonErrors.html
        ("cloudtrail", "cloudtrail:DescribeTrails", "describe_trails",
         (400, "ThrottlingException", "Rate exceeded")),
        # https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html
        ("ssm", "ssm:DescribeAutomationExecutions", "describe_automation_executions",
         (400, "ThrottlingException", "Rate exceeded")),
        ("logs", "logs:DescribeLogGroups", "describe_log_groups", (400, "ThrottlingException", "Rate exceeded")),
        # https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html
        ("lambda", "lambda:ListFunctions", "list_functions", (429, "TooManyRequestsException", "Rate Exceeded.")),
        # https://docs.aws.amazon.com/scheduler/latest/APIReference/API_ListSchedules.html
        ("scheduler", "scheduler:ListSchedules", "list_schedules", (429, "ThrottlingException", "Rate exceeded")),
        # https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html
        ("organizations", "organizations:ListAccounts", "list_accounts",
         (400, "TooManyRequestsException", "Rate exceeded")),
        ("sqs", "sqs:ListQueues", "list_queues", (400, "RequestThrottled", "Request is throttled.")),
    ],
)
def test_every_service_throttles_in_its_own_form(
    emulator, account, make_role, session_of, service, action, call, answer
):
    session = session_of(make_role(account, "r", trust({"AWS": "*"}), allow("*")))
    emulator.put(f"faults/{account}", **{action: ["Throttle"]})
    assert refusal(getattr(emulator.client(service, session), call)) == answer


def test_a_code_has_the_status_that_the_service_gives_it(emulator, account, make_role, session_of):
    """429 in Lambda's and Scheduler's model, none in those of Organizations and SSM, whose errors are 400."""
    session = session_of(make_role(account, "r", trust({"AWS": "*"}), allow("*")))
    emulator.put(
        f"faults/{account}",
        **{
            "organizations:ListAccounts": ["TooManyRequestsException"], "lambda:ListFunctions": ["ServiceException"],
            "ssm:DescribeAutomationExecutions": ["InternalServerError"],
        },
    )
    assert refusal(emulator.client("organizations", session).list_accounts)[0] == 400
    assert refusal(emulator.client("lambda", session).list_functions)[0] == 500
    assert refusal(emulator.client("ssm", session).describe_automation_executions)[0] == 500


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("settings/{account}", {"unheard": 1}, 400),
        ("status", {"Arn": "arn:aws:redshift:us-east-1:{account}:cluster:missing", "Status": "paused"}, 404),
        ("status", {"Arn": "not-an-arn", "Status": "paused"}, 400),
        ("iam/access-keys/missing", {"CreateDate": "2020-01-01"}, 404),
        ("iam/access-keys/missing", {"CreateDate": "long ago"}, 400),
        ("iam/access-keys/missing", {"LastUsedDate": "2020-01-01"}, 400),
    ],
)
def test_a_mistaken_request_is_refused(emulator, account, path, body, status):
    body = {name: value.format(account=account) if isinstance(value, str) else value for name, value in body.items()}
    with pytest.raises(urllib.error.HTTPError) as caught:
        emulator.put(path.format(account=account), **body)
    assert caught.value.code == status


def test_decisions_are_numbered_and_can_be_asked_for_from_one_on(emulator, account, make_role, session_of):
    role = make_role(account, "numbered", trust({"AWS": "*"}), allow(["s3:ListAllMyBuckets"]))
    s3 = emulator.client("s3", session_of(role))
    s3.list_buckets()
    last = emulator.decisions()[-1]["number"]
    assert emulator.get(f"iam/decisions?after={last}") == []
    s3.list_buckets()
    later = emulator.get(f"iam/decisions?after={last}")
    assert [decision["number"] for decision in later] == [last + 1]
    assert (later[0]["action"], later[0]["allowed"]) == ("s3:ListAllMyBuckets", True)
