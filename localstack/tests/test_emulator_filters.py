"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html: `*` any number of characters, `?` none or
one, a backslash takes the next as it is, "Filter values are case sensitive", and of several values any will do. Groups'
names: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html, ._-:/()#,@[]+=&;{}!$*
"""

import pytest
from refusals import code

ODD = ["web (prod)+[1]", "cost$", "a.b", "a*b", "axb", "back{2}", "Web"]


def tagged(kind: str, name: str) -> list[dict]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


class TestByName:
    """Every kind of resource that is found by a name has one of each of the odd ones."""

    @pytest.fixture(params=["group", "tag of a group", "vpc", "subnet", "acl", "interface", "prefix list", "flow log"])
    def find(self, request, ec2, vpc):
        make, list_, members, label = getattr(self, request.param.replace(" ", "_"))(ec2, vpc)
        made = {make(name, number): name for number, name in enumerate(ODD)}

        def find(*values: str) -> set[str]:
            found = list_(Filters=[{"Name": label, "Values": list(values)}])[members]
            ids = [next(value for value in each.values() if isinstance(value, str) and value in made) for each in found]
            return {made[id_] for id_ in ids}

        return find

    def group(self, ec2, vpc):
        def make(name: str, _number: int) -> str:
            return ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc)["GroupId"]

        return make, ec2.describe_security_groups, "SecurityGroups", "group-name"

    def tag_of_a_group(self, ec2, vpc):
        def make(name: str, number: int) -> str:
            named = {"GroupName": f"g{number}", "TagSpecifications": tagged("security-group", name)}
            return ec2.create_security_group(Description="d", VpcId=vpc, **named)["GroupId"]

        return make, ec2.describe_security_groups, "SecurityGroups", "tag:Name"

    def vpc(self, ec2, _vpc):
        def make(name: str, _number: int) -> str:
            return ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tagged("vpc", name))["Vpc"]["VpcId"]

        return make, ec2.describe_vpcs, "Vpcs", "tag:Name"

    def subnet(self, ec2, vpc):
        def make(name: str, number: int) -> str:
            asked = {"CidrBlock": f"10.0.{number}.0/24", "TagSpecifications": tagged("subnet", name)}
            return ec2.create_subnet(VpcId=vpc, **asked)["Subnet"]["SubnetId"]

        return make, ec2.describe_subnets, "Subnets", "tag:Name"

    def acl(self, ec2, vpc):
        def make(name: str, _number: int) -> str:
            made = ec2.create_network_acl(VpcId=vpc, TagSpecifications=tagged("network-acl", name))
            return made["NetworkAcl"]["NetworkAclId"]

        return make, ec2.describe_network_acls, "NetworkAcls", "tag:Name"

    def interface(self, ec2, vpc):
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]

        def make(name: str, _number: int) -> str:
            made = ec2.create_network_interface(SubnetId=subnet, Description=name)
            return made["NetworkInterface"]["NetworkInterfaceId"]

        return make, ec2.describe_network_interfaces, "NetworkInterfaces", "description"

    def prefix_list(self, ec2, _vpc):
        def make(name: str, _number: int) -> str:
            made = ec2.create_managed_prefix_list(PrefixListName=name, MaxEntries=1, AddressFamily="IPv4")
            return made["PrefixList"]["PrefixListId"]

        return make, ec2.describe_managed_prefix_lists, "PrefixLists", "prefix-list-name"

    def flow_log(self, ec2, vpc):
        def make(name: str, number: int) -> str:
            return ec2.create_flow_logs(
                ResourceIds=[vpc], ResourceType="VPC", TrafficType="ALL", LogGroupName=f"group-{number}",
                DeliverLogsPermissionArn="arn:aws:iam::111111111111:role/r",
                TagSpecifications=tagged("vpc-flow-log", name),
            )["FlowLogIds"][0]

        return make, ec2.describe_flow_logs, "FlowLogs", "tag:Name"

    def test_found_as_on_aws(self, find):
        for name in ODD:
            if "*" not in name:
                assert find(name) == {name}
        assert find("a*b") == {"a.b", "a*b", "axb"} == find("a?b") == find("a??b")  # a question mark can be none
        assert find("web*") == {"web (prod)+[1]"} and find("Web?") == {"Web"} and find("?eb") == {"Web"}
        assert find("*(prod)*") == {"web (prod)+[1]"}
        assert find("a\\*b") == {"a*b"} and find("a\\?b") == set() and find("cost\\$") == {"cost$"}
        assert find("web") == set() and find("WEB*") == set()
        assert find("Web", "cost$", "none") == {"Web", "cost$"}


def test_any_of_several_values_for_what_has_several(ec2, vpc):
    """An ACL of two subnets is found by either, with another one next to it."""
    [acl] = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"] for number in range(2)
    ]
    asked = [{"Name": "association.subnet-id", "Values": [subnets[0], "subnet-0123456789abcdef0"]}]
    found = ec2.describe_network_acls(Filters=asked)["NetworkAcls"]
    assert [each["NetworkAclId"] for each in found] == [acl["NetworkAclId"]]


def test_groups_by_their_rules(ec2, vpc):
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    made = ec2.create_managed_prefix_list(PrefixListName="l", MaxEntries=1, AddressFamily="IPv4")["PrefixList"]
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    ipv6 = {**ssh, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    of_list = {**ssh, "PrefixListIds": [{"PrefixListId": made["PrefixListId"]}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ipv6, of_list])

    def find(name: str, value: str) -> list[str]:
        found = ec2.describe_security_groups(Filters=[{"Name": name, "Values": [value]}])["SecurityGroups"]
        return [each["GroupId"] for each in found]

    assert find("ip-permission.ipv6-cidr", "::/0") == [group]
    assert find("ip-permission.prefix-list-id", made["PrefixListId"]) == [group]
    assert find("egress.ip-permission.ipv6-cidr", "::/0") == []


def test_a_filter_that_does_not_exist(ec2):
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html"""
    unheard = {"Filters": [{"Name": "unheard-of", "Values": ["x"]}]}
    assert code(ec2.describe_security_groups, **unheard) == "InvalidParameterValue"
    assert code(ec2.describe_security_group_rules, **unheard) == "InvalidParameterValue"
