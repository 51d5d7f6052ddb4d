"""Which Python the emulator runs on. The uv here is a stand-in: it "fetches" a Python of the test's."""

import unittest

from machine import Machine

# `python find` prints the Python once `python install` has run.
UV = """echo "$* $UV_PYTHON_PREFERENCE" >>{calls}
case "$1 $2" in
"python install") {install} ;;
"python find") [ -e {fetched} ] && echo {python} ;;
esac"""


class FindPython(unittest.TestCase):
    def setUp(self):
        self.machine = Machine()
        self.addCleanup(self.machine.remove)
        self.calls = self.machine.folder / "uv-calls"

    def find(self, **environment):
        return self.machine.run("localstack/find-python", **environment)

    def assert_finds(self, path, **environment):
        found = self.find(**environment)
        self.assertEqual((found.stdout.strip(), found.returncode), (str(path), 0), found.stderr)

    def uv(self, install=None):
        python = self.machine.python("python", "3.11.9", folder=self.machine.folder / "fetched")
        fetched = self.machine.folder / "installed"
        install = install or f"touch {fetched}"
        return UV.format(calls=self.calls, install=install, fetched=fetched, python=python), python

    def test_3_11_comes_before_3_12_before_3_13_before_python3(self):
        self.assert_finds(self.machine.python("python3", "3.12.9"))
        for version in ("3.13", "3.12", "3.11"):
            self.assert_finds(self.machine.python(f"python{version}", f"{version}.1"))

    def test_a_python3_of_a_version_that_will_do(self):
        for version in ("3.11.2", "3.12.3", "3.13.5"):
            self.assert_finds(self.machine.python("python3", version))

    def test_versions_that_will_not_do(self):
        for version in ("3.8.2", "3.10.12", "3.14.0"):
            python = self.machine.python("python3", version)
            found = self.find()
            self.assertEqual((found.returncode, found.stdout), (1, ""))
            self.assertIn(f"{python} is Python {version.rpartition('.')[0]}", found.stderr)
            self.assertIn("apt-get install python3 python3-venv", found.stderr)
            self.assertIn("https://docs.astral.sh/uv", found.stderr)

    def test_a_shim_without_its_version_is_passed_over_even_for_one_of_the_same_name(self):
        shims = self.machine.folder / "shims"
        self.machine.script("python3.11", "echo 'pyenv: python3.11: command not found' >&2; exit 127", folder=shims)
        path = f"{shims}:{self.machine.bin}"
        self.assert_finds(self.machine.python("python3.13", "3.13.0"), PATH=path)
        self.assert_finds(self.machine.python("python3.11", "3.11.2"), PATH=path)

    def test_a_python_without_venv_is_passed_over(self):
        without = self.machine.python("python3.11", "3.11.2", venv=False)
        said = f"{without} has no venv module (Debian and Ubuntu: apt-get install python3.11-venv)"
        self.assertIn(said, self.find().stderr)
        self.assert_finds(self.machine.python("python3.12", "3.12.1"))

    def test_folders_with_spaces(self):
        folder = self.machine.folder / "a folder"
        folder.mkdir()
        python = self.machine.script("python3.12", "echo \"usable $0\"", folder=folder)
        self.assert_finds(python, PATH=f"{folder}:{self.machine.bin}")

    def test_a_named_python_is_the_only_one(self):
        self.machine.python("python3.11", "3.11.2")
        named = self.machine.python("mine", "3.13.0")
        self.assert_finds(named, AUTOREMEDIATE_PYTHON=str(named))
        old = self.machine.python("old", "3.9.1")
        found = self.find(AUTOREMEDIATE_PYTHON=str(old))
        self.assertEqual(found.returncode, 1)
        self.assertIn(f"{old} is Python 3.9", found.stderr)

    def test_uv_fetches_one_once(self):
        self.machine.python("python3", "3.9.2")
        script, python = self.uv()
        self.machine.script("uv", script)
        for _ in range(2):
            self.assert_finds(python)
        calls = self.calls.read_text().splitlines()
        self.assertEqual([call.split()[1] for call in calls], ["find", "install", "find", "find"])
        self.assertEqual({" ".join(call.split()[2:]) for call in calls}, {"3.11 only-managed"})

    def test_uv_without_any_python(self):
        script, python = self.uv()
        self.machine.script("uv", script)
        self.assert_finds(python)

    def test_uv_is_not_asked_where_there_is_a_python(self):
        self.machine.script("uv", self.uv()[0])
        self.assert_finds(self.machine.python("python3", "3.13.0"))
        self.assertFalse(self.calls.exists())

    def test_uv_that_fetches_nothing(self):
        self.machine.script("uv", self.uv("echo 'error: no such host' >&2; exit 2")[0])
        found = self.find()
        self.assertEqual((found.returncode, found.stdout), (1, ""))
        for said in ("error: no such host", "uv could not fetch Python 3.11", "apt-get install python3"):
            self.assertIn(said, found.stderr)

    def test_uv_comes_from_pypi_where_only_an_old_python_with_pip_is(self):
        script, python = self.uv()
        stand_in = self.machine.script("uv", script, folder=self.machine.folder / "pypi")
        self.machine.python(
            "python3",
            "3.8.10",
            venv=False,
            pip="import shutil, os; target = sys.argv[sys.argv.index('--target') + 1]; os.makedirs(target + '/bin');"
            f"assert sys.argv[-1].startswith('uv=='); shutil.copy({str(stand_in)!r}, target + '/bin/uv')",
        )
        for _ in range(2):
            self.assert_finds(python)
        kept = sorted(path.name for path in (self.machine.folder / "target/emulator").iterdir())
        self.assertEqual(len(kept), 1, kept)
        self.assertRegex(kept[0], r"^uv-[0-9.]+$")


if __name__ == "__main__":
    unittest.main()
