"""Event notifications: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html"""

import json
import time

import pytest
from emulator_process import eventually
from functions import allow, trust

REGION = "us-east-1"


@pytest.fixture
def bucket(emulator, account):
    """Its events go to a queue."""
    name, s3, sqs = f"events-{account}", emulator.client("s3", account), emulator.client("sqs", account)
    sqs.create_queue(QueueName="events")
    s3.create_bucket(Bucket=name)
    queue = {"QueueArn": f"arn:aws:sqs:{REGION}:{account}:events", "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"QueueConfigurations": [queue]}, SkipDestinationValidation=True
    )
    return name


@pytest.fixture
def events(emulator, account):
    """As many as asked for, in the order in which they arrive; and that no more do within a second."""

    def receive(count: int, seconds: float = 15) -> list[dict]:
        sqs = emulator.client("sqs", account)
        url = sqs.get_queue_url(QueueName="events")["QueueUrl"]
        found: list[dict] = []

        def look() -> bool:
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.extend(json.loads(message["Body"]).get("Records", []))
            return len(found) >= count

        eventually(look, seconds)
        time.sleep(1)
        look()
        assert len(found) == count
        return found

    return receive


def let_in(emulator, account: str, bucket: str, role: str) -> None:
    """A role of another account needs the bucket's policy, too."""
    statement = {
        "Effect": "Allow", "Principal": {"AWS": role}, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    emulator.client("s3", account).put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def keys(found: list[dict]) -> list[str]:
    return [each["s3"]["object"]["key"] for each in found]


def test_an_event_names_the_session_that_caused_it(emulator, account, bucket, events, make_role, session_of):
    """As GetCallerIdentity does, whose UserId is the role's unique ID and the session's name."""
    role = make_role(account, "writer", trust({"AWS": "*"}), allow("s3:*"))
    role_id = emulator.client("iam", account).get_role(RoleName="writer")["Role"]["RoleId"]
    session = session_of(role, RoleSessionName="poller")
    emulator.client("s3", session).put_object(Bucket=bucket, Key="k", Body=b"x")
    emulator.client("s3", session).delete_object(Bucket=bucket, Key="k")
    found = events(2)
    assert {each["userIdentity"]["principalId"] for each in found} == {f"AWS:{role_id}:poller"}
    assert role_id.startswith("AROA")
    assert emulator.client("sts", session).get_caller_identity()["UserId"] == f"{role_id}:poller"


def test_a_session_of_another_account_is_named_too(
    emulator, account, other_account, bucket, events, make_role, session_of
):
    role = make_role(other_account, "stranger", trust({"AWS": "*"}), allow("s3:*"))
    role_id = emulator.client("iam", other_account).get_role(RoleName="stranger")["Role"]["RoleId"]
    let_in(emulator, account, bucket, role)
    emulator.client("s3", session_of(role)).put_object(Bucket=bucket, Key="k", Body=b"x")
    assert events(1)[0]["userIdentity"] == {"principalId": f"AWS:{role_id}:test"}


def test_a_user_and_root_are_named_by_their_ids(emulator, account, bucket, events):
    iam = emulator.client("iam", account)
    user = iam.create_user(UserName="person")["User"]["UserId"]
    key = iam.create_access_key(UserName="person")["AccessKey"] | {"SessionToken": None}
    emulator.client("s3", key).put_object(Bucket=bucket, Key="of-user", Body=b"x")
    emulator.client("s3", account).put_object(Bucket=bucket, Key="of-root", Body=b"x")
    found = {each["s3"]["object"]["key"]: each["userIdentity"]["principalId"] for each in events(2)}
    assert found == {"of-user": f"AWS:{user}", "of-root": f"AWS:{account}"}


def test_eventbridge_is_told_the_requesters_account(emulator, account, other_account, make_role, session_of):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html"""
    name, s3, sqs = f"bridge-{account}", emulator.client("s3", account), emulator.client("sqs", account)
    url = sqs.create_queue(QueueName="bridge")["QueueUrl"]
    rules = emulator.client("events", account)
    rules.put_rule(Name="all", EventPattern=json.dumps({"source": ["aws.s3"]}))
    rules.put_targets(Rule="all", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{account}:bridge"}])
    s3.create_bucket(Bucket=name)
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}})
    role = make_role(other_account, "stranger", trust({"AWS": "*"}), allow("s3:*"))
    let_in(emulator, account, name, role)
    emulator.client("s3", session_of(role)).put_object(Bucket=name, Key="k", Body=b"x")
    message = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))[0]
    assert json.loads(message["Body"])["detail"]["requester"] == other_account


def test_events_come_once_and_can_come_twice(emulator, account, bucket, events):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html: "at least once"."""
    s3 = emulator.client("s3", account)
    s3.put_object(Bucket=bucket, Key="once", Body=b"x")
    assert keys(events(1)) == ["once"]
    emulator.put(f"settings/{account}", s3_event_seconds=[0, 0])
    s3.put_object(Bucket=bucket, Key="twice", Body=b"x")
    first, second = events(2)
    assert keys([first, second]) == ["twice", "twice"]
    assert first["s3"]["object"]["sequencer"] == second["s3"]["object"]["sequencer"]


def test_events_can_come_out_of_order(emulator, account, bucket, events):
    s3 = emulator.client("s3", account)
    emulator.put(f"settings/{account}", s3_event_seconds=[1.5])
    s3.put_object(Bucket=bucket, Key="k", Body=b"older")
    emulator.put(f"settings/{account}", s3_event_seconds=[0, 3])
    s3.put_object(Bucket=bucket, Key="k", Body=b"much newer")
    found = events(3)
    assert [each["s3"]["object"]["size"] for each in found] == [10, 5, 10]
    order = [each["s3"]["object"]["sequencer"] for each in found]
    assert order[0] == order[2] > order[1]
