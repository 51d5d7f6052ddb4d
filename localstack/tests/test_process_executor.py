import json
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from emulator_process import eventually
from functions import BOOTSTRAP

from localstack_remediation.process_executor import executor as module
from localstack_remediation.process_executor.executor import ProcessExecutor


@pytest.fixture
def make(tmp_path):
    """A started executor for a bootstrap's text."""
    made = []

    def start(bootstrap: str = BOOTSTRAP, *, timeout: int = 5, environment: dict | None = None) -> ProcessExecutor:
        code = tmp_path / f"code-{len(made)}"
        code.mkdir()
        (code / "bootstrap").write_text(bootstrap)
        (code / "bootstrap").chmod(0o755)
        function = SimpleNamespace(
            id=SimpleNamespace(qualifier="$LATEST", unqualified_arn=lambda: "arn:f"),
            qualified_arn="arn:f",
            config=SimpleNamespace(
                timeout=timeout, memory_size=256, code=SimpleNamespace(get_unzipped_code_location=lambda: code)
            ),
        )
        executor = ProcessExecutor("id", function)
        made.append(executor)
        executor.start(environment or {})
        return executor

    yield start
    for executor in made:
        executor.stop()


def invoke(executor: ProcessExecutor, event: dict, request_id: str = "r-1"):
    payload = {"invoke-id": request_id, "invoked-function-arn": "arn:f", "trace-id": "t", "payload": json.dumps(event)}
    result = executor.invoke(payload)
    return result, json.loads(result.payload)


def test_the_answer_the_environment_and_the_log(make):
    result, answer = invoke(make(environment={"NAME": "value", "SIZE": 256}), {"a": "é"})
    assert not result.is_error and answer["echo"] == {"a": "é"}
    environment = answer["environment"]
    assert environment["NAME"] == "value" and environment["SIZE"] == "256"
    assert environment["AWS_LAMBDA_RUNTIME_API"].startswith("127.0.0.1:")
    assert Path(environment["LAMBDA_TASK_ROOT"], "bootstrap").exists()
    assert "HOSTNAME" not in environment  # nothing of the emulator's own environment
    lines = result.logs.splitlines()
    assert lines[0] == "START RequestId: r-1 Version: $LATEST"
    assert lines[1].startswith("got ")
    assert lines[2] == "END RequestId: r-1"
    assert "Init Duration" in lines[3] and "Memory Size: 256 MB" in lines[3]


def test_a_warm_process_is_used_again(make):
    executor = make()
    (_, first), (again, second) = invoke(executor, {}), invoke(executor, {"chunked": True})
    assert first["pid"] == second["pid"] and second["invocations"] == 2
    assert "Init Duration" not in again.logs and again.logs.count("got ") == 1


def test_a_handler_error_keeps_the_process(make):
    executor = make()
    _, before = invoke(executor, {})
    result, body = invoke(executor, {"error": "broken"})
    assert result.is_error and body == {"errorType": "Handler", "errorMessage": "broken"}
    assert invoke(executor, {})[1]["pid"] == before["pid"]


def test_a_crash_and_a_new_start(make):
    executor = make()
    _, before = invoke(executor, {})
    result, body = invoke(executor, {"exit": 3}, "r-2")
    assert result.is_error
    assert body == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: r-2 Error: Runtime exited with error: exit status 3",
    }
    assert body["errorMessage"] in result.logs and 'got {"exit": 3}' in result.logs
    after, answer = invoke(executor, {})
    assert answer["pid"] != before["pid"] and "Init Duration" in after.logs


def test_a_timeout_kills(make):
    executor = make(timeout=1)
    _, before = invoke(executor, {})
    result, body = invoke(executor, {"sleep": 30}, "r-2")
    assert result.is_error and body["errorType"] == "Sandbox.Timedout"
    assert body["errorMessage"].endswith("r-2 Task timed out after 1.00 seconds")
    assert not Path(f"/proc/{before['pid']}").exists()
    assert not invoke(executor, {})[0].is_error


@pytest.mark.parametrize(
    ("bootstrap", "environment", "kind", "message"),
    [
        (BOOTSTRAP, {"INIT": "exit"}, "Runtime.ExitError", "exit status 4"),
        (BOOTSTRAP, {"INIT": "error"}, "Init", "no settings"),
        ("#!/bin/sh\nsleep 60\n", {}, "Sandbox.Timedout", "Init did not finish"),
        ("#!/bin/sh\nkill -9 $$\n", {}, "Runtime.ExitError", "signal: SIGKILL"),
        ("#!/does/not/exist\n", {}, "Runtime.InvalidEntrypoint", "Couldn't start bootstrap"),
    ],
)
def test_init_failures(make, monkeypatch, bootstrap, environment, kind, message):
    monkeypatch.setattr(module, "INIT_SECONDS", 0.3 if "sleep" in bootstrap else 10)
    result, body = invoke(make(bootstrap, environment=environment), {})
    assert result.is_error and body["errorType"] == kind and message in body["errorMessage"]


def test_much_output_does_not_block(make):
    noisy = BOOTSTRAP.replace('print("got"', 'print("x" * 1000000, "got"')
    result, _ = invoke(make(noisy), {})
    assert len(result.logs) > 1_000_000


def test_stop_ends_an_invocation_and_all_that_the_function_started(make):
    executor = make(
        BOOTSTRAP.replace("invocations = 0", "invocations = 0; os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '60')")
    )
    pid = invoke(executor, {})[1]["pid"]
    child = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    results = []
    running = threading.Thread(target=lambda: results.append(invoke(executor, {"sleep": 30})))
    running.start()
    time.sleep(0.2)
    executor.stop()
    running.join(5)
    assert results[0][1]["errorType"] == "Runtime.ExitError"
    eventually(lambda: not _alive(pid) and not _alive(child))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_only_custom_runtimes():
    function = SimpleNamespace(config=SimpleNamespace(runtime="python3.12"))
    with pytest.raises(ValueError, match="python3.12"):
        ProcessExecutor.prepare_version(function)


def test_nothing_of_the_scratch_folder_remains(make, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    os.mkdir(tmp_path / "scratch")
    executor = make()
    invoke(executor, {})
    executor.stop()
    assert list((tmp_path / "scratch").iterdir()) == []
