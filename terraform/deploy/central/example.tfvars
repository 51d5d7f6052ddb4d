# terraform apply -var-file=example.tfvars, with TF_VAR_netskope_token in the environment

region          = "eu-west-1"
regions         = ["eu-west-1", "us-east-1"] # whose resources it looks after
home_region     = "eu-west-1"                # the same in every deployment
netskope_tenant = "acme.goskope.com"
external_id     = "autoremediate-5f1c0c7e" # the same in the target accounts

policy = {
  mode = "plan" # off, plan, approve or apply: look at the reports first

  # Whose accounts may be reached at all; organizational_units and accounts can narrow it
  scope = { organization = "o-a1b2c3d4e5" }

  rules = {
    # s3-public-bucket   = { mode = "apply" } # when you like what its reports say
    iam-stale-access-key = { settings = { days = 60 } }
  }

  # What is known of accounts, and where other modes hold: the last override that matches wins
  accounts = { "222222222222" = { tags = { env = "prod" } } }
  # overrides = [{ account_tags = { env = "prod" }, mode = "approve" }] # as soon as other accounts are in mode apply

  exemptions = [{
    rules     = ["s3-public-bucket"]
    accounts  = ["333333333333"]
    resources = ["www-*"] # IDs or ARNs
    expires   = "2027-01-31"
    reason    = "The public web site."
    owner     = "web@acme.example"
  }]

  limits         = { changes_per_run = 100, changes_per_account = 20 }
  approval_hours = 72
}

# Where the Lambdas have to run in a VPC of yours, behind a proxy that inspects TLS
# vpc       = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
# proxy     = { https_proxy = "http://proxy.acme.example:3128", no_proxy = ["s3.eu-west-1.amazonaws.com"] }
# ca_bundle = { layer_arn = "arn:aws:lambda:eu-west-1:111111111111:layer:ca:1", path = "/opt/ca.pem" }

# Units and tags of all accounts from AWS Organizations, for the overrides: see "Rings" in the README
# organization = {}

# rules    = ["s3-public-bucket"] # all by default
# schedule = "rate(1 hour)"       # each rule every 30 minutes, one after the other, by default
# alarm_period = 7200             # then twice as long as that

# Who may write to the bucket, beside the Lambdas: roles with their paths
approver_role_arns      = ["arn:aws:iam::111111111111:role/security-lead"]
operator_role_arns      = ["arn:aws:iam::111111111111:role/security-engineer"] # the same in the target accounts
pauser_role_arns        = ["arn:aws:iam::111111111111:role/on-call"]           # who may stop it, and start it again
policy_writer_role_arns = ["arn:aws:iam::111111111111:role/terraform"]         # what applies this

log_retention_days = 90
alarm_actions      = ["arn:aws:sns:eu-west-1:111111111111:security-on-call"]

# Who is told what batches have come to: see "Messages" in the README
# chat_messages  = {} # then give the output chat_topic_arn to Amazon Q Developer in chat applications
# email_messages = { addresses = ["cloud-security@acme.example"], kinds = ["plan_waits", "failed", "paused"] }

# For each rule; 100 of the account must stay unreserved, and a new account has no more than 10 to 50 in all
# reserved_concurrency = 10

tags = {
  owner       = "cloud-security"
  cost-center = "4711"
}
