"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html"""

import json
import time
from datetime import datetime, timedelta, timezone

import pytest
from emulator_process import eventually
from localstack_remediation.log_metrics import is_known, matcher
from refusals import code

GROUP, STREAM = "/aws/lambda/x", "s"
TRANSFORMATION = {"metricName": "Unexpected", "metricNamespace": "n", "metricValue": "1"}


@pytest.fixture
def logs(emulator, account):
    logs = emulator.client("logs", account)
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    return logs


def put_filter(logs, pattern: str) -> None:
    logs.put_metric_filter(
        logGroupName=GROUP, filterName="f", filterPattern=pattern, metricTransformations=[TRANSFORMATION]
    )


def counted(emulator, account) -> float:
    now = datetime.now(timezone.utc)
    found = emulator.client("cloudwatch", account).get_metric_statistics(
        Namespace="n", MetricName="Unexpected", Period=3600, Statistics=["Sum"],
        StartTime=now - timedelta(hours=1), EndTime=now + timedelta(hours=1),
    )
    return sum(point["Sum"] for point in found["Datapoints"])


def test_events_that_have_the_field_are_counted(emulator, account, logs):
    put_filter(logs, "{ $.unexpected_policy = * }")
    messages = [json.dumps({"unexpected_policy": "d"}), json.dumps({"message": "unexpected_policy"}), "REPORT"]
    events = [{"timestamp": int(time.time() * 1000), "message": message} for message in messages]
    logs.put_log_events(logGroupName=GROUP, logStreamName=STREAM, logEvents=events)
    assert counted(emulator, account) == 1


def test_an_alarm_is_judged_by_what_was_counted(emulator, account, logs):
    alarm = {
        "Namespace": "n", "MetricName": "Unexpected", "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0, "TreatMissingData": "notBreaching",
    }
    cloudwatch = emulator.client("cloudwatch", account)
    cloudwatch.put_metric_alarm(AlarmName="of-this", **alarm)
    cloudwatch.put_metric_alarm(AlarmName="of-another", **{**alarm, "MetricName": "Other"})
    put_filter(logs, "{ $.unexpected_policy = * }")
    states = f"alarms/{account}/us-east-1"
    assert emulator.put(states) == {"of-this": "OK", "of-another": "OK"}
    event = {"timestamp": int(time.time() * 1000), "message": json.dumps({"unexpected_policy": "d"})}
    logs.put_log_events(logGroupName=GROUP, logStreamName=STREAM, logEvents=[event])
    # what was counted within this second is not seen yet
    eventually(lambda: emulator.put(states) == {"of-this": "ALARM", "of-another": "OK"})


def test_a_pattern_that_would_count_wrongly_is_refused(logs):
    assert code(put_filter, logs, '{ $.level = "ERROR" }') == "InvalidParameterException"


@pytest.mark.parametrize(
    ("message", "matches"),
    [
        ('{"a": {"b": 1}}', True),
        ('{"a": {"b": ""}}', True),
        ('{"a": {"b": {}}}', False),
        ('{"a": 1}', False),
        ("[1]", False),
        ("a.b", False),
    ],
)
def test_fields_below_others(message, matches):
    pattern = "{$.a.b = *}"
    assert is_known(pattern) and matcher(pattern)(pattern, {"message": message}) == matches
