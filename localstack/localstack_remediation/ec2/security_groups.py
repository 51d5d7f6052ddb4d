"""Rules: how many there can be, and how they change in place; of ingress, what is a duplicate, what is unknown, and
what was added or revoked.

The quota is one for each direction, and for IPv4 and IPv6 apart.
https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups

moto adds the rules before the one that it refuses, answers with the last permission's rules only, and neither knows
UnknownIpPermissions nor RevokedSecurityGroupRules.
"""

import ipaddress
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from localstack.aws.api import RequestContext
from localstack.services.moto import call_moto, call_moto_with_request
from localstack.utils.patch import patch
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule

from .. import settings
from ..moto_services import aws_error
from . import prefix_lists

PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
WITH_PORTS = ("tcp", "udp", "icmp", "icmpv6")
# member of IpPermission: the part of it that says who the peer is
PEERS = {
    "IpRanges": "CidrIp", "Ipv6Ranges": "CidrIpv6", "UserIdGroupPairs": "GroupId", "PrefixListIds": "PrefixListId",
}
_changing = threading.Lock()


@dataclass(frozen=True)
class Pattern:
    """What must be the same for two rules to be the same: everything but the description."""

    protocol: str
    from_port: int | None
    to_port: int | None
    kind: str  # a key of PEERS
    peer: str

    def __str__(self) -> str:
        ports = "" if self.from_port is None else f"from port: {self.from_port}, to port: {self.to_port}, "
        protocol = "ALL" if self.protocol == "-1" else self.protocol.upper()
        return f'"peer: {self.peer}, {protocol}, {ports}ALLOW"'

    def as_permission(self) -> dict:
        ports = {} if self.from_port is None else {"FromPort": self.from_port, "ToPort": self.to_port}
        return {"IpProtocol": self.protocol, **ports, self.kind: [{PEERS[self.kind]: self.peer}]}


def authorize_ingress(context: RequestContext, request: dict) -> dict:
    backend, group = _group(context, request)
    permissions = [_with_network_addresses(each) for each in _permissions(request)]
    wanted = [pattern for permission in permissions for pattern in _patterns(permission)]
    twice = next((pattern for pattern, count in Counter(wanted).items() if count > 1), None)
    if twice:
        raise aws_error("InvalidParameterValue", "The same permission must not appear multiple times")
    _check_prefix_lists(context, wanted)
    with _changing:
        before = list(group.ingress_rules)
        present = {_pattern(rule) for rule in before}
        if duplicate := next((pattern for pattern in wanted if pattern in present), None):
            raise aws_error("InvalidPermission.Duplicate", f"the specified rule {duplicate} already exists")
        _check_quota(context, [*present, *wanted])
        asked = {"GroupId": group.id, "IpPermissions": permissions}
        if tags := request.get("TagSpecifications"):
            asked["TagSpecifications"] = tags
        try:
            call_moto_with_request(context, asked)
        except Exception:
            group.ingress_rules = before  # all or nothing
            raise
        added = [rule for rule in group.ingress_rules if rule not in _Same(before)]
    return {"Return": True, "SecurityGroupRules": [_described(backend, rule) for rule in added]}


def authorize_egress(context: RequestContext, request: dict) -> dict:
    _, group = _group(context, request)
    wanted = [pattern for permission in _permissions(request) for pattern in _patterns(permission)]
    _check_prefix_lists(context, wanted)
    with _changing:
        _check_quota(context, [*map(_pattern, group.egress_rules), *wanted])
        return call_moto(context)


def revoke_ingress(context: RequestContext, request: dict) -> dict:
    backend, group = _group(context, request)
    with _changing:
        if ids := request.get("SecurityGroupRuleIds"):
            revoked, unknown = _by_ids(group, ids), []
        else:
            revoked, unknown = _by_properties(group, _permissions(request))
            if unknown and not _is_in_default_vpc(backend, group):
                raise aws_error(
                    "InvalidPermission.NotFound", "The specified rule does not exist in this security group."
                )
        group.ingress_rules = [rule for rule in group.ingress_rules if rule not in _Same(revoked)]
    answer = {"Return": True, "RevokedSecurityGroupRules": [_revoked(rule) for rule in revoked]}
    if unknown:
        answer["UnknownIpPermissions"] = [pattern.as_permission() for pattern in unknown]
    return answer


