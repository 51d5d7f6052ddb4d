"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html"""

import pytest


@pytest.fixture
def subnet(ec2) -> str:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]


@pytest.fixture
def group(ec2, subnet) -> str:
    vpc = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
    return ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]


def run_instance(ec2, subnet: str, group: str) -> str:
    image = ec2.register_image(Name="image")["ImageId"]
    run = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet, SecurityGroupIds=[group])
    return run["Instances"][0]["InstanceId"]


def filters(group: str, status: str) -> list[dict]:
    return [{"Name": "group-id", "Values": [group]}, {"Name": "status", "Values": [status]}]


def test_found_by_its_group_and_whether_it_is_in_use(ec2, subnet, group):
    instance = run_instance(ec2, subnet, group)
    idle = ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]["NetworkInterfaceId"]
    [used] = ec2.describe_network_interfaces(Filters=filters(group, "in-use"))["NetworkInterfaces"]
    assert (used["Attachment"]["InstanceId"], used["SubnetId"], used["Status"]) == (instance, subnet, "in-use")
    [found] = ec2.describe_network_interfaces(Filters=filters(group, "available"))["NetworkInterfaces"]
    assert (found["NetworkInterfaceId"], found.get("Attachment")) == (idle, None)
    ec2.attach_network_interface(NetworkInterfaceId=idle, InstanceId=instance, DeviceIndex=1)
    assert len(ec2.describe_network_interfaces(Filters=filters(group, "in-use"))["NetworkInterfaces"]) == 2
    assert ec2.describe_network_interfaces(Filters=filters("sg-other", "in-use"))["NetworkInterfaces"] == []


def test_pages(emulator, account, ec2, subnet, group):
    for _ in range(2):
        ec2.create_network_interface(SubnetId=subnet, Groups=[group])
    emulator.put(f"settings/{account}", page_size=1)
    found = filters(group, "available")
    first = ec2.describe_network_interfaces(Filters=found)
    second = ec2.describe_network_interfaces(Filters=found, NextToken=first["NextToken"])
    ids = {each["NetworkInterfaceId"] for page in (first, second) for each in page["NetworkInterfaces"]}
    assert len(ids) == 2 and "NextToken" not in second
