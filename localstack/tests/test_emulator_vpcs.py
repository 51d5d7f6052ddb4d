"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/ : API_DescribeVpcs, API_DescribeSubnets, API_Vpc, API_Subnet;
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from refusals import code


def named(kind: str, name: str) -> list[dict]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def make(ec2, name: str) -> str:
    return ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=named("vpc", name))["Vpc"]["VpcId"]


def ids(vpcs: list[dict]) -> list[str]:
    return [vpc["VpcId"] for vpc in vpcs]


def test_every_region_has_one_default_vpc_and_what_is_made_is_none(emulator, account, ec2):
    for region in ("us-east-1", "eu-west-1"):
        of_region = emulator.client("ec2", account, region=region)
        assert [vpc["IsDefault"] for vpc in of_region.describe_vpcs()["Vpcs"]] == [True]
    [made] = ec2.describe_vpcs(VpcIds=[make(ec2, "made")])["Vpcs"]
    assert made["IsDefault"] is False


def test_found_by_its_id_and_by_its_name(ec2):
    first, second = make(ec2, "edge"), make(ec2, "edge")
    make(ec2, "edge-2")
    assert ids(ec2.describe_vpcs(VpcIds=[first])["Vpcs"]) == [first]
    by_name = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["edge"]}])["Vpcs"]
    assert sorted(ids(by_name)) == sorted([first, second])


def test_one_that_is_deleted_is_not_found(ec2):
    vpc = make(ec2, "gone")
    ec2.delete_vpc(VpcId=vpc)
    assert code(ec2.describe_vpcs, VpcIds=[vpc]) == "InvalidVpcID.NotFound"


def test_a_subnet_says_its_vpc_and_its_name(ec2):
    vpc = make(ec2, "of-subnets")
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", TagSpecifications=named("subnet", "public"))
    id_ = subnet["Subnet"]["SubnetId"]
    [described] = ec2.describe_subnets(SubnetIds=[id_])["Subnets"]
    assert (described["VpcId"], described["Tags"]) == (vpc, [{"Key": "Name", "Value": "public"}])
    ec2.delete_subnet(SubnetId=id_)
    assert code(ec2.describe_subnets, SubnetIds=[id_]) == "InvalidSubnetID.NotFound"
