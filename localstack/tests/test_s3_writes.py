"""What becomes of calls that meet at one key, each held at the worst moment."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from io import BytesIO

import pytest
from localstack.aws.api import ServiceException
from localstack.aws.forwarder import create_aws_request_context
from localstack.aws.skeleton import create_dispatch_table

from localstack_remediation.s3.provider import RemediationS3Provider
from localstack_remediation.s3.store import ObjectStore

WAIT_SECONDS = 20  # for what must come
PAUSE_SECONDS = 0.3  # for what must not
LONG = b"x" * 1_000_000


class Held:
    """A point at which a call waits until it may go on."""

    def __init__(self) -> None:
        self._is_there, self._may_go_on = threading.Event(), threading.Event()

    def hold(self) -> None:
        self._is_there.set()
        assert self._may_go_on.wait(WAIT_SECONDS)

    def wait_for(self) -> None:
        assert self._is_there.wait(WAIT_SECONDS)

    def let_go(self) -> None:
        self._may_go_on.set()


class HeldBody(BytesIO):
    def __init__(self, content: bytes, held: Held) -> None:
        super().__init__(content)
        self._held = held

    def read(self, *arguments) -> bytes:
        self._held.hold()
        return super().read(*arguments)


class S3:
    """The provider, called as LocalStack's skeleton calls it. All calls are about one bucket and one key."""

    def __init__(self, account: str, folder, versioning: str | None) -> None:
        self.provider = RemediationS3Provider(ObjectStore(str(folder)))
        self._operations = create_dispatch_table(self.provider)
        self._account, self.bucket = account, f"writes-{account}"
        self("CreateBucket")
        if versioning:
            self("PutBucketVersioning", VersioningConfiguration={"Status": versioning})

    def __call__(self, operation: str, **parameters):
        body = parameters.pop("Body", None)
        request = {"Bucket": self.bucket, **({"Key": "k"} if operation.endswith("Object") else {}), **parameters}
        context = create_aws_request_context("s3", operation, request)
        context.account_id = self._account
        if body:
            request["Body"] = BytesIO(body) if isinstance(body, bytes) else body
        context.service_request = request
        return self._operations[operation](context, request)

    def read(self) -> bytes:
        with self("GetObject")["Body"] as body:
            return body.read()


@pytest.fixture(params=[None, "Enabled", "Suspended"])
def s3(request, tmp_path, account):
    return S3(account, tmp_path, request.param)


def begin(call: Callable, *arguments, **parameters) -> Future:
    """In a thread of its own, which does not keep the tests from ending."""
    outcome = Future()

    def run() -> None:
        try:
            outcome.set_result(call(*arguments, **parameters))
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome


def code(outcome: Future) -> str | None:
    error = outcome.exception(WAIT_SECONDS)
    assert error is None or isinstance(error, ServiceException), error
    return error.code if error else None


def is_kept_waiting(outcome: Future) -> bool:
    try:
        outcome.exception(PAUSE_SECONDS)
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize("condition", ["IfNoneMatch", "IfMatch"])
def test_a_condition_is_judged_when_the_write_before_it_is_done(s3, condition):
    """ "the first write operation to finish succeeds. Amazon S3 then fails subsequent writes with a 412":

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html#conditional-error-response
    """
    asked = {"IfNoneMatch": "*"} if condition == "IfNoneMatch" else {"IfMatch": s3("PutObject", Body=b"old")["ETag"]}
    held = Held()
    first = begin(s3, "PutObject", Body=HeldBody(b"first", held), **asked)
    held.wait_for()
    second = begin(s3, "PutObject", Body=b"second", **asked)
    assert is_kept_waiting(second)
    held.let_go()
    assert (code(first), code(second)) == (None, "PreconditionFailed")
    assert s3.read() == b"first"


@pytest.mark.parametrize("deletion", ["DeleteObject", "DeleteObjects"])
@pytest.mark.parametrize(
    ("condition", "refused"), [("IfNoneMatch", "ConditionalRequestConflict"), ("IfMatch", "NoSuchKey")]
)
def test_a_deletion_that_is_done_first_wins(s3, monkeypatch, deletion, condition, refused):
    """409 with If-None-Match, 404 with If-Match, "if a delete request to an object succeeds before a conditional write
    operation on that object completes": the guide, as above.
    """
    etag = s3("PutObject", Body=b"old")["ETag"]
    asked = {"IfNoneMatch": "*"} if condition == "IfNoneMatch" else {"IfMatch": etag}
    held, find_bucket = Held(), s3.provider._get_cross_account_bucket

    def held_find(context, *arguments, **parameters):
        if context.operation.name == deletion:
            held.hold()
        return find_bucket(context, *arguments, **parameters)

    monkeypatch.setattr(s3.provider, "_get_cross_account_bucket", held_find)
    which = {"Delete": {"Objects": [{"Key": "k"}]}} if deletion == "DeleteObjects" else {}
    deleting = begin(s3, deletion, **which)
    held.wait_for()
    writing = begin(s3, "PutObject", Body=b"new", **asked)
    assert is_kept_waiting(writing)
    held.let_go()
    assert (code(deleting), code(writing)) == (None, refused)
    s3("PutObject", Body=b"new", IfNoneMatch="*")  # the next try meets no deletion


@pytest.mark.parametrize("change", ["PutObject", "CopyObject", "DeleteObject", "DeleteObjects"])
def test_who_reads_an_object_reads_all_of_it(s3, change):
    """ "you will get either the old data or the new data, but never partial or corrupt data":

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
    """
    s3("PutObject", Body=LONG)
    more = {
        "PutObject": {"Body": b"another"},
        "CopyObject": {"CopySource": f"{s3.bucket}/k", "MetadataDirective": "REPLACE"},
        "DeleteObjects": {"Delete": {"Objects": [{"Key": "k"}]}},
    }
    with s3("GetObject")["Body"] as body:
        start = body.read(1000)
        assert code(begin(s3, change, **more.get(change, {}))) is None
        assert start + body.read() == LONG


def test_a_reader_that_meets_a_deletion_keeps_nobody_from_writing(s3, monkeypatch):
    s3("PutObject", Body=LONG)
    open_file = s3.provider._storage_backend.open

    def deleted_before(bucket, s3_object, mode="r"):
        if mode == "r":
            s3("DeleteObject")
        return open_file(bucket, s3_object, mode)

    monkeypatch.setattr(s3.provider._storage_backend, "open", deleted_before)
    assert begin(s3.read).result(WAIT_SECONDS) == LONG
    monkeypatch.undo()
    assert code(begin(s3, "PutObject", Body=b"new")) is None
    assert s3.read() == b"new"
