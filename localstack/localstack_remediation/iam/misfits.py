"""The policies that were stored and say what AWS does not understand: GET /_remediation/iam/misfits.

AWS stores most of them without a word, so the call goes on. A test reads the list and asserts that its accounts have
none. Each policy is looked at as it is written: inline and managed ones, trust policies, those of buckets, queues,
secrets and keys, session policies and service control policies.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from localstack.http import Response
from localstack.services.edge import ROUTER

from .fit import Kind, misfits
from .resources import Call

PATH = "/_remediation/iam/misfits"

# By the parameter that holds the document: operations, whose policy it is, what kind it is
DOCUMENTS = {
    "iam:CreateRole": ("AssumeRolePolicyDocument", "RoleName", Kind.TRUST),
    "iam:UpdateAssumeRolePolicy": ("PolicyDocument", "RoleName", Kind.TRUST),
    "iam:PutRolePolicy": ("PolicyDocument", "RoleName", Kind.IDENTITY),
    "iam:PutUserPolicy": ("PolicyDocument", "UserName", Kind.IDENTITY),
    "iam:PutGroupPolicy": ("PolicyDocument", "GroupName", Kind.IDENTITY),
    "iam:CreatePolicy": ("PolicyDocument", "PolicyName", Kind.IDENTITY),
    "iam:CreatePolicyVersion": ("PolicyDocument", "PolicyArn", Kind.IDENTITY),
    "kms:CreateKey": ("Policy", "Description", Kind.RESOURCE),
    "kms:PutKeyPolicy": ("Policy", "KeyId", Kind.RESOURCE),
    "organizations:CreatePolicy": ("Content", "Name", Kind.CONTROL),
    "organizations:UpdatePolicy": ("Content", "PolicyId", Kind.CONTROL),
    "s3:PutBucketPolicy": ("Policy", "Bucket", Kind.RESOURCE),
    "secretsmanager:PutResourcePolicy": ("ResourcePolicy", "SecretId", Kind.RESOURCE),
    "sqs:CreateQueue": ("Attributes", "QueueName", Kind.RESOURCE),
    "sqs:SetQueueAttributes": ("Attributes", "QueueUrl", Kind.RESOURCE),
    "sts:AssumeRole": ("Policy", "RoleArn", Kind.IDENTITY),
}


@dataclass(frozen=True)
class Record:
    account: str
    operation: str
    name: str  # of the role, bucket, … that has the policy
    misfit: str


_records: dict[Record, None] = {}  # in the order of their first appearance; a policy may be written many times


def serve() -> None:
    ROUTER.add(PATH, lambda request: Response(_as_json(), 200, mimetype="application/json"), methods=["GET"])


def look_at(call: Call) -> None:
    """At the policy that a call stores, if it stores one. What is no policy at all is for the service to refuse."""
    operation = f"{call.service}:{call.operation}"
    if operation not in DOCUMENTS:
        return
    parameter, named_by, kind = DOCUMENTS[operation]
    found = call.parameters.get(parameter)
    if isinstance(found, dict):
        found = found.get("Policy")
    for misfit in _misfits(found, kind):
        _records[Record(call.account, operation, str(call.parameters.get(named_by) or ""), misfit)] = None


def _misfits(text: str | None, kind: Kind) -> Iterable[str]:
    if not text:
        return []
    try:
        document = json.loads(text)
    except ValueError:
        return []
    if kind is Kind.CONTROL and "Statement" not in document:  # another type of an organization's policies
        return []
    try:
        return misfits(document, kind)
    except Exception as error:  # no policy that trips this code up may pass for one that fits
        return [f"the emulator could not look at it: {error!r}"]


def _as_json() -> str:
    return json.dumps([asdict(record) for record in list(_records)])
