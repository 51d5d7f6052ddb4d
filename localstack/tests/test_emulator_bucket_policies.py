"""Bucket policies and role sessions.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
"""

from datetime import datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError
from functions import allow, deny, policy, trust
from refusals import refusal

ANYONE = trust({"AWS": "*"})


@pytest.fixture
def bucket(emulator, account):
    root = emulator.client("s3", account)
    root.create_bucket(Bucket=f"policies-{account}")
    root.delete_public_access_block(Bucket=f"policies-{account}")
    return f"policies-{account}"


@pytest.fixture
def set_policy(emulator, account, bucket):
    def put(*statements: dict) -> None:
        emulator.client("s3", account).put_bucket_policy(Bucket=bucket, Policy=policy(*statements))

    return put


def to(principal, statement: dict) -> dict:
    return {**statement, "Principal": principal}


def may(call, **parameters) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied", error
        return False
    return True


def objects(bucket: str, folder: str = "") -> str:
    return f"arn:aws:s3:::{bucket}/{folder}*"


def test_a_deny_wins_and_is_named(emulator, account, make_role, session_of, bucket, set_policy):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""
    role = make_role(account, "writer", ANYONE, allow("s3:*"))
    s3 = emulator.client("s3", session_of(role))
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    set_policy(to("*", deny("s3:PutObject", objects(bucket))))
    assert refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"x") == (
        403,
        "AccessDenied",
        f"User: arn:aws:sts::{account}:assumed-role/writer/test is not authorized to perform: s3:PutObject on resource:"
        f" arn:aws:s3:::{bucket}/k with an explicit deny in a resource-based policy",
    )
    s3.get_object(Bucket=bucket, Key="k")
    # the account's root may do everything here, so that a test can clear up
    emulator.client("s3", account).put_object(Bucket=bucket, Key="k", Body=b"y")


def test_writers_by_their_role(emulator, account, make_role, session_of, bucket, set_policy):
    """aws:PrincipalArn of a session is its role's ARN, path and all."""
    statement = allow("s3:PutObject", objects(bucket))
    writer = make_role(account, "writer", ANYONE, statement, Path="/team/")
    other = make_role(account, "other", ANYONE, statement)
    condition = {"ArnNotEquals": {"aws:PrincipalArn": [writer]}}
    set_policy(to("*", deny("s3:PutObject", objects(bucket, "reports/"), Condition=condition)))
    emulator.client("s3", session_of(writer)).put_object(Bucket=bucket, Key="reports/1", Body=b"x")
    s3 = emulator.client("s3", session_of(other))
    assert "in a resource-based policy" in refusal(s3.put_object, Bucket=bucket, Key="reports/1", Body=b"x")[2]
    s3.put_object(Bucket=bucket, Key="elsewhere", Body=b"x")


def test_everywhere_but_there(emulator, account, make_role, session_of, bucket, set_policy):
    """NotResource, and a role's path that nobody knows: an account has one role of a name."""
    statement = allow("s3:PutObject", objects(bucket))
    writer = make_role(account, "writer", ANYONE, statement, Path="/a/team/")
    other = make_role(account, "rewriter", ANYONE, statement)
    by_name = [f"arn:aws:iam::{account}:role/writer", f"arn:aws:iam::{account}:role/*/writer"]
    elsewhere = deny("s3:PutObject", objects(bucket))
    elsewhere["NotResource"] = [objects(bucket, "reports/"), f"arn:aws:s3:::{bucket}/policy.json"]
    del elsewhere["Resource"]
    condition = {"ArnNotLike": {"aws:PrincipalArn": by_name}}
    set_policy(
        to("*", elsewhere), to("*", deny("s3:PutObject", f"arn:aws:s3:::{bucket}/policy.json", Condition=condition))
    )
    for role, is_writer in ((writer, True), (other, False)):
        s3 = emulator.client("s3", session_of(role))
        assert may(s3.put_object, Bucket=bucket, Key="policy.json", Body=b"x") == is_writer
        assert may(s3.put_object, Bucket=bucket, Key="reports/1", Body=b"x")
        assert not may(s3.put_object, Bucket=bucket, Key="policy.json2", Body=b"x")
        assert not may(s3.put_object, Bucket=bucket, Key="reports2/1", Body=b"x")


