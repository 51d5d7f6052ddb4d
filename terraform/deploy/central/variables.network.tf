variable "vpc" {
  type = object({
    subnet_ids         = set(string)
    security_group_ids = set(string)
  })
  description = "Subnets and security groups of the VPC that all Lambdas run in. From there they must reach AWS and Netskope: see \"In a VPC\" in the module's README. Null means no VPC of yours."
  default     = null
}

variable "proxy" {
  type = object({
    https_proxy = string
    no_proxy    = set(string)
  })
  description = "Proxy by which the Lambdas reach AWS and Netskope, such as http://proxy.example.com:3128, and what they reach without it: names (with those below them), addresses, CIDR blocks, each with or without :port. Null means none."
  default     = null
}

variable "ca_bundle" {
  type = object({
    layer_arn = string
    path      = string
  })
  description = "CA certificates to trust in addition to those of AWS's image, such as those of a proxy that inspects TLS: ARN of the version of a Lambda layer that holds a PEM file, and the file's path in it, such as /opt/ca.pem. Null means none."
  default     = null
}
