"""One run of a runbook, in its own thread."""

import copy
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from .runbooks import Clients, Runbook, Step, TimedOut, Unverified

LOG = logging.getLogger(__name__)
UNDER_WAY = ("Pending", "InProgress")
ADVICE = "Please refer to Automation Service Troubleshooting Guide for more diagnosis details."
PERMISSION_CODES = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
THROTTLING_CODES = (
    "RequestLimitExceeded", "RequestThrottled", "SlowDown", "Throttling", "ThrottlingException",
    "TooManyRequestsException",
)


class Execution:
    """`describe` gives what GetAutomationExecution answers with, at any time of the run."""

    def __init__(self, id_: str, document: str, runbook: Runbook, parameters: Mapping[str, list[str]], caller: str):
        self.id = id_
        self._runbook = runbook
        self._lock = threading.Lock()
        self._steps = {step.name: _waiting(step) for step in runbook.steps}
        self._state = {
            "AutomationExecutionId": id_,
            "DocumentName": document,
            "DocumentVersion": "1",
            "AutomationExecutionStatus": "Pending",
            "ExecutionStartTime": _now(),
            "Parameters": dict(parameters),
            "Outputs": {},
            "Mode": "Auto",
            "ExecutedBy": caller,
            "StepExecutionsTruncated": False,
        }

    def describe(self) -> dict:
        with self._lock:
            return copy.deepcopy({**self._state, "StepExecutions": list(self._steps.values())})

    def is_under_way(self) -> bool:
        return self._state["AutomationExecutionStatus"] in UNDER_WAY

    def start(self, clients: Clients, step_seconds: float) -> None:
        run = threading.Thread(target=self._run, args=(clients, step_seconds), daemon=True, name="ssm-automation")
        run.start()

    def _run(self, clients: Clients, step_seconds: float) -> None:
        time.sleep(step_seconds)
        self._set(AutomationExecutionStatus="InProgress")
        names = [step.name for step in self._runbook.steps]
        values = {name: given[0] for name, given in self._state["Parameters"].items()}
        name: str | None = names[0]
        status, failure = "Success", {}
        while name:
            step = self._runbook.steps[names.index(name)]
            self._set(CurrentStepName=name, CurrentAction=step.action)
            self._set_step(name, StepStatus="InProgress", ExecutionStartTime=_now())
            time.sleep(step_seconds)
            try:
                chosen = step.run(clients, values)
            except Exception as error:
                status, message, details = _failure(step, error)
                self._set_step(
                    name, StepStatus=status, ExecutionEndTime=_now(), FailureMessage=message, FailureDetails=details
                )
                failure = {"FailureMessage": message}
                LOG.info("automation %s: %s", self.id, message)
                break
            self._set_step(name, StepStatus="Success", ExecutionEndTime=_now())
            following = names[names.index(name) + 1] if name != names[-1] and not step.is_end else None
            name = chosen or following
        self._set(AutomationExecutionStatus=status, ExecutionEndTime=_now(), **failure)

    def _set(self, **state) -> None:
        with self._lock:
            self._state |= state

    def _set_step(self, name: str, **state) -> None:
        with self._lock:
            self._steps[name] |= state


def _waiting(step: Step) -> dict:
    """A step that is never reached stays like this, also when the execution has ended."""
    return {
        "StepExecutionId": str(uuid.uuid4()),
        "StepName": step.name,
        "Action": step.action,
        "StepStatus": "Pending",
        "OnFailure": "Abort",
        "IsEnd": step.is_end,
    }


def _failure(step: Step, error: Exception) -> tuple[str, str, dict]:
    """(status, message, details) of a step.

    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_FailureDetails.html
    """
    match error:
        case TimedOut():
            return "TimedOut", f"Step timed out while it is executing the action. {error}. {ADVICE}", _details(
                "Invocation", "Action", str(error)
            )
        case Unverified():
            kind, stage = "Verification", "PostVerification"
        case ClientError(response={"Error": {"Code": code}}):
            kind, stage = _kind(code), "Invocation"
        case _:
            LOG.exception("the step %s tripped the emulator up", step.name)
            kind, stage = "Internal", "Invocation"
    message = f"Step fails when it is Execute/Cancelling action. {error}. {ADVICE}"
    return "Failed", message, _details(stage, kind, str(error))


def _kind(code: str) -> str:
    if code in PERMISSION_CODES:
        return "Permission"
    return "Throttling" if code in THROTTLING_CODES else "Action"


def _details(stage: str, kind: str, message: str) -> dict:
    return {"FailureStage": stage, "FailureType": kind, "Details": {"ErrorMessage": [message]}}


def _now() -> datetime:
    return datetime.now(UTC)
