"""A machine that has only the tools a test puts on it: a folder that is the whole PATH."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
# What every Linux has, and what the scripts may use without a question.
ALWAYS = (
    "sh bash cat cksum cp cut dirname env grep head mkdir mktemp mv rm sed sort timeout touch uname".split()
)


class Machine:
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for tool in ALWAYS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.environment = {
            "PATH": str(self.bin),
            "HOME": str(self.folder),
            "CARGO_TARGET_DIR": str(self.folder / "target"),
        }

    def remove(self) -> None:
        self._folder.cleanup()

    def script(self, name: str, text: str, folder: Path | None = None) -> Path:
        """A tool that is this shell script."""
        return self._executable((folder or self.bin) / name, f"#!/bin/sh\n{text}\n")

    def python(self, name: str, version: str, venv: bool = True, pip: str = "", folder: Path | None = None) -> Path:
        """A Python that says it is of that version. `pip` is the Python code that `-m pip install` runs."""
        path = (folder or self.bin) / name
        numbers = tuple(int(number) for number in version.split("."))
        return self._executable(
            path,
            f"#!{sys.executable}\n"
            "import sys\n"
            f"sys.version_info, sys.executable = {numbers}, {str(path)!r}\n"
            f"if not {venv}: sys.modules['ensurepip'] = None\n"
            "_, option, code, *sys.argv[1:] = sys.argv\n"
            f"if option == '-c': exec(code)\n"
            f"elif code != 'pip' or not {pip!r}: sys.exit('No module named ' + code)\n"
            f"elif sys.argv[1] == 'install': exec({pip!r})\n",
        )

    def rust(self, version: str = "1.99.0", components: str = "fmt clippy") -> None:
        """A cargo that writes down what it is asked to do."""
        cases = "".join(f" {component}) ;;" for component in components.split())
        calls = self.folder / "cargo-calls"
        self.script("cargo", f'echo "$@" >>{calls}\ncase $1 in --version|build) ;;{cases} *) exit 1 ;; esac')
        self.script("rustc", f"echo 'rustc {version} (0123456 2026-01-01)'")

    def cargo_calls(self) -> str:
        calls = self.folder / "cargo-calls"
        return calls.read_text() if calls.exists() else ""

    def terraform(self, version: str = "1.11.4", init: str = "true", name: str = "terraform") -> None:
        """A Terraform whose init is that shell code; it counts its calls."""
        product = {"terraform": "Terraform", "tofu": "OpenTofu"}[name]
        self.script(
            name,
            f"case $1 in\nversion) echo '{product} v{version}' ;;\n"
            f"init) echo x >>{self.folder}/inits; cat main.tf >{self.folder}/main.tf; {init} ;;\nesac",
        )

    def inits(self) -> int:
        counted = self.folder / "inits"
        return len(counted.read_text().split()) if counted.exists() else 0

    def complete(self) -> None:
        self.rust()
        self.script("cc", "true")
        self.script("c++", "true")
        self.script("git", "true")
        self.terraform()
        self.python("python3.12", "3.12.1")

    def run(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [REPOSITORY / program, *arguments],
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    @staticmethod
    def _executable(path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a link to a tool of the real machine
        path.write_text(text)
        path.chmod(0o755)
        return path
