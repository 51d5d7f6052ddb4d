import pytest

from localstack_remediation.iam.permissions import permissions_for
from localstack_remediation.iam.resources import Call

ACCOUNT = "111111111111"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:token-AbCdEf"


def needed(service, operation, **parameters):
    call = Call(
        service, operation, parameters, "aws", "us-east-1", ACCOUNT, {"token": SECRET}.get, {"AKIA": "u"}.get,
        lambda trail: trail == "everybodys",
    )
    return [(permission.action, permission.resource) for permission in permissions_for(call)]


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "action", "resource"),
    [
        ("s3", "PutObject", {"Bucket": "b", "Key": "k/l"}, "s3:PutObject", "arn:aws:s3:::b/k/l"),
        ("s3", "HeadObject", {"Bucket": "b", "Key": "k"}, "s3:GetObject", "arn:aws:s3:::b/k"),
        ("s3", "GetObject", {"Bucket": "b", "Key": "k", "VersionId": "v"}, "s3:GetObjectVersion", "arn:aws:s3:::b/k"),
        ("s3", "ListObjectsV2", {"Bucket": "b"}, "s3:ListBucket", "arn:aws:s3:::b"),
        ("s3", "ListBuckets", {}, "s3:ListAllMyBuckets", "*"),
        ("s3", "GetPublicAccessBlock", {"Bucket": "b"}, "s3:GetBucketPublicAccessBlock", "arn:aws:s3:::b"),
        ("s3", "PutPublicAccessBlock", {"Bucket": "b"}, "s3:PutBucketPublicAccessBlock", "arn:aws:s3:::b"),
        ("s3", "DeletePublicAccessBlock", {"Bucket": "b"}, "s3:PutBucketPublicAccessBlock", "arn:aws:s3:::b"),
        ("s3", "GetBucketTagging", {"Bucket": "b"}, "s3:GetBucketTagging", "arn:aws:s3:::b"),
        ("s3", "GetBucketWebsite", {"Bucket": "b"}, "s3:GetBucketWebsite", "arn:aws:s3:::b"),
        ("s3", "GetBucketPolicyStatus", {"Bucket": "b"}, "s3:GetBucketPolicyStatus", "arn:aws:s3:::b"),
        ("s3control", "PutPublicAccessBlock", {"AccountId": ACCOUNT}, "s3:PutAccountPublicAccessBlock", "*"),
        ("lambda", "Invoke", {"FunctionName": "f"}, "lambda:InvokeFunction",
         f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"),
        ("lambda", "Invoke", {"FunctionName": f"{ACCOUNT}:function:f", "Qualifier": "1"}, "lambda:InvokeFunction",
         f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f:1"),
        ("logs", "CreateLogGroup", {"logGroupName": "/g"}, "logs:CreateLogGroup",
         f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/g:*"),
        ("logs", "PutLogEvents", {"logGroupName": "/g", "logStreamName": "s"}, "logs:PutLogEvents",
         f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/g:log-stream:s"),
        ("secretsmanager", "GetSecretValue", {"SecretId": SECRET}, "secretsmanager:GetSecretValue", SECRET),
        ("secretsmanager", "GetSecretValue", {"SecretId": "token"}, "secretsmanager:GetSecretValue", SECRET),
        ("sqs", "SendMessage", {"QueueUrl": "http://h:1/222222222222/q"}, "sqs:SendMessage",
         "arn:aws:sqs:us-east-1:222222222222:q"),
        ("sqs", "GetQueueUrl", {"QueueName": "q"}, "sqs:GetQueueUrl", f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"),
        ("kms", "Decrypt", {"KeyId": "k"}, "kms:Decrypt", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"),
        ("kms", "Encrypt", {"KeyId": "alias/a"}, "kms:Encrypt", None),
        ("ssm", "GetParameter", {"Name": "/a/b"}, "ssm:GetParameter",
         f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/a/b"),
        ("ssm", "GetAutomationExecution", {"AutomationExecutionId": "e"}, "ssm:GetAutomationExecution",
         f"arn:aws:ssm:us-east-1:{ACCOUNT}:automation-execution/e"),
        ("ssm", "DescribeDocument", {"Name": "AWS-R"}, "ssm:DescribeDocument", "arn:aws:ssm:us-east-1::document/AWS-R"),
        ("ssm", "DescribeDocument", {"Name": "own"}, "ssm:DescribeDocument",
         f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/own"),
        ("iam", "SimulatePrincipalPolicy", {"PolicySourceArn": ROLE}, "iam:SimulatePrincipalPolicy", ROLE),
        ("iam", "GetRole", {"RoleName": "r"}, "iam:GetRole", ROLE),
        ("ssm", "DescribeAutomationExecutions", {}, "ssm:DescribeAutomationExecutions", "*"),
        ("ec2", "RevokeSecurityGroupIngress", {"GroupId": "sg-1"}, "ec2:RevokeSecurityGroupIngress",
         f"arn:aws:ec2:us-east-1:{ACCOUNT}:security-group/sg-1"),
        ("ec2", "DeleteNetworkAclEntry", {"NetworkAclId": "acl-1", "RuleNumber": 1}, "ec2:DeleteNetworkAclEntry",
         f"arn:aws:ec2:us-east-1:{ACCOUNT}:network-acl/acl-1"),
        ("ec2", "ModifySnapshotAttribute", {"SnapshotId": "snap-1"}, "ec2:ModifySnapshotAttribute",
         "arn:aws:ec2:us-east-1::snapshot/snap-1"),
        ("ec2", "DeleteVpc", {"VpcId": "vpc-1"}, "ec2:DeleteVpc", f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc/vpc-1"),
        ("ec2", "DeleteFlowLogs", {"FlowLogIds": ["fl-1"]}, "ec2:DeleteFlowLogs",
         f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc-flow-log/fl-1"),
        ("ec2", "DescribeNetworkInterfaces", {}, "ec2:DescribeNetworkInterfaces", "*"),
        ("ec2", "DescribeFlowLogs", {"FlowLogIds": ["fl-1"]}, "ec2:DescribeFlowLogs", "*"),
        ("rds", "DescribeDBSnapshotAttributes", {"DBSnapshotIdentifier": "s"}, "rds:DescribeDBSnapshotAttributes",
         f"arn:aws:rds:us-east-1:{ACCOUNT}:snapshot:s"),
        ("rds", "ModifyDBSnapshotAttribute", {"DBSnapshotIdentifier": "arn:s"}, "rds:ModifyDBSnapshotAttribute",
         "arn:s"),
        ("rds", "ModifyDBClusterSnapshotAttribute", {"DBClusterSnapshotIdentifier": "s"},
         "rds:ModifyDBClusterSnapshotAttribute", f"arn:aws:rds:us-east-1:{ACCOUNT}:cluster-snapshot:s"),
        ("rds", "DescribeDBInstances", {"DBInstanceIdentifier": "i"}, "rds:DescribeDBInstances",
         f"arn:aws:rds:us-east-1:{ACCOUNT}:db:i"),
        ("rds", "DescribeDBClusterSnapshots", {"DBClusterIdentifier": "c"}, "rds:DescribeDBClusterSnapshots",
         f"arn:aws:rds:us-east-1:{ACCOUNT}:cluster-snapshot:*"),
        ("redshift", "ModifyCluster", {"ClusterIdentifier": "c"}, "redshift:ModifyCluster",
         f"arn:aws:redshift:us-east-1:{ACCOUNT}:cluster:c"),
        ("redshift", "DescribeClusters", {"ClusterIdentifier": "c"}, "redshift:DescribeClusters",
         f"arn:aws:redshift:us-east-1:{ACCOUNT}:cluster:c"),
        ("redshift", "DescribeClusters", {}, "redshift:DescribeClusters",
         f"arn:aws:redshift:us-east-1:{ACCOUNT}:cluster:*"),
        ("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16"}, "ec2:CreateVpc",
         f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc/*"),
        ("logs", "DescribeLogGroups", {"logGroupNamePrefix": "/g"}, "logs:DescribeLogGroups", "*"),
        ("cloudtrail", "UpdateTrail", {"Name": "t"}, "cloudtrail:UpdateTrail",
         f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/t"),
        ("cloudtrail", "GetTrail", {"Name": "arn:t"}, "cloudtrail:GetTrail", "arn:t"),
        ("cloudtrail", "ListTags", {"ResourceIdList": ["arn:t"]}, "cloudtrail:ListTags", "arn:t"),
        ("cloudtrail", "DescribeTrails", {}, "cloudtrail:DescribeTrails", "*"),
        ("iam", "UpdateAccessKey", {"UserName": "u"}, "iam:UpdateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/u"),
        ("iam", "ListUserTags", {"UserName": "u"}, "iam:ListUserTags", f"arn:aws:iam::{ACCOUNT}:user/u"),
        ("iam", "GetAccessKeyLastUsed", {"AccessKeyId": "AKIA"}, "iam:GetAccessKeyLastUsed",
         f"arn:aws:iam::{ACCOUNT}:user/u"),
        ("iam", "GetAccessKeyLastUsed", {"AccessKeyId": "unknown"}, "iam:GetAccessKeyLastUsed", None),
        ("iam", "GetPolicy", {"PolicyArn": "arn:p"}, "iam:GetPolicy", "arn:p"),
        ("iam", "AttachRolePolicy", {"PolicyArn": "arn:p", "RoleName": "r"}, "iam:AttachRolePolicy", ROLE),
        ("unheard", "Of", {}, "unheard:Of", None),
    ],
)
def test_one_permission(service, operation, parameters, action, resource):
    assert needed(service, operation, **parameters) == [(action, resource)]


def test_who_am_i_needs_nothing():
    assert needed("sts", "GetCallerIdentity") == []


def test_assume_role():
    assert needed("sts", "AssumeRole", RoleArn=ROLE, ExternalId="e") == [("sts:AssumeRole", ROLE)]
    assert needed("sts", "AssumeRole", RoleArn=ROLE, SourceIdentity="i", Tags=[{"Key": "k", "Value": "v"}]) == [
        ("sts:AssumeRole", ROLE), ("sts:SetSourceIdentity", ROLE), ("sts:TagSession", ROLE),
    ]


def test_several_objects():
    assert needed("s3", "DeleteObjects", Bucket="b", Delete={"Objects": [{"Key": "k"}, {"Key": "l"}]}) == [
        ("s3:DeleteObject", "arn:aws:s3:::b/k"), ("s3:DeleteObject", "arn:aws:s3:::b/l"),
    ]
    assert needed("s3", "CopyObject", Bucket="b", Key="k", CopySource="/from/a%20b") == [
        ("s3:PutObject", "arn:aws:s3:::b/k"), ("s3:GetObject", "arn:aws:s3:::from/a b"),
    ]


def test_flow_logs():
    tags = [{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "k", "Value": "v"}]}]
    asked = {"ResourceIds": ["vpc-1"], "ResourceType": "VPC", "DeliverLogsPermissionArn": ROLE}
    assert needed("ec2", "CreateFlowLogs", TagSpecifications=tags, **asked) == [
        ("ec2:CreateFlowLogs", f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc-flow-log/*"),
        ("ec2:CreateFlowLogs", f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc/vpc-1"),
        ("ec2:CreateTags", f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc-flow-log/*"),
        ("iam:PassRole", ROLE),
    ]


def test_flow_logs_to_s3():
    """https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-create-flow-log.html"""
    arn = f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc-flow-log/"
    assert needed("ec2", "CreateFlowLogs", LogDestinationType="s3") == [
        ("ec2:CreateFlowLogs", f"{arn}*"), ("logs:CreateLogDelivery", "*"), ("logs:DeleteLogDelivery", "*"),
    ]
    asked = {"operation": "DeleteFlowLogs", "parameters": {"FlowLogIds": ["fl-1", "fl-2"]}}
    call = Call("ec2", partition="aws", region="us-east-1", account=ACCOUNT, delivers_to_bucket="fl-2".__eq__, **asked)
    assert [(each.action, each.resource) for each in permissions_for(call)] == [
        ("ec2:DeleteFlowLogs", f"{arn}fl-1"), ("ec2:DeleteFlowLogs", f"{arn}fl-2"), ("logs:DeleteLogDelivery", "*"),
    ]


def test_tagged_rules_of_a_security_group():
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html"""
    group, rules = (f"arn:aws:ec2:us-east-1:{ACCOUNT}:security-group{kind}" for kind in ("/sg-1", "-rule/*"))
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "k", "Value": "v"}]}]
    action = "ec2:AuthorizeSecurityGroupIngress"
    assert needed("ec2", "AuthorizeSecurityGroupIngress", GroupId="sg-1") == [(action, group)]
    assert needed("ec2", "AuthorizeSecurityGroupIngress", GroupId="sg-1", TagSpecifications=tags) == [
        (action, group), (action, rules), ("ec2:CreateTags", rules),
    ]


def test_rules_that_change_in_place_and_the_entries_of_a_prefix_list():
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html"""
    arn = f"arn:aws:ec2:us-east-1:{ACCOUNT}"
    action = "ec2:ModifySecurityGroupRules"
    updates = [{"SecurityGroupRuleId": id_, "SecurityGroupRule": {}} for id_ in ("sgr-1", "sgr-2")]
    assert needed("ec2", "ModifySecurityGroupRules", GroupId="sg-1", SecurityGroupRules=updates) == [
        (action, f"{arn}:security-group/sg-1"), (action, f"{arn}:security-group-rule/sgr-1"),
        (action, f"{arn}:security-group-rule/sgr-2"),
    ]
    action = "ec2:GetManagedPrefixListEntries"
    assert needed("ec2", "GetManagedPrefixListEntries", PrefixListId="pl-1") == [(action, f"{arn}:prefix-list/pl-1")]


def test_an_organizations_trail():
    """https://docs.aws.amazon.com/awscloudtrail/latest/userguide/creating-an-organizational-trail-prepare.html"""
    slr = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/cloudtrail.amazonaws.com/AWSServiceRoleForCloudTrail"
    dependent = [
        ("iam:GetRole", slr), ("iam:CreateServiceLinkedRole", slr),
        ("organizations:ListAWSServiceAccessForOrganization", "*"),
    ]
    trail = [("cloudtrail:UpdateTrail", f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/everybodys")]
    assert needed("cloudtrail", "UpdateTrail", Name="everybodys") == trail + dependent
    assert needed("cloudtrail", "UpdateTrail", Name="t")[1:] == []
    assert needed("cloudtrail", "UpdateTrail", Name="t", IsOrganizationTrail=True)[1:] == dependent
    assert needed("cloudtrail", "CreateTrail", Name="everybodys", S3BucketName="b")[1:] == []
    assert needed("cloudtrail", "CreateTrail", Name="t", S3BucketName="b", IsOrganizationTrail=True)[1:] == dependent


def test_a_key_that_takes_the_place_of_another():
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key"
    assert needed("kms", "ReEncrypt", SourceKeyId="a", DestinationKeyId="b") == [
        ("kms:ReEncryptFrom", f"{key}/a"), ("kms:ReEncryptTo", f"{key}/b"),
    ]


def test_snapshots_of_an_instance():
    assert needed("rds", "DescribeDBSnapshots", DBInstanceIdentifier="i") == [
        ("rds:DescribeDBSnapshots", f"arn:aws:rds:us-east-1:{ACCOUNT}:db:i"),
        ("rds:DescribeDBSnapshots", f"arn:aws:rds:us-east-1:{ACCOUNT}:snapshot:*"),
    ]


def test_a_role_that_is_passed_on():
    passed = ("iam:PassRole", ROLE)
    assert passed in needed("lambda", "CreateFunction", FunctionName="f", Role=ROLE)
    assert passed in needed("scheduler", "CreateSchedule", Target={"Arn": "a", "RoleArn": ROLE})
    parameters = {"GroupId": ["sg"], "AutomationAssumeRole": [ROLE]}
    assert passed in needed("ssm", "StartAutomationExecution", DocumentName="AWS-X", Parameters=parameters)
    assert needed("ssm", "StartAutomationExecution", DocumentName="AWS-X") == [
        ("ssm:StartAutomationExecution", "arn:aws:ssm:us-east-1::automation-definition/AWS-X:$DEFAULT"),
        ("ssm:StartAutomationExecution", "arn:aws:ssm:us-east-1::document/AWS-X"),
        ("ssm:StartAutomationExecution", f"arn:aws:ssm:us-east-1:{ACCOUNT}:automation-execution/*"),
    ]


