"""https://docs.aws.amazon.com/IAM/latest/APIReference/ : API_ListAccessKeys, API_UpdateAccessKey,
API_GetAccessKeyLastUsed
"""

import pytest
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


def test_what_does_not_exist(iam, keys):
    assert code(iam.list_access_keys, UserName="nobody") == "NoSuchEntity"
    iam.create_user(UserName="v")
    other = {"UserName": "v", "AccessKeyId": keys[0], "Status": "Inactive"}
    assert code(iam.update_access_key, **other) == "NoSuchEntity"
