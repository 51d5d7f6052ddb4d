"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/ : API_CreateManagedPrefixList,
API_DescribeManagedPrefixLists, API_GetManagedPrefixListEntries, API_ModifyManagedPrefixList, API_ManagedPrefixList;
https://docs.aws.amazon.com/vpc/latest/userguide/sharing-managed-prefix-lists.html
"""

import pytest
from refusals import code, refusal

WORLD = {"Cidr": "0.0.0.0/0", "Description": "everyone"}


@pytest.fixture
def group(ec2) -> str:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]


def make(ec2, *entries: dict, size: int = 5, name: str = "list", family: str = "IPv4") -> dict:
    asked = {"PrefixListName": name, "Entries": list(entries), "MaxEntries": size, "AddressFamily": family}
    return ec2.create_managed_prefix_list(**asked)["PrefixList"]


def entries(ec2, id_: str, **more) -> list[str]:
    return [each["Cidr"] for each in ec2.get_managed_prefix_list_entries(PrefixListId=id_, **more)["Entries"]]


def lists(ec2, **asked) -> list[dict]:
    return ec2.describe_managed_prefix_lists(**asked)["PrefixLists"]


def from_list(id_: str, **more) -> dict:
    return {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "PrefixListIds": [{"PrefixListId": id_, **more}]}


def share(emulator, owner: str, arn: str, *principals: str) -> str:
    ram = emulator.client("ram", owner)
    made = ram.create_resource_share(name="share", resourceArns=[arn], principals=list(principals))
    return made["resourceShare"]["resourceShareArn"]


def test_a_list_and_its_entries(account, ec2):
    made = make(ec2, WORLD, {"Cidr": "10.0.0.0/8"})
    [described] = lists(ec2, PrefixListIds=[made["PrefixListId"]])
    assert described == made | {"Tags": []}
    assert (made["OwnerId"], made["MaxEntries"], made["Version"], made["State"]) == (account, 5, 1, "create-complete")
    answer = ec2.get_managed_prefix_list_entries(PrefixListId=made["PrefixListId"])["Entries"]
    assert answer == [WORLD, {"Cidr": "10.0.0.0/8"}]
    assert code(make, ec2, WORLD, {"Cidr": "10.0.0.0/8"}, size=1) == "PrefixListMaxEntriesExceeded"


def test_what_does_not_exist(ec2, group):
    """Code: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html"""
    id_, not_found = "pl-0123456789abcdef0", (400, "InvalidPrefixListID.NotFound")
    assert refusal(ec2.get_managed_prefix_list_entries, PrefixListId=id_)[:2] == not_found
    assert refusal(ec2.describe_managed_prefix_lists, PrefixListIds=[id_])[:2] == not_found
    for call in (ec2.authorize_security_group_ingress, ec2.authorize_security_group_egress):
        assert refusal(call, GroupId=group, IpPermissions=[from_list(id_)])[:2] == not_found


def test_a_change_of_entries_is_a_new_version(ec2):
    """The code: errCodePrefixListVersionMismatch of https://github.com/hashicorp/terraform-provider-aws"""
    id_ = make(ec2, WORLD, {"Cidr": "10.0.0.0/8"})["PrefixListId"]
    change = {"PrefixListId": id_, "AddEntries": [{"Cidr": "10.1.0.0/16"}], "RemoveEntries": [{"Cidr": "0.0.0.0/0"}]}
    assert code(ec2.modify_managed_prefix_list, CurrentVersion=2, **change) == "PrefixListVersionMismatch"
    changed = ec2.modify_managed_prefix_list(CurrentVersion=1, **change)["PrefixList"]
    assert (changed["Version"], changed["PrefixListName"]) == (2, "list")
    assert entries(ec2, id_) == ["10.0.0.0/8", "10.1.0.0/16"]
    assert entries(ec2, id_, TargetVersion=1) == ["0.0.0.0/0", "10.0.0.0/8"]
    ec2.delete_managed_prefix_list(PrefixListId=id_)
    assert code(ec2.get_managed_prefix_list_entries, PrefixListId=id_) == "InvalidPrefixListID.NotFound"


def test_pages(emulator, account, ec2):
    id_ = make(ec2, *({"Cidr": f"10.{number}.0.0/16"} for number in range(7)), size=10)["PrefixListId"]
    pages = ec2.get_paginator("get_managed_prefix_list_entries").paginate(
        PrefixListId=id_, PaginationConfig={"PageSize": 3}
    )
    assert [len(each["Entries"]) for each in pages] == [3, 3, 1]
    emulator.put(f"settings/{account}", page_size=2)
    assert len(lists(ec2)) == 2


def test_those_of_aws(emulator, ec2):
    """https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html"""
    of_aws = lists(ec2, Filters=[{"Name": "owner-id", "Values": ["AWS"]}])
    [s3] = [each for each in of_aws if each["PrefixListName"] == "com.amazonaws.us-east-1.s3"]
    assert s3["PrefixListArn"] == f"arn:aws:ec2:us-east-1:aws:prefix-list/{s3['PrefixListId']}"
    assert "MaxEntries" not in s3 and "Version" not in s3 and entries(ec2, s3["PrefixListId"])
    change = {"PrefixListId": s3["PrefixListId"], "PrefixListName": "mine"}
    assert refusal(ec2.modify_managed_prefix_list, **change)[:2] == (403, "UnauthorizedOperation")


