"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/ : API_AuthorizeSecurityGroupIngress,
API_RevokeSecurityGroupIngress, API_DescribeSecurityGroupRules, API_DescribeSecurityGroups,
API_ModifySecurityGroupRules
"""

import pytest
from refusals import code, refusal

ANYWHERE = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
ANYWHERE_IPV6 = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}


@pytest.fixture
def group(ec2) -> str:
    """In a VPC that is not a default one."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]


@pytest.fixture
def default_vpc_group(ec2) -> str:
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    return ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc["VpcId"])["GroupId"]


def rules(ec2, group: str) -> list[dict]:
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    return [rule for rule in found if not rule["IsEgress"]]


def cidrs(ec2, group: str) -> set[str]:
    return {rule.get("CidrIpv4") or rule["CidrIpv6"] for rule in rules(ec2, group)}


def test_every_added_rule_is_returned_with_its_description(ec2, group):
    office = {"CidrIp": "10.1.0.0/16", "Description": "the office"}
    added = ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {**ANYWHERE, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "everyone"}, office]},
            {**ANYWHERE_IPV6, "Ipv6Ranges": [{"CidrIpv6": "::/0", "Description": "everyone, too"}]},
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group, "Description": "each other"}]},
        ],
    )["SecurityGroupRules"]
    assert [rule.get("Description") for rule in added] == ["everyone", "the office", "everyone, too", "each other"]
    assert added[3]["ReferencedGroupInfo"] == {"GroupId": group}
    kept = {rule["SecurityGroupRuleId"]: rule["Description"] for rule in rules(ec2, group)}
    assert kept == {rule["SecurityGroupRuleId"]: rule["Description"] for rule in added}
    [described] = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    ssh = next(each for each in described["IpPermissions"] if each["IpProtocol"] == "tcp")
    assert office in ssh["IpRanges"] and ssh["Ipv6Ranges"] == [{"CidrIpv6": "::/0", "Description": "everyone, too"}]


def test_the_tags_of_a_rule(ec2, group):
    tags = [{"Key": "k", "Value": "v"}]
    [rule] = ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[ANYWHERE],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tags}],
    )["SecurityGroupRules"]
    assert rule["Tags"] == tags and rules(ec2, group)[0]["Tags"] == tags


def test_a_duplicate_adds_nothing(ec2, group):
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ANYWHERE])
    again = {**ANYWHERE, "IpRanges": [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "0.0.0.0/0", "Description": "another"}]}
    assert refusal(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[again]) == (
        400,
        "InvalidPermission.Duplicate",
        'the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already exists',
    )
    assert cidrs(ec2, group) == {"0.0.0.0/0"}
    twice = {**ANYWHERE, "IpRanges": [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "10.0.0.1/8"}]}
    assert code(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[twice]) == "InvalidParameterValue"


def test_addresses_are_kept_as_those_of_their_network(ec2, group):
    ranges = {"IpRanges": [{"CidrIp": "10.1.2.3/8"}], "Ipv6Ranges": [{"CidrIpv6": "0:0::/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ANYWHERE | ranges])
    assert cidrs(ec2, group) == {"10.0.0.0/8", "::/0"}


def test_icmp_of_both_kinds(ec2, group):
    everything = {"FromPort": -1, "ToPort": -1}
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "icmp", **everything, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
            {"IpProtocol": "icmpv6", **everything, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
        ],
    )
    assert {(rule["IpProtocol"], rule["FromPort"]) for rule in rules(ec2, group)} == {("icmp", -1), ("icmpv6", -1)}


def test_revoking_by_rule_id(ec2, group):
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ANYWHERE, ANYWHERE_IPV6])
    ids = {rule.get("CidrIpv4"): rule["SecurityGroupRuleId"] for rule in rules(ec2, group)}
    answer = ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[ids["0.0.0.0/0"]])
    assert [rule["CidrIpv4"] for rule in answer["RevokedSecurityGroupRules"]] == ["0.0.0.0/0"]
    assert cidrs(ec2, group) == {"::/0"}
    gone = {"GroupId": group, "SecurityGroupRuleIds": [ids[None], ids["0.0.0.0/0"]]}
    assert code(ec2.revoke_security_group_ingress, **gone) == "InvalidSecurityGroupRuleId.NotFound"
    assert cidrs(ec2, group) == {"::/0"}


