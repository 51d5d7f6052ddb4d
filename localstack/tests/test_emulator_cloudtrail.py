"""https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/ : API_GetTrail, API_DescribeTrails, API_UpdateTrail,
API_ListTags
"""

import pytest
from refusals import code

HOME, ELSEWHERE = "us-east-1", "eu-west-1"


@pytest.fixture
def trails(emulator, account):
    """A client for a region."""
    return lambda region=HOME: emulator.client("cloudtrail", account, region)


@pytest.fixture
def make_trail(emulator, account, trails):
    def make(name: str = "trail", **more) -> str:
        emulator.client("s3", account).create_bucket(Bucket=f"trail-{account}-{name}")
        return trails().create_trail(Name=name, S3BucketName=f"trail-{account}-{name}", **more)["TrailARN"]

    return make


def test_by_name_and_by_arn(trails, make_trail):
    arn = make_trail()
    for name in ("trail", arn):
        trail = trails().get_trail(Name=name)["Trail"]
        assert (trail["TrailARN"], trail["HomeRegion"], trail["LogFileValidationEnabled"]) == (arn, HOME, False)
        assert trails().update_trail(Name=name, EnableLogFileValidation=True)["LogFileValidationEnabled"] is True
        assert trails().get_trail(Name=name)["Trail"]["LogFileValidationEnabled"] is True
        trails().update_trail(Name=name, EnableLogFileValidation=False)
        trails().start_logging(Name=name)
        assert trails().get_trail_status(Name=name)["IsLogging"] is True
        trails().stop_logging(Name=name)
    trails().delete_trail(Name=arn)
    assert code(trails().get_trail, Name=arn) == "TrailNotFoundException"


def test_an_update_leaves_the_rest(trails, make_trail):
    make_trail(IsMultiRegionTrail=True)
    before = trails().get_trail(Name="trail")["Trail"]
    trails().update_trail(Name="trail", EnableLogFileValidation=True)
    assert trails().get_trail(Name="trail")["Trail"] == {**before, "LogFileValidationEnabled": True}


def test_outside_of_the_home_region(trails, make_trail):
    arn = make_trail(IsMultiRegionTrail=True)
    elsewhere = trails(ELSEWHERE)
    assert elsewhere.get_trail(Name=arn)["Trail"]["HomeRegion"] == HOME
    assert code(elsewhere.get_trail, Name="trail") == "TrailNotFoundException"
    for name in ("trail", arn):
        update = {"Name": name, "EnableLogFileValidation": True}
        assert code(elsewhere.update_trail, **update) == "InvalidHomeRegionException"
    assert trails().get_trail(Name=arn)["Trail"]["LogFileValidationEnabled"] is False


def test_lists(trails, make_trail):
    shadowed, single = make_trail("everywhere", IsMultiRegionTrail=True), make_trail("here")
    assert {trail["TrailARN"] for trail in trails().describe_trails()["trailList"]} == {shadowed, single}
    elsewhere = trails(ELSEWHERE)
    assert [trail["HomeRegion"] for trail in elsewhere.describe_trails()["trailList"]] == [HOME]
    assert elsewhere.describe_trails(includeShadowTrails=False)["trailList"] == []
    assert [trail["Name"] for trail in trails().describe_trails(trailNameList=["here", "x"])["trailList"]] == ["here"]
    assert elsewhere.describe_trails(trailNameList=["here"])["trailList"] == []
    assert [trail["Name"] for trail in elsewhere.describe_trails(trailNameList=[single])["trailList"]] == ["here"]


def test_what_does_not_exist(account, trails):
    for name in ("missing", f"arn:aws:cloudtrail:{HOME}:{account}:trail/missing"):
        assert code(trails().get_trail, Name=name) == "TrailNotFoundException"
        assert code(trails().update_trail, Name=name) == "TrailNotFoundException"
    assert code(trails().get_trail, Name="arn:aws:s3:::bucket") == "CloudTrailARNInvalidException"


def test_tags_are_listed_in_the_home_region(account, trails, make_trail):
    arn, tags = make_trail(IsMultiRegionTrail=True), [{"Key": "k", "Value": "v"}]
    assert trails().list_tags(ResourceIdList=[arn])["ResourceTagList"] == [{"ResourceId": arn, "TagsList": []}]
    trails().add_tags(ResourceId=arn, TagsList=tags)
    assert trails().list_tags(ResourceIdList=[arn])["ResourceTagList"] == [{"ResourceId": arn, "TagsList": tags}]
    # the code is inferred from "in the current Region"
    assert code(trails(ELSEWHERE).list_tags, ResourceIdList=[arn]) == "ResourceNotFoundException"
    missing = f"arn:aws:cloudtrail:{HOME}:{account}:trail/missing"
    assert code(trails().list_tags, ResourceIdList=[missing]) == "ResourceNotFoundException"
    assert code(trails().list_tags, ResourceIdList=["trail"]) == "CloudTrailARNInvalidException"


def test_another_accounts_trail_is_not_seen(emulator, other_account, make_trail):
    arn = make_trail()
    assert code(emulator.client("cloudtrail", other_account).get_trail, Name=arn) == "TrailNotFoundException"


