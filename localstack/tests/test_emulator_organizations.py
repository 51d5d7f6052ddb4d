import itertools

import pytest
from functions import allow, deny, policy, trust
from refusals import code, refusal

ANYONE = trust({"AWS": "*"})


def test_what_terraforms_data_source_reads(emulator, account):
    organizations = emulator.client("organizations", account)
    created = organizations.create_organization(FeatureSet="ALL")["Organization"]
    assert organizations.describe_organization()["Organization"]["Id"] == created["Id"]
    assert organizations.list_accounts()["Accounts"][0]["Id"] == account
    assert organizations.list_roots()["Roots"]
    assert organizations.list_aws_service_access_for_organization()["EnabledServicePrincipals"] == []


class Organization:
    """The test's account as management account, a unit, and an account in it."""

    def __init__(self, emulator, management: str) -> None:
        self.client = emulator.client("organizations", management)
        self.id = self.client.create_organization(FeatureSet="ALL")["Organization"]["Id"]
        self.root = self.client.list_roots()["Roots"][0]["Id"]
        self.unit = self.client.create_organizational_unit(ParentId=self.root, Name="u")["OrganizationalUnit"]["Id"]
        created = self.client.create_account(AccountName="member", Email="m@example.com")["CreateAccountStatus"]
        self.member = created["AccountId"]
        self.client.move_account(AccountId=self.member, SourceParentId=self.root, DestinationParentId=self.unit)

    def control(self, target: str, *statements: dict) -> str:
        created = self.client.create_policy(
            Name=f"scp-{target}", Description="d", Type="SERVICE_CONTROL_POLICY", Content=policy(*statements)
        )
        policy_id = created["Policy"]["PolicySummary"]["Id"]
        self.client.attach_policy(PolicyId=policy_id, TargetId=target)
        return policy_id


@pytest.fixture
def organization(emulator, account):
    return Organization(emulator, account)


class TestWhoIsAnswered:
    """https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccountsForParent.html"""

    @pytest.fixture
    def as_member(self, emulator, organization):
        return emulator.client("organizations", organization.member)

    def test_a_member_learns_of_its_organization_alone(self, organization, as_member):
        assert as_member.describe_organization()["Organization"]["Id"] == organization.id
        parent = {"ParentId": organization.root}
        assert code(as_member.list_roots) == "AccessDeniedException"
        assert code(as_member.list_accounts) == "AccessDeniedException"
        assert code(as_member.list_accounts_for_parent, **parent) == "AccessDeniedException"
        assert code(as_member.list_tags_for_resource, ResourceId=organization.member) == "AccessDeniedException"
        assert code(as_member.create_organizational_unit, Name="n", **parent) == "AccessDeniedException"

    def test_an_account_without_an_organization(self, emulator, account):
        lists = emulator.client("organizations", account).list_roots
        assert code(lists) == "AWSOrganizationsNotInUseException"

    def test_a_delegated_administrator_reads_and_changes_nothing(self, organization, as_member):
        organization.client.register_delegated_administrator(
            AccountId=organization.member, ServicePrincipal="cloudtrail.amazonaws.com"
        )
        (unit,) = as_member.list_organizational_units_for_parent(ParentId=organization.root)["OrganizationalUnits"]
        (member,) = as_member.list_accounts_for_parent(ParentId=unit["Id"])["Accounts"]
        assert (member["Id"], member["State"], "Status" in member) == (organization.member, "ACTIVE", False)
        made = as_member.create_organizational_unit
        assert code(made, Name="n", ParentId=organization.root) == "AccessDeniedException"

    def test_who_is_named_in_the_delegation_policy_reads_what_it_says(self, organization, as_member):
        statement = {
            "Principal": {"AWS": f"arn:aws:iam::{organization.member}:root"},
            **allow(["organizations:ListRoots", "organizations:ListAccountsForParent"]),
        }
        organization.client.put_resource_policy(Content=policy(statement))
        assert as_member.list_roots()["Roots"][0]["Id"] == organization.root
        assert as_member.list_accounts_for_parent(ParentId=organization.unit)["Accounts"]
        refused = as_member.list_organizational_units_for_parent
        assert code(refused, ParentId=organization.root) == "AccessDeniedException"

    def test_pages_have_twenty_items(self, organization):
        units = [f"unit-{number}" for number in range(24)]
        for name in units:
            organization.client.create_organizational_unit(ParentId=organization.unit, Name=name)
        lists = organization.client.list_organizational_units_for_parent
        first = lists(ParentId=organization.unit)
        assert len(first["OrganizationalUnits"]) == 20
        rest = lists(ParentId=organization.unit, NextToken=first["NextToken"])
        found = first["OrganizationalUnits"] + rest["OrganizationalUnits"]
        assert [each["Name"] for each in found] == units and "NextToken" not in rest
        assert code(lists, ParentId=organization.unit, MaxResults=21) == "InvalidInputException"
        assert code(lists, ParentId="ou-ab12-11111111") == "ParentNotFoundException"


