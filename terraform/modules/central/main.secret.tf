# The token for Netskope's API. Terraform writes it and never reads it: to write a new one, increase
# netskope_token_version.

resource "aws_secretsmanager_secret" "token" {
  # checkov:skip=CKV2_AWS_57:A person issues the token in Netskope's console, and README.md says how to rotate it

  # A deleted secret keeps its name for 30 days, so one that is made again has another:
  # https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html
  name_prefix             = "${var.name_prefix}-netskope-token-"
  description             = "autoremediate: token of the Netskope API"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.force_destroy ? 0 : 30
  tags                    = var.tags
}

resource "aws_secretsmanager_secret_version" "token" {
  secret_id                = aws_secretsmanager_secret.token.id
  secret_string_wo         = var.netskope_token
  secret_string_wo_version = var.netskope_token_version
}
