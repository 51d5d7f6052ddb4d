"""How long an event of an asynchronous invocation waits, and by which rules an event bus tells apart why it was dropped."""

import json
import time

from emulator_process import eventually
from functions import allow

TOO_OLD = {
    "source": ["lambda"],
    "detail": {
        "requestContext": {"condition": ["EventAgeExceeded"]},
        "responseContext": {"functionError": [{"exists": False}]},
        "requestPayload": {"Records": {"s3": {"object": {"key": [{"prefix": "findings/"}]}}}},
    },
}
BUSY = 65  # seconds, longer than the shortest age


def payload(key: str, **more) -> str:
    return json.dumps({"Records": [{"s3": {"object": {"key": key}}}], **more})


def test_an_event_that_waits_for_too_long_is_dropped_and_its_record_says_whether_it_ever_ran(
    emulator, account, make_function
):
    sqs = emulator.client("sqs", account)
    url = sqs.create_queue(QueueName="dropped")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    functions = make_function("crowded", allow("sqs:SendMessage"), timeout=BUSY + 20)
    functions.put_function_concurrency(FunctionName="crowded", ReservedConcurrentExecutions=1)
    functions.put_function_event_invoke_config(
        FunctionName="crowded",
        MaximumRetryAttempts=2,
        MaximumEventAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )

    def invoke(key: str, **more) -> None:
        functions.invoke(FunctionName="crowded", InvocationType="Event", Payload=payload(key, **more))

    invoke("findings/fails", sleep=BUSY, error="in vain")
    time.sleep(3)
    invoke("findings/waits")
    records = {}

    def both() -> bool:
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages", []):
            record = json.loads(message["Body"])
            records[record["requestPayload"]["Records"][0]["s3"]["object"]["key"]] = record
        return len(records) == 2

    eventually(both, seconds=200)
    waited, failed = records["findings/waits"], records["findings/fails"]
    assert waited["requestContext"]["condition"] == failed["requestContext"]["condition"] == "EventAgeExceeded"
    assert waited["requestContext"]["approximateInvokeCount"] == 0
    assert "responseContext" not in waited and "responsePayload" not in waited
    assert failed["requestContext"]["approximateInvokeCount"] == 1
    assert failed["responseContext"]["functionError"] == "Unhandled"
    assert failed["responsePayload"]["errorMessage"] == "in vain"

    events = emulator.client("events", account)

    def is_too_old(record: dict) -> bool:
        event = {
            "id": "1", "source": "lambda", "detail-type": "d", "account": account, "time": "2026-01-01T00:00:00Z",
            "region": "us-east-1", "resources": [], "detail": record,
        }  # fmt: skip
        return events.test_event_pattern(EventPattern=json.dumps(TOO_OLD), Event=json.dumps(event))["Result"]

    assert is_too_old(waited) and not is_too_old(failed)


def test_anything_but_matches_only_what_there_is(emulator, account):
    events = emulator.client("events", account)

    def matches(condition, detail: dict) -> bool:
        event = {
            "id": "1", "source": "s", "detail-type": "d", "account": account, "time": "2026-01-01T00:00:00Z",
            "region": "us-east-1", "resources": [], "detail": detail,
        }  # fmt: skip
        pattern = json.dumps({"detail": {"key": [condition]}})
        return events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]

    for condition in [{"anything-but": ["findings/1"]}, {"anything-but": {"prefix": "findings/"}}]:
        assert matches(condition, {"key": "approvals/1"})
        assert not matches(condition, {"key": "findings/1"})
        assert not matches(condition, {"other": "approvals/1"})
