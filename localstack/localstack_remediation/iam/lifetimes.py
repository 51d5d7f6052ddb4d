"""How long a role session lasts, what AssumeRole says about it, and how a call is refused once it is over.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html: DurationSeconds is 900 to 43200 and at most the
role's MaxSessionDuration, 3600 unless it is given, and at most 3600 for a caller that is a role session itself. Services
that take a role (Lambda) are held to none of that.

The messages of AssumeRole: https://github.com/99designs/aws-vault/pull/240 (role chaining),
https://repost.aws/knowledge-center/iam-role-chaining-limit; its form for a number out of range is that of every API.

GET /_remediation/iam/sessions is a list of the last sessions that AssumeRole gave out, oldest first.
"""

import json
import re
import time
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.http import Response
from localstack.services.edge import ROUTER
from moto.iam.models import Role

from .. import settings
from ..moto_services import aws_error

PATH = "/_remediation/iam/sessions"
KEPT = 20_000
LEAST, MOST, HOUR = 900, 43_200, 3600
EXPIRED = "The security token included in the request is expired"
# https://github.com/cfn-sphere/cfn-sphere/issues/55 (query, 403), https://github.com/aws/aws-sdk-php/issues/1307 (json,
# 400), https://github.com/aws/aws-sdk-java/issues/1443 (EC2, 400),
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (S3, 400; rest-json: as UNKNOWN in `regions`)
ENDED = {
    "ec2": ("RequestExpired", "Request has expired.", 400),
    "json": ("ExpiredTokenException", EXPIRED, 400),
    "query": ("ExpiredToken", EXPIRED, 403),
    "rest-json": ("ExpiredTokenException", EXPIRED, 403),
    "rest-xml": ("ExpiredToken", "The provided token has expired.", 400),
}


@dataclass
class Lifetime:
    """Of one session. It changes while the session is used."""

    role: str
    name: str
    asked: int | None  # DurationSeconds, if it was given
    seconds: float
    chained: bool  # the caller was a role session
    source_identity: str | None  # its own or its caller's: what CloudTrail shows of each of its calls
    calls: int = 0
    refused: int = 0  # calls that came when it had ended
    begun: float = 0
    most_calls: int | None = None

    def use(self) -> bool:
        """Whether one more call is let through."""
        if time.time() < self.begun + self.seconds and (self.most_calls is None or self.calls < self.most_calls):
            self.calls += 1
            return True
        self.refused += 1
        return False


_lifetimes: deque[Lifetime] = deque(maxlen=KEPT)


def serve() -> None:
    ROUTER.add(PATH, lambda request: Response(_as_json(), 200, mimetype="application/json"), methods=["GET"])


def begin(asked: dict, chained: bool, by_service: bool) -> Lifetime:
    """Of the session that AssumeRole answers with. Tests do not shorten what a service has."""
    duration = asked.get("DurationSeconds")
    shortened = settings.Settings() if by_service else settings.of(asked["RoleArn"].split(":")[4])
    lasts = HOUR if duration is None else duration
    seconds = lasts if shortened.session_seconds is None else min(lasts, shortened.session_seconds)
    lifetime = Lifetime(
        asked["RoleArn"], asked["RoleSessionName"], duration, seconds, chained, asked.get("SourceIdentity"),
        begun=time.time(), most_calls=shortened.session_calls,
    )
    _lifetimes.append(lifetime)
    return lifetime


def tell(lifetime: Lifetime, answer: Response) -> None:
    """The Expiration of a session that a test has shortened; of any other, STS has told it."""
    if lifetime.seconds == (lifetime.asked or HOUR):
        return
    end = datetime.fromtimestamp(lifetime.begun + lifetime.seconds, UTC)
    told = end.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    answer.set_data(re.sub(rb"(?<=<Expiration>)[^<]*", told.encode(), answer.get_data()))


def check_range(asked: dict) -> None:
    """What the model of the API allows, before the caller is judged."""
    duration = asked.get("DurationSeconds")
    if duration is None or LEAST <= duration <= MOST:
        return
    bound = f"greater than or equal to {LEAST}" if duration < LEAST else f"less than or equal to {MOST}"
    raise aws_error(
        "ValidationError",
        f"1 validation error detected: Value '{duration}' at 'durationSeconds' failed to satisfy constraint: "
        f"Member must have value {bound}",
    )


def check_role(asked: dict, role: Role | None, chained: bool) -> None:
    """What a caller who may assume the role is told."""
    duration = asked.get("DurationSeconds") or HOUR
    if chained and duration > HOUR:
        raise aws_error(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    if role and duration > int(role.max_session_duration or HOUR):  # moto keeps it as it came
        raise aws_error(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )


def ended(context: RequestContext) -> CommonServiceException:
    return aws_error(*ENDED[context.service.protocol])


def _as_json() -> str:
    return json.dumps([asdict(lifetime) for lifetime in list(_lifetimes)])
