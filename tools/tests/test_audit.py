"""What tools/audit/run says where a database of known vulnerabilities is not reached."""

import unittest

from machine import Machine


class Audit(unittest.TestCase):
    def setUp(self):
        self.machine = Machine()
        self.addCleanup(self.machine.remove)
        self.calls = self.machine.folder / "cargo-calls"
        self.machine.script("cargo", f'echo "$@ $GIT_CONFIG_KEY_0 $GIT_CONFIG_VALUE_0" >>{self.calls}')

    def audit(self, *arguments, **environment):
        return self.machine.run("tools/audit/run", *arguments, **environment)

    def test_a_database_that_is_not_reached_fails_and_says_how_to_name_another(self):
        self.machine.script("git", "exit 128")
        done = self.audit("licences", "advisories")
        self.assertEqual(done.returncode, 1)
        self.assertIn("advisories NOT RUN: https://github.com/RustSec/advisory-db is not reached. RUSTSEC_DB", done.stderr)
        self.assertIn("audit: failed: advisories", done.stderr)
        self.assertNotIn("advisories", self.calls.read_text())

    def test_where_it_may_be_skipped_that_is_said_and_the_rest_still_counts(self):
        self.machine.script("git", "exit 128")
        done = self.audit("--skip-unreachable", "licences", "advisories")
        self.assertEqual(done.returncode, 0)
        self.assertIn("audit: NOT RUN, because a database is not reached: advisories", done.stderr)
        self.machine.script("cargo", "exit 1")
        self.assertEqual(self.audit("--skip-unreachable", "licences", "advisories").returncode, 1)

    def test_a_database_that_is_given_is_the_one_that_is_asked(self):
        self.machine.script("git", "true")
        self.assertEqual(self.audit("advisories", RUSTSEC_DB="file:///a/clone").returncode, 0)
        self.assertIn("url.file:///a/clone.insteadOf https://github.com/RustSec/advisory-db", self.calls.read_text())

    def test_a_part_that_does_not_exist(self):
        self.assertEqual(self.audit("licenses").returncode, 2)


if __name__ == "__main__":
    unittest.main()
