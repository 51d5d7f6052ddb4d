variable "alarm_actions" {
  type        = set(string)
  description = "ARNs that every alarm notifies, such as that of an SNS topic."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_actions : can(regex("^arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]{0,12}:.+$", arn))])
    error_message = "An alarm action must be an ARN."
  }
}

variable "alarm_period" {
  type        = number
  description = "How many seconds the alarms look back. At least twice the interval between the polls of a rule, else no-whole-poll alarms between two polls. A multiple of 60, up to 86,400 (a day); or whole days, up to 7."
  default     = 3600
  nullable    = false

  validation {
    condition     = var.alarm_period >= 60 && var.alarm_period <= 604800 && var.alarm_period % (var.alarm_period <= 86400 ? 60 : 86400) == 0
    error_message = "alarm_period must be a multiple of 60 from 60 to 86,400, or a multiple of 86,400 up to 604,800."
  }
}

variable "alarm_waiting_hours" {
  type        = number
  description = "How many hours a plan may wait for a person before the alarm `waiting` tells."
  default     = 72
  nullable    = false

  validation {
    condition     = var.alarm_waiting_hours > 0 && var.alarm_waiting_hours <= 8760
    error_message = "alarm_waiting_hours must be more than 0 and at most 8,760, a year."
  }
}

variable "alarm_throttled_seconds" {
  type        = number
  description = "For how many seconds Lambda must throttle functions before the alarm `throttled` tells: three periods of whole minutes, so a multiple of 180, from 180 to 10,800. Lambda tries a throttled event again for hours, so a short burst is no reason to wake anybody."
  default     = 900
  nullable    = false

  validation {
    condition     = var.alarm_throttled_seconds >= 180 && var.alarm_throttled_seconds <= 10800 && var.alarm_throttled_seconds % 180 == 0
    error_message = "alarm_throttled_seconds must be a multiple of 180 from 180 to 10,800."
  }
}

variable "disabled_alarms" {
  type        = set(string)
  description = "Alarms that are not made: no-whole-poll, nothing-listed, failed-findings, waiting, contested, breaker, throttled."
  default     = []
  nullable    = false

  validation {
    condition     = length(setsubtract(var.disabled_alarms, ["no-whole-poll", "nothing-listed", "failed-findings", "waiting", "contested", "breaker", "throttled"])) == 0
    error_message = "disabled_alarms knows no-whole-poll, nothing-listed, failed-findings, waiting, contested, breaker and throttled, not: ${join(", ", setsubtract(var.disabled_alarms, ["no-whole-poll", "nothing-listed", "failed-findings", "waiting", "contested", "breaker", "throttled"]))}."
  }
}

variable "dashboard" {
  type        = bool
  description = "Whether to make a CloudWatch dashboard, which costs $3 a month."
  default     = true
  nullable    = false
}
