"""What tools/needs says on machines that lack something, and that nothing is built before it has said so."""

import os
import re
import unittest

from machine import REPOSITORY, Machine

FAILING_INIT = "echo Initializing; echo; echo 'Error: Failed to query available provider packages'; exit 1"


class Needs(unittest.TestCase):
    def setUp(self):
        self.machine = Machine()
        self.addCleanup(self.machine.remove)

    def missing(self, task, **environment):
        """What the task lacks, an entry each."""
        done = self.machine.run("tools/needs", task, **environment)
        _, _, listed = done.stderr.partition(f"This is missing for {task}:\n- ")
        self.assertEqual(done.returncode, 1 if listed else 0, done.stderr)
        return listed.split("\n- ") if listed else []

    def assert_only(self, missing, *parts):
        self.assertEqual(len(missing), 1, missing)
        for part in parts:
            self.assertIn(part, missing[0])

    def test_a_complete_machine_lacks_nothing(self):
        self.machine.complete()
        tasks = "demo test test-rust test-pipeline test-page test-terraform lint package bench audit fuzz"
        for task in tasks.split():
            self.assertEqual(self.missing(task), [], task)

    def test_everything_is_said_at_once(self):
        (self.machine.bin / "bash").unlink()
        self.machine.script("uname", "echo Darwin")
        missing = self.missing("test")
        begins = ["bash", "Linux", "Rust 1.", "a C compiler", "Terraform or OpenTofu 1.11", "Python 3.11, 3.12 or 3.13"]
        for begin in begins:
            self.assertEqual(len([said for said in missing if said.startswith(begin)]), 1, f"{begin}: {missing}")
        self.assertEqual(len(missing), len(begins), missing)

    def test_a_task_needs_only_what_it_uses(self):
        self.assertEqual([said.split()[0] for said in self.missing("test-terraform")], ["Terraform"])
        self.assertEqual([said.split()[0] for said in self.missing("test-emulator")], ["Python"])
        self.assertEqual([said.split()[0] for said in self.missing("package")], ["Rust", "a"])
        self.assertEqual(self.missing("clean"), [])

    def test_each_tool_that_is_not_there(self):
        for tool, said in (
            ("cargo", "https://rustup.rs"),
            ("rustc", "https://rustup.rs"),
            ("cc", "apt-get install build-essential"),
            ("terraform", "https://opentofu.org/docs/intro/install"),
            ("python3.12", "https://docs.astral.sh/uv"),
        ):
            with self.subTest(tool):
                self.machine.complete()
                (self.machine.bin / tool).unlink()
                self.assert_only(self.missing("demo"), said)

    def test_a_python_that_uv_cannot_fetch_or_that_is_named_and_no_good(self):
        self.machine.complete()
        (self.machine.bin / "python3.12").unlink()
        self.machine.script("uv", "echo 'error: no such host' >&2; exit 2")
        done = self.machine.run("tools/needs", "demo")
        before, _, missing = done.stderr.partition("This is missing for demo:\n")
        self.assertIn("error: no such host", before)
        self.assertTrue(missing.startswith("- Python 3.11, 3.12 or 3.13 with"), missing)
        self.assert_only(self.missing("demo", AUTOREMEDIATE_PYTHON="/nowhere/python"), "/nowhere/python does not run")

    def test_rust_that_is_too_old(self):
        wanted = re.search(r'rust-version = "(.*)"', (REPOSITORY / "Cargo.toml").read_text())[1]
        self.machine.complete()
        self.machine.rust("1.9.0")
        self.assert_only(self.missing("demo"), f"Rust {wanted} or newer", "is 1.9.0", "rustup update")
        self.machine.rust(wanted)
        self.assertEqual(self.missing("demo"), [])
        self.machine.rust("1.200.0-nightly")
        self.assertEqual(self.missing("demo"), [])

    def test_a_cargo_of_rustup_without_a_toolchain(self):
        self.machine.complete()
        self.machine.script("cargo", "echo 'error: no default toolchain' >&2; exit 1")
        self.assert_only(self.missing("test"), "Rust", "rustup toolchain install")

    def test_components_of_rust(self):
        self.machine.complete()
        self.machine.rust(components="fmt")
        self.assert_only(self.missing("test"), "rustup component add clippy")
        self.machine.rust(components="clippy")
        self.assert_only(self.missing("test"), "rustup component add rustfmt")
        self.assertEqual(self.missing("demo"), [])

    def test_a_compiler_that_cannot_link(self):
        self.machine.complete()
        self.machine.script("cc", "echo 'ld: cannot find crt1.o' >&2; exit 1")
        self.assert_only(self.missing("demo"), "a C compiler that links")

    def test_terraform_that_is_too_old(self):
        self.machine.complete()
        self.machine.terraform("1.9.8", init="exit 1")
        self.assert_only(self.missing("demo"), "Terraform or OpenTofu 1.11 or newer", "is 1.9.8")
        self.assertEqual(self.machine.inits(), 0)

    def test_opentofu_will_do_and_a_named_program_is_used(self):
        self.machine.complete()
        (self.machine.bin / "terraform").unlink()
        self.machine.terraform("1.11.1", name="tofu")
        self.assertEqual(self.missing("demo"), [])
        self.assert_only(self.missing("demo", TERRAFORM="/nowhere/terraform"), "TERRAFORM is /nowhere/terraform")

    def test_terraform_asks_for_the_provider_that_the_modules_use(self):
        self.machine.complete()
        self.assertEqual(self.missing("demo"), [])
        block = (REPOSITORY / "terraform/modules/central/versions.tf").read_text()
        constraint = re.search(r' version = (".*")', block)[1]
        self.assertIn(f"version = {constraint}", (self.machine.folder / "main.tf").read_text())

    def test_a_provider_that_terraform_does_not_get(self):
        self.machine.complete()
        self.machine.terraform(init=FAILING_INIT)
        for task in ("demo", "test", "test-rust", "test-pipeline", "test-terraform"):
            said = self.missing(task)
            self.assert_only(said, "Error: Failed to query", "TF_CLI_ARGS_init=-plugin-dir=FOLDER")
            self.assertNotIn("TF_CLI_CONFIG_FILE", said[0])
        self.assertEqual(self.missing("package"), [])

    def test_a_configuration_file_that_is_not_there(self):
        self.machine.complete()
        self.assertEqual(self.missing("demo", TF_CLI_CONFIG_FILE="/nowhere/rc"), [])
        self.machine.terraform("1.12.0", init=FAILING_INIT)
        missing = self.missing("demo", TF_CLI_CONFIG_FILE="/nowhere/rc")
        self.assert_only(missing, "names /nowhere/rc, which does not exist")

    def test_a_provider_is_asked_for_once_with_the_same_settings(self):
        self.machine.complete()
        configuration = self.machine.folder / ".terraformrc"
        self.machine.terraform(init=FAILING_INIT)
        for _ in range(2):
            self.missing("demo")
        self.assertEqual(self.machine.inits(), 2, "a failure is not kept")
        self.machine.terraform()
        for _ in range(2):
            self.assertEqual(self.missing("demo"), [])
        self.assertEqual(self.machine.inits(), 3)
        self.assertEqual(self.missing("demo", TF_CLI_ARGS_init="-plugin-dir=/other"), [])
        self.assertEqual(self.machine.inits(), 4)
        configuration.write_text("provider_installation {}")
        self.assertEqual(self.missing("demo"), [])
        self.assertEqual(self.machine.inits(), 5)
        self.machine.terraform("1.12.0")
        self.assertEqual(self.missing("demo"), [])
        self.assertEqual(self.machine.inits(), 6)

    def test_a_time_that_is_up(self):
        self.machine.complete()
        (self.machine.bin / "timeout").unlink()
        self.machine.script("timeout", 'shift; "$@"; exit 124')
        self.assert_only(self.missing("demo"), "nothing within 60 seconds")
        self.machine.terraform(init="echo '- Installing hashicorp/aws v5.100.0...'")
        self.assertEqual(self.missing("demo"), [], "a slow download is no fault")
        self.machine.terraform(init=f"echo '- Installing hashicorp/aws v5.100.0...'; {FAILING_INIT}")
        self.assert_only(self.missing("demo"), "Error: Failed")


