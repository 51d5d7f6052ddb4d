//! The Lambda of the rule `ebs-public-snapshot`.
fn main() -> Result<(), rule_lambda::Error> {
    rule_lambda::run::<ebs_public_snapshot_example::EbsPublicSnapshot>()
}
