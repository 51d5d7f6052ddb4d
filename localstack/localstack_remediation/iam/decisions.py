"""The last decisions, for tests to read: GET /_remediation/iam/decisions."""

import json
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


_records: deque[Record] = deque(maxlen=KEPT)


def add(record: Record) -> None:
    _records.append(record)


def serve() -> None:
    ROUTER.add(PATH, lambda request: Response(_as_json(), 200, mimetype="application/json"), methods=["GET"])


def _as_json() -> str:
    return json.dumps([asdict(record) for record in list(_records)])
