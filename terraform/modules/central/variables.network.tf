variable "vpc" {
  type = object({
    subnet_ids         = set(string)
    security_group_ids = set(string)
  })
  description = "Subnets and security groups of the VPC that all Lambdas run in. From there they must reach AWS and Netskope: see \"In a VPC\". Null means no VPC of yours."
  default     = null

  validation {
    condition     = var.vpc == null ? true : length(var.vpc.subnet_ids) >= 1 && length(var.vpc.subnet_ids) <= 16 && alltrue([for id in var.vpc.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))])
    error_message = "vpc.subnet_ids must name 1 to 16 subnets, such as subnet-0123456789abcdef0."
  }

  validation {
    condition     = var.vpc == null ? true : length(var.vpc.security_group_ids) >= 1 && length(var.vpc.security_group_ids) <= 5 && alltrue([for id in var.vpc.security_group_ids : can(regex("^sg-[0-9a-f]{8,17}$", id))])
    error_message = "vpc.security_group_ids must name 1 to 5 security groups, such as sg-0123456789abcdef0."
  }
}

variable "proxy" {
  type = object({
    https_proxy = string
    no_proxy    = set(string)
  })
  description = "Proxy by which the Lambdas reach AWS and Netskope, such as http://proxy.example.com:3128, and what they reach without it: names (with those below them), addresses, CIDR blocks, each with or without :port. Null means none."
  default     = null

  validation {
    condition     = var.proxy == null ? true : !strcontains(var.proxy.https_proxy, "@")
    error_message = "proxy.https_proxy must hold no user name and no password: whoever may read the configuration of a Lambda sees its environment. Let the proxy know the Lambdas by their network instead."
  }

  validation {
    condition     = var.proxy == null ? true : strcontains(var.proxy.https_proxy, "@") || can(regex("^https?://([0-9A-Za-z.-]+|\\[[0-9A-Fa-f:]+\\])(:[0-9]{1,5})?/?$", var.proxy.https_proxy))
    error_message = "proxy.https_proxy must be http://host:port or https://host:port."
  }

  validation {
    condition     = var.proxy == null ? true : alltrue([for entry in var.proxy.no_proxy : can(regex("^[][0-9A-Za-z.*:/_-]+$", entry)) && !strcontains(entry, "://")])
    error_message = "An entry of proxy.no_proxy must be a name, an address or a CIDR block, with or without :port, and not a URL."
  }
}

variable "ca_bundle" {
  type = object({
    layer_arn = string
    path      = string
  })
  description = "CA certificates to trust in addition to those of AWS's image, such as those of a proxy that inspects TLS: ARN of the version of a Lambda layer that holds a PEM file, and the file's path in it, such as /opt/ca.pem. Null means none."
  default     = null

  validation {
    condition     = var.ca_bundle == null ? true : can(regex("^arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:layer:[0-9A-Za-z_-]{1,140}:[1-9][0-9]*$", var.ca_bundle.layer_arn))
    error_message = "ca_bundle.layer_arn must be the ARN of a version of a layer, such as arn:…:lambda:eu-west-1:111111111111:layer:ca:1."
  }

  validation {
    condition     = var.ca_bundle == null ? true : can(regex("^/opt/[0-9A-Za-z._-]+(/[0-9A-Za-z._-]+)*$", var.ca_bundle.path)) && !strcontains(var.ca_bundle.path, "..")
    error_message = "ca_bundle.path must be a file below /opt, where Lambda puts the contents of layers, such as /opt/ca.pem."
  }
}
