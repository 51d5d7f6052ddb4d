"""The Lambda Runtime API of one execution environment, on a loopback port of its own."""

import logging
import queue
import select
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOG = logging.getLogger(__name__)
PREFIX = "/2018-06-01/runtime"
HANG_UP_CHECK_SECONDS = 0.5


@dataclass(frozen=True)
class Invocation:
    request_id: str
    function_arn: str
    trace_id: str
    deadline_ms: int
    payload: bytes

    def headers(self) -> dict[str, str]:
        return {
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
            "Lambda-Runtime-Trace-Id": self.trace_id,
            "Lambda-Runtime-Deadline-Ms": str(self.deadline_ms),
        }


@dataclass(frozen=True)
class Event:
    """What the runtime told us: `ready`, `init-error`, `response` or `error`. The owner adds `exit`."""

    kind: str
    body: bytes = b""


class RuntimeApi(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.invocations: queue.SimpleQueue[Invocation] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.current: str | None = None
        self.closed = threading.Event()
        self._asked = False
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True, name="lambda-runtime-api").start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def submit(self, invocation: Invocation) -> None:
        self.current = invocation.request_id
        self.invocations.put(invocation)

    def asked_for_next(self) -> None:
        if not self._asked:
            self._asked = True
            self.events.put(Event("ready"))

    def close(self) -> None:
        self.closed.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address) -> None:
        LOG.debug("the runtime at %s broke its connection", client_address)  # a killed process does


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: RuntimeApi

    def log_message(self, *_args) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != f"{PREFIX}/invocation/next":
            return self._reply(404)
        self.server.asked_for_next()
        while not self.server.closed.is_set() and not self._client_is_gone():
            try:
                invocation = self.server.invocations.get(timeout=HANG_UP_CHECK_SECONDS)
            except queue.Empty:
                continue
            return self._reply(200, invocation.payload, invocation.headers())
        self.close_connection = True

    def do_POST(self) -> None:
        body = self._body()
        match self.path.removeprefix(PREFIX).strip("/").split("/"):
            case ["init", "error"]:
                self.server.events.put(Event("init-error", body))
            case ["invocation", request_id, ("response" | "error") as kind]:
                if request_id != self.server.current:
                    return self._reply(400, b'{"errorType":"InvalidRequestID"}')
                self.server.current = None
                self.server.events.put(Event(kind, body))
            case _:
                return self._reply(404)
        self._reply(202, b'{"status":"OK"}')

    def _client_is_gone(self) -> bool:
        """A client that waits for our reply sends nothing, so a readable socket is a closed one."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable)

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers, up to the empty line
            pass
        return b"".join(chunks)

    def _reply(self, status: int, body: bytes = b"{}", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
