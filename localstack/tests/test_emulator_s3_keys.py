"""Who may use the customer's key of a bucket: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"""

import pytest
from functions import allow, trust
from refusals import refusal

ANYONE = trust({"AWS": "*"})


@pytest.fixture
def key(emulator, account) -> str:
    return emulator.client("kms", account).create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def bucket(emulator, account, key) -> str:
    name = f"keys-{account}"
    s3 = emulator.client("s3", account)
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="plain", Body=b"p")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket=name, Key="there", Body=b"x")
    return name


def via(service: str) -> dict:
    return {"Condition": {"StringLike": {"kms:ViaService": f"{service}.us-east-1.*"}}}


@pytest.fixture
def s3_of(emulator, account, make_role, session_of, key):
    def make(name: str, *actions: str, service: str = "s3"):
        grants = [allow(list(actions), key, **via(service))] if actions else []
        return emulator.client("s3", session_of(make_role(account, name, ANYONE, allow("s3:*"), *grants)))

    return make


def test_without_the_key_nothing_is_put_or_read(s3_of, bucket, key):
    s3 = s3_of("none")
    status, code, message = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"x")
    assert (status, code) == (403, "AccessDenied") and f"kms:GenerateDataKey on resource: {key}" in message
    status, code, message = refusal(s3.get_object, Bucket=bucket, Key="there")
    assert (status, code) == (403, "AccessDenied") and f"kms:Decrypt on resource: {key}" in message
    assert refusal(s3.head_object, Bucket=bucket, Key="there")[0] == 403
    # What was put before the bucket had the key is not encrypted by it.
    s3.get_object(Bucket=bucket, Key="plain")


def test_each_way_needs_its_own_action(s3_of, bucket, key):
    reads, writes = s3_of("reads", "kms:Decrypt"), s3_of("writes", "kms:GenerateDataKey")
    reads.get_object(Bucket=bucket, Key="there")
    assert refusal(reads.put_object, Bucket=bucket, Key="k", Body=b"x")[1] == "AccessDenied"
    put = writes.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key)
    assert refusal(writes.get_object, Bucket=bucket, Key="k")[1] == "AccessDenied"
    assert "kms:Decrypt" in refusal(writes.copy_object, Bucket=bucket, Key="c", CopySource=f"{bucket}/there")[2]
    assert "kms:Decrypt" in refusal(writes.create_multipart_upload, Bucket=bucket, Key="m")[2]
    both = s3_of("both", "kms:Decrypt", "kms:GenerateDataKey")
    both.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/there")
    both.create_multipart_upload(Bucket=bucket, Key="m")


def test_a_grant_is_for_the_service_that_it_names(emulator, account, s3_of, bucket, key, make_role, session_of):
    of_queues = s3_of("queues", "kms:Decrypt", service="sqs")
    assert refusal(of_queues.get_object, Bucket=bucket, Key="there")[1] == "AccessDenied"
    role = make_role(account, "direct", ANYONE, allow("kms:GenerateDataKey", key, **via("s3")))
    kms = emulator.client("kms", session_of(role))
    assert refusal(kms.generate_data_key, KeyId=key, KeySpec="AES_256")[1] == "AccessDeniedException"
