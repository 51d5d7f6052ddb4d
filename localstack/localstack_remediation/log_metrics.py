"""Which events of a log a metric filter counts. LocalStack counts all of them, whatever the pattern says.

Known are the empty pattern, which takes every event, and `{ $.field = * }` for JSON events that have the field, in the
event itself or below others (`$.one.two`). Any other is refused when the filter is made, because it would count wrongly.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
"""

import json
import re
from collections.abc import Callable

from localstack.runtime import hooks
from localstack.services.logs import provider
from localstack.utils.patch import patch
from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogsBackend

HAS_FIELD = re.compile(r"\s*\{\s*\$\.([A-Za-z0-9_.-]+)\s*=\s*\*\s*\}\s*")


def is_known(pattern: str) -> bool:
    return not pattern.strip() or HAS_FIELD.fullmatch(pattern) is not None


def matcher(pattern: str) -> Callable[[str, dict], bool]:
    """LocalStack gives the pattern once more with each event."""
    field = HAS_FIELD.fullmatch(pattern or "")
    if field is None:
        return lambda _pattern, _event: is_known(pattern or "")
    path = field[1].split(".")
    return lambda _pattern, event: _has(event.get("message") or "", path)


def _has(message: str, path: list[str]) -> bool:
    try:
        value = json.loads(message)
    except ValueError:
        return False
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return not isinstance(value, dict | list)


@hooks.on_infra_start()
def match_log_patterns() -> None:
    provider.get_pattern_matcher = matcher
    patch(LogsBackend.put_metric_filter)(_put_known)


def _put_known(fn, self, filter_name, filter_pattern, log_group_name, metric_transformations):
    if not is_known(filter_pattern):
        raise InvalidParameterException(f"The emulator does not know the filter pattern {filter_pattern!r}.")
    return fn(self, filter_name, filter_pattern, log_group_name, metric_transformations)
