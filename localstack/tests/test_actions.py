"""The action of an API operation is one that AWS knows."""

import botocore.session
import pytest

from localstack_remediation.iam import service_authorization
from localstack_remediation.iam.actions import action_of

# What LocalStack community does not have or what is of another service's prefix
NOT_HERE = {
    "kms:ReEncrypt",  # two actions, From and To
    "cloudtrail:ListInsightsMetricData", "cloudwatch:DescribeAlarmContributors", "logs:GetLogObject",
    "s3:CreateBucketMetadataConfiguration", "s3:DeleteBucketMetadataConfiguration",
    "s3:GetBucketMetadataConfiguration", "s3:WriteGetObjectResponse",
    "s3:CreateSession", "s3:ListDirectoryBuckets", "s3:RenameObject",  # of s3express
}


@pytest.mark.parametrize("service", sorted(service_authorization.services()))
def test_every_operation_has_an_action_that_exists(service):
    operations = botocore.session.get_session().get_service_model(service).operation_names
    assert operations
    actions = {action_of(service, operation) for operation in operations}
    assert {action for action in actions if not service_authorization.find(action)} <= NOT_HERE
