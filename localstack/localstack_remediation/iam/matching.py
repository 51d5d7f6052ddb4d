"""Wildcards of IAM: `*` and `?` in names and in ARNs."""

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern:
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    return _compiled(pattern, ignore_case).fullmatch(text) is not None


def arn_matches(pattern: str, arn: str) -> bool:
    """Part by part, so that a wildcard never reaches over a colon; only the last part may hold colons."""
    if pattern == "*":
        return True
    wanted, actual = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(actual) == 6 and all(map(matches, wanted, actual))


def as_list(value) -> list:
    return value if isinstance(value, list) else [value]
