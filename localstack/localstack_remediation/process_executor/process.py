"""One running `bootstrap`: the process, its output and its Runtime API."""

import errno
import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path

from .runtime_api import Event, Invocation, RuntimeApi

EXIT_GRACE_SECONDS = 0.2
BUSY_SECONDS = 1.0


class BootstrapProcess:
    def __init__(self, code: Path, environment: dict[str, str], scratch: Path) -> None:
        self._api = RuntimeApi()
        self._output = (scratch / "output").open("ab+")  # a file never fills up and blocks the child, as a pipe does
        self._output_offset = self._output.seek(0, os.SEEK_END)
        try:
            self._process = _spawn(
                code,
                {
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                    "LANG": "en_US.UTF-8",
                    "HOME": str(scratch),
                    "TMPDIR": str(scratch),
                    **environment,
                    "LAMBDA_TASK_ROOT": str(code),
                    "AWS_LAMBDA_RUNTIME_API": self._api.address,
                },
                self._output,
            )
        except OSError:
            self._api.close()
            self._output.close()
            raise
        threading.Thread(target=self._report_exit, daemon=True, name=f"lambda-exit-{self._process.pid}").start()

    def wait_until_ready(self, seconds: float) -> Event:
        return self._next_event(seconds)

    def invoke(self, invocation: Invocation, seconds: float) -> Event:
        self._api.submit(invocation)
        return self._next_event(seconds)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def exit_reason(self) -> str:
        code = self._process.returncode
        return f"exit status {code}" if code >= 0 else f"signal: {signal.Signals(-code).name}"

    def take_output(self) -> str:
        """What was written since the last call, ending in a line feed."""
        self._output.seek(self._output_offset)
        text = self._output.read().decode(errors="replace")
        self._output_offset = self._output.tell()
        return text if not text or text.endswith("\n") else text + "\n"

    def peak_memory_mb(self) -> int:
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) // 1024
        except (OSError, IndexError):
            return 0

    def kill(self) -> None:
        """On AWS, too, a sandbox without extensions gets no warning."""
        if self.is_alive():
            _kill_group(self._process.pid)
        self._process.wait()
        self._api.close()

    def close(self) -> str:
        """Kills it and returns its last output."""
        self.kill()
        last = self.take_output()
        self._output.close()
        return last

    def _next_event(self, seconds: float) -> Event:
        deadline = time.monotonic() + seconds
        try:
            event = self._api.events.get(timeout=seconds)
            if event.kind != "exit":
                return event
            # Its last answer may still be on the way through the handler's thread.
            return self._api.events.get(timeout=min(EXIT_GRACE_SECONDS, max(0.0, deadline - time.monotonic())))
        except queue.Empty:
            return Event("exit") if not self.is_alive() else Event("timeout")

    def _report_exit(self) -> None:
        pid = self._process.pid
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            pass  # another thread has already asked for its exit status
        _kill_group(pid)  # what it started ends with it; not later, when the number may be another process's
        self._process.wait()
        self._api.events.put(Event("exit"))


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _spawn(code: Path, environment: dict[str, str], output) -> subprocess.Popen:
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return subprocess.Popen(
                [str(code / "bootstrap")],
                cwd=code,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            # Another thread that started a process while this file was being unzipped holds it open for a moment.
            if error.errno != errno.ETXTBSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
