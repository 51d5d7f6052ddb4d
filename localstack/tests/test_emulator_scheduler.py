import json

from emulator_process import eventually
from functions import allow, trust


def create(emulator, account, role: str, target: str, expression: str, **more):
    scheduler = emulator.client("scheduler", account)
    scheduler.create_schedule_group(Name="group")
    scheduler.create_schedule(
        Name="rule",
        GroupName="group",
        ScheduleExpression=expression,
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": target, "RoleArn": role, "Input": json.dumps({"rule": "some-rule"}), **more},
    )
    return scheduler


def test_a_rate_fires_with_its_input_until_it_is_deleted(emulator, account, make_function, make_role):
    functions = make_function("poller")
    arn = functions.get_function(FunctionName="poller")["Configuration"]["FunctionArn"]
    group = f"arn:aws:scheduler:us-east-1:{account}:schedule-group/group"
    terms = {"StringEquals": {"aws:SourceAccount": account}, "ArnEquals": {"aws:SourceArn": group}}
    role = make_role(
        account, "scheduler", trust({"Service": "scheduler.amazonaws.com"}, Condition=terms),
        allow("lambda:InvokeFunction", arn),
    )
    scheduler = create(emulator, account, role, arn, "rate(1 minute)")
    logs = emulator.client("logs", account)

    def firings():
        try:
            events = logs.filter_log_events(logGroupName="/aws/lambda/poller")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event for event in events if event["message"] == 'got {"rule": "some-rule"}\n']

    eventually(lambda: len(firings()) >= 2)  # at once, and a sped-up minute later
    scheduler.delete_schedule(Name="rule", GroupName="group")
    decisions = [each for each in emulator.decisions() if each["resource"] == arn]
    assert decisions and all(each["allowed"] for each in decisions)


def test_what_cannot_be_invoked_goes_to_the_dead_letter_queue(emulator, account, make_role):
    sqs = emulator.client("sqs", account)
    url = sqs.create_queue(QueueName="failures")["QueueUrl"]
    queue = f"arn:aws:sqs:us-east-1:{account}:failures"
    service = trust({"Service": "scheduler.amazonaws.com"})
    role = make_role(account, "scheduler", service, allow("sqs:SendMessage", queue))
    target = f"arn:aws:lambda:us-east-1:{account}:function:missing"
    create(emulator, account, role, target, "rate(1 day)", DeadLetterConfig={"Arn": queue})
    messages = eventually(
        lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MessageAttributeNames=["All"]).get("Messages")
    )
    assert json.loads(messages[0]["Body"]) == {"rule": "some-rule"}
    attributes = messages[0]["MessageAttributes"]
    assert attributes["ERROR_CODE"]["StringValue"] == "AccessDeniedException"
    assert "lambda:InvokeFunction" in attributes["ERROR_MESSAGE"]["StringValue"]