def test_revoking_by_properties_whatever_the_description(ec2, group):
    described = {**ANYWHERE, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "x"}, {"CidrIp": "10.0.0.0/8"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[described])
    answer = ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[ANYWHERE])
    assert [rule["Description"] for rule in answer["RevokedSecurityGroupRules"]] == ["x"]
    assert cidrs(ec2, group) == {"10.0.0.0/8"}


@pytest.mark.parametrize(
    "present",
    [
        {**ANYWHERE, "FromPort": 0, "ToPort": 65535},
        {**ANYWHERE, "IpProtocol": "udp"},
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        ANYWHERE_IPV6,
    ],
)
def test_only_exactly_the_same_rule_is_revoked(ec2, group, present):
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[present])
    call = ec2.revoke_security_group_ingress
    assert code(call, GroupId=group, IpPermissions=[ANYWHERE]) == "InvalidPermission.NotFound"
    assert len(rules(ec2, group)) == 1


def test_what_is_unknown_in_a_vpc_that_is_not_default_keeps_all(ec2, group):
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ANYWHERE])
    call = ec2.revoke_security_group_ingress
    assert code(call, GroupId=group, IpPermissions=[ANYWHERE, ANYWHERE_IPV6]) == "InvalidPermission.NotFound"
    assert cidrs(ec2, group) == {"0.0.0.0/0"}


def test_what_is_unknown_in_a_default_vpc_is_returned(ec2, default_vpc_group):
    group = default_vpc_group
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ANYWHERE])
    answer = ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[ANYWHERE, ANYWHERE_IPV6])
    assert answer["Return"] is True and len(answer["RevokedSecurityGroupRules"]) == 1
    [unknown] = answer["UnknownIpPermissions"]
    assert (unknown["FromPort"], unknown["Ipv6Ranges"]) == (22, [{"CidrIpv6": "::/0"}])
    assert rules(ec2, group) == []


def test_a_group_that_does_not_exist(ec2):
    missing = {"GroupId": "sg-0123456789abcdef0", "IpPermissions": [ANYWHERE]}
    assert code(ec2.revoke_security_group_ingress, **missing) == "InvalidGroup.NotFound"
    assert code(ec2.authorize_security_group_ingress, **missing) == "InvalidGroup.NotFound"
    assert code(ec2.describe_security_groups, GroupIds=[missing["GroupId"]]) == "InvalidGroup.NotFound"


def test_pages_of_rules(ec2, group):
    many = [{"CidrIp": f"10.{number}.0.0/16"} for number in range(11)]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**ANYWHERE, "IpRanges": many}])
    asked = {"Filters": [{"Name": "group-id", "Values": [group]}], "MaxResults": 5}
    first = ec2.describe_security_group_rules(**asked)
    assert len(first["SecurityGroupRules"]) == 5
    pages = ec2.get_paginator("describe_security_group_rules").paginate(**asked)
    assert [len(each["SecurityGroupRules"]) for each in pages] == [5, 5, 2]  # with the egress rule
    assert code(ec2.describe_security_group_rules, MaxResults=1001) == "InvalidParameterValue"
    assert code(ec2.describe_security_group_rules, NextToken="x") == "InvalidPaginationToken"


def modify(ec2, group: str, **updates: dict) -> None:
    asked = [{"SecurityGroupRuleId": id_, "SecurityGroupRule": rule} for id_, rule in updates.items()]
    ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=asked)


