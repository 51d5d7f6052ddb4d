"""Errors on demand, so that tests see what a throttled or failing API does to the product.

POST /_remediation/faults {"account", "service", "operation", "code", "status", "times"}: the next `times` calls of the
operation in the account are answered with the error `code` and the HTTP `status`. Names are botocore's (`s3`,
`PutPublicAccessBlock`). GET gives what is still to come.
"""

import json
import threading
from dataclasses import asdict, dataclass

from localstack.aws import handlers
from localstack.aws.api import CommonServiceException, RequestContext
from localstack.http import Request, Response
from localstack.runtime import hooks
from localstack.services.edge import ROUTER

PATH = "/_remediation/faults"


@dataclass
class Fault:
    account: str
    service: str
    operation: str
    code: str
    status: int
    times: int


_faults: list[Fault] = []
_lock = threading.Lock()


@hooks.on_infra_start()
def install_remediation_faults() -> None:
    handlers.serve_custom_service_request_handlers.append(fail)
    ROUTER.add(PATH, _add, methods=["POST"])
    ROUTER.add(PATH, lambda request: _answer(200, [asdict(fault) for fault in _faults]), methods=["GET"])


def fail(_chain, context: RequestContext, _response) -> None:
    if context.service and context.operation and not context.is_internal_call:
        fault = _take(context.account_id, context.service.service_name, context.operation.name)
        if fault:
            raise CommonServiceException(
                fault.code, "a fault that a test asked for", status_code=fault.status, sender_fault=fault.status < 500
            )


def _take(account: str, service: str, operation: str) -> Fault | None:
    with _lock:
        for fault in _faults:
            if (fault.account, fault.service, fault.operation) == (account, service, operation):
                fault.times -= 1
                if fault.times <= 0:
                    _faults.remove(fault)
                return fault
    return None


def _add(request: Request) -> Response:
    try:
        fault = Fault(**json.loads(request.get_data()))
    except (TypeError, ValueError) as error:
        return _answer(400, {"error": str(error)})
    with _lock:
        _faults.append(fault)
    return _answer(201, asdict(fault))


def _answer(status: int, body: object) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
