//! The Lambda of the rule `cloudtrail-unvalidated-logs`.
fn main() -> Result<(), rule_lambda::Error> {
    rule_lambda::run::<cloudtrail_unvalidated_logs::CloudTrailUnvalidatedLogs>()
}
