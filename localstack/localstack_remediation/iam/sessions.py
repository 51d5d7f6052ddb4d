"""Role sessions by access key: what AssumeRole was asked for and STS forgets."""

from dataclasses import dataclass, field, replace

from .lifetimes import Lifetime


@dataclass(frozen=True)
class Session:
    role_arn: str
    name: str
    source_identity: str | None
    policies: tuple[dict, ...] | None  # session policies; None without any, which is no limit
    tags: dict[str, str] = field(default_factory=dict)
    function_arn: str | None = None  # of the Lambda function whose code has this session, without a version
    lifetime: Lifetime | None = None  # none of a session that nobody has been given

    @property
    def partition(self) -> str:
        return self.role_arn.split(":")[1]

    @property
    def account(self) -> str:
        return self.role_arn.split(":")[4]

    @property
    def role_name(self) -> str:
        return self.role_arn.rpartition("/")[2]

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:sts::{self.account}:assumed-role/{self.role_name}/{self.name}"


_sessions: dict[str, Session] = {}


def remember(access_key: str, session: Session) -> None:
    _sessions[access_key] = session


def find(access_key: str | None) -> Session | None:
    return _sessions.get(access_key)


def belongs_to_function(access_key: str, function_arn: str) -> None:
    """Nothing where IAM is off: no session is kept then."""
    if session := _sessions.get(access_key):
        _sessions[access_key] = replace(session, function_arn=function_arn)
