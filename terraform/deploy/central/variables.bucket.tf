# Who may write to the bucket, beside the roles of the Lambdas, and for how long its access logs are kept.

variable "approver_role_arns" {
  type        = set(string)
  description = "ARNs of the roles, with their paths, that may put approvals into the bucket. Without any, nobody can approve. Attach the policy in the output approver_policy_arn to them."
  default     = []
  nullable    = false
}

variable "operator_role_arns" {
  type        = set(string)
  description = "ARNs of the roles, with their paths, whose plans, reports and cards the bucket takes from the command line: those in operator_role_arns of the target accounts, and no others. Without any, nobody can apply or undo from the command line with records in the bucket. Attach the policy in the output operator_policy_arn to them."
  default     = []
  nullable    = false
}

variable "pauser_role_arns" {
  type        = set(string)
  description = "ARNs of the roles, with their paths, that may pause and resume with `autoremediate pause` and `autoremediate resume`, beside the operators, who may as well. Attach the policy in the output pauser_policy_arn to them."
  default     = []
  nullable    = false
}

variable "policy_writer_role_arns" {
  type        = set(string)
  description = "ARNs of the roles, with their paths, that may write policy.json: the role that applies this configuration. Who only has to stop something belongs to pauser_role_arns. Without any, it is whoever applies this configuration, which then differs with each of them: name them if there are several."
  default     = []
  nullable    = false
}

variable "access_log_retention_days" {
  type        = number
  description = "For how many days to keep the bucket's access logs."
  default     = 365
  nullable    = false
}

variable "object_lock" {
  type = object({
    mode = string
    days = number
  })
  description = "Retention of plans, reports and approvals by S3 Object Lock: its mode (\"GOVERNANCE\" or \"COMPLIANCE\") and for how many days. Nobody deletes what is locked, and in mode COMPLIANCE not even Amazon: then the bucket cannot be destroyed before. People give the command line the same as OBJECT_LOCK=<mode>/<days>. A bucket keeps Object Lock for good. Null asks for no retention."
  default     = null
}
