"""The guard: starts LocalStack, reports that it is ready, and cleans up after it.

`emulator start` is two processes. The one the user started holds the writing end of a pipe, the lifeline, and waits.
The guard, in a session of its own, holds the reading end. However the first one ends, by SIGKILL, too, the lifeline
breaks and the guard stops LocalStack, everything below it, and removes its folder.
"""

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from . import linux, paths
from .environment import python
from .errors import EmulatorError
from .temporary import TemporaryFolder, remove_abandoned

READY_SECONDS = 180
POLL_SECONDS = 0.1
LOG_TAIL_LINES = 40
READY_MARKER = b"\nReady."
PORTS = range(20000, 32000)  # below those that Linux hands out itself, to which a connection could take ours


@dataclass(frozen=True)
class Options:
    environment: Path
    port: int | None
    until_pid: int | None
    iam: str
    schedule_speed: float
    tls: bool
    chaos: bool
    log: Path | None


@dataclass(frozen=True)
class Tls:
    """The TLS listener: LocalStack makes its certificate, and writes that of the authority which signed it."""

    port: int
    ca: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.address}"

    @property
    def settings(self) -> dict[str, str]:
        return {"REMEDIATION_TLS_LISTEN": self.address, "REMEDIATION_TLS_CA": str(self.ca)}


def run(options: Options, lifeline: int) -> int:
    """Until the lifeline breaks, --until-pid is gone or LocalStack ends. Returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us as the end of the lifeline
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    linux.adopt_orphans()
    remove_abandoned()
    folder = TemporaryFolder()
    try:
        return _supervise(options, folder.path, lifeline)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # All its state is in the folder that goes with it: an orderly shutdown would save nothing and take seconds.
        linux.kill_descendants(os.getpid())
        folder.remove()


def _supervise(options: Options, folder: Path, lifeline: int) -> int:
    port = options.port or _free_port()
    if not _is_free(port):
        raise EmulatorError(f"port {port} is in use")
    tls = Tls(_free_port(excluded=port), folder / "ca.pem") if options.tls else None
    log = options.log or folder / "localstack.log"
    settings = read_settings()
    process = _start(options, settings, folder, port, tls, log)
    waiting_for = set(settings["SERVICES"].split(","))
    deadline = time.monotonic() + READY_SECONDS
    while True:
        if process.poll() is not None:
            raise EmulatorError(f"LocalStack ended with code {process.returncode}. The end of its log:\n{_tail(log)}")
        if _is_over(options, lifeline):
            return 0
        if waiting_for:
            if _has_started(log):
                waiting_for -= _running_services(port)
            if not waiting_for:
                print(f"ready http://127.0.0.1:{port}", *([tls.url, tls.ca] if tls else []), flush=True)
            elif time.monotonic() > deadline:
                raise EmulatorError(
                    f"LocalStack is not ready after {READY_SECONDS} s, waiting for {', '.join(sorted(waiting_for))}. "
                    f"The end of the log:\n{_tail(log)}"
                )


def _start(
    options: Options, settings: dict[str, str], folder: Path, port: int, tls: Tls | None, log: Path
) -> subprocess.Popen:
    home = folder / "home"
    home.mkdir()
    (folder / "tmp").mkdir()
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(folder / "tmp"),
        "FILESYSTEM_ROOT": str(folder / "filesystem"),
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",
        "REMEDIATION_IAM": options.iam,
        "REMEDIATION_SCHEDULE_SPEED": str(options.schedule_speed),
        **({"REMEDIATION_CHAOS": "1"} if options.chaos else {}),
        **(tls.settings if tls else {}),
        **settings,
    }

    def in_child() -> None:
        linux.die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with log.open("wb") as output:
        return subprocess.Popen(
            [python(options.environment), "-P", "-m", "localstack.runtime.main"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=in_child,
        )


def read_settings() -> dict[str, str]:
    lines = paths.SETTINGS.read_text().split()
    return dict(line.split("=", 1) for line in lines)


def _is_over(options: Options, lifeline: int) -> bool:
    """Also the pause between two looks at LocalStack."""
    broken, _, _ = select.select([lifeline], [], [], POLL_SECONDS)
    return bool(broken) or (options.until_pid is not None and not linux.exists(options.until_pid))


def _has_started(log: Path) -> bool:
    """Once it listens. Until then, whatever answers on its port is not it."""
    return READY_MARKER in log.read_bytes()


def _running_services(port: int) -> set[str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/_localstack/health", timeout=5) as answer:
            services = json.load(answer)["services"]
    except (OSError, ValueError, KeyError):
        return set()
    return {name for name, state in services.items() if state == "running"}


def _free_port(excluded: int | None = None) -> int:
    for port in random.sample(PORTS, 100):
        if port != excluded and _is_free(port):
            return port
    raise EmulatorError("no free port was found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
