"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/ : API_CreateLogGroup, API_DescribeLogGroups,
API_PutRetentionPolicy, API_LogGroup
"""

import pytest
from refusals import code

GROUP = "/autoremediate/vpc-flow-logs/x"


@pytest.fixture
def logs(emulator, account):
    return emulator.client("logs", account)


def test_a_new_group_keeps_its_logs_for_ever_until_it_has_a_retention(logs):
    logs.create_log_group(logGroupName=GROUP)
    [group] = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    assert (group["logGroupName"], "retentionInDays" in group) == (GROUP, False)
    for days in (365, 7):
        logs.put_retention_policy(logGroupName=GROUP, retentionInDays=days)
        [group] = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
        assert group["retentionInDays"] == days


def test_a_name_can_be_taken_and_a_prefix_finds_more_than_one(logs):
    for name in (GROUP, f"{GROUP}-2"):
        logs.create_log_group(logGroupName=name)
    assert code(logs.create_log_group, logGroupName=GROUP) == "ResourceAlreadyExistsException"
    found = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    assert [group["logGroupName"] for group in found] == [GROUP, f"{GROUP}-2"]
    assert logs.describe_log_groups(logGroupNamePrefix="/another")["logGroups"] == []


def test_a_group_that_is_not_there_gets_no_retention(logs):
    refused = code(logs.put_retention_policy, logGroupName="missing", retentionInDays=7)
    assert refused == "ResourceNotFoundException"