def test_a_rule_changes_in_place_and_keeps_its_id_and_tags(ec2, group):
    tags = [{"Key": "k", "Value": "v"}]
    everyone = {"CidrIp": "0.0.0.0/0", "Description": "everyone"}
    [rule] = ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [everyone]}],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tags}],
    )["SecurityGroupRules"]
    id_ = rule["SecurityGroupRuleId"]
    tcp = {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 21, "CidrIpv4": "0.0.0.0/0", "Description": "all below"}
    modify(ec2, group, **{id_: tcp})
    [changed] = rules(ec2, group)
    assert (changed["SecurityGroupRuleId"], changed["Tags"]) == (id_, tags)
    assert {name: changed[name] for name in tcp} == tcp
    # As in AWS's example of its command line, all traffic has no ports.
    # https://docs.aws.amazon.com/cli/latest/reference/ec2/modify-security-group-rules.html
    modify(ec2, group, **{id_: {"IpProtocol": "-1", "CidrIpv4": "0.0.0.0/0"}})
    [back] = rules(ec2, group)
    assert (back["IpProtocol"], back["FromPort"], back["SecurityGroupRuleId"]) == ("-1", -1, id_)


def test_other_peers_change_in_place_as_well(ec2, group):
    anywhere = {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    each_other = {**ANYWHERE, "IpRanges": [], "UserIdGroupPairs": [{"GroupId": group}]}
    added = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[anywhere, each_other])
    of_ipv6, of_group = [rule["SecurityGroupRuleId"] for rule in added["SecurityGroupRules"]]
    tcp = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2}
    modify(ec2, group, **{of_ipv6: {**tcp, "CidrIpv6": "::/0"}, of_group: {**tcp, "ReferencedGroupId": group}})
    assert {(rule["SecurityGroupRuleId"], rule["FromPort"], rule["ToPort"]) for rule in rules(ec2, group)} == {
        (of_ipv6, 1, 2), (of_group, 1, 2)
    }


def test_what_cannot_be_changed_changes_none_of_the_rules(ec2, group):
    added = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ANYWHERE, ANYWHERE_IPV6])
    ipv4, ipv6 = [rule["SecurityGroupRuleId"] for rule in added["SecurityGroupRules"]]
    web = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{**web, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    good = {ipv6: {**web, "CidrIpv6": "::/0"}}
    before = sorted(map(str, rules(ec2, group)))
    for refused, updates in {
        "InvalidPermission.Duplicate": {ipv4: {**web, "CidrIpv4": "0.0.0.0/0"}},
        "InvalidSecurityGroupRuleId.NotFound": {"sgr-00000000000000000": {**web, "CidrIpv4": "0.0.0.0/0"}},
        "InvalidParameterCombination": {ipv4: {**web, "CidrIpv4": "0.0.0.0/0", "CidrIpv6": "::/0"}},
        "MissingParameter": {ipv4: web},
    }.items():
        assert code(modify, ec2, group, **good, **updates) == refused
        assert sorted(map(str, rules(ec2, group))) == before, refused
    for wrong in (
        {ipv4: {**web, "CidrIpv6": "::/0"}},  # another type
        {ipv4: {"IpProtocol": "tcp", "CidrIpv4": "0.0.0.0/0"}},  # no ports
        {ipv4: {"FromPort": 1, "ToPort": 2, "CidrIpv4": "0.0.0.0/0"}},  # no protocol
    ):
        assert code(modify, ec2, group, **good, **wrong) == "InvalidParameterValue"
        assert sorted(map(str, rules(ec2, group))) == before
    # That a rule is what it becomes is no duplicate.
    modify(ec2, group, **{ipv4: {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "0.0.0.0/0"}})


def test_a_rule_of_a_full_group_changes_in_place(ec2, group):
    ranges = [{"CidrIp": f"10.0.{number}.0/24"} for number in range(59)]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**ANYWHERE, "IpRanges": ranges}])
    [wide] = ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    )["SecurityGroupRules"]
    one_more = {"GroupId": group, "IpPermissions": [ANYWHERE]}
    assert code(ec2.authorize_security_group_ingress, **one_more) == "RulesPerSecurityGroupLimitExceeded"
    below = {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 21, "CidrIpv4": "0.0.0.0/0"}
    modify(ec2, group, **{wide["SecurityGroupRuleId"]: below})
    assert len(rules(ec2, group)) == 60
