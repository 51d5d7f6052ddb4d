# Values without a validation here are validated by the modules, which say what is wrong with them.

variable "account_id" {
  type        = string
  description = "ID of the target account."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account ID must have 12 digits."
  }
}

variable "deploy_role_name" {
  type        = string
  description = "Name of the role in the target account that Terraform assumes, with its path if it has one. Null or an empty string means the caller's own credentials."
  default     = "OrganizationAccountAccessRole"

  validation {
    condition     = var.deploy_role_name == null ? true : can(regex("^(([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,64})?$", var.deploy_role_name))
    error_message = "A role must be a name, not an ARN."
  }
}

variable "central_account_id" {
  type        = string
  description = "ID of the account that the central module is deployed in."
  nullable    = false
}

variable "external_id" {
  type        = string
  description = "External ID that the central roles send when they assume a role here. Must be the same in the central deployment."
  nullable    = false
}

variable "region" {
  type        = string
  description = "Code of the region to call IAM and STS in. Null means the region of the environment."
  default     = null

  validation {
    condition     = var.region == null ? true : can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "A region must be a code, such as eu-west-1."
  }
}

variable "rules" {
  type        = set(string)
  description = "IDs of the rules to enable, such as `s3-public-bucket`. Null enables all rules."
  default     = null
}

variable "further_rules" {
  type        = set(string)
  description = "Paths of the manifests (rule.json) of rules of your own, which are outside of this repository. Must be the same as in the central deployment."
  default     = []
  nullable    = false
}

variable "operator_role_arns" {
  type        = set(string)
  description = "ARNs of roles of the central account for people who use the command line. They may assume the roles too, and must send the external ID as well. If there are any, the role for `autoremediate doctor` is created, and for each rule the role that takes its fixes back."
  default     = []
  nullable    = false
}

variable "reader_role_arns" {
  type        = set(string)
  description = "ARNs of roles of the central account for people who may plan and see, and nothing else. If there are any, each rule gets a role for them that can only look. They must send the external ID as well."
  default     = []
  nullable    = false
}

variable "name_prefix" {
  type        = string
  description = "First part of the name of every role. Must be the same in the central deployment."
  default     = "autoremediate"
  nullable    = false
}

variable "permissions_boundary" {
  type        = string
  description = "Name of the policy to set as the permissions boundary of every role, which each account has, with its path if it has one; or its ARN, in which {account} stands for the account that the role is in. Null sets none."
  default     = null
}

variable "tags" {
  type        = map(string)
  description = "Tags for every role, in addition to the provider's default tags."
  default     = {}
  nullable    = false
}
