//! The Lambda of the rule `rds-public-snapshot`.
fn main() -> Result<(), rule_lambda::Error> {
    rule_lambda::run::<rds_public_snapshot::RdsPublicSnapshot>()
}
