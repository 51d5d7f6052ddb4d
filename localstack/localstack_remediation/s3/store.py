"""Where objects are kept: the contents of each in a file of its own, and of a key's versions the last one is current.

LocalStack gives the objects that a key has one after the other the same file, and closes it with a deletion. A reader
then gets half of an object, and one that comes at the moment of the deletion leaves a lock behind that every later
write of the key waits for.
"""

import os
from shutil import rmtree
from typing import Literal
from weakref import WeakKeyDictionary

from localstack.services.s3.models import S3DeleteMarker, S3Object, VersionedKeyStore
from localstack.services.s3.storage.ephemeral import (
    S3_MAX_FILE_SIZE_BYTES,
    EphemeralS3ObjectStore,
    EphemeralS3StoredObject,
    LockedSpooledTemporaryFile,
)
from localstack.utils.patch import patch


class ObjectStore(EphemeralS3ObjectStore):
    def __init__(self, root_directory: str) -> None:
        super().__init__(root_directory)
        # A file goes when nobody has its object any more, neither the bucket nor a reader.
        self._files: WeakKeyDictionary[S3Object, LockedSpooledTemporaryFile] = WeakKeyDictionary()

    def open(self, bucket: str, s3_object: S3Object, mode: Literal["r", "w"] = "r") -> EphemeralS3StoredObject:
        file = self._files.get(s3_object)
        if file is None:  # only its writer has it yet
            folder = os.path.join(self.root_directory, bucket)
            file = self._files[s3_object] = LockedSpooledTemporaryFile(dir=folder, max_size=S3_MAX_FILE_SIZE_BYTES)
        return EphemeralS3StoredObject(s3_object=s3_object, file=file, mode=mode)

    def remove(self, bucket: str, s3_object: S3Object | list[S3Object]) -> None:
        """Readers that are at it go on."""

    def copy(
        self, src_bucket: str, src_object: S3Object, dest_bucket: str, dest_object: S3Object
    ) -> EphemeralS3StoredObject:
        with self.open(src_bucket, src_object) as source:
            copied = self.open(dest_bucket, dest_object, "w")
            copied.write(source)
        return copied

    def delete_bucket(self, bucket: str) -> None:
        super().delete_bucket(bucket)
        rmtree(os.path.join(self.root_directory, bucket), ignore_errors=True)


@patch(VersionedKeyStore.set)
def _put_last(_fn, self, object_key: str, s3_object: S3Object | S3DeleteMarker) -> None:
    """What is written last is the current version. LocalStack leaves a null version that is written over where it was,
    below the versions that came in between.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html
    """
    if current := self.get(object_key):
        current.is_current = False
    older = {id_: version for id_, version in self._store[object_key].items() if id_ != s3_object.version_id}
    self._store[object_key] = older | {s3_object.version_id: s3_object}
