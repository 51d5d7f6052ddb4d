"""The last decisions, for tests to read: GET /_remediation/iam/decisions, or with ?after=N those after the Nth."""

import json
import threading
from collections import deque
from dataclasses import asdict, dataclass

from localstack.http import Response
from localstack.services.edge import ROUTER

KEPT = 20_000
PATH = "/_remediation/iam/decisions"


@dataclass(frozen=True)
class Record:
    principal: str
    action: str
    resource: str | None
    allowed: bool
    reason: str
    internal: bool  # LocalStack itself called, for the principal: a log shipper, a failure destination


_records: deque[tuple[int, Record]] = deque(maxlen=KEPT)  # each with its number, from 1
_lock = threading.Lock()


def add(record: Record) -> None:
    with _lock:
        number = _records[-1][0] + 1 if _records else 1
        _records.append((number, record))


def serve() -> None:
    ROUTER.add(PATH, lambda request: Response(_as_json(int(request.args.get("after", 0))), 200, mimetype="application/json"), methods=["GET"])


def _as_json(after: int) -> str:
    return json.dumps([asdict(record) | {"number": number} for number, record in list(_records) if number > after])
