"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html"""

import copy
import json

import pytest

from localstack_remediation.embedded_metrics import Datum, Invalid, metrics_of

NOW = 1_800_000_000_000
DOCUMENT = {
    "_aws": {
        "Timestamp": NOW,
        "CloudWatchMetrics": [
            {
                "Namespace": "n",
                "Dimensions": [["Rule"], []],
                "Metrics": [{"Name": "Failed", "Unit": "Count"}, {"Name": "Age"}],
            }
        ],
    },
    "Rule": "a-rule",
    "Failed": 3,
    "Age": [1, 2.5],
    "other": {"nested": True},
}


def metrics(document) -> list[Datum]:
    return metrics_of(json.dumps(document), NOW)


def test_each_set_of_dimensions_is_a_metric_of_its_own():
    assert metrics(DOCUMENT) == [
        Datum("n", "Failed", "Count", [3], {"Rule": "a-rule"}, NOW),
        Datum("n", "Failed", "Count", [3], {}, NOW),
        Datum("n", "Age", "None", [1, 2.5], {"Rule": "a-rule"}, NOW),
        Datum("n", "Age", "None", [1, 2.5], {}, NOW),
    ]


@pytest.mark.parametrize("line", ["", "REPORT RequestId: x", "[1]", '{"a": 1}', f"x {json.dumps(DOCUMENT)}"])
def test_another_line_is_no_document(line):
    assert metrics_of(line, NOW) == []


def _set(path: list, value) -> dict:
    document = copy.deepcopy(DOCUMENT)
    place = document
    for name in path[:-1]:
        place = place[name]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


DIRECTIVE = ["_aws", "CloudWatchMetrics", 0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["_aws"], []),
        (["_aws", "Timestamp"], None),
        (["_aws", "Timestamp"], NOW // 1000),  # seconds
        (["_aws", "Timestamp"], str(NOW)),
        (["_aws", "CloudWatchMetrics"], {}),
        ([*DIRECTIVE, "Namespace"], None),
        ([*DIRECTIVE, "Namespace"], "with space"),
        ([*DIRECTIVE, "Dimensions"], None),
        ([*DIRECTIVE, "Dimensions"], ["Rule"]),
        ([*DIRECTIVE, "Dimensions"], [["Missing"]]),
        ([*DIRECTIVE, "Dimensions"], [["Failed"]]),  # no text
        ([*DIRECTIVE, "Dimensions"], [["Rule"] * 31]),
        ([*DIRECTIVE, "Metrics"], []),
        ([*DIRECTIVE, "Metrics"], [{"Name": "Failed"}] * 101),
        ([*DIRECTIVE, "Metrics", 0, "Unit"], "Things"),
        ([*DIRECTIVE, "Metrics", 0, "StorageResolution"], 30),
        ([*DIRECTIVE, "Metrics", 0, "Name"], "missing"),
        (["Failed"], "3"),
        (["Failed"], True),
        (["Failed"], []),
        (["Failed"], [1] * 101),
    ],
)
def test_a_document_that_breaks_the_specification_makes_no_metric(path, value):
    with pytest.raises(Invalid):
        metrics(_set(path, value))
