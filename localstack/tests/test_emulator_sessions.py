"""How long sessions last: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""

import json
import time
from datetime import UTC, datetime

import pytest
from emulator_process import eventually
from functions import allow, trust
from refusals import refusal

ANYONE = trust({"AWS": "*"}, ["sts:AssumeRole", "sts:SetSourceIdentity"])
ALL = allow("*")


def sessions_of(emulator, role: str) -> list[dict]:
    return [session for session in emulator.get("iam/sessions") if session["role"] == role]


def left(session: dict) -> float:
    return (session["Expiration"] - datetime.now(UTC)).total_seconds()


@pytest.mark.parametrize(
    ("asked", "lasts"), [({}, 3600), ({"DurationSeconds": 900}, 900), ({"DurationSeconds": 7200}, 7200)]
)
def test_a_session_lasts_as_long_as_asked_for(emulator, account, make_role, session_of, asked, lasts):
    role = make_role(account, "role", ANYONE, ALL, MaxSessionDuration=7200)
    session = session_of(role, **asked)
    assert lasts - 60 < left(session) <= lasts
    (kept,) = sessions_of(emulator, role)
    assert (kept["asked"], kept["seconds"], kept["chained"]) == (asked.get("DurationSeconds"), lasts, False)
    emulator.client("ec2", session).describe_vpcs()
    assert (sessions_of(emulator, role)[0]["calls"], kept["refused"]) == (1, 0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (899, "Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or"),
        (43201, "Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or"),
        (3601, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."),
    ],
)
def test_a_duration_is_within_what_the_api_and_the_role_allow(emulator, account, make_role, asked, message):
    role = make_role(account, "role", ANYONE)
    sts = emulator.client("sts", account, checks=False)
    status, code, said = refusal(sts.assume_role, RoleArn=role, RoleSessionName="s1", DurationSeconds=asked)
    assert (status, code) == (400, "ValidationError") and message in said
    assert sessions_of(emulator, role) == []


def test_a_role_that_a_role_assumes_lasts_an_hour_at_most(emulator, account, make_role, session_of):
    first = make_role(account, "first", ANYONE, ALL)
    second = make_role(account, "second", ANYONE, MaxSessionDuration=43200)
    unknown = second.replace("second", "unknown")
    sts = emulator.client("sts", session_of(first))
    asked = {"RoleArn": second, "RoleSessionName": "s1"}
    status, code, said = refusal(sts.assume_role, **asked, DurationSeconds=3601)
    assert (status, code) == (400, "ValidationError") and said == (
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    )
    assert refusal(sts.assume_role, **{**asked, "RoleArn": unknown}, DurationSeconds=3601)[:2] == (403, "AccessDenied")
    sts.assume_role(**asked, DurationSeconds=3600)
    assert [session["chained"] for session in sessions_of(emulator, second)] == [True]


@pytest.mark.parametrize(
    ("service", "operation", "status", "code", "message"),
    [
        ("ec2", "describe_vpcs", 400, "RequestExpired", "Request has expired."),
        ("s3", "list_buckets", 400, "ExpiredToken", "The provided token has expired."),
        ("iam", "list_users", 403, "ExpiredToken", "The security token included in the request is expired"),
        ("sts", "get_caller_identity", 403, "ExpiredToken", "The security token included in the request is expired"),
        ("rds", "describe_db_snapshots", 403, "ExpiredToken", "The security token included in the request is expired"),
        ("ssm", "describe_automation_executions", 400, "ExpiredTokenException", "The security token included in the"),
        ("cloudtrail", "describe_trails", 400, "ExpiredTokenException", "The security token included in the"),
        ("lambda", "list_functions", 403, "ExpiredTokenException", "The security token included in the"),
    ],
)
def test_each_service_refuses_what_has_ended(
    emulator, account, make_role, session_of, service, operation, status, code, message
):
    emulator.put(f"settings/{account}", session_calls=1)
    session = session_of(make_role(account, "role", ANYONE, ALL))
    assert 3500 < left(session) <= 3600  # nobody is told
    call = getattr(emulator.client(service, session), operation)
    call()
    came = refusal(call)
    assert came[:2] == (status, code) and came[2].startswith(message)
    assert emulator.decisions()[-1]["reason"] == "because the session has ended"


def test_a_head_is_refused_without_a_code(emulator, account, make_role, session_of):
    emulator.client("s3", account).create_bucket(Bucket=f"head-{account}")
    emulator.put(f"settings/{account}", session_calls=0)
    s3 = emulator.client("s3", session_of(make_role(account, "role", ANYONE, ALL)))
    assert refusal(s3.head_bucket, Bucket=f"head-{account}")[:2] == (400, "400")


def test_a_shortened_session_tells_its_end_and_nothing_outlives_it(emulator, account, make_role, session_of):
    role = make_role(account, "role", ANYONE, ALL)
    emulator.put(f"settings/{account}", session_seconds=1)
    session = session_of(role, DurationSeconds=900)
    assert left(session) <= 1
    ec2 = emulator.client("ec2", session)
    time.sleep(max(0, left(session)))
    eventually(lambda: refusal(ec2.describe_vpcs)[1] == "RequestExpired")
    sts = emulator.client("sts", session)
    assert refusal(sts.assume_role, RoleArn=role, RoleSessionName="s1")[1] == "ExpiredToken"
    emulator.put(f"settings/{account}", session_seconds=None)
    emulator.client("ec2", session_of(role)).describe_vpcs()
    assert [kept["seconds"] for kept in sessions_of(emulator, role)] == [1, 3600]


def test_a_function_keeps_its_session(emulator, account, make_function, make_role):
    emulator.put(f"settings/{account}", session_calls=0)
    functions = make_function("f", ALL)
    role = make_role(account, "role", ANYONE)
    asked = {"RoleArn": role, "RoleSessionName": "s1", "DurationSeconds": 900}
    answer = functions.invoke(FunctionName="f", Payload=json.dumps({"assume": asked}))
    # The function's own session assumed the role, and the role's session had ended.
    assert answer.get("FunctionError")
    assert [(each["asked"], each["chained"]) for each in sessions_of(emulator, role)] == [(900, True)]
