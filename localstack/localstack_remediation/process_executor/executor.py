"""LocalStack's runtime executor: one execution environment of a function, invoked one event at a time."""

import json
import logging
import shutil
import tempfile
import time
from pathlib import Path

from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from .. import tls
from ..iam import sessions
from .process import BootstrapProcess
from .runtime_api import Event, Invocation

LOG = logging.getLogger(__name__)
INIT_SECONDS = 10.0  # AWS's own limit
RUNTIMES = ("provided.al2", "provided.al2023")


class ProcessExecutor(RuntimeExecutor):
    def __init__(self, id, function_version) -> None:
        super().__init__(id, function_version)
        self._scratch = Path(tempfile.mkdtemp(prefix="lambda-"))
        self._environment: dict[str, str] = {}
        self._process: BootstrapProcess | None = None
        self._init_ms: float | None = None

    def start(self, env_vars: dict[str, str]) -> None:
        """A failed start is no error here: as on AWS, the first invocation starts it again and reports what it gets."""
        self._environment = tls.for_function({name: str(value) for name, value in env_vars.items()})
        sessions.belongs_to_function(
            self._environment.get("AWS_ACCESS_KEY_ID", ""), self.function_version.id.unqualified_arn()
        )
        failure, _ = self._boot()
        if failure:
            LOG.warning("init of %s failed: %s", self.function_version.qualified_arn, failure.decode(errors="replace"))

    def stop(self) -> None:
        process, self._process = self._process, None
        if process:
            process.kill()  # an invocation under way sees the exit, takes the output and closes it
        shutil.rmtree(self._scratch, ignore_errors=True)

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        request_id = payload["invoke-id"]
        config = self.function_version.config
        log = [f"START RequestId: {request_id} Version: {self.function_version.id.qualifier}\n"]
        if self._process and not self._process.is_alive():  # died between two invocations
            log.append(self._process.close())
            self._process = None

        failure = None
        if not self._process:
            failure, output = self._boot()
            log.append(output)
        started = time.perf_counter()
        if failure is not None:
            is_error, body, memory = True, failure, 0
        else:
            is_error, body, memory = self._run(payload, config.timeout, log)
        log.append(_footer(request_id, (time.perf_counter() - started) * 1000, config.memory_size, memory))
        if self._init_ms is not None:
            log[-1] = log[-1].rstrip("\n") + f"\tInit Duration: {self._init_ms:.2f} ms\n"
            self._init_ms = None
        return InvocationResult(request_id, body, is_error=is_error, logs="".join(log))

    def _run(self, payload: dict[str, str], timeout: int, log: list[str]) -> tuple[bool, bytes, int]:
        """(is it an error, body, peak memory); adds the function's output to the log."""
        request_id, process = payload["invoke-id"], self._process
        event = process.invoke(
            Invocation(
                request_id=request_id,
                function_arn=payload["invoked-function-arn"],
                trace_id=payload["trace-id"],
                deadline_ms=int((time.time() + timeout) * 1000),
                payload=payload["payload"].encode(),
            ),
            timeout,
        )
        memory = process.peak_memory_mb()
        if event.kind in ("response", "error"):
            log.append(process.take_output())
            return event.kind == "error", event.body, memory

        log.append(process.close())
        self._process = None
        if event.kind == "timeout":
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            kind, message = "Sandbox.Timedout", f"{now} {request_id} Task timed out after {timeout:.2f} seconds"
        else:
            kind = "Runtime.ExitError"
            message = f"RequestId: {request_id} Error: Runtime exited with error: {process.exit_reason()}"
        log.append(message + "\n")
        return True, _error(kind, message), memory

    def _boot(self) -> tuple[bytes | None, str]:
        """Starts the bootstrap: (the error's body or None, its output if it failed)."""
        started = time.perf_counter()
        try:
            process = BootstrapProcess(
                self.function_version.config.code.get_unzipped_code_location(), self._environment, self._scratch
            )
        except OSError as error:
            return _error("Runtime.InvalidEntrypoint", f"Couldn't start bootstrap: {error}"), ""
        event = process.wait_until_ready(INIT_SECONDS)
        if event.kind == "ready":
            self._init_ms = (time.perf_counter() - started) * 1000
            self._process = process
            return None, ""
        output = process.close()
        return _init_error(event, process), output

    # What follows is how LocalStack's Docker executor is reached; a process needs the first two only.

    def get_address(self) -> str:
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        return "127.0.0.1"  # becomes the host of the function's AWS_ENDPOINT_URL

    def get_runtime_endpoint(self) -> str:
        return "http://127.0.0.1"

    def get_logs(self) -> str:
        return ""

    @classmethod
    def prepare_version(cls, function_version) -> None:
        runtime = function_version.config.runtime
        if runtime not in RUNTIMES:
            raise ValueError(f"the process executor runs {' and '.join(RUNTIMES)}, not {runtime}")
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version) -> None:
        pass  # LocalStack removes the code that it unzipped


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    name = "process"

    def load(self, *_args, **_kwargs) -> type[ProcessExecutor]:
        return ProcessExecutor


def _init_error(event: Event, process: BootstrapProcess) -> bytes:
    if event.kind == "init-error":
        return event.body
    if event.kind == "timeout":
        return _error("Sandbox.Timedout", f"Init did not finish within {INIT_SECONDS:.0f} seconds")
    return _error("Runtime.ExitError", f"Runtime exited during init: {process.exit_reason()}")


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _footer(request_id: str, duration_ms: float, memory_size: int, memory_used: int) -> str:
    return (
        f"END RequestId: {request_id}\n"
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\tBilled Duration: {int(duration_ms) + 1} ms\t"
        f"Memory Size: {memory_size} MB\tMax Memory Used: {memory_used} MB\n"
    )