def test_services_alone(emulator, account, make_role, session_of, bucket, set_policy):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"""
    s3 = emulator.client("s3", session_of(make_role(account, "writer", ANYONE, allow("s3:*"))))
    condition = {"Bool": {"aws:PrincipalIsAWSService": "false"}}
    set_policy(to("*", deny("s3:PutObject", objects(bucket), Condition=condition)))
    assert not may(s3.put_object, Bucket=bucket, Key="k", Body=b"x")
    assert may(s3.list_objects_v2, Bucket=bucket)


class TestConditionalWrites:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html"""

    @pytest.fixture
    def s3(self, emulator, account, make_role, session_of):
        return emulator.client("s3", session_of(make_role(account, "writer", ANYONE, allow("s3:*"))))

    def test_once_only(self, s3, bucket, set_policy):
        set_policy(to("*", deny("s3:PutObject", objects(bucket), Condition={"Null": {"s3:if-none-match": "true"}})))
        write = {"Bucket": bucket, "Key": "k", "Body": b"x"}
        assert "in a resource-based policy" in refusal(s3.put_object, **write)[2]
        s3.put_object(**write, IfNoneMatch="*")
        assert refusal(s3.put_object, **write, IfNoneMatch="*")[:2] == (412, "PreconditionFailed")
        # neither a copy nor a part carries the header
        assert refusal(s3.copy_object, Bucket=bucket, Key="l", CopySource=f"{bucket}/k")[0] == 403
        assert refusal(s3.create_multipart_upload, Bucket=bucket, Key="l")[0] == 403

    def test_by_one_of_both_headers(self, s3, bucket, set_policy):
        condition = {"Null": {"s3:if-none-match": "true", "s3:if-match": "true"}}
        set_policy(to("*", deny("s3:PutObject", objects(bucket), Condition=condition)))
        write = {"Bucket": bucket, "Key": "k", "Body": b"x"}
        assert refusal(s3.put_object, **write)[0] == 403
        tag = s3.put_object(**write, IfNoneMatch="*")["ETag"]
        s3.put_object(**write, IfMatch=tag)

    @pytest.mark.parametrize(
        ("condition", "first", "over"),
        [
            ({"Null": {"s3:if-none-match": "false"}}, True, False),
            ({"StringEquals": {"s3:if-none-match": "*"}}, True, False),
            ({"Null": {"s3:if-match": "false"}}, False, True),
            ({"StringEquals": {"s3:if-match": "of another object"}}, False, False),
        ],
    )
    def test_what_is_allowed_with_a_header_only(
        self, emulator, account, make_role, session_of, bucket, set_policy, condition, first, over
    ):
        """As the page's examples: the bucket's policy alone allows the write, with the header."""
        role = make_role(account, "conditional", ANYONE)
        s3, root = emulator.client("s3", session_of(role)), emulator.client("s3", account)
        set_policy(
            to({"AWS": role}, allow("s3:PutObject", objects(bucket), Condition=condition)),
            to({"AWS": role}, allow("s3:GetObject", objects(bucket))),  # for If-Match
        )
        write = {"Bucket": bucket, "Key": "k", "Body": b"x"}
        assert may(s3.put_object, **write, IfNoneMatch="*") == first
        tag = root.put_object(**write)["ETag"]
        assert may(s3.put_object, **write, IfMatch=tag) == over
        assert not may(s3.put_object, **write)

    def test_multipart_uploads_can_be_spared(self, s3, bucket, set_policy):
        condition = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
        set_policy(to("*", deny("s3:PutObject", objects(bucket), Condition=condition)))
        upload = {"Bucket": bucket, "Key": "k"}
        upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
        etag = s3.upload_part(**upload, PartNumber=1, Body=b"x")["ETag"]
        done = {**upload, "MultipartUpload": {"Parts": [{"ETag": etag, "PartNumber": 1}]}}
        assert refusal(s3.complete_multipart_upload, **done)[0] == 403
        s3.complete_multipart_upload(**done, IfNoneMatch="*")

    def test_reading_does_not_have_the_key(self, s3, bucket, set_policy):
        """The service authorization data lists it for s3:PutObject: elsewhere it counts against the request."""
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        set_policy(to("*", deny("s3:GetObject", objects(bucket), Condition={"Null": {"s3:if-none-match": "false"}})))
        assert "s3:if-none-match" in refusal(s3.get_object, Bucket=bucket, Key="k")[2]


