//! The Lambda of the rule `iam-stale-access-key`.
fn main() -> Result<(), rule_lambda::Error> {
    rule_lambda::run::<iam_stale_access_key::IamStaleAccessKey>()
}
