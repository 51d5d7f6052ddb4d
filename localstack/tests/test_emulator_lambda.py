import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

from emulator_process import eventually
from functions import allow
from refusals import refusal


def invoke(functions, name: str, event: dict) -> tuple[str | None, dict, str]:
    """(error kind or None, body, the end of the log)."""
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    return answer.get("FunctionError"), json.load(answer["Payload"]), log


def test_the_life_of_a_function(emulator, account, make_function):
    functions = make_function("life", timeout=1, variables={"BUCKET": "b"})

    error, first, log = invoke(functions, "life", {"n": 1})
    assert error is None and first["echo"] == {"n": 1} and "Init Duration" in log
    environment = first["environment"]
    assert environment["AWS_ENDPOINT_URL"] == emulator.url
    assert environment["BUCKET"] == "b" and environment["AWS_REGION"] == "us-east-1"
    assert environment["AWS_SESSION_TOKEN"] and environment["AWS_LAMBDA_FUNCTION_NAME"] == "life"

    _, second, log = invoke(functions, "life", {})
    assert second["pid"] == first["pid"] and "Init Duration" not in log

    error, body, _ = invoke(functions, "life", {"error": "broken"})
    assert error == "Unhandled" and body["errorMessage"] == "broken"

    error, body, log = invoke(functions, "life", {"exit": 3})
    assert error == "Unhandled" and body["errorType"] == "Runtime.ExitError" and "exit status 3" in log

    error, body, log = invoke(functions, "life", {"sleep": 30})
    assert error == "Unhandled" and body["errorType"] == "Sandbox.Timedout" and "Task timed out after 1.00" in log

    assert invoke(functions, "life", {})[0] is None

    logs = emulator.client("logs", account)

    def shipped():
        events = logs.filter_log_events(logGroupName="/aws/lambda/life")["events"]
        text = "".join(event["message"] for event in events)
        return text.count("REPORT RequestId") == 6 and text

    text = eventually(shipped)
    assert 'got {"n": 1}' in text and "Task timed out" in text


def test_concurrent_invocations_have_processes_of_their_own(make_function):
    functions = make_function("parallel")
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: invoke(functions, "parallel", {"sleep": 0.8}), range(3)))
    assert len({body["pid"] for _, body, _ in answers}) == 3
    assert {error for error, _, _ in answers} == {None}


def test_an_init_failure_is_the_invocations_error(make_function):
    functions = make_function("unready", variables={"INIT": "exit"})
    error, body, log = invoke(functions, "unready", {})
    assert error == "Unhandled" and body["errorType"] == "Runtime.ExitError" and "giving up" in log


def failing_asynchronously(emulator, account, make_function, name: str, *statements):
    sqs = emulator.client("sqs", account)
    url = sqs.create_queue(QueueName=f"{name}-failures")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    functions = make_function(name, *statements)
    functions.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"exit": 3}))
    return sqs, url, arn


