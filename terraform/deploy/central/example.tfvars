# terraform apply -var-file=example.tfvars, with TF_VAR_netskope_token in the environment

region          = "eu-west-1"
home_region     = "eu-west-1" # the same in every region's deployment
netskope_tenant = "acme.goskope.com"
external_id     = "autoremediate-5f1c0c7e" # the same in the target accounts

mode = "plan" # look at the reports first
modes = {
  s3-public-bucket = "apply"
}

schedule = "rate(30 minutes)"
# rules  = ["s3-public-bucket"] # all by default

log_retention_days   = 90
reserved_concurrency = 10
alarm_actions        = ["arn:aws:sns:eu-west-1:111111111111:security-on-call"]

tags = {
  owner       = "cloud-security"
  cost-center = "4711"
}
