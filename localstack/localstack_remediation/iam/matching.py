"""Wildcards of IAM: `*` and `?` in names and in ARNs."""

import re
from functools import lru_cache

NO_SLASH = "\0"  # in a pattern of ours: any characters but a slash


@lru_cache(maxsize=16384)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern:
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    return _compiled(pattern, ignore_case).fullmatch(text) is not None


@lru_cache(maxsize=65536)
def arn_matches(pattern: str, arn: str) -> bool:
    """Part by part, so that a wildcard never reaches over a colon; only the last part may hold colons."""
    if pattern == "*":
        return True
    wanted, actual = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(actual) == 6 and all(map(matches, wanted, actual))


def arns_meet(one: str, other: str) -> bool:
    """Is there an ARN that fits both patterns? A variable, `${…}`, may be anything."""
    if "*" in (one, other):
        return True
    ones, others = (re.sub(r"\$\{[^}]*\}", "*", pattern).split(":", 5) for pattern in (one, other))
    return len(ones) == len(others) == 6 and all(map(patterns_meet, ones, others))


@lru_cache(maxsize=65536)
def patterns_meet(one: str, other: str) -> bool:
    """Is there a text that fits both patterns?"""
    # The places in `other` that texts can have reached that fit `one` up to here, and `other` up to there
    reached = _and_after_stars({0}, other)
    for token in one:
        if token in ("*", NO_SLASH):
            end, passed = len(other), set(reached)
            for start in reached:
                while start < end and (token == "*" or other[start] != "/"):
                    start += 1
                    passed.add(start)
            reached = passed
        else:
            stay = {at for at in reached if at < len(other) and _takes(other[at], token)}
            step = {
                at + 1
                for at in reached
                if at < len(other) and (token in ("?", other[at]) or other[at] == "?")
            }
            reached = stay | step
        reached = _and_after_stars(reached, other)
    return len(other) in reached


def _takes(star: str, character: str) -> bool:
    return star == "*" or (star == NO_SLASH and character != "/")


def _and_after_stars(places: set[int], pattern: str) -> set[int]:
    """A star may stand for nothing."""
    found = set(places)
    for at in places:
        while at < len(pattern) and pattern[at] in ("*", NO_SLASH):
            at += 1
            found.add(at)
    return found


def as_list(value) -> list:
    return value if isinstance(value, list) else [value]
