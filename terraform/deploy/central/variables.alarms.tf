variable "alarm_actions" {
  type        = set(string)
  description = "ARNs that every alarm notifies, such as that of an SNS topic."
  default     = []
  nullable    = false
}

variable "alarm_period" {
  type        = number
  description = "How many seconds the alarms look back. At least twice the interval between the polls of a rule, else no-whole-poll alarms between two polls. A multiple of 60, up to 86,400 (a day); or whole days, up to 7."
  default     = 3600
  nullable    = false
}

variable "alarm_waiting_hours" {
  type        = number
  description = "How many hours a plan may wait for a person before the alarm `waiting` tells."
  default     = 72
  nullable    = false
}

variable "alarm_throttled_seconds" {
  type        = number
  description = "For how many seconds Lambda must throttle functions before the alarm `throttled` tells: three periods of whole minutes, so a multiple of 180, from 180 to 10,800. Lambda tries a throttled event again for hours, so a short burst is no reason to wake anybody."
  default     = 900
  nullable    = false
}

variable "disabled_alarms" {
  type        = set(string)
  description = "Alarms that are not made: no-whole-poll, nothing-listed, failed-findings, waiting, contested, breaker, throttled."
  default     = []
  nullable    = false
}

variable "dashboard" {
  type        = bool
  description = "Whether to make a CloudWatch dashboard, which costs $3 a month."
  default     = true
  nullable    = false
}