class TestRetention:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html"""

    @pytest.fixture
    def locked(self, emulator, account):
        s3 = emulator.client("s3", account)
        s3.create_bucket(Bucket=f"locked-{account}", ObjectLockEnabledForBucket=True)
        return f"locked-{account}"

    @pytest.fixture
    def write(self, emulator, account, make_role, session_of, locked):
        allowed = allow(["s3:PutObject", "s3:PutObjectRetention"])
        s3 = emulator.client("s3", session_of(make_role(account, "writer", ANYONE, allowed)))
        until = datetime.now(timezone.utc) + timedelta(days=2)
        retained = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
        return lambda key, is_retained: may(
            s3.put_object, Bucket=locked, Key=key, Body=b"x", **(retained if is_retained else {})
        )

    def test_who_retains_needs_a_permission_of_its_own(self, emulator, account, make_role, session_of, locked):
        s3 = emulator.client("s3", session_of(make_role(account, "writer", ANYONE, allow("s3:PutObject"))))
        until = datetime.now(timezone.utc) + timedelta(days=2)
        assert may(s3.put_object, Bucket=locked, Key="k", Body=b"x")
        refused = refusal(
            s3.put_object, Bucket=locked, Key="k", Body=b"x", ObjectLockMode="GOVERNANCE",
            ObjectLockRetainUntilDate=until,
        )
        assert refused[1] == "AccessDenied" and "s3:PutObjectRetention" in refused[2]

    def test_here_always_and_there_never(self, emulator, account, locked, write):
        unretained = deny("s3:PutObject", objects(locked, "plans/"), Condition={"Null": {"s3:object-lock-mode": "true"}})
        elsewhere = deny("s3:PutObjectRetention", objects(locked))
        elsewhere["NotResource"] = elsewhere.pop("Resource").replace(f"{locked}/", f"{locked}/plans/")
        document = policy(to("*", unretained), to("*", elsewhere))
        emulator.client("s3", account).put_bucket_policy(Bucket=locked, Policy=document)
        assert [write("plans/1", True), write("plans/2", False)] == [True, False]
        assert [write("cards/1", True), write("cards/2", False)] == [False, True]


@pytest.mark.parametrize(
    ("principal", "is_enough"),
    [
        ("arn:aws:iam::{account}:role/reader", True),
        ("arn:aws:sts::{account}:assumed-role/reader/test", True),
        ("*", True),
        ("{account}", False),  # leaves it to the account, whose identity policies do not allow it
        ("arn:aws:iam::{account}:role/other", False),
    ],
)
def test_its_own_account(emulator, account, make_role, session_of, bucket, set_policy, principal, is_enough):
    s3 = emulator.client("s3", session_of(make_role(account, "reader", ANYONE)))
    make_role(account, "other", ANYONE)
    emulator.client("s3", account).put_object(Bucket=bucket, Key="k", Body=b"x")
    set_policy(to({"AWS": principal.format(account=account)}, allow("s3:GetObject", objects(bucket))))
    if is_enough:
        s3.get_object(Bucket=bucket, Key="k")
    else:
        message = refusal(s3.get_object, Bucket=bucket, Key="k")[2]
        assert message.endswith("because no identity-based policy allows the s3:GetObject action")


@pytest.mark.parametrize("limit", ["boundary", "session"])
def test_what_limits_a_role_limits_what_the_bucket_gives_it(
    emulator, account, make_role, session_of, bucket, set_policy, limit
):
    listing = emulator.client("iam", account).create_policy(
        PolicyName="listing", PolicyDocument=policy(allow("s3:ListBucket"))
    )["Policy"]["Arn"]
    more = {"PermissionsBoundary": listing} if limit == "boundary" else {}
    role = make_role(account, "reader", ANYONE, **more)
    session = session_of(role, **({"PolicyArns": [{"arn": listing}]} if limit == "session" else {}))
    s3 = emulator.client("s3", session)
    emulator.client("s3", account).put_object(Bucket=bucket, Key="k", Body=b"x")
    set_policy(to({"AWS": role}, allow("s3:GetObject", objects(bucket))))
    kind = {"boundary": "permissions boundary", "session": "session policy"}[limit]
    assert f"because no {kind} allows the s3:GetObject action" in refusal(s3.get_object, Bucket=bucket, Key="k")[2]
    # given to the session by its name, it is not limited
    set_policy(to({"AWS": f"arn:aws:sts::{account}:assumed-role/reader/test"}, allow("s3:GetObject", objects(bucket))))
    s3.get_object(Bucket=bucket, Key="k")


class TestFromAnotherAccount:
    READ = {"Key": "k"}

    @pytest.fixture
    def readers(self, emulator, account, other_account, make_role, session_of, bucket):
        emulator.client("s3", account).put_object(Bucket=bucket, Key="k", Body=b"x")
        may = make_role(other_account, "may", ANYONE, allow("s3:GetObject"))
        may_not = make_role(other_account, "may-not", ANYONE)
        return [emulator.client("s3", session_of(role)) for role in (may, may_not)]

    def test_both_sides_must_allow(self, readers, other_account, bucket, set_policy):
        may, may_not = readers
        nothing = "because no resource-based policy allows the s3:GetObject action"
        assert refusal(may.get_object, Bucket=bucket, Key="k")[2].endswith(nothing)
        set_policy(to({"AWS": f"arn:aws:iam::{other_account}:root"}, allow("s3:GetObject", objects(bucket))))
        may.get_object(Bucket=bucket, Key="k")
        assert "no identity-based policy" in refusal(may_not.get_object, Bucket=bucket, Key="k")[2]
        set_policy(to({"AWS": "333333333333"}, allow("s3:GetObject", objects(bucket))))
        assert refusal(may.get_object, Bucket=bucket, Key="k")[2].endswith(nothing)

    def test_a_role_by_name_is_not_enough(self, readers, other_account, bucket, set_policy):
        arn = f"arn:aws:iam::{other_account}:role/may-not"
        set_policy(to({"AWS": arn}, allow("s3:GetObject", objects(bucket))))
        assert "no identity-based policy" in refusal(readers[1].get_object, Bucket=bucket, Key="k")[2]

    def test_by_the_accounts_of_an_account(self, readers, account, other_account, bucket, set_policy):
        """aws:ResourceAccount is the account that has the bucket."""
        condition = {"StringEquals": {"aws:ResourceAccount": account}}
        anybody = to("*", allow("s3:GetObject", objects(bucket), Condition=condition))
        set_policy(anybody)
        readers[0].get_object(Bucket=bucket, Key="k")
        anybody["Condition"] = {"StringEquals": {"aws:ResourceAccount": other_account}}
        set_policy(anybody)
        assert refusal(readers[0].get_object, Bucket=bucket, Key="k")[0] == 403


def test_only_the_own_accounts_buckets(emulator, account, other_account, make_role, session_of, bucket, set_policy):
    """s3:ResourceAccount: https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html"""
    emulator.client("s3", account).put_object(Bucket=bucket, Key="k")
    set_policy(to("*", allow("s3:GetObject", objects(bucket))))
    for caller, owner, is_allowed in ((account, account, True), (other_account, other_account, False)):
        may = allow("s3:GetObject", Condition={"StringEquals": {"s3:ResourceAccount": owner}})
        s3 = emulator.client("s3", session_of(make_role(caller, "of-own-buckets", ANYONE, may)))
        if is_allowed:
            s3.get_object(Bucket=bucket, Key="k")
        else:
            assert "no identity-based policy" in refusal(s3.get_object, Bucket=bucket, Key="k")[2]
        assert refusal(s3.get_object, Bucket=f"nowhere-{account}", Key="k")[1] == "NoSuchBucket"


def test_a_bucket_that_is_not_there_is_not_forbidden(emulator, account, make_role, session_of):
    s3 = emulator.client("s3", session_of(make_role(account, "reader", ANYONE, allow("s3:*"))))
    assert refusal(s3.get_object, Bucket=f"nowhere-{account}", Key="k")[1] == "NoSuchBucket"


def test_tls_only_lets_the_emulators_plain_http_pass(emulator, account, make_role, session_of, bucket, set_policy):
    s3 = emulator.client("s3", session_of(make_role(account, "writer", ANYONE, allow("s3:*"))))
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    set_policy(to("*", deny("s3:*", [objects(bucket), f"arn:aws:s3:::{bucket}"], Condition=condition)))
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
