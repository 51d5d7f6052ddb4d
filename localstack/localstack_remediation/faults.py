"""Calls that fail as often as a test wants: PUT /_remediation/faults/<account> {"ec2:DescribeVpcs": ["Throttling"]}.
GET gives what is still to come, in the same form.

Each call takes the first code of its action's list, until the list is empty. Throttle is the code, in the form, by
which that service says that a caller is too fast. `automation:ACTION` is for the steps of SSM runbooks alone. Pass lets
a call X and resets the connection, `Lost:CODE` carries it out and answers with CODE, Cut carries it out
and ends the answer's body early. Only calls of role sessions do, so that a test's own set-up, with the key of the
account's root, is left alone.
"""

import json
import threading
import time

from botocore.model import ServiceModel
from localstack.aws import handlers
from localstack.aws.api import CommonServiceException, RequestContext
from localstack.http import Response
from localstack.runtime import hooks
from localstack.services.edge import ROUTER
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header

from . import broken_answers, error_forms
from .iam import sessions
from .iam.actions import action_of
from .moto_services import aws_error
from .s3 import errors as s3_errors

PATH = "/_remediation/faults/<account>"
PASS, HOLD, SLOW, LOST, CUT = "Pass", "Hold", "Slow", "Lost", "Cut"
HELD_SECONDS = 5
AUTOMATION = "Automation-"  # how SSM names its sessions

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
    key = _key(context)
    if key is None:
        return
    with _lock:
        code = _codes[key].pop(0) if _codes[key] else PASS
    strike(context, code)


def strike(context: RequestContext, code: str) -> None:
    """Does to a call what a word of a fault says."""
    if code == HOLD:
        time.sleep(HELD_SECONDS)
        raise aws_error("ServiceUnavailable", "A test has held this call.", 503)
    if code == SLOW:
        time.sleep(HELD_SECONDS)
    elif code == LOST:
        broken_answers.mark(context, broken_answers.lose)
    elif code.startswith(f"{LOST}:"):
        error = _error(context.service, code.removeprefix(f"{LOST}:"))
        broken_answers.mark(context, broken_answers.lose_and_answer(error))
    elif code == CUT:
        broken_answers.mark(context, broken_answers.cut)
    elif code != PASS:
        raise _error(context.service, code)


def _error(service: ServiceModel, code: str) -> CommonServiceException:
    if service.service_name == "s3" and (known := s3_errors.KNOWN.get(code)):
        return aws_error(code, known.message, known.status)
    return error_forms.error(service, code)


def _key(context: RequestContext) -> tuple[str, str] | None:
    session = sessions.find(extract_access_key_id_from_auth_header(context.request.headers))
    if session is None:
        return None
    action = action_of(context.service.service_name, context.operation.name)
    of_runbook = context.account_id, f"automation:{action}"
    if session.name.startswith(AUTOMATION) and _codes.get(of_runbook):
        return of_runbook
    return (context.account_id, action) if _codes.get((context.account_id, action)) else None
