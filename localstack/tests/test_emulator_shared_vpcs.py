"""https://docs.aws.amazon.com/vpc/latest/userguide/vpc-sharing.html: "Participants can describe resources in a shared
VPC that they did not create", "can modify or delete only the resources in a shared VPC that they created", "VPC tags
and tags for the resources within the shared VPC are not shared with the participants"; and of flow logs, what a
participant sees: https://github.com/cloud-custodian/cloud-custodian/issues/6936
"""

import pytest
from functions import allow, trust
from refusals import code, refusal

SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
REFUSED = (403, "UnauthorizedOperation")  # inferred


@pytest.fixture
def owners(emulator, other_account):
    return emulator.client("ec2", other_account)


@pytest.fixture
def vpc(owners) -> str:
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "theirs"}]}]
    return owners.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]


@pytest.fixture
def subnet(emulator, owners, account, other_account, vpc) -> str:
    """One of two: the other one is not shared."""
    owners.create_subnet(VpcId=vpc, CidrBlock="10.0.2.0/24")
    made = owners.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]
    emulator.client("ram", other_account).create_resource_share(
        name="share", resourceArns=[made["SubnetArn"]], principals=[account]
    )
    return made["SubnetId"]


def of_vpc(vpc: str) -> list[dict]:
    return [{"Name": "vpc-id", "Values": [vpc]}]


def test_unseen_until_it_is_shared(ec2, vpc):
    assert code(ec2.describe_vpcs, VpcIds=[vpc]) == "InvalidVpcID.NotFound"
    assert ec2.describe_security_groups(Filters=of_vpc(vpc))["SecurityGroups"] == []


def test_what_a_participant_sees(ec2, account, other_account, vpc, subnet):
    [seen] = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    assert (seen["OwnerId"], seen["IsDefault"], seen.get("Tags", [])) == (other_account, False, [])
    assert {each["OwnerId"] for each in ec2.describe_vpcs()["Vpcs"]} == {account, other_account}
    [seen] = ec2.describe_subnets(Filters=of_vpc(vpc))["Subnets"]
    assert (seen["SubnetId"], seen["OwnerId"]) == (subnet, other_account)
    [group] = ec2.describe_security_groups(Filters=of_vpc(vpc))["SecurityGroups"]
    assert (group["GroupName"], group["OwnerId"]) == ("default", other_account)
    [acl] = ec2.describe_network_acls(Filters=of_vpc(vpc))["NetworkAcls"]
    assert (acl["IsDefault"], acl["OwnerId"]) == (True, other_account)
    named = [{"Name": "tag:Name", "Values": ["theirs"]}]
    assert ec2.describe_vpcs(Filters=named)["Vpcs"] == []


def test_its_own_and_shared_ones_by_their_ids(ec2, vpc, subnet):
    [own] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert {each["VpcId"] for each in ec2.describe_vpcs(VpcIds=[own["VpcId"], vpc])["Vpcs"]} == {own["VpcId"], vpc}
    missing = "vpc-0123456789abcdef0"
    assert code(ec2.describe_vpcs, VpcIds=[vpc, missing]) == "InvalidVpcID.NotFound"
    owner = [{"Name": "owner-id", "Values": [own["OwnerId"]]}]
    assert [each["VpcId"] for each in ec2.describe_vpcs(Filters=owner)["Vpcs"]] == [own["VpcId"]]


def test_flow_logs_of_the_vpc_are_the_owners(emulator, ec2, owners, account, other_account, make_role, vpc, subnet):
    def create(client, of: str, resource: str, kind: str = "VPC") -> dict:
        role = make_role(of, f"delivery-{kind}", trust({"Service": "vpc-flow-logs.amazonaws.com"}), allow("logs:*"))
        return client.create_flow_logs(
            ResourceIds=[resource], ResourceType=kind, TrafficType="ALL", LogGroupName="g",
            DeliverLogsPermissionArn=role,
        )

    create(owners, other_account, vpc)
    assert ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc]}])["FlowLogs"] == []
    assert refusal(create, ec2, account, vpc)[:2] == REFUSED
    assert refusal(create, ec2, account, subnet, "Subnet")[:2] == REFUSED


def test_what_the_owner_made_cannot_be_changed(ec2, owners, vpc, subnet):
    theirs = owners.create_security_group(GroupName="theirs", Description="d", VpcId=vpc)["GroupId"]
    owners.authorize_security_group_ingress(GroupId=theirs, IpPermissions=[SSH])
    [rule] = [
        each
        for each in ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [theirs]}])[
            "SecurityGroupRules"
        ]
        if not each["IsEgress"]
    ]
    by_id = {"GroupId": theirs, "SecurityGroupRuleIds": [rule["SecurityGroupRuleId"]]}
    assert refusal(ec2.revoke_security_group_ingress, **by_id)[:2] == REFUSED
    assert refusal(ec2.authorize_security_group_ingress, GroupId=theirs, IpPermissions=[SSH])[:2] == REFUSED
    [acl] = ec2.describe_network_acls(Filters=of_vpc(vpc))["NetworkAcls"]
    entry = {"NetworkAclId": acl["NetworkAclId"], "RuleNumber": 100, "Egress": False}
    assert refusal(ec2.delete_network_acl_entry, **entry)[:2] == REFUSED
    changed = {**entry, "Protocol": "-1", "RuleAction": "deny", "CidrBlock": "0.0.0.0/0"}
    for call in (ec2.replace_network_acl_entry, ec2.create_network_acl_entry):
        assert refusal(call, **changed)[:2] == REFUSED
    assert refusal(ec2.create_network_acl, VpcId=vpc)[:2] == REFUSED
    owners.delete_network_acl_entry(**entry)


def test_a_group_of_the_participants_own(ec2, owners, account, vpc, subnet):
    own = ec2.create_security_group(GroupName="own", Description="d", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=[SSH])
    [group] = ec2.describe_security_groups(GroupIds=[own])["SecurityGroups"]
    assert (group["OwnerId"], group["VpcId"], len(group["IpPermissionsEgress"])) == (account, vpc, 1)
    ec2.revoke_security_group_ingress(GroupId=own, IpPermissions=[SSH])
    assert code(owners.revoke_security_group_ingress, GroupId=own, IpPermissions=[SSH]) == "InvalidGroup.NotFound"


def test_pages_go_over_both(emulator, account, ec2, vpc, subnet):
    emulator.put(f"settings/{account}", page_size=1)
    pages = ec2.get_paginator("describe_vpcs").paginate()
    assert [len(page["Vpcs"]) for page in pages] == [1, 1]


def test_shared_with_the_organization(emulator, account):
    """https://docs.aws.amazon.com/ram/latest/userguide/getting-started-sharing.html: accounts, or the organization"""
    organizations = emulator.client("organizations", account)
    arn = organizations.create_organization(FeatureSet="ALL")["Organization"]["Arn"]
    made = organizations.create_account(Email="a@example.org", AccountName="member")["CreateAccountStatus"]
    owners, theirs = emulator.client("ec2", account), emulator.client("ec2", made["AccountId"])
    vpc = owners.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = owners.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetArn"]
    emulator.client("ram", account).create_resource_share(name="s", resourceArns=[subnet], principals=[arn])
    assert theirs.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["OwnerId"] == account
