#!/usr/bin/env python3
"""references.py finds what it is there to find."""

import copy
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import references  # noqa: E402


class Expressions(unittest.TestCase):
    known = references.families()

    def wrong(self, expression):
        return "; ".join(references.wrong_in_expression(expression, self.known))

    def test_accepts_what_exists(self):
        self.assertEqual(self.wrong('sum by (pool, code) (rate(rproxy_backend_requests_total'
                                    '{namespace=~"$namespace", code=~"5xx|error"}[5m]))'), "")
        self.assertEqual(self.wrong("sum by (le) (rproxy_event_loop_lag_seconds_bucket)"), "")

    def test_refuses_an_unknown_metric(self):
        self.assertIn("is not in docs", self.wrong("rproxy_backend_upp"))

    def test_refuses_a_suffix_that_only_histograms_have(self):
        self.assertIn("is not in docs", self.wrong("rproxy_backend_up_bucket"))

    def test_refuses_a_histogram_without_a_suffix(self):
        self.assertIn("is not in docs", self.wrong("rproxy_event_loop_lag_seconds"))

    def test_refuses_an_unknown_label(self):
        self.assertIn("no label poool", self.wrong('rproxy_pool_fail_open{poool="web"}'))

    def test_refuses_a_value_that_never_is(self):
        self.assertIn("is never dead", self.wrong('rproxy_backend_state{state=~"down|dead"}'))

    def test_refuses_grouping_by_a_label_that_no_metric_has(self):
        self.assertIn("label server", self.wrong("sum by (server) (rproxy_backend_up)"))

    def test_refuses_an_expression_without_a_metric_of_ours(self):
        self.assertIn("no metric", self.wrong("up == 0"))


class Boards(unittest.TestCase):
    def setUp(self):
        self.board = copy.deepcopy(references.dashboards()["rproxy-overview.json"])

    def test_overlapping_panels_are_found(self):
        self.board["panels"][2]["gridPos"] = dict(self.board["panels"][1]["gridPos"])
        self.assertIn(" lies on ", "; ".join(references.wrong_layout(self.board)))

    def test_an_unknown_variable_is_found(self):
        self.board["panels"][1]["targets"][0]["expr"] += " + $nonsense"
        self.assertIn("$nonsense", "; ".join(references.wrong_variables(self.board)))

    def test_a_repeated_id_is_found(self):
        self.board["panels"][1]["id"] = self.board["panels"][2]["id"]
        self.assertIn("not unique", "; ".join(references.wrong_layout(self.board)))


if __name__ == "__main__":
    unittest.main()
