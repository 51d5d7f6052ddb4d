# Who is told what batches have come to.

variable "event_bus_name" {
  type        = string
  description = "Name of the event bus, in this account and region, that the Lambdas send messages to: see \"Messages\" in the module's README. In a VPC, they need the endpoint `events` for it. Null means that nobody is told."
  default     = "default"
}

variable "chat_messages" {
  type = object({
    kinds = optional(set(string), ["plan_waits", "fixed", "failed", "fought_over", "contested", "grace_begins", "paused"])
  })
  description = "An SNS topic with messages in the form of Amazon Q Developer in chat applications, for Slack and Teams, and which kinds of messages go there: {} for all of them. Give its ARN, the output chat_topic_arn, to the channel's configuration there. Null makes no such topic."
  default     = null
}

variable "email_messages" {
  type = object({
    addresses = optional(set(string), [])
    kinds     = optional(set(string), ["plan_waits", "fixed", "failed", "fought_over", "contested", "grace_begins", "paused"])
  })
  description = "An SNS topic with messages as text, the addresses that get them by e-mail, each of which has to confirm that once, and which kinds of messages go there. Null makes no such topic."
  default     = null
}
