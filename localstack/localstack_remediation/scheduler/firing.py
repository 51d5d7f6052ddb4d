"""The loop that looks at every account's schedules and invokes what is due."""

import logging
import os
import threading
import time
from dataclasses import dataclass

from localstack.aws.connect import connect_to
from localstack.runtime import hooks
from localstack.utils.aws.arns import sqs_queue_url_for_arn
from moto.scheduler.models import scheduler_backends

from .expression import first_firing, next_firing

LOG = logging.getLogger(__name__)
SPEED = float(os.environ.get("REMEDIATION_SCHEDULE_SPEED") or 1)
TICK_SECONDS = 0.2
_stopping = threading.Event()


@dataclass(frozen=True)
class _Key:
    """A schedule as it is now: after a change it is another one, and starts anew."""

    arn: str
    created: float
    expression: str
    timezone: str


@hooks.on_infra_ready()  # not earlier: importing moto while services load can deadlock
def start_remediation_scheduler() -> None:
    threading.Thread(target=_run, daemon=True, name="remediation-scheduler").start()


@hooks.on_infra_shutdown()
def stop_remediation_scheduler() -> None:
    _stopping.set()


def _run() -> None:
    due: dict[_Key, float | None] = {}
    while not _stopping.wait(TICK_SECONDS):
        try:
            _tick(due, time.time())
        except Exception:
            LOG.exception("the scheduler's loop goes on after this")


def _tick(due: dict[_Key, float | None], now: float) -> None:
    present = set()
    for region, schedule in _schedules():
        key = _Key(
            schedule.arn,
            schedule.creation_date,
            schedule.schedule_expression,
            schedule.schedule_expression_timezone,
        )
        present.add(key)
        if key not in due:
            due[key] = _when(key, schedule, None, now)
        moment = due[key]
        if moment is None or moment > now:
            continue
        due[key] = _when(key, schedule, moment, now)
        if schedule.state == "ENABLED" and (schedule.end_date is None or moment <= float(schedule.end_date)):
            threading.Thread(target=_fire, args=(region, schedule), daemon=True, name="remediation-schedule").start()
    for key in due.keys() - present:
        del due[key]


def _schedules():
    for _account, regions in list(scheduler_backends.items()):
        for region, backend in list(regions.items()):
            for group in list(backend.schedule_groups.values()):
                for schedule in list(group.schedules.values()):
                    yield region, schedule


def _when(key: _Key, schedule, last: float | None, now: float) -> float | None:
    try:
        if last is None:
            began = None if schedule.start_date is None else float(schedule.start_date)
            return first_firing(key.expression, now, key.timezone, began)
        return next_firing(key.expression, last, now, key.timezone, SPEED)
    except Exception as error:
        LOG.error("schedule %s will never fire: %s", key.arn, error)
        return None


def _fire(region: str, schedule) -> None:
    target = schedule.target
    payload = target.get("Input") or "{}"
    try:
        clients = _clients_as(target["RoleArn"], region, schedule)
        if ":lambda:" not in target["Arn"]:
            raise ValueError("only Lambda targets are fired here")
        clients.lambda_.invoke(FunctionName=target["Arn"], InvocationType="Event", Payload=payload.encode())
        LOG.info("schedule %s fired", schedule.arn)
    except Exception as error:
        LOG.warning("schedule %s could not invoke its target: %s", schedule.arn, error)
        _send_to_dead_letter_queue(region, schedule, payload, error)


def _send_to_dead_letter_queue(region: str, schedule, payload: str, error: Exception) -> None:
    """At once: the retries that AWS makes first would only slow a test down."""
    queue = (schedule.target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue:
        return
    code = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
    attributes = {"ERROR_CODE": code, "ERROR_MESSAGE": str(error), "SCHEDULE_ARN": schedule.arn}
    try:
        _clients_as(schedule.target["RoleArn"], region, schedule).sqs.send_message(
            QueueUrl=sqs_queue_url_for_arn(queue),
            MessageBody=payload,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )
    except Exception as failure:
        LOG.warning("schedule %s could not reach its dead letter queue: %s", schedule.arn, failure)


def _clients_as(role_arn: str, region: str, schedule):
    """Clients with a session of the schedule's role, taken as the service takes it: for the schedule's group."""
    group = schedule.arn.replace(":schedule/", ":schedule-group/").rpartition("/")[0]
    sts = connect_to(region_name=region).sts.request_metadata(service_principal="scheduler", source_arn=group)
    session = sts.assume_role(RoleArn=role_arn, RoleSessionName="scheduler")["Credentials"]
    return connect_to(
        region_name=region,
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
