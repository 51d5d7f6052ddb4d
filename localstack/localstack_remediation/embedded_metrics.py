"""Metrics in logs, by CloudWatch's embedded metric format (EMF). LocalStack stores such a line, and makes no metric of it.

A line that does not keep to the specification is a line of the log and no metric, as on AWS.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

And what CloudWatch takes for one metric: a name in a namespace with exactly these dimensions. moto counts metrics with
dimensions for one without, and looks at no namespace where there are dimensions.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#dimension-combinations
"""

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import NamedTuple

from localstack.aws.connect import connect_to
from localstack.runtime import hooks
from localstack.utils.patch import patch
from moto.cloudwatch.models import CloudWatchBackend
from moto.logs.models import LogsBackend

MOST_METRICS = 100  # in a directive; and values of a metric
MOST_DIMENSIONS = 30
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
NAMESPACE = re.compile(r"[0-9a-zA-Z.\-_/#:]{1,255}")
OLDEST_MS, NEWEST_MS = 14 * 86_400_000, 2 * 3_600_000
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
_BYTES = [f"{prefix}{unit}" for prefix in ("", "Kilo", "Mega", "Giga", "Tera") for unit in ("bytes", "bits")]
_BYTES = [unit.capitalize() for unit in _BYTES]
UNITS = {
    "Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None",
    *_BYTES, *(f"{unit}/Second" for unit in _BYTES),
}


class Invalid(ValueError):
    """Why a document makes no metrics."""


class Datum(NamedTuple):
    namespace: str
    name: str
    unit: str
    values: list[float]
    dimensions: dict[str, str]
    at_ms: int


def metrics_of(message: str, now_ms: int) -> list[Datum]:
    """What CloudWatch makes of a line; nothing of one that is no such document. Raises Invalid."""
    try:
        document = json.loads(message)
    except ValueError:
        return []
    if not isinstance(document, dict) or "_aws" not in document:
        return []
    metadata = document["_aws"]
    _expect(isinstance(metadata, dict), "_aws is no object")
    at, directives = metadata.get("Timestamp"), metadata.get("CloudWatchMetrics")
    _expect(type(at) is int, "Timestamp is no whole number")
    _expect(now_ms - OLDEST_MS <= at <= now_ms + NEWEST_MS, "Timestamp is not in milliseconds, or too far away")
    _expect(isinstance(directives, list), "CloudWatchMetrics is no array")
    return [datum for directive in directives for datum in _of_directive(directive, document, at)]


def _of_directive(directive, document: dict, at: int) -> Iterator[Datum]:
    _expect(isinstance(directive, dict), "a directive is no object")
    namespace, sets, metrics = (directive.get(name) for name in ("Namespace", "Dimensions", "Metrics"))
    _expect(isinstance(namespace, str) and NAMESPACE.fullmatch(namespace), "Namespace is none")
    _expect(isinstance(metrics, list) and 1 <= len(metrics) <= MOST_METRICS, "Metrics are none, or more than 100")
    _expect(isinstance(sets, list) and sets, "Dimensions are none")
    for names in sets:
        _expect(isinstance(names, list) and len(names) <= MOST_DIMENSIONS, "a set has more than 30 dimensions")
        for name in names:
            value = document.get(name)
            _expect(isinstance(value, str) and 1 <= len(value) <= 1024, f"the dimension {name!r} has no value")
    for metric in metrics:
        _expect(isinstance(metric, dict) and isinstance(metric.get("Name"), str), "a metric has no name")
        name, unit = metric["Name"], metric.get("Unit", "None")
        _expect(unit in UNITS, f"{unit!r} is no unit")
        _expect(metric.get("StorageResolution", 60) in (1, 60), "StorageResolution is neither 1 nor 60")
        values = document.get(name)
        values = values if isinstance(values, list) else [values]
        _expect(1 <= len(values) <= MOST_METRICS and all(map(_is_number, values)), f"{name} has no value")
        for names in sets:
            yield Datum(namespace, name, unit, values, {name: document[name] for name in names}, at)


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _expect(holds, why: str) -> None:
    if not holds:
        raise Invalid(why)


@hooks.on_infra_start()
def make_embedded_metrics() -> None:
    patch(LogsBackend.put_log_events)(_put_log_events)
    patch(CloudWatchBackend.get_metric_data)(_get_metric_data)


def _put_log_events(fn, self, log_group_name, log_stream_name, log_events):
    answer = fn(self, log_group_name, log_stream_name, log_events)
    for event in log_events:
        try:
            made = metrics_of(event["message"], int(time.time() * 1000))
        except Invalid:
            continue
        for datum in made:
            _put(self.account_id, self.region_name, datum)
    return answer


def _put(account: str, region: str, datum: Datum) -> None:
    cloudwatch = connect_to(region_name=region, aws_access_key_id=account).cloudwatch
    metric = {
        "MetricName": datum.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in datum.dimensions.items()],
        "Timestamp": datetime.fromtimestamp(datum.at_ms / 1000, timezone.utc),
        "Unit": datum.unit,
    }
    data = [{**metric, "Value": value} for value in datum.values]
    cloudwatch.put_metric_data(Namespace=datum.namespace, MetricData=data)


class _OneMetric:
    """CloudWatch's store as if it had this metric alone."""

    def __init__(self, backend: CloudWatchBackend, metric: dict) -> None:
        self._backend = backend
        self._metric = (metric.get("Namespace"), metric["MetricName"], _exactly(metric.get("Dimensions", [])))

    def __getattr__(self, name: str):
        return getattr(self._backend, name)

    def get_all_metrics(self) -> list:
        return [
            datum
            for datum in self._backend.get_all_metrics()
            if (datum.namespace, datum.name, frozenset((of.name, of.value) for of in datum.dimensions)) == self._metric
        ]


def _exactly(dimensions: list[dict]) -> frozenset:
    return frozenset((of["Name"], of["Value"]) for of in dimensions)


def _get_metric_data(fn, self, queries, *args, **kwargs):
    if any("MetricStat" not in query for query in queries):
        return fn(self, queries, *args, **kwargs)
    results = []
    for query in queries:
        results += fn(_OneMetric(self, query["MetricStat"]["Metric"]), [query], *args, **kwargs)
    return results
