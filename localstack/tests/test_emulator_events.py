"""https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html"""

import json

import pytest
from emulator_process import eventually
from functions import allow, trust
from refusals import code

PATHS = {"name": "$.detail.name", "list": "$.detail.list"}


@pytest.fixture
def delivered(emulator, account):
    """What a queue gets by way of a topic, when an event with this detail goes through such a target."""
    events, sns, sqs = (emulator.client(name, account) for name in ("events", "sns", "sqs"))
    topic = sns.create_topic(Name="t")["TopicArn"]
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["here"]}))

    def deliver(detail: dict, **target) -> str:
        events.put_targets(Rule="r", Targets=[{"Id": "i", "Arn": topic, **target}])
        put = events.put_events(Entries=[{"Source": "here", "DetailType": "d", "Detail": json.dumps(detail)}])
        assert put["FailedEntryCount"] == 0

        def received():
            messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
            for message in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return messages[0]["Body"] if messages else None

        return eventually(received)

    return deliver


def transformer(template: str) -> dict:
    return {"InputTransformer": {"InputPathsMap": PATHS, "InputTemplate": template}}


def test_each_line_keeps_its_quotes(delivered):
    text = delivered({"name": "x"}, **transformer('"It is <name>."\n"So <list>."'))
    assert text == '"It is x."\n"So ."'


def test_in_json_a_variable_is_a_value_outside_of_quotes_and_not_escaped_between_them(delivered):
    detail = {"name": 'a "b"\nc', "list": [1, "d"]}
    assert json.loads(delivered(detail, **transformer('{"n": <name>, "l": <list>}'))) == {"n": detail["name"], "l": [1, "d"]}
    text = delivered({"name": "x"}, **transformer('{"n": "one\\ntwo <name>"}'))
    assert json.loads(text) == {"n": "one\ntwo x"}


def test_a_part_of_an_event_is_delivered_as_json(delivered):
    part = {"text": 'a "b"\nc', "empty": []}
    assert json.loads(delivered({"part": part}, InputPath="$.detail.part")) == part


def test_a_string_needs_quotes(delivered):
    assert code(delivered, {"name": "x"}, **transformer("It is <name>.")) == "ValidationException"


def test_an_entry_of_256_kilobytes_is_refused(emulator, account):
    events = emulator.client("events", account)
    entry = {"Source": "here", "DetailType": "d", "Detail": json.dumps({"text": "x" * 256 * 1024})}
    assert code(events.put_events, Entries=[entry]) == "ValidationException"


def test_a_role_puts_events_on_the_bus_that_it_may(emulator, account, make_role, session_of):
    emulator.client("events", account).create_event_bus(Name="mine")
    bus = f"arn:aws:events:us-east-1:{account}:event-bus/mine"
    role = make_role(account, "r", trust({"AWS": "*"}), allow("events:PutEvents", bus))
    events = emulator.client("events", session_of(role))
    entry = {"Source": "here", "DetailType": "d", "Detail": "{}"}
    assert events.put_events(Entries=[{**entry, "EventBusName": "mine"}])["FailedEntryCount"] == 0
    for entries in [[entry], [{**entry, "EventBusName": "mine"}, entry]]:
        assert code(events.put_events, Entries=entries) == "AccessDeniedException"
