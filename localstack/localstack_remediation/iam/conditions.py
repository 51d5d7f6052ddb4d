"""The Condition block of a statement.

A context maps lower-case keys to a text, or to None for a key that is known to be absent from the request. A key that
is not in the context at all is one that this emulator cannot determine: it raises, as an unknown operator does, and
the caller decides against the request.
"""

from collections.abc import Callable, Mapping

from .matching import arn_matches, as_list, matches

Context = Mapping[str, str | None]


class NotUnderstood(Exception):
    """The policy says something that this emulator cannot judge."""


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def test(wanted: str, actual: str) -> bool:
        try:
            return compare(float(actual), float(wanted))
        except ValueError:
            return False

    return test


# name in lower case: (does this wanted value fit, must no wanted value fit)
OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "stringequals": (str.__eq__, False),
    "stringnotequals": (str.__eq__, True),
    "stringequalsignorecase": (lambda wanted, actual: wanted.lower() == actual.lower(), False),
    "stringnotequalsignorecase": (lambda wanted, actual: wanted.lower() == actual.lower(), True),
    "stringlike": (matches, False),
    "stringnotlike": (matches, True),
    "arnequals": (arn_matches, False),
    "arnnotequals": (arn_matches, True),
    "arnlike": (arn_matches, False),
    "arnnotlike": (arn_matches, True),
    "bool": (lambda wanted, actual: wanted.lower() == actual.lower(), False),
    "numericequals": (_number(float.__eq__), False),
    "numericnotequals": (_number(float.__eq__), True),
    "numericlessthan": (_number(float.__lt__), False),
    "numericlessthanequals": (_number(float.__le__), False),
    "numericgreaterthan": (_number(float.__gt__), False),
    "numericgreaterthanequals": (_number(float.__ge__), False),
}


def hold(block: dict, context: Context) -> bool:
    """Do all conditions hold? Raises NotUnderstood where that cannot be told."""
    # No short cut at the first False: a condition that is not understood must come out in any order.
    results = [
        _holds(operator, key, as_list(wanted), context)
        for operator, pairs in block.items()
        for key, wanted in pairs.items()
    ]
    return all(results)


def _holds(operator: str, key: str, wanted: list, context: Context) -> bool:
    if key.lower() not in context:
        raise NotUnderstood(f"condition key {key} is not supported by the emulator")
    actual = context[key.lower()]
    values = [_text(value) for value in wanted]

    name = operator.lower()
    if name == "null":
        return any((actual is None) == (value.lower() == "true") for value in values)
    base = name.removesuffix("ifexists")
    if base not in OPERATORS:
        raise NotUnderstood(f"condition operator {operator} is not supported by the emulator")
    fits, negated = OPERATORS[base]
    if actual is None:
        return negated or base != name
    return any(fits(value, actual) for value in values) != negated


def _text(value) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "${" in text:
        raise NotUnderstood(f"policy variable in {text} is not supported by the emulator")
    return text
