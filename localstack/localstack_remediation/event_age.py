"""How long Lambda keeps the event of an asynchronous invocation, and what it says of one that was too old.

LocalStack drops an event early, when the next try would be too late, and only after a try that was refused; it keeps one for
as long as it likes that waits behind others; and of one that never ran it says nothing at all. On Lambda an event is dropped
once it is too old, also while it waits. Its record has the condition EventAgeExceeded, and what the function answered only
where the function has run: after a failed try, but not where it was throttled all the time.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

import json
from datetime import datetime

from localstack.runtime import hooks
from localstack.services.lambda_.invocation import event_manager
from localstack.services.lambda_.invocation.event_manager import Poller, SQSInvocation
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.version_manager import LambdaVersionManager
from localstack.utils.aws.message_forwarding import send_event_to_target
from localstack.utils.patch import patch
from localstack.utils.strings import to_str
from localstack.utils.time import timestamp_millis

TOO_OLD = "EventAgeExceeded"
LONGEST = 6 * 60 * 60  # unless the function's configuration says less

_failed: dict[str, InvocationResult] = {}  # the last answer of the function to an event that failed, by its request's ID


@hooks.on_infra_start()
def judge_event_age() -> None:
    event_manager.has_enough_time_for_retry = is_young
    patch(Poller.handle_message)(_handle)
    patch(Poller.process_failure_destination)(_tell)
    patch(LambdaVersionManager.invoke)(_invoke)


def is_young(sqs_invocation: SQSInvocation, config) -> bool:
    most = (config and config.maximum_event_age_in_seconds) or LONGEST
    return (datetime.now() - sqs_invocation.invocation.invoke_time).total_seconds() <= most


def _invoke(fn, self, *, invocation):
    result = fn(self, invocation=invocation)
    if result.is_error:
        _failed[invocation.request_id] = result
    else:
        _failed.pop(invocation.request_id, None)
    return result


def _handle(fn, self, message: dict) -> None:
    sqs_invocation = SQSInvocation.decode(message["Body"])
    config = self.version_manager.function.event_invoke_configs.get(self.version_manager.function_version.id.qualifier)
    if is_young(sqs_invocation, config):
        fn(self, message)
        return
    try:
        request_id = sqs_invocation.invocation.request_id
        never_ran = InvocationResult(request_id=request_id, payload=None, is_error=True, logs=None)
        result = _failed.get(request_id, never_ran)
        self.process_failure_destination(sqs_invocation, result, config, TOO_OLD)
    finally:
        sqs = event_manager.get_sqs_client(self.version_manager.function_version)
        sqs.delete_message(QueueUrl=self.event_queue_url, ReceiptHandle=message["ReceiptHandle"])


def _tell(fn, self, sqs_invocation, invocation_result, event_invoke_config, failure_cause: str):
    _failed.pop(invocation_result.request_id, None)
    if invocation_result.payload is not None or failure_cause != TOO_OLD:
        fn(self, sqs_invocation, invocation_result, event_invoke_config, failure_cause)
        return
    destinations = event_invoke_config.destination_config if event_invoke_config else {}
    target = destinations.get("OnFailure", {}).get("Destination")
    if target is None:
        return
    version = self.version_manager.function_version
    try:
        send_event_to_target(
            target_arn=target,
            event={
                "version": "1.0",
                "timestamp": timestamp_millis(),
                "requestContext": {
                    "requestId": invocation_result.request_id,
                    "functionArn": version.qualified_arn,
                    "condition": TOO_OLD,
                    "approximateInvokeCount": sqs_invocation.retries,
                },
                "requestPayload": json.loads(to_str(sqs_invocation.invocation.payload)),
            },
            role=version.config.role,
            source_arn=version.id.unqualified_arn(),
            source_service="lambda",
            events_source="lambda",
            events_detail_type="Lambda Function Invocation Result - Failure",
        )
    except Exception as error:
        event_manager.LOG.warning("Error sending invocation result to %s: %s", target, error)
