"""What a workflow may do: pinned actions, and no permission that a job does not name."""

import re
import unittest

from machine import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.y*ml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def problems(text):
    """What a workflow's text lacks. It is read line by line: one form of writing is enough for all of them."""
    found = [
        f"not pinned by hash with its version beside it: {used}"
        for used in re.findall(r"^ *(?:- )?uses: *(.*)$", text, re.MULTILINE)
        if not PINNED.fullmatch(used)
    ]
    if not re.search(r"^permissions: \{\}$", text, re.MULTILINE):
        found.append("permissions beyond those of its jobs")
    for job in re.split(r"^  (?=[\w-]+:$)", text.partition("\njobs:\n")[2], flags=re.MULTILINE)[1:]:
        name = job.partition(":")[0]
        if not re.search(r"^    permissions:(?: \{\}|(?:\n      [a-z-]+: (?:read|none)( #.*)?)+)$", job, re.MULTILINE):
            found.append(f"the job {name} names no permissions, or one to write")
    kept = len(re.findall(r"uses: actions/checkout@", text)) - len(re.findall(r"persist-credentials: false$", text, re.MULTILINE))
    if kept:
        found.append("a checkout keeps its credentials")
    return found


class Workflows(unittest.TestCase):
    def test_every_workflow_is_pinned_and_may_only_read(self):
        self.assertTrue(WORKFLOWS)
        for workflow in WORKFLOWS:
            with self.subTest(workflow.name):
                self.assertEqual(problems(workflow.read_text()), [])

    def test_what_is_loosened_is_found(self):
        text = WORKFLOWS[0].read_text()
        for before, after in (
            (r"@[0-9a-f]{40} # v\d+", "@v4 # v4"),
            (r" # v\d+\.\d+\.\d+", ""),
            (r"permissions: \{\}", "permissions: write-all"),
            (r"contents: read", "contents: write"),
            (r"    permissions:\n      contents: read.*\n", ""),
            (r"persist-credentials: false", "persist-credentials: true"),
        ):
            with self.subTest(before):
                loosened = re.sub(before, after, text, count=1)
                self.assertNotEqual(loosened, text)
                self.assertEqual(len(problems(loosened)), 1, problems(loosened))


if __name__ == "__main__":
    unittest.main()
