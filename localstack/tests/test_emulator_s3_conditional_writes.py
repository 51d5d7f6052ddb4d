"""Conditional writes.

The guide: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html#conditional-error-response
The reference: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html (If-Match, If-None-Match)
"""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from refusals import refusal

WRITERS = 32
ROUNDS = 10


@pytest.fixture(params=["unversioned", "versioned", "suspended"])
def bucket(request, emulator, account):
    name = f"conditional-{request.param}-{account}"
    s3 = emulator.client("s3", account)
    s3.create_bucket(Bucket=name)
    for status in {"unversioned": [], "versioned": ["Enabled"], "suspended": ["Enabled", "Suspended"]}[request.param]:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": status})
    return name


@pytest.fixture
def s3(emulator, account):
    return emulator.client("s3", account)


@pytest.fixture(scope="module")
def together():
    """Calls all of them at the same moment, and returns what each of them came to: OK or the error's code."""
    with ThreadPoolExecutor(WRITERS) as pool:

        def call(*calls) -> list[str]:
            start = threading.Barrier(len(calls))

            def one(call) -> str:
                start.wait()
                try:
                    call()
                except ClientError as error:
                    return f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error']['Code']}"
                return "OK"

            return list(pool.map(one, calls))

        yield call


# of each writer, and long enough for the others to come while it is being written
BODIES = [bytes([n]) * 200_000 for n in range(WRITERS)]


def writes(s3, **parameters) -> list:
    return [lambda body=body: s3.put_object(Body=body, **parameters) for body in BODIES]


def test_of_many_that_write_a_new_key_one_does(s3, bucket, together):
    """The guide: "the first write operation to finish succeeds. Amazon S3 then fails subsequent writes with a 412"."""
    for number in range(ROUNDS):
        where = {"Bucket": bucket, "Key": f"k{number}"}
        found = together(*writes(s3, IfNoneMatch="*", **where))
        assert Counter(found) == {"OK": 1, "412 PreconditionFailed": WRITERS - 1}
        assert s3.get_object(**where)["Body"].read() == BODIES[found.index("OK")]
        assert len(s3.list_object_versions(Bucket=bucket, Prefix=where["Key"])["Versions"]) == 1


def test_of_many_that_write_over_the_same_etag_one_does(s3, bucket, together):
    """As above, by If-Match."""
    where = {"Bucket": bucket, "Key": "k"}
    etag = s3.put_object(Body=b"first", **where)["ETag"]
    for _ in range(ROUNDS):
        found = together(*writes(s3, IfMatch=etag, **where))
        assert Counter(found) == {"OK": 1, "412 PreconditionFailed": WRITERS - 1}
        assert s3.get_object(**where)["Body"].read() == BODIES[found.index("OK")]
        etag = s3.put_object(Body=b"first", **where)["ETag"]


def test_readers_and_deleters_in_between(s3, bucket, together):
    """Each answer is one that S3 has, what is read is whole, and the key can still be written in the end."""
    where = {"Bucket": bucket, "Key": "k"}
    bodies, read = BODIES[:8], []
    for _ in range(ROUNDS):
        found = together(
            *[lambda body=body: s3.put_object(Body=body, IfNoneMatch="*", **where) for body in bodies],
            *[lambda body=body: s3.put_object(Body=body, **where) for body in bodies],
            *[lambda: s3.delete_object(**where)] * 8,
            *[lambda: read.append(s3.get_object(**where)["Body"].read())] * 8,
        )
        assert set(found[:8]) <= {"OK", "412 PreconditionFailed", "409 ConditionalRequestConflict"}
        assert set(found[8:24]) == {"OK"}
        assert set(found[24:]) <= {"OK", "404 NoSuchKey"}
    assert set(read) <= set(bodies)
    s3.put_object(Body=b"last", **where)
    assert s3.get_object(**where)["Body"].read() == b"last"


GONE = (404, "NoSuchKey")
FAILED = (412, "PreconditionFailed")


def test_what_is_deleted_is_not_there(s3, bucket):
    """The guide: "if the current object version is a delete marker", If-None-Match succeeds and If-Match is 404."""
    where = {"Bucket": bucket, "Key": "k"}
    assert refusal(s3.put_object, Body=b"x", IfMatch='"anything"', **where)[:2] == GONE
    etag = s3.put_object(Body=b"x", IfNoneMatch="*", **where)["ETag"]
    s3.delete_object(**where)
    assert refusal(s3.put_object, Body=b"x", IfMatch=etag, **where)[:2] == GONE
    s3.put_object(Body=b"x", IfNoneMatch="*", **where)
    assert refusal(s3.put_object, Body=b"x", IfNoneMatch="*", **where)[:2] == FAILED
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})
    assert refusal(s3.put_object, Body=b"x", IfMatch=etag, **where)[:2] == GONE
    s3.put_object(Body=b"x", IfNoneMatch="*", **where)


def test_only_the_current_version_counts(s3, bucket):
    """The reference: "the ETag of the object in S3", which without a version is that of the current one."""
    where = {"Bucket": bucket, "Key": "k"}
    first = s3.put_object(Body=b"first", **where)["ETag"]
    second = s3.put_object(Body=b"second", **where)["ETag"]
    assert refusal(s3.put_object, Body=b"third", IfMatch=first, **where)[:2] == FAILED
    s3.put_object(Body=b"third", IfMatch=second, **where)


