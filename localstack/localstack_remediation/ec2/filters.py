"""Filters as EC2 reads them. moto takes a value for a regular expression, or for a pattern of a shell.

`*` is any number of characters, `?` none or one, a backslash takes the next character as it is, and case counts.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

WILDCARDS = {"*": ".*", "?": ".?"}


def matches(pattern: str, value: object) -> bool:
    return _expression(pattern).fullmatch(str(value)) is not None


def matches_any(patterns: Iterable[str], values: Iterable[object]) -> bool:
    return any(matches(pattern, value) for pattern in patterns for value in values)


def fits(filters: Iterable[Mapping] | None, values: Mapping[str, Iterable[object]]) -> bool:
    """Every filter of the request, each by one of its values. A filter that is not among `values` fits nothing."""
    return all(matches_any(each["Values"], values.get(each["Name"], ())) for each in filters or [])


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    return re.compile("".join(WILDCARDS.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)
