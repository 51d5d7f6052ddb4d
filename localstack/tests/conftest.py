import itertools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from emulator_process import Emulator, wait_until_active  # noqa: E402
from functions import allow, policy, trust, zipped  # noqa: E402

_accounts = itertools.count(100000000001)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    running = Emulator(tmp_path_factory.mktemp("emulator") / "shared", "--schedule-speed", "60").wait_until_ready()
    yield running
    assert running.stop() == 0
    assert running.leftovers() == []


@pytest.fixture
def account() -> str:
    """An account that no other test uses."""
    return str(next(_accounts))


@pytest.fixture
def other_account() -> str:
    return str(next(_accounts))


@pytest.fixture
def make_role(emulator):
    def make(account: str, name: str, trusted: dict | list[dict], *statements: dict, **more) -> str:
        iam = emulator.client("iam", account)
        trusted = trusted if isinstance(trusted, list) else [trusted]
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(*trusted), **more)["Role"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy(*statements))
        return role["Arn"]

    return make


@pytest.fixture
def session_of(emulator):
    """A session of a role, taken by its account's root, which may."""

    def take(role_arn: str, **more) -> dict:
        sts = emulator.client("sts", role_arn.split(":")[4])
        return sts.assume_role(**{"RoleArn": role_arn, "RoleSessionName": "test", **more})["Credentials"]

    return take


LOGGING = allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"])


@pytest.fixture
def make_function(emulator, make_role, account):
    def make(name: str, *statements: dict, timeout: int = 3, variables: dict | None = None):
        role = make_role(account, name, trust({"Service": "lambda.amazonaws.com"}), LOGGING, *statements)
        functions = emulator.client("lambda", account)
        functions.create_function(
            FunctionName=name,
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=role,
            Code={"ZipFile": zipped()},
            Timeout=timeout,
            Environment={"Variables": variables or {}},
        )
        wait_until_active(functions, name)
        return functions

    return make


@pytest.fixture
def ec2(emulator, account):
    return emulator.client("ec2", account)


@pytest.fixture
def vpc(ec2) -> str:
    return ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