def modify(context: RequestContext, request: dict) -> dict:
    """Rules change in place, with their IDs and tags: all of them, or none.

    moto wants ports where a protocol has none, changes nothing but ranges of IPv4, and lets two rules become the same.
    """
    _, group = _group(context, request)
    updates = {each["SecurityGroupRuleId"]: each.get("SecurityGroupRule") or {} for each in request["SecurityGroupRules"]}
    with _changing:
        rules = {rule.id: rule for rule in [*group.ingress_rules, *group.egress_rules]}
        if unknown := next((id_ for id_ in updates if id_ not in rules), None):
            raise _unknown_rule(unknown)
        changed = {id_: _changed(rules[id_], update) for id_, update in updates.items()}
        _check_prefix_lists(context, list(changed.values()))
        for direction in (group.ingress_rules, group.egress_rules):
            after = [changed.get(rule.id) or _pattern(rule) for rule in direction]
            twice = next((pattern for pattern, count in Counter(after).items() if count > 1), None)
            if twice:
                raise aws_error("InvalidPermission.Duplicate", f"the specified rule {twice} already exists")
            _check_quota(context, after)
        for id_, pattern in changed.items():
            _change(rules[id_], pattern, updates[id_].get("Description"))
    return {"Return": True}


def _changed(rule: SecurityGroupRule, update: dict) -> Pattern:
    """What the rule becomes: for a peer of the same type."""
    members = {"IpRanges": "CidrIpv4", "Ipv6Ranges": "CidrIpv6", "UserIdGroupPairs": "ReferencedGroupId"}
    members["PrefixListIds"] = "PrefixListId"
    peers = {kind: update[member] for kind, member in members.items() if update.get(member)}
    if len(peers) != 1:
        message = "exactly one of: cidrIp, cidrIpv6, prefixListId, or referencedGroupId"
        code = "InvalidParameterCombination" if peers else "MissingParameter"
        raise aws_error(code, f"The request must contain {message}")
    [(kind, peer)] = peers.items()
    if kind != _pattern(rule).kind:
        raise aws_error(
            "InvalidParameterValue", f"Invalid rule type for security group rule '{rule.id}': it cannot be changed."
        )
    if not update.get("IpProtocol"):
        raise aws_error("InvalidParameterValue", "Invalid value 'null' for protocol. It must be given explicitly.")
    ports = {name: update[name] for name in ("FromPort", "ToPort") if update.get(name) is not None}
    if _protocol(update["IpProtocol"]) in WITH_PORTS and len(ports) < 2:
        raise aws_error("InvalidParameterValue", "Invalid value for portRange. Must specify both from and to ports.")
    [pattern] = _patterns({"IpProtocol": update["IpProtocol"], **ports, kind: [{PEERS[kind]: peer}]})
    return pattern


def _change(rule: SecurityGroupRule, pattern: Pattern, description: str | None) -> None:
    """That a description stays where none is given is inferred."""
    rule.ip_protocol, rule.from_port, rule.to_port = pattern.protocol, pattern.from_port, pattern.to_port
    described = {"Description": description or _description(rule)} if description or _description(rule) else {}
    match pattern.kind:
        case "IpRanges" | "Ipv6Ranges":
            rule.ip_range = {PEERS[pattern.kind]: pattern.peer, **described}
        case "UserIdGroupPairs":
            rule.source_group = {**rule.source_group, "GroupId": pattern.peer, **described}
        case "PrefixListIds":
            rule.prefix_list_id, rule.prefix_list_description = pattern.peer, described.get("Description")


def _check_prefix_lists(context: RequestContext, patterns: list[Pattern]) -> None:
    for pattern in patterns:
        if pattern.kind == "PrefixListIds" and not prefix_lists.find(context.account_id, context.region, pattern.peer):
            raise aws_error("InvalidPrefixListID.NotFound", f"The prefix list ID '{pattern.peer}' does not exist")