def test_the_management_account_may_do_everything_in_an_account_that_it_has_made(
    emulator, account, other_account, organization, make_role, session_of
):
    """https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html"""
    role = f"arn:aws:iam::{organization.member}:role/OrganizationAccountAccessRole"
    ours = emulator.client("sts", session_of(make_role(account, "r", ANYONE, allow("sts:AssumeRole"))))
    session = ours.assume_role(RoleArn=role, RoleSessionName="s1")["Credentials"]
    emulator.client("iam", session).create_user(UserName="u")
    stranger = emulator.client("sts", session_of(make_role(other_account, "r", ANYONE, allow("sts:AssumeRole"))))
    assert code(stranger.assume_role, RoleArn=role, RoleSessionName="s1") == "AccessDenied"


class TestServiceControlPolicies:
    """https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html"""

    @pytest.fixture
    def enabled(self, organization):
        organization.client.enable_policy_type(RootId=organization.root, PolicyType="SERVICE_CONTROL_POLICY")
        return organization

    @pytest.fixture
    def vpcs(self, emulator, organization, make_role, session_of):
        return emulator.client("ec2", session_of(make_role(organization.member, "r", ANYONE, allow("ec2:*"))))

    @pytest.mark.parametrize("level", ["root", "unit", "member"])
    def test_a_deny_at_any_level(self, enabled, vpcs, level):
        vpcs.describe_vpcs()
        enabled.control(getattr(enabled, level), deny("ec2:DescribeVpcs"))
        status, code, message = refusal(vpcs.describe_vpcs)
        assert (status, code) == (403, "UnauthorizedOperation")
        assert message == (
            f"User: arn:aws:sts::{enabled.member}:assumed-role/r/test is not authorized to perform: ec2:DescribeVpcs"
            " on resource: * with an explicit deny in a service control policy"
        )
        vpcs.describe_subnets()

    def test_each_level_must_allow(self, enabled, vpcs):
        enabled.client.detach_policy(PolicyId="p-FullAWSAccess", TargetId=enabled.unit)
        reason = "because no service control policy allows the ec2:DescribeVpcs action"
        assert refusal(vpcs.describe_vpcs)[2].endswith(reason)
        enabled.control(enabled.unit, allow("ec2:Describe*"))
        vpcs.describe_vpcs()

    def test_it_allows_nothing_by_itself(self, emulator, enabled, make_role, session_of):
        ec2 = emulator.client("ec2", session_of(make_role(enabled.member, "nobody", ANYONE)))
        assert "no identity-based policy" in refusal(ec2.describe_vpcs)[2]

    def test_not_before_they_are_turned_on(self, organization, vpcs):
        organization.control(organization.root, deny("*"))
        vpcs.describe_vpcs()

    def test_not_for_the_management_account(self, emulator, account, enabled, make_role, session_of):
        enabled.control(enabled.root, deny("*"))
        ec2 = emulator.client("ec2", session_of(make_role(account, "r", ANYONE, allow("ec2:*"))))
        ec2.describe_vpcs()

    def test_the_simulator_has_those_without_conditions(self, emulator, enabled, make_role):
        """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html"""
        role = make_role(enabled.member, "r", ANYONE, allow("ec2:*"))
        iam = emulator.client("iam", enabled.member)

        def simulated() -> str:
            answer = iam.simulate_principal_policy(PolicySourceArn=role, ActionNames=["ec2:DescribeVpcs"])
            return answer["EvaluationResults"][0]["EvalDecision"]

        enabled.control(enabled.unit, deny("ec2:*", Condition={"Null": {"aws:PrincipalArn": "false"}}))
        assert simulated() == "allowed"
        enabled.control(enabled.member, deny("ec2:DescribeVpcs"))
        assert simulated() == "explicitDeny"

    def test_calls_by_functions_alone(self, enabled, vpcs):
        condition = {"Null": {"lambda:SourceFunctionArn": "true"}}
        enabled.control(enabled.root, deny("ec2:DescribeVpcs", Condition=condition))
        assert "service control policy" in refusal(vpcs.describe_vpcs)[2]