class Tasks(unittest.TestCase):
    def setUp(self):
        self.machine = Machine()
        self.addCleanup(self.machine.remove)
        self.machine.complete()

    def test_nothing_is_built_before_something_is_missing(self):
        (self.machine.bin / "just").symlink_to(os.environ["JUST"])  # set by the recipe test-setup
        self.machine.terraform(init=FAILING_INIT)
        for task in ("demo", "test", "test-rust", "test-pipeline", "test-terraform"):
            done = self.machine.run("justw", task)
            self.assertIn("- the Terraform provider", done.stderr, task)
            self.assertEqual(done.returncode, 1)
        self.machine.script("cc", "exit 1")
        for task in ("build", "lint", "package", "bench", "test-page"):
            done = self.machine.run("justw", task)
            self.assertIn("- a C compiler", done.stderr, task)
        calls = set(self.machine.cargo_calls().splitlines())
        self.assertEqual(calls, {"--version", "fmt --version", "clippy --version"})

    def test_without_just_its_python_is_one_of_the_things_missing(self):
        (self.machine.bin / "python3.12").unlink()
        self.machine.script("cc", "exit 1")
        for options in (("package",), ("--quiet", "CARGO_TARGET_DIR=x", "package", "--target", "y")):
            done = self.machine.run("justw", *options)
            self.assertEqual(done.returncode, 1)
            self.assertIn("This is missing for package:\n- a C compiler", done.stderr)
            self.assertIn("\n- Python 3.11, 3.12 or 3.13", done.stderr)
        done = self.machine.run("justw")
        self.assertIn("This is missing:\n- Python", done.stderr)

    def test_any_python_with_venv_installs_just(self):
        (self.machine.bin / "python3.12").unlink()
        self.machine.python("python3", "3.9.2")
        self.assertEqual(self.machine.run("tools/needs", "--just", "package").returncode, 0)
        self.assertEqual(self.machine.run("tools/needs", "--just", "demo").returncode, 1)


if __name__ == "__main__":
    unittest.main()
