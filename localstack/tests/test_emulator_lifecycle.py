"""Starting and ending: whatever ends an emulator, nothing of it stays."""

import os
import signal
import socket
import subprocess
import sys
import tomllib

import pytest
from emulator_process import SCRIPT, Emulator, eventually, wait_until_active
from functions import zipped

from launcher import guard, linux, temporary
from launcher.errors import EmulatorError


def start_hanging_function(emulator) -> None:
    """One that is in the middle of an invocation when the emulator ends."""
    role = emulator.client("iam", "111111111111").create_role(
        RoleName="r",
        AssumeRolePolicyDocument='{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole",'
        '"Principal":{"Service":"lambda.amazonaws.com"}}}',
    )["Role"]["Arn"]
    functions = emulator.client("lambda", "111111111111")
    functions.create_function(
        FunctionName="hanging", Runtime="provided.al2023", Handler="bootstrap", Role=role, Code={"ZipFile": zipped()},
        Timeout=900,
    )
    wait_until_active(functions, "hanging")
    functions.invoke(FunctionName="hanging", InvocationType="Event", Payload=b'{"sleep": 800}')
    eventually(lambda: any("bootstrap" in each for each in emulator.leftovers()))


def test_terminated_killed_or_left_alone(tmp_path):
    waited_for = subprocess.Popen(["sleep", "300"])
    terminated = Emulator(tmp_path / "terminated")
    killed = Emulator(tmp_path / "killed")
    alone = Emulator(tmp_path / "alone", "--until-pid", str(waited_for.pid), "--iam", "record")
    for emulator in (terminated, killed, alone):
        emulator.wait_until_ready()
        start_hanging_function(emulator)

    check_that_recording_refuses_nothing(alone)

    terminated.process.terminate()
    killed.process.kill()
    waited_for.kill()
    waited_for.wait()
    assert terminated.process.wait(30) == 0
    assert alone.process.wait(30) == 0
    assert terminated.leftovers() == [] and alone.leftovers() == []
    assert killed.process.wait(30) == -signal.SIGKILL
    eventually(lambda: killed.leftovers() == [], 30)


def check_that_recording_refuses_nothing(emulator) -> None:
    iam = emulator.client("iam", "111111111111")
    trust = '{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"}}'
    role = iam.create_role(RoleName="powerless", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    sts = emulator.client("sts", "111111111111")
    session = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    emulator.client("s3", session).list_buckets()
    recorded = [each for each in emulator.decisions() if each["action"] == "s3:ListAllMyBuckets"]
    assert [each["allowed"] for each in recorded] == [False]


def test_it_listens_on_one_address_only(emulator):
    port = int(emulator.url.rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port))


def test_a_port_in_use(emulator, tmp_path):
    second = Emulator(tmp_path / "second", "--port", emulator.url.rpartition(":")[2])
    output, errors = second.process.communicate(timeout=30)
    assert (second.process.returncode, output) == (1, "")
    assert "is in use" in errors
    assert second.leftovers() == []


def test_a_localstack_that_ends_by_itself(monkeypatch, tmp_path):
    broken = tmp_path / "environment" / "bin"
    broken.mkdir(parents=True)
    (broken / "python").write_text("#!/bin/sh\necho this went wrong\nexit 7\n")
    (broken / "python").chmod(0o755)
    options = guard.Options(tmp_path / "environment", None, None, "enforce", 1, False, False, tmp_path / "log")
    lifeline, our_end = os.pipe()
    with pytest.raises(EmulatorError, match="ended with code 7.*\n.*this went wrong"):
        guard._supervise(options, tmp_path, lifeline)
    os.close(lifeline)
    os.close(our_end)


def test_abandoned_folders_are_removed_and_others_are_not(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    abandoned = tmp_path / f"{temporary.PREFIX}abandoned"
    (abandoned / "tmp").mkdir(parents=True)
    unrelated = tmp_path / "unrelated"
    unrelated.mkdir()
    in_use = temporary.TemporaryFolder()
    temporary.remove_abandoned()
    assert {path.name for path in tmp_path.iterdir()} == {"unrelated", in_use.path.name}
    in_use.remove()
    assert list(tmp_path.iterdir()) == [unrelated]


def test_the_plugin_alone_is_importable_with_its_entry_points(tmp_path):
    subprocess.run([SCRIPT, "plugin", tmp_path / "plugin"], check=True)
    look = (
        "from importlib.metadata import distribution as d; import localstack_remediation as p;"
        "print(p.__file__, len(d('localstack-remediation').entry_points))"
    )
    printed = subprocess.run(
        [sys.executable, "-P", "-c", look], env={**os.environ, "PYTHONPATH": str(tmp_path / "plugin")},
        capture_output=True, text=True, check=True,
    ).stdout
    groups = tomllib.loads((SCRIPT.parent / "pyproject.toml").read_text())["project"]["entry-points"]
    assert printed.split()[0].startswith(str(tmp_path))
    assert int(printed.split()[1]) == sum(len(group) for group in groups.values())


def test_setup_twice_at_once_gives_one_environment():
    runs = [subprocess.Popen([SCRIPT, "setup"], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (run.communicate()[0].strip() for run in runs)
    assert first == second and os.path.exists(f"{first}/bin/python")
    assert os.path.basename(first).startswith("emulator-%d.%d-" % sys.version_info[:2])


def test_descendants():
    shell = subprocess.Popen(["sh", "-c", "sleep 60 & wait"])
    below = eventually(lambda: len(linux.descendants(os.getpid())) >= 2 and linux.descendants(shell.pid))
    assert shell.pid in linux.descendants(os.getpid()) and len(below) == 1
    linux.kill_descendants(shell.pid)
    shell.wait(5)
    assert not linux.exists(below.pop())