def test_a_failed_asynchronous_invocation_reaches_the_failure_destination(emulator, account, make_function):
    sqs, url, _ = failing_asynchronously(emulator, account, make_function, "failing", allow("sqs:SendMessage"))
    messages = eventually(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    body = json.loads(messages[0]["Body"])
    assert body["requestContext"]["condition"] == "RetriesExhausted"
    assert body["requestContext"]["approximateInvokeCount"] == 1
    assert body["requestPayload"] == {"exit": 3}
    assert body["responsePayload"]["errorType"] == "Runtime.ExitError"


def test_the_failure_destination_needs_the_functions_role(emulator, account, make_function):
    sqs, url, arn = failing_asynchronously(emulator, account, make_function, "voiceless")
    refused = eventually(lambda: [each for each in emulator.decisions() if each["resource"] == arn])
    assert refused[0]["action"] == "sqs:SendMessage" and refused[0]["internal"] and not refused[0]["allowed"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_logs_need_the_functions_role(emulator, account, make_function):
    """As on AWS: a function without a right to write logs runs, and leaves none."""
    functions = make_function("silent")
    emulator.client("iam", account).delete_role_policy(RoleName="silent", PolicyName="inline")
    assert invoke(functions, "silent", {})[0] is None
    eventually(lambda: [each for each in emulator.decisions() if not each["allowed"] and "/silent:" in str(each)])
    groups = emulator.client("logs", account).describe_log_groups(logGroupNamePrefix="/aws/lambda/silent")["logGroups"]
    assert groups == []


def test_an_object_that_is_created_invokes(emulator, account, make_function):
    s3 = emulator.client("s3", account)
    bucket = f"events-{account}"
    s3.create_bucket(Bucket=bucket)
    functions = make_function("notified")
    functions.add_permission(
        FunctionName="notified", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{bucket}",
    )
    arn = functions.get_function(FunctionName="notified")["Configuration"]["FunctionArn"]
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {
                    "LambdaFunctionArn": arn,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "findings/"}]}},
                }
            ]
        },
    )
    s3.put_object(Bucket=bucket, Key="other/1", Body=b"x")
    s3.put_object(Bucket=bucket, Key="findings/1", Body=b"x")
    logs = emulator.client("logs", account)

    def received():
        try:
            events = logs.filter_log_events(logGroupName="/aws/lambda/notified")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return None
        return [event["message"] for event in events if event["message"].startswith("got ")]

    messages = eventually(received)
    assert len(messages) == 1 and '"key": "findings/1"' in messages[0]


def test_what_an_account_keeps_unreserved(emulator, account, make_function):
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html: 1,000, of which 100 stay"""
    functions = make_function("reserved")

    def reserve(many: int) -> dict:
        return functions.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=many)

    assert refusal(reserve, 901)[:2] == (400, "InvalidParameterValueException")
    assert reserve(900)["ReservedConcurrentExecutions"] == 900
    limit = functions.get_account_settings()["AccountLimit"]
    assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (1000, 100)
    assert reserve(1)["ReservedConcurrentExecutions"] == 1  # instead of the 900
    emulator.put(f"settings/{account}", lambda_concurrency=3000)
    assert reserve(2900)["ReservedConcurrentExecutions"] == 2900


def test_a_new_account_can_reserve_nothing(emulator, account, make_function):
    """https://github.com/awslabs/fhir-works-on-aws-deployment/issues/691"""
    emulator.put(f"settings/{account}", lambda_concurrency=10)
    functions = make_function("new")
    assert functions.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 10
    reserve = {"FunctionName": "new", "ReservedConcurrentExecutions": 1}
    assert refusal(functions.put_function_concurrency, **reserve) == (
        400,
        "InvalidParameterValueException",
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
        "below its minimum value of [10].",
    )
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName="new")
    functions.put_function_concurrency(FunctionName="new", ReservedConcurrentExecutions=0)  # switched off


def test_what_is_throttled_is_counted_of_the_function_and_of_all(emulator, account, make_function):
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"""
    functions, metrics = make_function("busy"), emulator.client("cloudwatch", account)
    functions.put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=0)
    for _ in range(2):
        assert refusal(functions.invoke, FunctionName="busy")[:2] == (429, "TooManyRequestsException")
    functions.delete_function_concurrency(FunctionName="busy")
    assert invoke(functions, "busy", {})[0] is None

    def throttles(dimensions: list[dict]) -> float:
        now = datetime.now(timezone.utc)
        metric = {"Namespace": "AWS/Lambda", "MetricName": "Throttles", "Dimensions": dimensions}
        query = {"Id": "throttles", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
        span = {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(minutes=1)}
        return sum(metrics.get_metric_data(MetricDataQueries=[query], **span)["MetricDataResults"][0]["Values"])

    assert [throttles([]), throttles([{"Name": "FunctionName", "Value": "busy"}])] == [2, 2]
    assert throttles([{"Name": "FunctionName", "Value": "another"}]) == 0