class TestConditionKeys:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"""

    @pytest.fixture
    def assume(self, emulator, account, organization, make_role, session_of):
        """A role of the management account, under a condition, assumes one of the member."""
        numbers = itertools.count()
        target = make_role(organization.member, "target", ANYONE, Tags=[{"Key": "Team", "Value": "blue"}])

        def call(condition: dict, where: str = "identity"):
            statement = allow("sts:AssumeRole", target, **({"Condition": condition} if where == "identity" else {}))
            tags = [{"Key": "Kind", "Value": "central"}]
            caller = make_role(account, f"caller{next(numbers)}", ANYONE, statement, Tags=tags)
            if where == "trust":
                emulator.client("iam", organization.member).update_assume_role_policy(
                    RoleName="target", PolicyDocument=policy(trust({"AWS": account}, Condition=condition))
                )
            sts = emulator.client("sts", session_of(caller))
            return sts.assume_role, {"RoleArn": target, "RoleSessionName": "s1"}

        return call

    @pytest.mark.parametrize("where", ["identity", "trust"])
    @pytest.mark.parametrize(
        ("operator", "key", "right", "wrong"),
        [
            ("StringEquals", "aws:ResourceAccount", "{member}", "{account}"),
            ("StringEquals", "aws:ResourceOrgID", "{id}", "o-other"),
            ("ForAnyValue:StringLike", "aws:ResourceOrgPaths", "{id}/{root}/{unit}/*", "{id}/{root}/ou-x/*"),
            ("StringEquals", "aws:ResourceTag/team", "blue", "red"),
            ("StringEquals", "aws:PrincipalOrgID", "{id}", "o-other"),
            ("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "{id}/{root}/", "{id}/{root}/{unit}/*"),
            ("StringEquals", "aws:PrincipalTag/Kind", "central", "other"),
            ("Null", "aws:PrincipalTag/None", "true", "false"),
        ],
    )
    def test_of_the_organization_and_of_tags(
        self, assume, account, organization, where, operator, key, right, wrong
    ):
        names = {**vars(organization), "account": account}
        for value, is_right in ((right, True), (wrong, False)):
            call, asked = assume({operator: {key: value.format(**names)}}, where)
            if is_right:
                call(**asked)
            else:
                assert code(call, **asked) == "AccessDenied"

    def test_without_an_organization_they_are_absent(self, emulator, account, make_role, session_of):
        condition = {"StringEquals": {"aws:ResourceOrgID": "o-1"}}
        role = make_role(account, "r", ANYONE, allow("ec2:DescribeVpcs", Condition=condition))
        ec2 = emulator.client("ec2", session_of(role))
        assert refusal(ec2.describe_vpcs)[2].endswith("allows the ec2:DescribeVpcs action")


def test_an_organizations_trail_needs_more(emulator, account, organization, make_role, session_of):
    """https://docs.aws.amazon.com/awscloudtrail/latest/userguide/creating-an-organizational-trail-prepare.html"""
    emulator.client("s3", account).create_bucket(Bucket=f"trails-{account}")
    root = emulator.client("cloudtrail", account)
    trails = {
        name: root.create_trail(Name=name, S3BucketName=f"trails-{account}", IsOrganizationTrail=name == "everybodys")
        for name in ("own", "everybodys")
    }
    session = session_of(make_role(account, "fixer", ANYONE, allow("cloudtrail:UpdateTrail")))
    cloudtrail = emulator.client("cloudtrail", session)
    cloudtrail.update_trail(Name="own", EnableLogFileValidation=True)
    for name in ("everybodys", trails["everybodys"]["TrailARN"]):
        status, error, message = refusal(cloudtrail.update_trail, Name=name, EnableLogFileValidation=True)
        assert (status, error) == (400, "InsufficientDependencyServiceAccessPermissionException")
        assert "iam:GetRole" in message
    dependent = ["iam:GetRole", "iam:CreateServiceLinkedRole", "organizations:ListAWSServiceAccessForOrganization"]
    emulator.client("iam", account).put_role_policy(
        RoleName="fixer", PolicyName="dependent", PolicyDocument=policy(allow(dependent))
    )
    cloudtrail.update_trail(Name="everybodys", EnableLogFileValidation=True)
