# The operator's settings, read by every rule's Lambda.

resource "aws_s3_object" "policy" {
  bucket       = aws_s3_bucket.this.id
  key          = "policy.json"
  content_type = "application/json"

  content = jsonencode({
    schema = 1
    rules = {
      for id, mode in local.modes : id => merge(
        { mode = mode },
        { for key in ["settings"] : key => var.settings[id] if contains(keys(var.settings), id) },
      )
    }
  })

  # An object can have only 10 tags
  override_provider {
    default_tags {
      tags = {}
    }
  }

  # so that the first version has an ID, and is encrypted
  depends_on = [
    aws_s3_bucket_versioning.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_ownership_controls.this,
  ]
}
