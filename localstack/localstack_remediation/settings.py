"""What a test can set, for the whole of an account: PUT /_remediation/settings/<account>.

By account, because tests that run at the same time share an emulator and not an account.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from localstack.http import Response
from localstack.runtime import hooks
from localstack.services.edge import ROUTER

PATH = "/_remediation/settings/<account>"
OWN_ENDPOINT = "own endpoint"


@dataclass(frozen=True)
class Settings:
    page_size: int | None = None  # the paged lists break off after so many, whatever the caller asked for
    disabled_regions: Sequence[str] = ()  # which this account has not enabled
    flow_logs_error: str | None = None  # CreateFlowLogs creates none: each resource is Unsuccessful, with this message
    flow_logs_delivery_seconds: float = 0  # so long nobody knows whether a new flow log delivers; minutes on AWS
    flow_logs_status_at_first: str | None = "SUCCESS"  # DeliverLogsStatus in that time; none if it is absent
    lambda_concurrency: int = 1000  # of the account in each region; a new account has 10
    redshift_modifying_seconds: float = 0.5  # so long a cluster is `modifying` after ModifyCluster
    automation_step_seconds: float = 0.1
    automation_limit: int = 100  # so many executions under way in a region; the next start is an error
    security_group_rules: int = 60  # so many a group has in a direction, of IPv4 and of IPv6 each
    missing_runbooks: Sequence[str] = ()  # as in a partition that does not have them
    automation_token: str = "refuse"  # what a ClientToken's second use does: `refuse`, or `return` the first execution
    session_calls: int | None = None  # a session of its roles ends after so many calls, which Expiration does not tell
    session_seconds: float | None = None  # a session of its roles lasts no longer than this; Expiration tells that
    s3_is_before_march_2018: bool = False  # CreateBucket in us-east-1 takes the names that AWS took until then
    s3_event_seconds: Sequence[float] = (0,)  # when each event is delivered, one number for each time that it is
    s3_wrong_region: str = "other endpoint"  # who answers what is signed for another region; else OWN_ENDPOINT


_by_account: dict[str, Settings] = {}


def of(account: str) -> Settings:
    return _by_account.get(account, Settings())


@hooks.on_infra_start()
def serve_remediation_settings() -> None:
    ROUTER.add(PATH, _put, methods=["PUT"])


def _put(request, account: str) -> Response:
    try:
        _by_account[account] = replace(of(account), **json.loads(request.get_data()))
    except (TypeError, ValueError) as error:
        return Response(f"{error}\n", 400)
    return Response(json.dumps(asdict(of(account))), mimetype="application/json")
