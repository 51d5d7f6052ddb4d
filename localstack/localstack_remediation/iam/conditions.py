"""The Condition block of a statement.

A context maps lower-case keys to a text, to a tuple of texts for a key with several values, or to None for a key that
is known to be absent from the request. `aws:resourcetag/*` stands for every tag that is not in the context by its own
name. A key that is not in the context at all is one that the action does not have, or that this emulator cannot
determine: it raises, as an unknown operator does, and the caller decides against the request.
"""

from collections.abc import Callable, Iterable, Mapping

from .matching import arn_matches, as_list, matches

Value = str | tuple[str, ...] | None
Context = Mapping[str, Value]


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

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
QUANTIFIERS: dict[str, Callable[[Iterable[bool]], bool]] = {"foranyvalue": any, "forallvalues": all}


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
    actual = _actual(key, context)
    values = [_text(value) for value in wanted]

    name = operator.lower()
    if name == "null":
        return any((actual is None) == (value.lower() == "true") for value in values)
    quantifier, _, single = name.rpartition(":")
    base = single.removesuffix("ifexists")
    if base not in OPERATORS or quantifier not in ("", *QUANTIFIERS):
        raise NotUnderstood(f"condition operator {operator} is not supported by the emulator")
    fits, negated = OPERATORS[base]
    if actual is None and base != single:
        return True
    if quantifier:
        actuals = actual if isinstance(actual, tuple) else () if actual is None else (actual,)
        return QUANTIFIERS[quantifier](any(fits(value, each) for value in values) != negated for each in actuals)
    if isinstance(actual, tuple):
        raise NotUnderstood(f"condition key {key} has several values: it needs ForAnyValue or ForAllValues")
    if actual is None:
        return negated
    return any(fits(value, actual) for value in values) != negated


def _actual(key: str, context: Context) -> Value:
    name = key.lower()
    if name in context:
        return context[name]
    any_tag = f"{name.partition('/')[0]}/*"
    if "/" not in name or any_tag not in context:
        raise NotUnderstood(f"condition key {key} is not one that this action has and the emulator supports")
    return context[any_tag]


def _text(value) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "${" in text:
        raise NotUnderstood(f"policy variable in {text} is not supported by the emulator")
    return text
