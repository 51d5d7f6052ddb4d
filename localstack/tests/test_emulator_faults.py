import json
import urllib.request

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def fault(emulator, account):
    def ask_for(**parameters) -> None:
        asked = {"account": account, "code": "SlowDown", "status": 503, "times": 1, **parameters}
        request = urllib.request.Request(f"{emulator.url}/_remediation/faults", json.dumps(asked).encode())
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 201

    return ask_for


def code_of(call, **parameters) -> str | None:
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def test_a_fault_is_given_as_often_as_asked_and_to_nobody_else(emulator, account, other_account, fault):
    ours, theirs = emulator.client("sqs", account), emulator.client("sqs", other_account)
    fault(service="sqs", operation="ListQueues", code="RequestThrottled", status=403, times=2)
    assert code_of(theirs.list_queues) is None
    assert code_of(ours.list_queues) == "RequestThrottled"
    assert code_of(ours.list_queues) == "RequestThrottled"
    assert code_of(ours.list_queues) is None


def test_a_fault_has_the_form_of_its_protocol(emulator, account, fault):
    s3 = emulator.client("s3", account)
    s3.create_bucket(Bucket=f"faults-{account}")
    fault(service="s3", operation="GetPublicAccessBlock")
    assert code_of(s3.get_public_access_block, Bucket=f"faults-{account}") == "SlowDown"
    fault(service="iam", operation="ListUsers", code="Throttling", status=400)
    assert code_of(emulator.client("iam", account).list_users) == "Throttling"


def test_a_fault_that_cannot_be_understood_is_refused(fault):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        fault(service="s3", operation="GetObject", often="yes")
