"""Filters as EC2 reads them. moto takes a value for a regular expression, or for a pattern of a shell.

`*` is any number of characters, `?` none or one, a backslash takes the next character as it is, and case counts.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from localstack.utils.patch import patch
from moto.ec2 import utils
from moto.ec2.exceptions import InvalidFilter
from moto.ec2.models import security_groups
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule

WILDCARDS = {"*": ".*", "?": ".?"}


def matches(pattern: str, value: object) -> bool:
    return value is not None and _expression(pattern).fullmatch(str(value)) is not None


def matches_any(patterns: Iterable[str], values: Iterable[object]) -> bool:
    return any(matches(pattern, value) for pattern in patterns for value in values)


def fits(filters: Iterable[Mapping] | None, values: Mapping[str, Iterable[object]]) -> bool:
    """Every filter of the request, each by one of its values. A filter that is not among `values` fits nothing."""
    return all(matches_any(each["Values"], values.get(each["Name"], ())) for each in filters or [])


def is_filter_matching(resource, name: str, wanted: Iterable[str] | str | None) -> bool:
    """In place of moto's, for VPCs, subnets, network ACLs, network interfaces and flow logs."""
    if wanted is None:
        return False
    return matches_any([wanted] if isinstance(wanted, str) else wanted, _values(resource.get_filter_value(name)))


def tag_filter_matches(resource, name: str, wanted: Iterable[str]) -> bool:
    """In place of moto's, for security groups and their rules."""
    tags = resource.get_tags()
    match name:
        case "tag-key":
            values = [tag["key"] for tag in tags]
        case "tag-value":
            values = [tag["value"] for tag in tags]
        case _:
            values = [tag["value"] for tag in tags if name == f"tag:{tag['key']}"]
    return matches_any(wanted, values)


utils.is_filter_matching = is_filter_matching
utils.tag_filter_matches = security_groups.tag_filter_matches = tag_filter_matches
security_groups.aws_api_matches = matches


@patch(SecurityGroup.matches_filter)
def _group_matches(fn, self, name: str, wanted: list[str]) -> bool:
    """With the filters that moto knows by name only."""
    ways = {"ip-permission": self.ingress_rules, "egress.ip-permission": self.egress_rules}
    way, _, what = name.rpartition(".")
    if way in ways and what in ("ipv6-cidr", "prefix-list-id"):
        rules = ways[way]
        return matches_any(wanted, [rule.cidr_ipv6 if what == "ipv6-cidr" else rule.prefix_list_id for rule in rules])
    return _known(fn, self, name, wanted)


@patch(SecurityGroupRule.matches_filter)
def _rule_matches(fn, self, name: str, wanted: list[str]) -> bool:
    return _known(fn, self, name, wanted)


def _known(fn, resource, name: str, wanted: list[str]) -> bool:
    if name not in resource.filters and not utils.is_tag_filter(name):
        raise InvalidFilter(name, "InvalidParameterValue")
    return fn(resource, name, wanted)


def _values(value: object) -> list:
    if isinstance(value, bool):
        return [str(value).lower()]
    return [value] if value is None or isinstance(value, (str, int)) else list(value)


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    return re.compile("".join(WILDCARDS.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)
