# Who is told what batches have come to.

variable "event_bus_name" {
  type        = string
  description = "Name of the event bus, in this account and region, that the Lambdas send messages to: see \"Messages\". In a VPC, they need the endpoint `events` for it. Null means that nobody is told."
  default     = "default"

  validation {
    condition     = var.event_bus_name == null ? true : can(regex("^[0-9A-Za-z./_-]{1,256}$", var.event_bus_name))
    error_message = "An event bus is given by its name, not by its ARN."
  }
}

variable "chat_messages" {
  type = object({
    kinds = optional(set(string), ["plan_waits", "fixed", "failed", "fought_over", "contested", "grace_begins", "paused"])
  })
  description = "An SNS topic with messages in the form of Amazon Q Developer in chat applications, for Slack and Teams, and which kinds of messages go there: {} for all of them. Give its ARN, the output chat_topic_arn, to the channel's configuration there. Null makes no such topic."
  default     = null

  validation {
    condition     = var.chat_messages == null ? true : length(var.chat_messages.kinds) > 0 && length(setsubtract(var.chat_messages.kinds, ["plan_waits", "fixed", "failed", "fought_over", "contested", "grace_begins", "paused"])) == 0
    error_message = "chat_messages.kinds must have at least one of plan_waits, fixed, failed, fought_over, contested, grace_begins and paused, and no others."
  }

  validation {
    condition     = var.chat_messages == null || var.event_bus_name != null
    error_message = "chat_messages needs an event bus, but event_bus_name is null."
  }
}

variable "email_messages" {
  type = object({
    addresses = optional(set(string), [])
    kinds     = optional(set(string), ["plan_waits", "fixed", "failed", "fought_over", "contested", "grace_begins", "paused"])
  })
  description = "An SNS topic with messages as text, the addresses that get them by e-mail, each of which has to confirm that once, and which kinds of messages go there. Null makes no such topic."
  default     = null

  validation {
    condition     = var.email_messages == null ? true : alltrue([for address in var.email_messages.addresses : can(regex("^[^@\\s]+@[^@\\s]+$", address))])
    error_message = "email_messages.addresses must be e-mail addresses."
  }

  validation {
    condition     = var.email_messages == null ? true : length(var.email_messages.kinds) > 0 && length(setsubtract(var.email_messages.kinds, ["plan_waits", "fixed", "failed", "fought_over", "contested", "grace_begins", "paused"])) == 0
    error_message = "email_messages.kinds must have at least one of plan_waits, fixed, failed, fought_over, contested, grace_begins and paused, and no others."
  }

  validation {
    condition     = var.email_messages == null || var.event_bus_name != null
    error_message = "email_messages needs an event bus, but event_bus_name is null."
  }
}
