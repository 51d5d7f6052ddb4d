"""Calls that fail as often as a test wants: PUT /_remediation/faults/<account> {"ec2:DescribeVpcs": ["Throttling"]}.
GET gives what is still to come, in the same form.

Each call takes the first code of its action's list, until the list is empty. Pass lets a call through. Hold keeps it
for HELD_SECONDS, long enough for a test to kill the caller there, and does not carry it out. Lost carries it out and
resets the connection, `Lost:CODE` carries it out and answers with CODE, Cut carries it out and ends the answer's body
early. Only calls of role sessions do, so that a test's own set-up, with the key of the account's root, is left alone.
"""

import json
import threading
import time

from localstack.aws import handlers
from localstack.aws.api import CommonServiceException, RequestContext
from localstack.http import Response
from localstack.runtime import hooks
from localstack.services.edge import ROUTER
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

from . import broken_answers
from .iam import sessions
from .iam.actions import action_of
from .moto_services import aws_error
from .s3 import errors as s3_errors

PATH = "/_remediation/faults/<account>"
STATUS = {
    "InternalError": 500, "InternalServerError": 500, "RequestLimitExceeded": 503, "ServiceUnavailable": 503,
    "SlowDown": 503, "TooManyRequestsException": 429, "Unavailable": 503,
}

PASS, HOLD, LOST, CUT = "Pass", "Hold", "Lost", "Cut"
HELD_SECONDS = 5

_codes: dict[tuple[str, str], list[str]] = {}  # by account and action
_lock = threading.Lock()


@hooks.on_infra_start()
def serve_remediation_faults() -> None:
    ROUTER.add(PATH, _put, methods=["PUT"])
    ROUTER.add(PATH, _get, methods=["GET"])
    handlers.serve_custom_service_request_handlers.append(_fail)


def _put(request, account: str) -> Response:
    with _lock:
        for action, codes in json.loads(request.get_data()).items():
            _codes[account, action] = list(codes)
    return Response(status=204)


def _get(_request, account: str) -> Response:
    with _lock:
        left = {action: codes for (of, action), codes in _codes.items() if of == account and codes}
    return Response(json.dumps(left), 200, mimetype="application/json")


def _fail(_chain, context: RequestContext, _response) -> None:
    if not context.service or not context.operation:
        return
    key = context.account_id, action_of(context.service.service_name, context.operation.name)
    if not _codes.get(key) or not sessions.find(extract_access_key_id_from_auth_header(context.request.headers)):
        return
    with _lock:
        code = _codes[key].pop(0) if _codes[key] else None
    if code == HOLD:
        time.sleep(HELD_SECONDS)
        raise aws_error("ServiceUnavailable", "A test has held this call.", 503)
    service = context.service.service_name
    if code == LOST:
        broken_answers.mark(context, broken_answers.lose)
    elif code and code.startswith(f"{LOST}:"):
        error = _error(service, code.removeprefix(f"{LOST}:"))
        broken_answers.mark(context, broken_answers.lose_and_answer(error))
    elif code == CUT:
        broken_answers.mark(context, broken_answers.cut)
    elif code and code != PASS:
        raise _error(service, code)


def _error(service: str, code: str) -> CommonServiceException:
    if service == "s3" and (known := s3_errors.KNOWN.get(code)):
        return aws_error(code, known.message, known.status)
    return aws_error(code, f"A fault that a test asked for: {code}.", STATUS.get(code, 400))
