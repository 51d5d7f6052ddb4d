//! The Lambda of the rule `s3-public-bucket`.
fn main() -> Result<(), rule_lambda::Error> {
    rule_lambda::run::<s3_public_bucket::S3PublicBucket>()
}
