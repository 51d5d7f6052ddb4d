# What all target accounts have in common. The account itself is given with -var account_id=…

central_account_id = "111111111111"
external_id        = "autoremediate-5f1c0c7e" # the same in the central deployment

deploy_role_name = "OrganizationAccountAccessRole"

# people who use the command line, from the central account
operator_role_arns = ["arn:aws:iam::111111111111:role/security-engineer"]

# people who may plan and see, and nothing else
reader_role_arns = ["arn:aws:iam::111111111111:role/auditor"]

tags = {
  owner = "cloud-security"
}
