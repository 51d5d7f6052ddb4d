def test_what_terraforms_data_source_reads(emulator, account):
    organizations = emulator.client("organizations", account)
    created = organizations.create_organization(FeatureSet="ALL")["Organization"]
    assert organizations.describe_organization()["Organization"]["Id"] == created["Id"]
    assert organizations.list_accounts()["Accounts"][0]["Id"] == account
    assert organizations.list_roots()["Roots"]
    assert organizations.list_aws_service_access_for_organization()["EnabledServicePrincipals"] == []