def _check_quota(context: RequestContext, patterns: list[Pattern]) -> None:
    most = settings.of(context.account_id).security_group_rules
    if any(sum(_size(context, pattern, family) for pattern in patterns) > most for family in ("IPv4", "IPv6")):
        raise aws_error(
            "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached."
        )


def _size(context: RequestContext, pattern: Pattern, family: str) -> int:
    """As so many rules of IPv4 or of IPv6 a rule counts.

    https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html#security-group-size; that a reference to
    a group counts for both: https://github.com/jantman/awslimitchecker/issues/431. That a prefix list counts for its
    own family only is inferred.
    """
    match pattern.kind:
        case "IpRanges":
            return int(family == "IPv4")
        case "Ipv6Ranges":
            return int(family == "IPv6")
        case "PrefixListIds":
            prefix_list = prefix_lists.find(context.account_id, context.region, pattern.peer)
            if prefix_list is not None:  # else it is shared no longer, and what it counts is not known
                return prefix_lists.weight(prefix_list) if prefix_list.address_family == family else 0
    return 1


@patch(EC2Backend._verify_group_will_respect_rule_count_limit)
def _no_quota_of_motos(_fn, _self, *_arguments, **_more) -> None:
    """It counts IPv4 and IPv6 together, and no prefix lists."""


@patch(SecurityGroupRule.__init__)
def _rule(fn, self, *arguments, **more) -> None:
    fn(self, *arguments, **more)
    asked = more.get("prefix_list_id") or (arguments[7] if len(arguments) > 7 else None) or {}
    self.prefix_list_description = asked.get("Description")  # which moto forgets


@patch(SecurityGroup._flattened_rules)
def _with_descriptions_of_prefix_lists(fn, self, rules: list[SecurityGroupRule]) -> list:
    views = fn(self, rules)
    for view in views:
        for item in view.prefix_list_ids:
            same = (item["PrefixListId"], view.ip_protocol, view.from_port, view.to_port)
            rule = next(
                each for each in rules if (each.prefix_list_id, each.ip_protocol, each.from_port, each.to_port) == same
            )
            if rule.prefix_list_description:
                item["Description"] = rule.prefix_list_description
    return views


def _description(rule: SecurityGroupRule) -> str | None:
    return (
        rule.ip_range.get("Description") or rule.source_group.get("Description") or rule.prefix_list_description
    )


SecurityGroupRule.description = property(_description)  # moto leaves out those of groups and prefix lists


class _Same:
    """Membership by identity: moto's rules compare equal in odd ways."""

    def __init__(self, rules: list[SecurityGroupRule]) -> None:
        self._ids = {rule.id for rule in rules}

    def __contains__(self, rule: SecurityGroupRule) -> bool:
        return rule.id in self._ids


