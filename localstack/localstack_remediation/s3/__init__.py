"""S3 as LocalStack has it, and what of AWS's S3 it lacks."""
