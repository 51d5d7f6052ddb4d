"""The runbooks, as far as AWS documents them.

https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-runbook-reference.html has a
page for each. The pages name the steps' actions and not the steps, so a step's name is nothing to rely on.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

POLL_SECONDS = 0.1
WAIT_SECONDS = 30.0

Clients = Callable[[str], object]  # a client of a service, with the rights that the automation has
Values = Mapping[str, str]


class Unverified(Exception):
    """A property is not what an assertion says it is."""


class TimedOut(Exception):
    """A property did not become what a step waits for."""


@dataclass(frozen=True)
class Parameter:
    required: bool = False
    pattern: str = ".*"


@dataclass(frozen=True)
class Step:
    name: str
    action: str
    run: Callable[[Clients, Values], str | None]  # the name of the next step, where that is not the next in the list
    is_end: bool = False


@dataclass(frozen=True)
class Runbook:
    parameters: Mapping[str, Parameter]
    steps: tuple[Step, ...]
    missing_in: str = "^$"  # regions


# -- AWS-DisablePublicAccessForSecurityGroup


def _choose_addresses(_clients: Clients, values: Values) -> str:
    match values.get("IpAddressToBlock", ""):
        case "":
            return "DisableFromAllIp"
        case address:
            return "DisableFromCustomIpV6" if ":" in address else "DisableFromCustomIpV4"


def _revoke(*ranges: tuple[str, str]) -> Callable[[Clients, Values], None]:
    """All patterns in one call: in a VPC that is not a default one, a missing pattern keeps all the others."""

    def run(clients: Clients, values: Values) -> None:
        clients("ec2").revoke_security_group_ingress(
            GroupId=values["GroupId"],
            IpPermissions=[
                {
                    "IpProtocol": "tcp", "FromPort": port, "ToPort": port,
                    "Ipv6Ranges" if ":" in address else "IpRanges": [
                        {"CidrIpv6" if ":" in address else "CidrIp": address}
                    ],
                }
                for port in (22, 3389)
                for address in (each.format(**values) for each in ranges)
            ],
        )

    return run


# -- AWSConfigRemediation-EnableCloudTrailLogFileValidation


def _enable_validation(clients: Clients, values: Values) -> None:
    clients("cloudtrail").update_trail(Name=values["TrailName"], EnableLogFileValidation=True)


def _assert_validation(clients: Clients, values: Values) -> None:
    trail = clients("cloudtrail").get_trail(Name=values["TrailName"])["Trail"]
    _assert("Trail.LogFileValidationEnabled", trail["LogFileValidationEnabled"], True)


# -- AWSConfigRemediation-DisablePublicAccessToRedshiftCluster


def _make_private(clients: Clients, values: Values) -> None:
    clients("redshift").modify_cluster(ClusterIdentifier=values["ClusterIdentifier"], PubliclyAccessible=False)


def _wait_until_available(clients: Clients, values: Values) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while (status := _cluster(clients, values)["ClusterStatus"]) != "available":
        if time.monotonic() > deadline:
            raise TimedOut(f"ClusterStatus is {status} and not available")
        time.sleep(POLL_SECONDS)


def _assert_private(clients: Clients, values: Values) -> None:
    _assert("Clusters[0].PubliclyAccessible", _cluster(clients, values)["PubliclyAccessible"], False)


def _cluster(clients: Clients, values: Values) -> dict:
    return clients("redshift").describe_clusters(ClusterIdentifier=values["ClusterIdentifier"])["Clusters"][0]


def _assert(what: str, actual, wanted) -> None:
    if actual != wanted:
        raise Unverified(f"{what} is {actual} and not {wanted}")


CALL, ASSERT = "aws:executeAwsApi", "aws:assertAwsResourceProperty"
ROLE = "AutomationAssumeRole"
CHINA = "^cn-"
# "SSM documents for AWS Config remediation actions are not available":
# https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-config.html
GOVCLOUD = "^us-gov-"

RUNBOOKS: dict[str, Runbook] = {
    "AWS-DisablePublicAccessForSecurityGroup": Runbook(
        {
            "GroupId": Parameter(required=True, pattern="sg-[0-9a-f]+"),
            "IpAddressToBlock": Parameter(pattern=r"([0-9.]+/\d{1,2}|[0-9A-Fa-f:]+/\d{1,3})?"),
            ROLE: Parameter(),
        },
        (
            Step("CustomIpCheck", "aws:branch", _choose_addresses),
            Step("DisableFromAllIp", CALL, _revoke("0.0.0.0/0", "::/0"), is_end=True),
            Step("DisableFromCustomIpV4", CALL, _revoke("{IpAddressToBlock}"), is_end=True),
            Step("DisableFromCustomIpV6", CALL, _revoke("{IpAddressToBlock}"), is_end=True),
        ),
        missing_in=CHINA,
    ),
    "AWSConfigRemediation-EnableCloudTrailLogFileValidation": Runbook(
        {"TrailName": Parameter(required=True, pattern="[-_.:/A-Za-z0-9]+"), ROLE: Parameter(required=True)},
        (
            Step("EnableLogFileValidation", CALL, _enable_validation),
            Step("VerifyLogFileValidation", ASSERT, _assert_validation, is_end=True),
        ),
        missing_in=GOVCLOUD,
    ),
    "AWSConfigRemediation-DisablePublicAccessToRedshiftCluster": Runbook(
        {"ClusterIdentifier": Parameter(required=True, pattern="[-a-z0-9]+"), ROLE: Parameter(required=True)},
        (
            Step("DisablePublicAccess", CALL, _make_private),
            Step("WaitUntilAvailable", "aws:waitForAwsResourceProperty", _wait_until_available),
            Step("VerifyPublicAccess", ASSERT, _assert_private, is_end=True),
        ),
        missing_in=GOVCLOUD,
    ),
}


def find(name: str, region: str) -> Runbook | None:
    runbook = RUNBOOKS.get(name)
    return None if runbook is None or re.search(runbook.missing_in, region) else runbook


def problem_of(runbook: Runbook, given: Mapping[str, list[str]]) -> str | None:
    """Why the runbook cannot be started with these parameters."""
    for name, values in given.items():
        if name not in runbook.parameters:
            return f"Parameter {name} is not defined in the runbook"
        if len(values) != 1 or not re.fullmatch(runbook.parameters[name].pattern, values[0]):
            return f"Parameter {name} has a value that the runbook does not allow: {values}"
    missing = [name for name, each in runbook.parameters.items() if each.required and not any(given.get(name, []))]
    return f"Parameters are missing: {', '.join(missing)}" if missing else None
