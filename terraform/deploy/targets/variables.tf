# The modules validate the values that have no validation here and say what is wrong with them.

variable "account_id" {
  type        = string
  description = "ID of the target account."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account ID has 12 digits."
  }
}

variable "deploy_role_name" {
  type        = string
  description = "Name of the role in the target account that Terraform assumes, with its path if it has one. Null or empty to use the caller's own credentials."
  default     = "OrganizationAccountAccessRole"

  validation {
    condition     = var.deploy_role_name == null ? true : can(regex("^(([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,64})?$", var.deploy_role_name))
    error_message = "A role is given by its name, not by its ARN."
  }
}

variable "central_account_id" {
  type        = string
  description = "ID of the account that the central module is deployed in."
  nullable    = false
}

variable "central_regions" {
  type        = set(string)
  description = "Codes of the regions that the central module is deployed in. Each has a role of its own for each rule."
  nullable    = false
}

variable "external_id" {
  type        = string
  description = "External ID that the central roles send when they assume a role here. The same in the central deployment."
  nullable    = false
}

variable "region" {
  type        = string
  description = "Code of the region to call IAM and STS in. Null takes it from the environment."
  default     = null
}

variable "rules" {
  type        = set(string)
  description = "IDs of the rules to enable, such as `s3-public-bucket`. Null enables all of them."
  default     = null
}

variable "operator_role_arns" {
  type        = set(string)
  description = "ARNs of further roles of the central account that may assume the roles, for people who use the command line. They must send the external ID too. With any, the account has the role of `autoremediate doctor`."
  default     = []
  nullable    = false
}

variable "name_prefix" {
  type        = string
  description = "First part of every name. The same in the central deployment."
  default     = "autoremediate"
  nullable    = false
}

variable "permissions_boundary" {
  type        = string
  description = "ARN of the policy to set as every role's permissions boundary. Null sets none."
  default     = null
}

variable "tags" {
  type        = map(string)
  description = "Tags of every role, beside the provider's default tags."
  default     = {}
  nullable    = false
}