class TestOrganizationTrails:
    @pytest.fixture
    def member(self, emulator, account) -> str:
        organizations = emulator.client("organizations", account)
        organizations.create_organization(FeatureSet="ALL")
        created = organizations.create_account(Email="a@example.org", AccountName="member")
        return created["CreateAccountStatus"]["AccountId"]

    def test_a_member_sees_it_and_cannot_change_it(self, emulator, member, trails, make_trail):
        arn = make_trail(IsOrganizationTrail=True)
        theirs = emulator.client("cloudtrail", member)
        [trail] = theirs.describe_trails()["trailList"]
        assert (trail["TrailARN"], trail["IsOrganizationTrail"]) == (arn, True)
        assert theirs.get_trail(Name=arn)["Trail"]["TrailARN"] == arn
        assert theirs.describe_trails(includeShadowTrails=False)["trailList"] == []
        for name in ("trail", arn):
            update = {"Name": name, "EnableLogFileValidation": True}
            assert code(theirs.update_trail, **update) == "NotOrganizationMasterAccountException"
        trails().update_trail(Name=arn, EnableLogFileValidation=True)
        assert theirs.get_trail(Name=arn)["Trail"]["LogFileValidationEnabled"] is True

    def test_a_member_sees_the_management_accounts_arn_everywhere(self, emulator, account, member, make_trail):
        """https://docs.aws.amazon.com/awscloudtrail/latest/userguide/creating-trail-organization.html: "This ARN is the
        ARN for the trail in all member accounts as well"
        """
        arn = make_trail(IsOrganizationTrail=True, IsMultiRegionTrail=True)
        assert arn == f"arn:aws:cloudtrail:{HOME}:{account}:trail/trail"
        for region in (HOME, ELSEWHERE):
            theirs = emulator.client("cloudtrail", member, region)
            [trail] = theirs.describe_trails()["trailList"]
            assert (trail["TrailARN"], trail["HomeRegion"], trail["IsOrganizationTrail"]) == (arn, HOME, True)
            for call in (theirs.stop_logging, theirs.delete_trail):
                assert code(call, Name=arn) == "NotOrganizationMasterAccountException"

    @pytest.mark.parametrize("by", ["organizations", "cloudtrail"])
    def test_a_delegated_administrator_changes_it(self, emulator, account, member, trails, make_trail, by):
        """https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-delegated-administrator.html"""
        arn = make_trail(IsOrganizationTrail=True, IsMultiRegionTrail=True)
        if by == "organizations":
            emulator.client("organizations", account).register_delegated_administrator(
                AccountId=member, ServicePrincipal="cloudtrail.amazonaws.com"
            )
        else:
            trails().register_organization_delegated_admin(MemberAccountId=member)
        theirs = emulator.client("cloudtrail", member)
        updated = theirs.update_trail(Name=arn, EnableLogFileValidation=True)
        assert (updated["TrailARN"], updated["LogFileValidationEnabled"]) == (arn, True)
        assert trails().get_trail(Name=arn)["Trail"]["LogFileValidationEnabled"] is True
        elsewhere = emulator.client("cloudtrail", member, ELSEWHERE)
        update = {"Name": arn, "EnableLogFileValidation": False}
        assert code(elsewhere.update_trail, **update) == "InvalidHomeRegionException"
        trails().deregister_organization_delegated_admin(DelegatedAdminAccountId=member)
        assert code(theirs.update_trail, **update) == "NotOrganizationMasterAccountException"

    def test_a_delegated_administrators_trails(self, emulator, account, member, trails, make_trail):
        """Those of the organization are the management account's; the management account's own are not theirs."""
        own = make_trail("own")
        trails().register_organization_delegated_admin(MemberAccountId=member)
        theirs = emulator.client("cloudtrail", member)
        emulator.client("s3", member).create_bucket(Bucket=f"of-{member}")
        made = theirs.create_trail(Name="all", S3BucketName=f"of-{member}", IsOrganizationTrail=True)["TrailARN"]
        assert made == f"arn:aws:cloudtrail:{HOME}:{account}:trail/all"
        assert {each["TrailARN"] for each in trails().describe_trails()["trailList"]} == {own, made}
        assert code(theirs.update_trail, Name=own, EnableLogFileValidation=True) == "TrailNotFoundException"

    def test_who_can_be_a_delegated_administrator(self, emulator, account, other_account, member, trails):
        """https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_RegisterOrganizationDelegatedAdmin.html"""
        register = trails().register_organization_delegated_admin
        assert code(register, MemberAccountId=account) == "CannotDelegateManagementAccountException"
        assert code(register, MemberAccountId=other_account) == "AccountNotFoundException"
        register(MemberAccountId=member)
        assert code(register, MemberAccountId=member) == "AccountRegisteredException"
        theirs = emulator.client("cloudtrail", member).register_organization_delegated_admin
        assert code(theirs, MemberAccountId=member) == "NotOrganizationManagementAccountException"
        others = emulator.client("cloudtrail", other_account).register_organization_delegated_admin
        assert code(others, MemberAccountId=member) == "OrganizationsNotInUseException"

    def test_only_the_management_account_makes_one(self, emulator, member):
        emulator.client("s3", member).create_bucket(Bucket=f"member-{member}")
        call = emulator.client("cloudtrail", member).create_trail
        trail = {"Name": "trail", "S3BucketName": f"member-{member}", "IsOrganizationTrail": True}
        assert code(call, **trail) == "NotOrganizationMasterAccountException"
