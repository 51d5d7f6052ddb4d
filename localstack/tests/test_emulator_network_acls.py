"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/ : API_CreateNetworkAclEntry, API_DeleteNetworkAclEntry,
API_DescribeNetworkAcls, API_NetworkAclEntry; the entries that AWS makes:
https://docs.aws.amazon.com/vpc/latest/userguide/default-network-acl.html and custom-network-acl.html
"""

import pytest
from refusals import code

OPEN = {"RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "Egress": False, "CidrBlock": "0.0.0.0/0"}
DENY = {"RuleNumber": 32767, "Protocol": "-1", "RuleAction": "deny", "Egress": False, "CidrBlock": "0.0.0.0/0"}
OPEN_IPV6 = {"RuleNumber": 101, "Protocol": "-1", "RuleAction": "allow", "Egress": False, "Ipv6CidrBlock": "::/0"}
DENY_IPV6 = {"RuleNumber": 32768, "Protocol": "-1", "RuleAction": "deny", "Egress": False, "Ipv6CidrBlock": "::/0"}


@pytest.fixture
def default_acl(ec2, vpc) -> str:
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "default", "Values": ["true"]}]
    [acl] = ec2.describe_network_acls(Filters=filters)["NetworkAcls"]
    return acl["NetworkAclId"]


def ingress(ec2, acl: str) -> list[dict]:
    [described] = ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    return [entry for entry in described["Entries"] if not entry["Egress"]]


def test_a_default_acl(ec2, default_acl):
    assert ingress(ec2, default_acl) == [OPEN, DENY]


def test_a_default_acl_of_a_vpc_with_ipv6(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    [acl] = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"]
    id_ = acl["NetworkAclId"]
    assert ingress(ec2, id_) == [OPEN, OPEN_IPV6, DENY, DENY_IPV6]
    ec2.delete_network_acl_entry(NetworkAclId=id_, RuleNumber=101, Egress=False)
    assert ingress(ec2, id_) == [OPEN, DENY, DENY_IPV6]
    assert code(ec2.delete_network_acl_entry, NetworkAclId=id_, RuleNumber=32768, Egress=False) == (
        "InvalidParameterValue"
    )


def test_a_custom_acl_denies_everything(ec2, vpc):
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]
    assert acl["IsDefault"] is False and DENY in acl["Entries"]
    assert ingress(ec2, acl["NetworkAclId"]) == [DENY]


def test_an_entry_deleted_and_put_back(ec2, default_acl):
    before = ingress(ec2, default_acl)
    ec2.delete_network_acl_entry(NetworkAclId=default_acl, RuleNumber=100, Egress=False)
    assert ingress(ec2, default_acl) == [DENY]
    again = {"NetworkAclId": default_acl, "RuleNumber": 100, "Egress": False}
    assert code(ec2.delete_network_acl_entry, **again) == "InvalidNetworkAclEntry.NotFound"
    ec2.create_network_acl_entry(NetworkAclId=default_acl, **OPEN)
    assert ingress(ec2, default_acl) == before
    assert code(ec2.create_network_acl_entry, NetworkAclId=default_acl, **OPEN) == "NetworkAclEntryAlreadyExists"


def test_an_ipv6_entry_has_no_ipv4_block(ec2, default_acl):
    ec2.create_network_acl_entry(NetworkAclId=default_acl, **OPEN_IPV6)
    assert ingress(ec2, default_acl) == [OPEN, OPEN_IPV6, DENY]
    filters = [{"Name": "entry.ipv6-cidr", "Values": ["::/0"]}]
    [acl] = ec2.describe_network_acls(Filters=filters)["NetworkAcls"]
    assert acl["NetworkAclId"] == default_acl


@pytest.mark.parametrize("number", [0, 32767, 32768])
def test_reserved_numbers(ec2, default_acl, number):
    entry = {"NetworkAclId": default_acl, "RuleNumber": number, "Egress": False}
    assert code(ec2.delete_network_acl_entry, **entry) == "InvalidParameterValue"
    assert code(ec2.create_network_acl_entry, **{**OPEN, **entry}) == "InvalidParameterValue"
    assert ingress(ec2, default_acl) == [OPEN, DENY]


def test_the_subnets_of_an_acl(ec2, vpc):
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    custom = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    of_subnet = [{"Name": "association.subnet-id", "Values": [subnet]}]
    [acl] = ec2.describe_network_acls(Filters=of_subnet)["NetworkAcls"]
    assert acl["IsDefault"] is True
    [association] = [each for each in acl["Associations"] if each["SubnetId"] == subnet]
    ec2.replace_network_acl_association(
        AssociationId=association["NetworkAclAssociationId"], NetworkAclId=custom
    )
    [acl] = ec2.describe_network_acls(Filters=of_subnet)["NetworkAcls"]
    assert acl["NetworkAclId"] == custom


def test_an_acl_that_does_not_exist(ec2):
    missing = "acl-0123456789abcdef0"
    assert code(ec2.describe_network_acls, NetworkAclIds=[missing]) == "InvalidNetworkAclID.NotFound"
    for call in (ec2.delete_network_acl_entry, ec2.create_network_acl_entry):
        entry = OPEN if call == ec2.create_network_acl_entry else {"RuleNumber": 100, "Egress": False}
        assert code(call, NetworkAclId=missing, **entry) == "InvalidNetworkAclID.NotFound"
    by_filter = [{"Name": "network-acl-id", "Values": [missing]}]
    assert ec2.describe_network_acls(Filters=by_filter)["NetworkAcls"] == []
