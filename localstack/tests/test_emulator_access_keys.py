"""https://docs.aws.amazon.com/IAM/latest/APIReference/ : API_ListAccessKeys, API_UpdateAccessKey,
API_GetAccessKeyLastUsed, API_ListUserTags
"""

import pytest
from functions import allow, trust
from refusals import code


@pytest.fixture
def iam(emulator, account):
    client = emulator.client("iam", account)
    client.create_user(UserName="u")
    return client


@pytest.fixture
def keys(iam) -> list[str]:
    return [iam.create_access_key(UserName="u")["AccessKey"]["AccessKeyId"] for _ in range(2)]


def test_all_keys_at_once(iam, keys):
    answer = iam.list_access_keys(UserName="u")
    assert [key["AccessKeyId"] for key in answer["AccessKeyMetadata"]] == keys
    assert {key["Status"] for key in answer["AccessKeyMetadata"]} == {"Active"}
    assert answer["IsTruncated"] is False and "Marker" not in answer
    assert code(iam.create_access_key, UserName="u") == "LimitExceeded"


def test_pages(emulator, account, iam, keys):
    first = iam.list_access_keys(UserName="u", MaxItems=1)
    assert first["IsTruncated"] is True and first["AccessKeyMetadata"][0]["AccessKeyId"] == keys[0]
    second = iam.list_access_keys(UserName="u", MaxItems=1, Marker=first["Marker"])
    assert second["IsTruncated"] is False and second["AccessKeyMetadata"][0]["AccessKeyId"] == keys[1]
    # "IAM might return fewer than the MaxItems number of results"
    emulator.put(f"settings/{account}", page_size=1)
    assert iam.list_access_keys(UserName="u")["IsTruncated"] is True


def test_an_old_key(emulator, iam, keys):
    emulator.put(f"iam/access-keys/{keys[0]}", CreateDate="2020-01-02T03:04:05Z")
    dates = [key["CreateDate"] for key in iam.list_access_keys(UserName="u")["AccessKeyMetadata"]]
    assert dates[0].isoformat() == "2020-01-02T03:04:05+00:00" and dates[1].year > 2020


def test_a_status_changes_one_key(iam, keys):
    iam.update_access_key(UserName="u", AccessKeyId=keys[0], Status="Inactive")
    statuses = [key["Status"] for key in iam.list_access_keys(UserName="u")["AccessKeyMetadata"]]
    assert statuses == ["Inactive", "Active"]
    iam.update_access_key(UserName="u", AccessKeyId=keys[0], Status="Inactive")


def test_a_key_that_was_never_used_has_no_date(iam, keys):
    last = iam.get_access_key_last_used(AccessKeyId=keys[0])["AccessKeyLastUsed"]
    assert last == {"Region": "N/A", "ServiceName": "N/A"}


def test_a_last_use_that_was_set_leaves_the_date_of_creation(emulator, iam, keys):
    before = iam.list_access_keys(UserName="u")["AccessKeyMetadata"]
    used = {"LastUsedDate": "2020-01-02T03:04:05Z", "ServiceName": "s3", "Region": "eu-central-1"}
    emulator.put(f"iam/access-keys/{keys[0]}", **used)
    last = iam.get_access_key_last_used(AccessKeyId=keys[0])["AccessKeyLastUsed"]
    assert last.pop("LastUsedDate").isoformat() == "2020-01-02T03:04:05+00:00"
    assert last == {"ServiceName": "s3", "Region": "eu-central-1"}
    assert "LastUsedDate" not in iam.get_access_key_last_used(AccessKeyId=keys[1])["AccessKeyLastUsed"]
    assert iam.list_access_keys(UserName="u")["AccessKeyMetadata"] == before
    # And the other way round.
    emulator.put(f"iam/access-keys/{keys[0]}", CreateDate="2019-01-01T00:00:00Z")
    assert iam.get_access_key_last_used(AccessKeyId=keys[0])["AccessKeyLastUsed"]["ServiceName"] == "s3"


def test_the_last_use_is_allowed_by_the_user_who_has_the_key(emulator, account, make_role, session_of, iam, keys):
    iam.create_user(UserName="other")
    theirs = iam.create_access_key(UserName="other")["AccessKey"]["AccessKeyId"]
    allowed = allow("iam:GetAccessKeyLastUsed", f"arn:aws:iam::{account}:user/u")
    session = emulator.client("iam", session_of(make_role(account, "r", trust({"AWS": "*"}), allowed)))
    assert session.get_access_key_last_used(AccessKeyId=keys[0])["UserName"] == "u"
    assert code(session.get_access_key_last_used, AccessKeyId=theirs) == "AccessDenied"


def test_tags_of_a_user_in_pages(emulator, account, iam):
    assert iam.list_user_tags(UserName="u") | {"ResponseMetadata": None} == {
        "Tags": [], "IsTruncated": False, "ResponseMetadata": None,
    }
    tags = [{"Key": key, "Value": "v"} for key in "ab"]
    iam.tag_user(UserName="u", Tags=tags)
    assert iam.list_user_tags(UserName="u")["Tags"] == tags
    emulator.put(f"settings/{account}", page_size=1)
    first = iam.list_user_tags(UserName="u")
    assert first["IsTruncated"] is True and first["Tags"] == tags[:1]
    assert iam.list_user_tags(UserName="u", Marker=first["Marker"])["Tags"] == tags[1:]
    assert code(iam.list_user_tags, UserName="nobody") == "NoSuchEntity"


def test_what_does_not_exist(iam, keys):
    assert code(iam.list_access_keys, UserName="nobody") == "NoSuchEntity"
    iam.create_user(UserName="v")
    other = {"UserName": "v", "AccessKeyId": keys[0], "Status": "Inactive"}
    assert code(iam.update_access_key, **other) == "NoSuchEntity"
