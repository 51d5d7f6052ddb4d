"""The subcommands of `emulator`."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from . import environment, guard, paths, plugin
from .errors import EmulatorError


def main(arguments: list[str]) -> int:
    options, extra = _parser().parse_known_args(arguments)
    if extra and options.command is not _test:
        _parser().error(f"unrecognized arguments: {' '.join(extra)}")
    try:
        if not sys.platform.startswith("linux"):
            raise EmulatorError("it needs Linux or a Linux container: Lambda functions run as Linux processes")
        return options.command(options, extra)
    except EmulatorError as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="emulator", description="LocalStack with this project's plugin package")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    setup = commands.add_parser("setup", help="make the Python environment, if it is not there, and print its path")
    setup.set_defaults(command=_setup)

    start = commands.add_parser(
        "start", help="run LocalStack in the foreground; prints `ready URL` on stdout, with --tls `HTTPS-URL CA-FILE` more"
    )
    start.add_argument("--port", type=int, metavar="N", help="default: a free one")
    start.add_argument("--until-pid", type=int, metavar="PID", help="stop when this process is gone")
    start.add_argument("--iam", choices=("off", "record", "enforce"), default="enforce", help="default: enforce")
    start.add_argument(
        "--schedule-speed", type=float, default=1, metavar="N", help="60 fires rate(1 minute) each second"
    )
    start.add_argument("--tls", action="store_true", help="listen for TLS, too, on a port of its own")
    start.add_argument("--chaos", action="store_true", help="let PUT /_remediation/chaos set faults for every account")
    start.add_argument("--log", type=Path, metavar="FILE", help="LocalStack's log; default: a temporary file")
    start.set_defaults(command=_start)

    put = commands.add_parser("plugin", help="install the plugin package alone, for a container's PYTHONPATH")
    put.add_argument("folder", type=Path, metavar="DIR")
    put.set_defaults(command=_plugin)

    test = commands.add_parser("test", help="run the tests of this folder; more arguments go to pytest")
    test.set_defaults(command=_test)
    return parser


def _setup(_options: argparse.Namespace, _extra: list[str]) -> int:
    print(environment.prepare())
    return 0


def _plugin(options: argparse.Namespace, _extra: list[str]) -> int:
    options.folder.mkdir(parents=True, exist_ok=True)
    plugin.install(options.folder)
    return 0


def _test(_options: argparse.Namespace, extra: list[str]) -> int:
    python = environment.python(environment.prepare())
    return subprocess.run([python, "-P", "-m", "pytest", *extra], cwd=paths.FOLDER).returncode


def _start(options: argparse.Namespace, _extra: list[str]) -> int:
    if options.schedule_speed <= 0:
        raise EmulatorError("--schedule-speed must be more than 0")
    guarded = guard.Options(
        environment=environment.prepare(),
        port=options.port,
        until_pid=options.until_pid,
        iam=options.iam,
        schedule_speed=options.schedule_speed,
        tls=options.tls,
        chaos=options.chaos,
        log=options.log.resolve() if options.log else None,
    )
    lifeline, our_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(our_end)
        os.setsid()  # a signal to the terminal's or the caller's process group is for the first process alone
        os._exit(_guard(guarded, lifeline))
    os.close(lifeline)

    def let_go(*_args) -> None:
        nonlocal our_end
        if our_end is not None:
            os.close(our_end)
            our_end = None

    signal.signal(signal.SIGTERM, let_go)
    signal.signal(signal.SIGINT, let_go)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _guard(options: guard.Options, lifeline: int) -> int:
    try:
        return guard.run(options, lifeline)
    except EmulatorError as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 1
    except SystemExit as stopped:
        return stopped.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