def test_a_list_of_another_account(emulator, account, other_account, ec2, group):
    theirs = emulator.client("ec2", other_account)
    made = make(theirs, WORLD)
    id_ = made["PrefixListId"]
    assert code(ec2.get_managed_prefix_list_entries, PrefixListId=id_) == "InvalidPrefixListID.NotFound"
    shared = share(emulator, other_account, made["PrefixListArn"], account)
    [seen] = lists(ec2, PrefixListIds=[id_])
    assert (seen["OwnerId"], entries(ec2, id_)) == (other_account, ["0.0.0.0/0"])
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[from_list(id_)])
    change = {"PrefixListId": id_, "CurrentVersion": 1, "RemoveEntries": [{"Cidr": "0.0.0.0/0"}]}
    assert refusal(ec2.modify_managed_prefix_list, **change)[:2] == (403, "UnauthorizedOperation")
    assert refusal(ec2.delete_managed_prefix_list, PrefixListId=id_)[:2] == (403, "UnauthorizedOperation")
    # "consumers can no longer view the prefix list or its entries"; the reference stays
    emulator.client("ram", other_account).delete_resource_share(resourceShareArn=shared)
    assert code(ec2.get_managed_prefix_list_entries, PrefixListId=id_) == "InvalidPrefixListID.NotFound"
    [described] = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert described["IpPermissions"][0]["PrefixListIds"] == [{"PrefixListId": id_}]


def test_a_rule_that_refers_to_a_list(ec2, group):
    id_ = make(ec2, WORLD)["PrefixListId"]
    [rule] = ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[from_list(id_, Description="the office")]
    )["SecurityGroupRules"]
    assert (rule["PrefixListId"], rule["Description"]) == (id_, "the office")
    [described] = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert described["IpPermissions"][0]["PrefixListIds"] == [{"PrefixListId": id_, "Description": "the office"}]
    again = {"GroupId": group, "IpPermissions": [from_list(id_)]}
    assert code(ec2.authorize_security_group_ingress, **again) == "InvalidPermission.Duplicate"
    ec2.revoke_security_group_ingress(**again)


class TestQuota:
    """60 of IPv4 and 60 of IPv6, inbound and outbound each:
    https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups; as what a rule
    counts:
    https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html#security-group-size; message and code:
    https://github.com/aws/res/issues/27
    """

    FULL = (
        400, "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached."
    )

    def ranges(self, many: int, first: int = 0) -> dict:
        addresses = [{"CidrIp": f"10.0.0.{number}/32"} for number in range(first, first + many)]
        return {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": addresses}

    def ipv6(self, many: int, first: int = 0) -> dict:
        addresses = [{"CidrIpv6": f"2001:db8::{number:x}/128"} for number in range(first, first + many)]
        return {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "Ipv6Ranges": addresses}

    def add(self, ec2, group: str, *permissions: dict, way: str = "ingress") -> None:
        getattr(ec2, f"authorize_security_group_{way}")(GroupId=group, IpPermissions=list(permissions))

    def refused(self, ec2, group: str, *permissions: dict, way: str = "ingress") -> None:
        assert refusal(self.add, ec2, group, *permissions, way=way) == self.FULL

    @pytest.mark.parametrize("way", ["ingress", "egress"])
    def test_counted_on_every_add_for_each_direction(self, ec2, group, way):
        self.add(ec2, group, self.ranges(59 if way == "ingress" else 58), way=way)  # with "all traffic" outbound
        self.refused(ec2, group, self.ranges(2, first=100), way=way)
        self.add(ec2, group, self.ranges(1, first=100), way=way)
        self.refused(ec2, group, self.ranges(1, first=101), way=way)
        self.add(ec2, group, self.ranges(1, first=101), way="egress" if way == "ingress" else "ingress")

    def test_ipv4_and_ipv6_apart(self, ec2, group):
        self.add(ec2, group, self.ranges(60))
        self.add(ec2, group, self.ipv6(60))
        self.refused(ec2, group, self.ipv6(1, first=100))

    def test_a_reference_to_a_group_counts_for_both(self, ec2, group):
        self.add(ec2, group, self.ranges(59), self.ipv6(60))
        self.refused(ec2, group, {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]})

    def test_a_prefix_list_counts_as_its_size(self, ec2, group):
        id_ = make(ec2, WORLD, size=20)["PrefixListId"]
        self.add(ec2, group, self.ranges(40), self.ipv6(60))
        self.add(ec2, group, from_list(id_))
        self.refused(ec2, group, self.ranges(1, first=100))
        one_more = make(ec2, size=1, name="more")["PrefixListId"]
        self.refused(ec2, group, from_list(one_more))

    def test_aws_list_counts_as_its_weight(self, ec2, group):
        [cloudfront] = lists(ec2, Filters=[{"Name": "prefix-list-name", "Values": ["*.cloudfront.origin-facing"]}])
        self.add(ec2, group, self.ranges(6))
        self.refused(ec2, group, from_list(cloudfront["PrefixListId"]))
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[self.ranges(1)])
        self.add(ec2, group, from_list(cloudfront["PrefixListId"]))

    def test_a_test_can_raise_it(self, emulator, account, ec2, group):
        self.add(ec2, group, self.ranges(60))
        emulator.put(f"settings/{account}", security_group_rules=61)
        self.add(ec2, group, self.ranges(1, first=100))
        self.refused(ec2, group, self.ranges(1, first=101))
