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
