variable "netskope_token" {
  type        = string
  description = "Token for the Netskope API. It is stored in no plan and no state."
  ephemeral   = true
  sensitive   = true
}

variable "external_id" {
  type        = string
  description = "External ID to send when assuming a role of a target account."
}

variable "package_dir" {
  type        = string
  description = "Folder with the packages, as `./justw package` makes it."
  default     = "../../../../../dist"
}

variable "webhook_url" {
  type        = string
  description = "Address that an issue is made by: that of Jira, such as https://acme.atlassian.net/rest/api/2/issue."

  validation {
    condition     = startswith(var.webhook_url, "https://")
    error_message = "EventBridge calls addresses that begin with https:// only."
  }
}

variable "jira_project" {
  type        = string
  description = "Key of the project in Jira."
  default     = "SEC"
}
