"""The tables of docs/costs.md: whether they are current, and what they add up."""

import importlib.machinery
import importlib.util
import subprocess
import sys
import unittest

from machine import REPOSITORY

SCRIPT = REPOSITORY / "tools/costs"


def load():
    loader = importlib.machinery.SourceFileLoader("costs", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("costs", loader))
    sys.modules["costs"] = module
    # The script has no .py at its end, and leaves no compiled copy beside it either
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = keep
    return module


costs = load()


class Costs(unittest.TestCase):
    def setUp(self) -> None:
        self.code, self.prices, self.measured = costs.read_code(), costs.read("prices.json"), costs.read("measured.json")

    def test_the_page_is_current(self) -> None:
        checked = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def test_the_code_is_read(self) -> None:
        self.assertEqual((self.code.rules, self.code.poller_mb, self.code.rule_mb, self.code.every_minutes), (8, 256, 512, 30))
        self.assertEqual((self.code.metrics, self.code.alarms, self.code.batch_size), (70, 10, 200))
        self.assertEqual(self.code.polls, 8 * 48 * 30)

    def test_more_accounts_cost_more_and_nothing_costs_less(self) -> None:
        months = [costs.month(self.code, self.prices, self.measured, accounts) for accounts in (10, 100, 500)]
        for name in months[0]:
            self.assertLessEqual(0, months[0][name])
            self.assertLessEqual(months[0][name], months[1][name], name)
            self.assertLessEqual(months[1][name], months[2][name], name)

    def test_requests_are_counted_by_batch_account_and_finding(self) -> None:
        of = {"batch": {"put": 2, "get": 3}, "account": {"list": 1}, "finding": {"get": 1}}
        self.assertEqual(costs.requests(of, 10, 20, 100), {"put": 20, "list": 20, "get": 130})
        self.assertAlmostEqual(costs.Costs(self.prices)("s3_put_list", 2_000), 0.01)

    def test_every_price_has_a_source(self) -> None:
        for name, price in self.prices["prices"].items():
            self.assertRegex(price["source"], r"^https://aws[.]amazon[.]com/[a-z0-9-]+/pricing/$")
            self.assertTrue(price["usd"] > 0 and price["per"] > 0, name)


if __name__ == "__main__":
    unittest.main()
