"""AWS's own managed policies, of which each account has the same 1,400.

moto reads their JSON anew at an account's first call to IAM, which takes 0.3 s; here an account gets copies of what was read once.
"""

from copy import copy

from localstack.runtime import hooks
from localstack.utils.patch import patch
from moto.iam.models import AWSManagedPolicy, IAMBackend

_read: dict[str, list[AWSManagedPolicy]] = {}  # by the region of a backend, which is a partition here


@hooks.on_infra_start()
def read_aws_policies_once() -> None:
    patch(IAMBackend._init_aws_policies)(_copies)


def _copies(read, backend: IAMBackend) -> list[AWSManagedPolicy]:
    if backend.region_name not in _read:
        _read[backend.region_name] = read(backend)
    return [_copy(policy, backend.account_id) for policy in _read[backend.region_name]]


def _copy(policy: AWSManagedPolicy, account: str) -> AWSManagedPolicy:
    copied = copy(policy)
    copied.account_id = account
    copied.tags = dict(policy.tags)
    copied.versions = [copy(version) for version in policy.versions]
    return copied