def _group(context: RequestContext, request: dict) -> tuple[EC2Backend, SecurityGroup]:
    backend = ec2_backends[context.account_id][context.region]
    if group_id := request.get("GroupId"):
        group = backend.get_security_group_from_id(group_id)
    elif name := request.get("GroupName"):
        group, group_id = backend.get_security_group_from_name(name, backend.default_vpc.id), name
    else:
        raise aws_error("MissingParameter", "The request must contain the parameter groupName or groupId")
    if group is None:
        raise aws_error("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
    return backend, group


def _is_in_default_vpc(backend: EC2Backend, group: SecurityGroup) -> bool:
    return backend.default_vpc is not None and backend.default_vpc.id == group.vpc_id


def _permissions(request: dict) -> list[dict]:
    """Also the older form, with one rule in the request's own members."""
    if permissions := request.get("IpPermissions"):
        return permissions
    single = {name: request[name] for name in ("IpProtocol", "FromPort", "ToPort") if request.get(name) is not None}
    if cidr := request.get("CidrIp"):
        return [{**single, "IpRanges": [{"CidrIp": cidr}]}]
    raise aws_error("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")


def _patterns(permission: dict) -> Iterator[Pattern]:
    protocol = _protocol(permission["IpProtocol"])
    with_ports = protocol in WITH_PORTS
    for kind, member in PEERS.items():
        for peer in permission.get(kind) or []:
            yield Pattern(
                protocol,
                permission.get("FromPort") if with_ports else None,
                permission.get("ToPort") if with_ports else None,
                kind,
                _network(peer.get(member) or peer.get("GroupName", "")),
            )


def _pattern(rule: SecurityGroupRule) -> Pattern:
    protocol = _protocol(rule.ip_protocol)
    with_ports = protocol in WITH_PORTS
    peers = {
        "IpRanges": rule.cidr_ipv4,
        "Ipv6Ranges": rule.cidr_ipv6,
        "UserIdGroupPairs": rule.source_group.get("GroupId"),
        "PrefixListIds": rule.prefix_list_id,
    }
    kind = next(kind for kind, peer in peers.items() if peer)
    ports = (rule.from_port, rule.to_port) if with_ports else (None, None)
    return Pattern(protocol, *ports, kind, _network(peers[kind]))


def _protocol(name: str) -> str:
    return PROTOCOLS.get(name.lower(), name.lower())


def _network(peer: str) -> str:
    """10.0.0.1/8 is kept, and found, as 10.0.0.0/8."""
    try:
        return str(ipaddress.ip_network(peer, strict=False))
    except ValueError:
        return peer  # a group's or prefix list's ID, or something that moto refuses


def _with_network_addresses(permission: dict) -> dict:
    changed = dict(permission)
    for kind in ("IpRanges", "Ipv6Ranges"):
        if ranges := permission.get(kind):
            changed[kind] = [{**each, PEERS[kind]: _network(each[PEERS[kind]])} for each in ranges]
    return changed


def _by_ids(group: SecurityGroup, ids: list[str]) -> list[SecurityGroupRule]:
    present = {rule.id: rule for rule in group.ingress_rules}
    for id_ in ids:
        if id_ not in present:
            raise _unknown_rule(id_)
    return [present[id_] for id_ in ids]


def _unknown_rule(id_: str) -> Exception:
    return aws_error("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{id_}' does not exist")


def _by_properties(
    group: SecurityGroup, permissions: list[dict]
) -> tuple[list[SecurityGroupRule], list[Pattern]]:
    present = {_pattern(rule): rule for rule in group.ingress_rules}
    wanted = [pattern for permission in permissions for pattern in _patterns(permission)]
    found = [present[pattern] for pattern in wanted if pattern in present]
    return found, [pattern for pattern in wanted if pattern not in present]


def _described(backend: EC2Backend, rule: SecurityGroupRule) -> dict:
    described = {**_revoked(rule), "GroupOwnerId": backend.account_id, "Tags": _tags(rule)}
    group = described.pop("ReferencedGroupId", None)
    return {**described, "ReferencedGroupInfo": {"GroupId": group}} if group else described


def _tags(rule: SecurityGroupRule) -> list[dict]:
    return [{"Key": tag["key"], "Value": tag["value"]} for tag in rule.get_tags()]


def _revoked(rule: SecurityGroupRule) -> dict:
    members = {
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group_id,
        "IsEgress": False,
        "IpProtocol": rule.ip_protocol,
        "FromPort": -1 if rule.from_port is None else rule.from_port,
        "ToPort": -1 if rule.to_port is None else rule.to_port,
        "CidrIpv4": rule.cidr_ipv4,
        "CidrIpv6": rule.cidr_ipv6,
        "PrefixListId": rule.prefix_list_id,
        "ReferencedGroupId": rule.source_group.get("GroupId"),
        "Description": _description(rule),
    }
    return {name: value for name, value in members.items() if value is not None}


OPERATIONS = {
    "AuthorizeSecurityGroupEgress": authorize_egress,
    "AuthorizeSecurityGroupIngress": authorize_ingress,
    "ModifySecurityGroupRules": modify,
    "RevokeSecurityGroupIngress": revoke_ingress,
}
