"""Writes of objects, one at a time.

LocalStack locks an object's file while it looks whether a condition holds and then writes. In a versioned bucket each
write has a file of its own, and a new key's file is made before it is locked, so there two writes with the same
condition could both succeed.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from localstack.aws.api.s3 import ConditionalRequestConflict

from .errors import KNOWN


class Writes:
    def __init__(self) -> None:
        self._turn = RLock()
        self._deletions: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def turn(self) -> Iterator[None]:
        with self._turn:
            yield

    @contextmanager
    def turn_of_new(self, bucket: str, key: str) -> Iterator[None]:
        """For a write with If-None-Match. It loses against a deletion that was carried out while it waited:

        "You can also receive a 409 Conflict response in the case of concurrent requests if a delete request to an
        object succeeds before a conditional write operation on that object completes."
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html#conditional-error-response

        With If-Match that is 404, because the key is not there any more.
        """
        before = self._deletions[bucket, key]
        with self._turn:
            if self._deletions[bucket, key] != before:
                message = KNOWN["ConditionalRequestConflict"].message
                raise ConditionalRequestConflict(message, Condition="If-None-Match", Key=key)
            yield

    @contextmanager
    def turn_of_deletion(self, bucket: str, *keys: str) -> Iterator[None]:
        with self._turn:
            yield
            self._deletions.update((bucket, key) for key in keys)
