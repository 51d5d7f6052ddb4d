"""The ARN of the resource that an API call is about.

Which types of resource an action has is in the service authorization data; which parameter names one is here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from . import service_authorization
from .matching import arn_matches


@dataclass(frozen=True)
class Call:
    service: str
    operation: str
    parameters: dict
    partition: str
    region: str
    account: str
    # the ARN of a secret that is called by its name: six random characters at its end
    secret_arn: Callable[[str], str | None] = field(default=lambda name: None)
    # the name of the user who has an access key
    access_key_owner: Callable[[str], str | None] = field(default=lambda key: None)
    # is a trail, by its name or ARN, one of an organization?
    is_organization_trail: Callable[[str], bool] = field(default=lambda name: False)
    # does a flow log, by its ID, deliver to a bucket?
    delivers_to_bucket: Callable[[str], bool] = field(default=lambda flow_log: False)
    # the ARN of the customer's key by which a bucket encrypts what is put, or by which an object is encrypted
    bucket_key: Callable[[str], str | None] = field(default=lambda bucket: None)
    object_key: Callable[[str, str, str | None], str | None] = field(default=lambda bucket, key, version: None)
    secure: bool = True  # it came over TLS, or over what stands for it

    def arn(self, service: str, resource: str, *, region: str | None = None, account: str | None = None) -> str:
        region = self.region if region is None else region
        account = self.account if account is None else account
        return f"arn:{self.partition}:{service}:{region}:{account}:{resource}"

    def first(self, *names: str) -> str | None:
        return next((self.parameters[name] for name in names if self.parameters.get(name)), None)


# Of EC2, by the parameter that names the resource. The first that is there counts.
EC2_RESOURCES = {
    "GroupId": "security-group",
    "NetworkAclId": "network-acl",
    "PrefixListId": "prefix-list",
    "SnapshotId": "snapshot",
    "VpcId": "vpc",
}

# Anyone may be allowed to use them, and their ARNs do not say whose they are
EC2_WITHOUT_ACCOUNT = {"snapshot"}

# Of CreateFlowLogs, by ResourceType
FLOW_LOG_SOURCES = {"NetworkInterface": "network-interface", "Subnet": "subnet", "VPC": "vpc"}

# Of RDS, by the parameter that names the resource
RDS_RESOURCES = {
    "DBSnapshotIdentifier": "snapshot",
    "DBClusterSnapshotIdentifier": "cluster-snapshot",
    "DBInstanceIdentifier": "db",
    "DBClusterIdentifier": "cluster",
}

# Lists of RDS, by the parameters that narrow them: without one the list is of all resources of that type
RDS_LISTS = {
    "DescribeDBClusters": ("DBClusterIdentifier",),
    "DescribeDBClusterSnapshots": ("DBClusterSnapshotIdentifier",),
    "DescribeDBInstances": ("DBInstanceIdentifier",),
    "DescribeDBSnapshots": ("DBInstanceIdentifier", "DBSnapshotIdentifier"),
}


# A call of EC2 that makes something is about every resource of that type: `vpc/*`
EC2_MAKERS = ("Allocate", "Create", "Import", "Request", "Run")


def resources_of(call: Call, action: str) -> list[str | None]:
    """`*` for an action that has no types of resources; None for a resource that this emulator cannot name."""
    known = service_authorization.find(action)
    if known and not known.types:
        return ["*"]
    if several := _SEVERAL.get(f"{call.service}:{call.operation}"):
        return several(call)
    finder = _FINDERS.get(call.service)
    found = finder(call) if finder else None
    made = _made(call, known) if known and call.service == "ec2" and call.operation.startswith(EC2_MAKERS) else []
    return [resource for resource in (found, *made) if resource] or [None]


def _made(call: Call, action: service_authorization.Action) -> list[str]:
    """The types that an action needs, and that no parameter names."""
    found = _ec2(call)
    return [
        kind.fill(call.partition, call.region, call.account)
        for kind in action.types
        if kind.is_required and not (found and arn_matches(kind.pattern, found))
    ]


def object_arn(call: Call, bucket: str, key: str | None = None) -> str:
    return call.arn("s3", f"{bucket}/{key}" if key else bucket, region="", account="")


def _s3(call: Call) -> str | None:
    bucket = call.first("Bucket")
    return object_arn(call, bucket, call.first("Key")) if bucket else None


def _sts(call: Call) -> str | None:
    return call.first("RoleArn")


def _lambda(call: Call) -> str | None:
    name = call.first("FunctionName")
    if not name:
        return None
    if not name.startswith("arn:"):
        name = call.arn("lambda", f"function:{name.removeprefix(f'{call.account}:function:')}")
    qualifier = call.first("Qualifier")
    return f"{name}:{qualifier}" if qualifier else name


def _logs(call: Call) -> str | None:
    group = call.first("logGroupName", "logGroupIdentifier")
    if not group:
        return None
    if group.startswith("arn:"):
        group = group.split(":", 6)[6].removesuffix(":*")
    stream = call.first("logStreamName")
    return call.arn("logs", f"log-group:{group}:" + (f"log-stream:{stream}" if stream else "*"))


def _secretsmanager(call: Call) -> str | None:
    name = call.first("SecretId")
    return name if not name or name.startswith("arn:") else call.secret_arn(name)


def _sqs(call: Call) -> str | None:
    if url := call.first("QueueUrl"):
        *_, account, name = url.rstrip("/").split("/")
        return call.arn("sqs", name, account=account)
    name = call.first("QueueName")
    return call.arn("sqs", name, account=call.first("QueueOwnerAWSAccountId")) if name else None


def _buses(call: Call) -> list[str | None]:
    names = {entry.get("EventBusName") or "default" for entry in call.parameters.get("Entries") or []}
    return [name if name.startswith("arn:") else call.arn("events", f"event-bus/{name}") for name in sorted(names)]


def _kms(call: Call) -> str | None:
    return key_arn(call, call.first("KeyId"))


def key_arn(call: Call, key: str | None) -> str | None:
    if not key or key.startswith("arn:"):
        return key
    # the resource of a call by alias is the key behind it, which the request does not tell
    return None if key.startswith("alias/") else call.arn("kms", f"key/{key}")


def _ssm(call: Call) -> str | None:
    if call.operation == "DescribeDocument" and (document := call.first("Name")):
        return call.arn("ssm", f"document/{document}", account=_owner(call, document))
    if execution := call.first("AutomationExecutionId"):
        return call.arn("ssm", f"automation-execution/{execution}")
    if call.operation.endswith("Parameter") and (name := call.first("Name")):
        return name if name.startswith("arn:") else call.arn("ssm", f"parameter/{name.lstrip('/')}")
    return None


def _started_automation(call: Call) -> list[str | None]:
    """The data requires the document and the execution, and lists the definition: the stricter reading is all three."""
    document, version = call.parameters["DocumentName"], call.first("DocumentVersion") or "$DEFAULT"
    owner = _owner(call, document)
    return [
        call.arn("ssm", f"automation-definition/{document}:{version}", account=owner),
        call.arn("ssm", f"document/{document}", account=owner),
        call.arn("ssm", "automation-execution/*"),
    ]


def _owner(call: Call, document: str) -> str:
    """AWS's own documents have no account in their ARN, although the data's template has one."""
    return "" if document.startswith(("AWS-", "AWSConfigRemediation-")) else call.account


def _cloudtrail(call: Call) -> str | None:
    name = call.first("Name", "TrailName")
    return name if not name or name.startswith("arn:") else call.arn("cloudtrail", f"trail/{name}")


def _tagged_trails(call: Call) -> list[str | None]:
    return list(call.parameters.get("ResourceIdList", []))


def _ec2(call: Call) -> str | None:
    for parameter, kind in EC2_RESOURCES.items():
        if id_ := call.first(parameter):
            return call.arn("ec2", f"{kind}/{id_}", account="" if kind in EC2_WITHOUT_ACCOUNT else None)
    return None


def _widened_group(call: Call) -> list[str | None]:
    """Rules count as resources only where the request tags them:

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html, "Policies using the
    security-group-rule resource-level permission are only enforced when the API request includes TagSpecifications".
    """
    rules = [call.arn("ec2", "security-group-rule/*")] if call.parameters.get("TagSpecifications") else []
    return [_ec2(call), *rules]


def _modified_rules(call: Call) -> list[str | None]:
    updates = call.parameters.get("SecurityGroupRules") or []
    rules = [call.arn("ec2", f"security-group-rule/{update.get('SecurityGroupRuleId')}") for update in updates]
    return [_ec2(call), *rules]


def _created_flow_logs(call: Call) -> list[str | None]:
    kind = FLOW_LOG_SOURCES.get(call.parameters.get("ResourceType", ""))
    sources = [call.arn("ec2", f"{kind}/{id_}") if kind else None for id_ in call.parameters.get("ResourceIds", [])]
    return [call.arn("ec2", "vpc-flow-log/*"), *sources]


def _deleted_flow_logs(call: Call) -> list[str | None]:
    return [call.arn("ec2", f"vpc-flow-log/{id_}") for id_ in call.parameters.get("FlowLogIds", [])]


def _rds(call: Call) -> str | None:
    for parameter, kind in RDS_RESOURCES.items():
        if name := call.first(parameter):
            return _rds_arn(call, kind, name)
    return None


def _rds_list(call: Call) -> list[str | None]:
    names = RDS_LISTS[call.operation]
    return [_rds_arn(call, RDS_RESOURCES[name], call.first(name) or "*") for name in names]


def _rds_arn(call: Call, kind: str, name: str) -> str:
    return name if name.startswith("arn:") else call.arn("rds", f"{kind}:{name}")


def _redshift(call: Call) -> str | None:
    name = call.first("ClusterIdentifier")
    if not name and call.operation != "DescribeClusters":
        return None
    return call.arn("redshift", f"cluster:{name or '*'}")


def _iam(call: Call) -> str | None:
    if source := call.first("PolicySourceArn"):
        return source
    if policy := call.first("PolicyArn"):
        if not call.first("RoleName", "UserName", "GroupName"):
            return policy
    for parameter, kind in (
        ("RoleName", "role"), ("UserName", "user"), ("GroupName", "group"), ("InstanceProfileName", "instance-profile"),
    ):
        if name := call.first(parameter):
            return call.arn("iam", f"{kind}/{name}", region="")
    if call.operation == "GetAccessKeyLastUsed" and (owner := call.access_key_owner(call.first("AccessKeyId"))):
        return call.arn("iam", f"user/{owner}", region="")
    return None


_FINDERS: dict[str, Callable[[Call], str | None]] = {
    "cloudtrail": _cloudtrail,
    "ec2": _ec2,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "rds": _rds,
    "redshift": _redshift,
    "s3": _s3,
    "secretsmanager": _secretsmanager,
    "sqs": _sqs,
    "ssm": _ssm,
    "sts": _sts,
}

_SEVERAL: dict[str, Callable[[Call], list[str | None]]] = {
    "cloudtrail:ListTags": _tagged_trails,
    "ec2:AuthorizeSecurityGroupEgress": _widened_group,
    "ec2:AuthorizeSecurityGroupIngress": _widened_group,
    "ec2:CreateFlowLogs": _created_flow_logs,
    "ec2:DeleteFlowLogs": _deleted_flow_logs,
    "ec2:ModifySecurityGroupRules": _modified_rules,
    "events:PutEvents": _buses,
    "ssm:StartAutomationExecution": _started_automation,
    **{f"rds:{operation}": _rds_list for operation in RDS_LISTS},
}