def test_an_etag_is_the_same_wherever_it_is_told(s3, bucket):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html (ETag)"""
    where = {"Bucket": bucket, "Key": "k"}
    etag = s3.put_object(Body=b"x", **where)["ETag"]
    assert etag.startswith('"') and etag.endswith('"')
    (listed,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    (version,) = s3.list_object_versions(Bucket=bucket)["Versions"]
    told = [s3.get_object(**where)["ETag"], s3.head_object(**where)["ETag"], listed["ETag"], version["ETag"]]
    assert told == [etag] * 4
    # and taken in quotes, as it is told, and without, as the guide's examples have it
    s3.put_object(Body=b"x", IfMatch=etag, **where)
    s3.put_object(Body=b"x", IfMatch=etag.strip('"'), **where)
    for wrong in ('"0123456789abcdef0123456789abcdef"', "0123456789abcdef0123456789abcdef"):
        assert refusal(s3.put_object, Body=b"x", IfMatch=wrong, **where)[:2] == FAILED


def test_one_condition_at_a_time(s3, bucket):
    """The reference has `*` for If-None-Match and an ETag for If-Match. The code is inferred."""
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    for both in ({"IfMatch": etag, "IfNoneMatch": "*"}, {"IfNoneMatch": etag}, {"IfMatch": "*"}):
        assert refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **both)[:2] == (501, "NotImplemented")


def test_conditional_copies_and_deletions_are_not_known_here(s3, account):
    """AWS has them, so that nothing is done is what counts:

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html (If-Match, If-None-Match)
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
    """
    where = {"Bucket": f"copies-{account}", "Key": "k"}
    s3.create_bucket(Bucket=where["Bucket"])
    etag = s3.put_object(Body=b"x", **where)["ETag"]
    assert refusal(s3.delete_object, IfMatch=etag, **where)[:2] == (501, "NotImplemented")
    unchanged = {"Objects": [{"Key": "k", "ETag": etag}]}
    assert refusal(s3.delete_objects, Bucket=where["Bucket"], Delete=unchanged)[:2] == (501, "NotImplemented")
    for header, value in (("If-None-Match", "*"), ("If-Match", etag)):

        def add(params, header=header, value=value, **_) -> None:
            params["headers"][header] = value

        s3.meta.events.register_first("before-call.s3.CopyObject", add)
        copy = {"CopySource": f"{where['Bucket']}/k", "MetadataDirective": "REPLACE", "Metadata": {"by": "copy"}}
        assert refusal(s3.copy_object, **copy, **where)[:2] == (501, "NotImplemented")
        s3.meta.events.unregister("before-call.s3.CopyObject", add)
    assert s3.head_object(**where)["Metadata"] == {}


def test_what_is_refused_changes_nothing(s3, bucket):
    where = {"Bucket": bucket, "Key": "k"}
    s3.put_object(Body=b"first", Metadata={"by": "one"}, **where)
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"another"'}):
        refusal(s3.put_object, Body=b"second", Metadata={"by": "two"}, **where, **condition)
    found = s3.get_object(**where)
    assert (found["Body"].read(), found["Metadata"]) == (b"first", {"by": "one"})
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 1


def test_multipart_uploads_are_judged_when_they_are_completed(s3, bucket):
    """The guide: "Conditional write scenarios"."""
    for condition, after_a_deletion in (("IfNoneMatch", (409, "ConditionalRequestConflict")), ("IfMatch", GONE)):
        where = {"Bucket": bucket, "Key": condition}
        etag = s3.put_object(Body=b"x", **where)["ETag"]
        uploads = [s3.create_multipart_upload(**where)["UploadId"] for _ in range(2)]
        parts = {
            id_: [{"PartNumber": 1, "ETag": s3.upload_part(UploadId=id_, PartNumber=1, Body=b"y", **where)["ETag"]}]
            for id_ in uploads
        }
        asked = {"IfNoneMatch": "*"} if condition == "IfNoneMatch" else {"IfMatch": etag}

        def complete(id_: str, where=where, parts=parts, asked=asked) -> tuple[int, str]:
            done = {"UploadId": id_, "MultipartUpload": {"Parts": parts[id_]}}
            return refusal(s3.complete_multipart_upload, **done, **where, **asked)[:2]

        s3.put_object(Body=b"another", **where)
        assert complete(uploads[0]) == FAILED
        s3.delete_object(**where)
        assert complete(uploads[1]) == after_a_deletion


def test_the_null_version_that_is_written_last_is_current(s3, account):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html"""
    where = {"Bucket": f"null-{account}", "Key": "k"}
    s3.create_bucket(Bucket=where["Bucket"])
    s3.put_object(Body=b"null", **where)
    for status, body in (("Enabled", b"version"), ("Suspended", b"null again")):
        s3.put_bucket_versioning(Bucket=where["Bucket"], VersioningConfiguration={"Status": status})
        etag = s3.put_object(Body=body, **where)["ETag"]
        assert s3.get_object(**where)["Body"].read() == body
    s3.put_object(Body=b"claimed", IfMatch=etag, **where)
