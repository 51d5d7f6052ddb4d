"""Starting `emulator start` in a test, and looking for what it left behind."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

SCRIPT = Path(__file__).resolve().parent.parent / "emulator"
REGION = "us-east-1"


class Emulator:
    def __init__(self, temporary: Path, *options: str) -> None:
        self.temporary = temporary
        temporary.mkdir(parents=True)
        self.log = temporary.with_suffix(".log")
        if "--until-pid" not in options:
            options += ("--until-pid", str(os.getpid()))
        self.process = subprocess.Popen(
            [SCRIPT, "start", "--log", self.log, *options],
            env={**os.environ, "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self.https = self.ca = ""

    def wait_until_ready(self) -> "Emulator":
        line = self.process.stdout.readline()
        assert line.startswith("ready http://127.0.0.1:"), f"{line!r} {self.process.stderr.read()}"
        self.url, self.https, self.ca = [*line.split()[1:], "", ""][:3]
        return self

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def client(self, service: str, credentials: dict | str, region: str = REGION, checks: bool = True, **more):
        """Credentials: what AssumeRole returned, or an account's number for its root. Without checks, what the API's
        model forbids is sent, too."""
        if isinstance(credentials, str):
            credentials = {"AccessKeyId": credentials, "SecretAccessKey": "secret", "SessionToken": None}
        return boto3.client(
            service,
            region_name=region,
            **{"endpoint_url": self.url, **more},
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            config=Config(
                retries={"max_attempts": 0}, read_timeout=60, max_pool_connections=50, parameter_validation=checks
            ),
        )

    def decisions(self) -> list[dict]:
        return self.get("iam/decisions")

    def put(self, path: str, **body) -> dict | None:
        """To one of the emulator's own endpoints, below /_remediation/."""
        request = urllib.request.Request(f"{self.url}/_remediation/{path}", json.dumps(body).encode(), method="PUT")
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def get(self, path: str):
        with urllib.request.urlopen(f"{self.url}/_remediation/{path}") as answer:
            return json.load(answer)

    def leftovers(self) -> list[str]:
        """Its temporary files, and every process that has its folder in the environment."""
        marker = str(self.temporary).encode()
        own = {os.getpid(), self.process.pid}
        found = [str(path) for path in self.temporary.iterdir()]
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and int(entry.name) not in own and marker in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found


def eventually(look, seconds: float = 15):
    """What `look` returns as soon as it is true; polls, because the emulator answers in its own time."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{look} did not come true within {seconds} s"
        time.sleep(0.05)
    return found


def wait_until_active(functions, name: str) -> None:
    """As the SDK's waiter, which looks once a second at most."""
    eventually(lambda: functions.get_function_configuration(FunctionName=name)["State"] != "Pending")
