# A central deployment, for one region or for many. Where there are several, each has its own state or workspace.
#
# Credentials, and the endpoint of an emulator (AWS_ENDPOINT_URL), come from the environment. So does the token, as
# TF_VAR_netskope_token: every plan and every apply needs it, and neither stores it.

provider "aws" {
  region = var.region

  # A region can be newer than the provider
  skip_region_validation = true

  default_tags {
    tags = { application = var.name_prefix }
  }
}

module "catalog" {
  source = "../../modules/catalog"

  rules         = var.rules
  further_rules = var.further_rules
}

module "central" {
  source = "../../modules/central"

  rules                       = module.catalog.rules
  netskope_tenant             = var.netskope_tenant
  netskope_token              = var.netskope_token
  netskope_token_version      = var.netskope_token_version
  netskope_endpoint           = var.netskope_endpoint
  netskope_profiles           = var.netskope_profiles
  netskope_deployments        = var.netskope_deployments
  netskope_policies           = var.netskope_policies
  home_region                 = var.home_region
  regions                     = var.regions
  schedule                    = var.schedule
  schedules                   = var.schedules
  policy                      = var.policy
  external_id                 = var.external_id
  vpc                         = var.vpc
  proxy                       = var.proxy
  ca_bundle                   = var.ca_bundle
  architecture                = var.architecture
  package_dir                 = coalesce(var.package_dir, "${path.module}/../../../dist")
  name_prefix                 = var.name_prefix
  permissions_boundary        = var.permissions_boundary
  kms_key_arn                 = var.kms_key_arn
  reserved_concurrency        = var.reserved_concurrency
  poller_reserved_concurrency = var.poller_reserved_concurrency
  maximum_event_age           = var.maximum_event_age
  poll_limits                 = var.poll_limits
  log_retention_days          = var.log_retention_days
  findings_retention_days     = var.findings_retention_days
  record_retention_days       = var.record_retention_days
  alarm_actions               = var.alarm_actions
  alarm_period                = var.alarm_period
  alarm_waiting_hours         = var.alarm_waiting_hours
  alarm_throttled_seconds     = var.alarm_throttled_seconds
  disabled_alarms             = var.disabled_alarms
  dashboard                   = var.dashboard
  event_bus_name              = var.event_bus_name
  chat_messages               = var.chat_messages
  email_messages              = var.email_messages
  approver_role_arns          = var.approver_role_arns
  operator_role_arns          = var.operator_role_arns
  pauser_role_arns            = var.pauser_role_arns
  object_lock                 = var.object_lock
  policy_writer_role_arns     = var.policy_writer_role_arns
  access_log_retention_days   = var.access_log_retention_days
  force_destroy               = var.force_destroy
  organization                = var.organization
  organization_check          = var.organization_check
  tags                        = var.tags
}
