"""Faults by chance: an emulator of its own, because they meet every account."""

import json
import time
import urllib.error

import pytest
from botocore.exceptions import ConnectionClosedError
from emulator_process import Emulator, wait_until_active
from functions import allow, policy, trust, zipped
from refusals import refusal


@pytest.fixture(scope="module")
def chaotic(tmp_path_factory):
    running = Emulator(tmp_path_factory.mktemp("chaos") / "own", "--chaos").wait_until_ready()
    yield running
    assert running.stop() == 0
    assert running.leftovers() == []


@pytest.fixture(autouse=True)
def calm(chaotic):
    yield
    chaotic.put("chaos", seed=0, faults=[])


@pytest.fixture
def session(chaotic, account):
    iam = chaotic.client("iam", account)
    arn = iam.create_role(RoleName="r", AssumeRolePolicyDocument=policy(trust({"AWS": "*"})))["Role"]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="all", PolicyDocument=policy(allow(["s3:*", "sqs:*", "sts:*"])))
    return chaotic.client("sts", account).assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]


def outcomes(s3, count: int) -> list[bool]:
    def passes() -> bool:
        try:
            return bool(s3.list_buckets())
        except s3.exceptions.ClientError:
            return False

    return [passes() for _ in range(count)]


def test_another_emulator_refuses_it(emulator):
    with pytest.raises(urllib.error.HTTPError) as refused:
        emulator.put("chaos", seed=1, faults=[])
    assert refused.value.code == 403 and b"--chaos" in refused.value.read()


@pytest.mark.parametrize(
    "faults",
    [
        [{"fault": "Throttle"}],
        [{"fault": "Throttle", "probability": 1.1}],
        [{"fault": "Throttle", "probability": 1, "seconds": 61}],
        [{"fault": "", "probability": 1}],
        [{"fault": "Throttle", "probability": 1, "servise": "s3"}],
        ["Throttle"],
    ],
)
def test_what_is_no_fault_is_refused(chaotic, faults):
    with pytest.raises(urllib.error.HTTPError) as refused:
        chaotic.put("chaos", seed=1, faults=faults)
    assert refused.value.code == 400
    assert chaotic.get("chaos")["faults"] == []


def test_the_seed_says_which_calls_meet_a_fault(chaotic, session):
    s3, faults = chaotic.client("s3", session), [{"fault": "Throttle", "probability": 0.5}]
    drawn = []
    for seed in (1, 1, 2):
        chaotic.put("chaos", seed=seed, faults=faults)
        drawn.append(outcomes(s3, 40))
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(5 < sum(passed) < 35 for passed in drawn)


def test_it_meets_what_it_names_alone(chaotic, account, session):
    s3, sqs = chaotic.client("s3", session), chaotic.client("sqs", session)
    fault = {"service": "s3", "operation": "ListBuckets", "account": account, "fault": "Throttle", "probability": 1}
    chaotic.put("chaos", seed=1, faults=[fault])
    assert refusal(s3.list_buckets)[:2] == (503, "SlowDown")
    sqs.list_queues()
    s3.create_bucket(Bucket=f"chaos-{account}")
    chaotic.client("s3", account).list_buckets()  # the account's root
    struck = chaotic.get("chaos")["struck"][-1]
    assert (struck["account"], struck["action"], struck["fault"]) == (account, "s3:ListAllMyBuckets", "Throttle")
    assert struck["principal"].endswith(":assumed-role/r/test") and abs(struck["at"] - time.time()) < 60
    chaotic.put("chaos", seed=1, faults=[fault | {"account": "999999999999"}])
    s3.list_buckets()


def test_every_word_of_a_fault_is_one_here(chaotic, account, session):
    s3 = chaotic.client("s3", session)
    s3.create_bucket(Bucket=f"words-{account}")
    chaotic.put("chaos", seed=1, faults=[{"operation": "PutObject", "fault": "Lost", "probability": 1}])
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=f"words-{account}", Key="k", Body=b"taken")
    assert s3.get_object(Bucket=f"words-{account}", Key="k")["Body"].read() == b"taken"
    chaotic.put("chaos", seed=1, faults=[{"operation": "PutObject", "fault": "InternalError", "probability": 1}])
    assert refusal(s3.put_object, Bucket=f"words-{account}", Key="other", Body=b"")[:2] == (500, "InternalError")
    assert [listed["Key"] for listed in s3.list_objects_v2(Bucket=f"words-{account}")["Contents"]] == ["k"]


def test_a_call_can_wait(chaotic, session):
    s3 = chaotic.client("s3", session)
    chaotic.put("chaos", seed=3, faults=[{"fault": "Pass", "probability": 1, "seconds": 1}])
    started = time.monotonic()
    assert all(outcomes(s3, 4))
    assert time.monotonic() - started > 0.3  # of 4 s at most; how much more depends on the machine


def test_a_function_is_killed_at_its_call_and_nobody_else_is(chaotic, account, session):
    iam, functions = chaotic.client("iam", account), chaotic.client("lambda", account)
    trusted = policy(trust({"Service": "lambda.amazonaws.com"}))
    role = iam.create_role(RoleName="f", AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
    iam.put_role_policy(RoleName="f", PolicyName="all", PolicyDocument=policy(allow(["logs:*", "sts:*"])))
    functions.create_function(
        FunctionName="f", Runtime="provided.al2023", Handler="bootstrap", Role=role, Code={"ZipFile": zipped()}, Timeout=20
    )
    wait_until_active(functions, "f")
    event = {"assume": {"RoleArn": f"arn:aws:iam::{account}:role/r", "RoleSessionName": "from-function"}}

    def invoke() -> tuple[str | None, dict]:
        answer = functions.invoke(FunctionName="f", Payload=json.dumps(event))
        return answer.get("FunctionError"), json.load(answer["Payload"])

    assert invoke()[0] is None
    fault = {"operation": "GetCallerIdentity", "fault": "Kill", "probability": 1}  # the call of the session it has taken
    chaotic.put("chaos", seed=1, faults=[fault])
    error, body = invoke()
    assert error == "Unhandled" and body["errorType"] == "Runtime.ExitError" and "SIGKILL" in body["errorMessage"]
    chaotic.client("sts", session).get_caller_identity()
    chaotic.put("chaos", seed=1, faults=[])
    assert invoke()[0] is None
