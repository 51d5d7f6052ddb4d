"""From a line of a log to a metric, and to the alarm that watches it."""

import json
import time
from datetime import datetime, timedelta, timezone

import pytest
from emulator_process import eventually
from refusals import code

GROUP, STREAM = "/aws/lambda/x", "s"


@pytest.fixture
def put(emulator, account):
    logs = emulator.client("logs", account)
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)

    def put(*messages: str) -> None:
        events = [{"timestamp": int(time.time() * 1000), "message": message} for message in messages]
        logs.put_log_events(logGroupName=GROUP, logStreamName=STREAM, logEvents=events)

    return put


def line(**values) -> str:
    directive = {"Namespace": "n", "Dimensions": [["Rule"], []], "Metrics": [{"Name": "Failed", "Unit": "Count"}]}
    metadata = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": metadata, "Rule": "a", "Failed": 1, **values})


@pytest.fixture
def total(emulator, account):
    def total(name="Failed", namespace="n", **dimensions) -> float:
        now = datetime.now(timezone.utc)
        metric = {"Namespace": namespace, "MetricName": name}
        metric["Dimensions"] = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        found = emulator.client("cloudwatch", account).get_metric_data(
            MetricDataQueries=[{"Id": "m", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}],
            StartTime=now - timedelta(minutes=30), EndTime=now + timedelta(minutes=5),
        )
        return sum(found["MetricDataResults"][0]["Values"])

    return total


def test_a_metric_is_its_namespace_its_name_and_exactly_its_dimensions(put, total):
    put(line(Failed=2), line(Rule="b", Failed=5), "REPORT", line().replace('"n"', '"other"'))
    assert (total(), total(Rule="a"), total(Rule="b"), total(Rule="c")) == (7, 2, 5, 0)
    assert (total(namespace="other"), total(namespace="other", Rule="a")) == (1, 1)


def test_a_line_that_breaks_the_specification_makes_none(put, total):
    put(line(Failed="2"), line(_aws={}), line(Failed=3))
    assert total() == 3


def test_an_alarm_on_the_deployment_sees_it_once_and_one_on_a_rule_sees_its_own(emulator, account, put):
    cloudwatch = emulator.client("cloudwatch", account)
    alarm = {
        "Namespace": "n", "MetricName": "Failed", "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
    }
    cloudwatch.put_metric_alarm(AlarmName="all", **alarm, Threshold=2)
    cloudwatch.put_metric_alarm(AlarmName="twice", **alarm, Threshold=3)
    cloudwatch.put_metric_alarm(AlarmName="a", **alarm, Threshold=1, Dimensions=[{"Name": "Rule", "Value": "a"}])
    put(line(Failed=1), line(Rule="b", Failed=2))
    eventually(lambda: emulator.put(f"alarms/{account}/us-east-1") == {"all": "ALARM", "twice": "OK", "a": "OK"})


def test_what_a_function_prints_becomes_a_metric(make_function, total):
    functions = make_function("printer")
    functions.invoke(FunctionName="printer", Payload=json.dumps({"print": line(Failed=4)}))
    # the line before it has the document in it, and is none
    eventually(lambda: total() == 4)


def test_saved_queries(emulator, account):
    logs = emulator.client("logs", account)
    made = logs.put_query_definition(name="a/b", queryString="fields @message", logGroupNames=[GROUP])
    id_ = made["queryDefinitionId"]
    logs.put_query_definition(name="a/c", queryString="fields @message", queryDefinitionId=id_)
    found = logs.describe_query_definitions(queryDefinitionNamePrefix="a/")["queryDefinitions"]
    assert [(of["queryDefinitionId"], of["name"]) for of in found] == [(id_, "a/c")]
    assert logs.delete_query_definition(queryDefinitionId=id_)["success"]
    assert code(logs.delete_query_definition, queryDefinitionId=id_) == "ResourceNotFoundException"
    groups = [f"g{number}" for number in range(51)]
    put = {"name": "a", "queryString": "fields @message", "logGroupNames": groups}
    assert code(logs.put_query_definition, **put) == "InvalidParameterException"
