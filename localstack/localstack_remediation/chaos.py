"""Faults by chance, all of them from one seed: PUT /_remediation/chaos {"seed": 7, "faults": [{"service": "s3", "operation":
"PutObject", "account": "111111111111", "probability": 0.05, "fault": "Lost", "seconds": 0.5}]}. GET gives what is set, and
what has struck. No faults switch it off.

Only an emulator that was started with --chaos takes it: here faults meet every account, so other tests would meet them.

Whether the nth call of an action in an account meets a fault follows from the seed alone, and not from the order in which
threads come. Only calls of role sessions do, and none that LocalStack makes in a role's name: it does not try them again
as AWS does.
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass

import psutil
from localstack.aws import handlers
from localstack.aws.api import RequestContext
from localstack.http import Response
from localstack.runtime import hooks
from localstack.services.edge import ROUTER
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

from . import faults
from .iam import sessions
from .iam.actions import action_of
from .listener import CALLERS_PORT
from .moto_services import aws_error

PATH = "/_remediation/chaos"
KILL, ANY = "Kill", "*"
KEPT = 20_000
MAX_SECONDS = 60
IS_ALLOWED = os.environ.get("REMEDIATION_CHAOS") == "1"


@dataclass(frozen=True)
class Fault:
    fault: str  # a word of faults.py, or Kill: the Lambda function's process that called ends with SIGKILL
    probability: float
    service: str = ANY
    operation: str = ANY
    account: str = ANY
    seconds: float = 0  # before it the call waits for up to so long

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"a probability is between 0 and 1, not {self.probability}")
        if not 0 <= self.seconds <= MAX_SECONDS:
            raise ValueError(f"a call waits for 0 to {MAX_SECONDS} seconds, not {self.seconds}")
        if not self.fault or not isinstance(self.fault, str):
            raise ValueError("a fault is a word")

    def concerns(self, service: str, operation: str, account: str) -> bool:
        asked = (self.service, service), (self.operation, operation), (self.account, account)
        return all(wanted in (ANY, has) for wanted, has in asked)


@dataclass(frozen=True)
class Struck:
    at: float  # seconds since 1970
    account: str
    action: str
    principal: str
    fault: str


class Chaos:
    def __init__(self, seed: int = 0, faults: tuple[Fault, ...] = ()) -> None:
        self.seed, self.faults = seed, faults
        self._calls: Counter = Counter()
        self._lock = threading.Lock()

    def draw(self, service: str, operation: str, account: str) -> tuple[Fault, float] | None:
        """The first fault that strikes this call, and for how long it waits before."""
        for number, fault in enumerate(self.faults):
            if not fault.concerns(service, operation, account):
                continue
            call = number, account, service, operation
            with self._lock:
                self._calls[call] += 1
                count = self._calls[call]
            chance = random.Random(f"{self.seed} {call} {count}")
            if chance.random() < fault.probability:
                return fault, chance.uniform(0, fault.seconds)
        return None


_now = Chaos()
_struck: deque[Struck] = deque(maxlen=KEPT)


@hooks.on_infra_start()
def serve_remediation_chaos() -> None:
    ROUTER.add(PATH, _put, methods=["PUT"])
    ROUTER.add(PATH, _get, methods=["GET"])
    if IS_ALLOWED:
        # Before IAM is asked: a call that is not carried out is in none of its decisions.
        handlers.serve_custom_service_request_handlers.handlers.insert(0, _strike)


def _put(request) -> Response:
    global _now
    if not IS_ALLOWED:
        return Response("start the emulator with --chaos\n", 403)
    try:
        asked = json.loads(request.get_data())
        _now = Chaos(int(asked["seed"]), tuple(Fault(**fault) for fault in asked["faults"]))
    except (KeyError, TypeError, ValueError) as error:
        return Response(f"{error}\n", 400)
    return Response(status=204)


def _get(_request) -> Response:
    told = {
        "seed": _now.seed,
        "faults": [asdict(fault) for fault in _now.faults],
        "struck": [asdict(struck) for struck in list(_struck)],
    }
    return Response(json.dumps(told), mimetype="application/json")


def _strike(_chain, context: RequestContext, _response) -> None:
    chaos = _now
    if not chaos.faults or not context.service or not context.operation or context.is_internal_call:
        return
    session = sessions.find(extract_access_key_id_from_auth_header(context.request.headers))
    if session is None:
        return
    service, operation = context.service.service_name, context.operation.name
    drawn = chaos.draw(service, operation, context.account_id)
    if drawn is None:
        return
    fault, seconds = drawn
    _struck.append(Struck(time.time(), context.account_id, action_of(service, operation), session.arn, fault.fault))
    time.sleep(seconds)
    if fault.fault == KILL:
        _kill_caller(context)
    else:
        faults.strike(context, fault.fault)


def _kill_caller(context: RequestContext) -> None:
    """The call is not carried out. One that no function makes is let through."""
    caller = _function_at(context.request.environ.get(CALLERS_PORT))
    if caller is None:
        return
    try:
        caller.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        pass  # it has just ended by itself
    raise aws_error("ServiceUnavailable", "The caller of this was killed.", 503)


def _function_at(port: int | None) -> psutil.Process | None:
    """The process of a Lambda function that has a connection from this port of its own."""
    for child in psutil.Process().children(recursive=True):
        try:
            ports = {connection.laddr.port for connection in child.net_connections("tcp") if connection.laddr}
            if port in ports and "AWS_LAMBDA_RUNTIME_API" in child.environ():
                return child
        except psutil.Error:
            continue  # it has ended in between
    return None
