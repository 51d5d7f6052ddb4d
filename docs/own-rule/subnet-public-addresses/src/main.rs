//! The Lambda of the rule `subnet-public-addresses`.
fn main() -> Result<(), rule_lambda::Error> {
    rule_lambda::run::<subnet_public_addresses::SubnetPublicAddresses>()
}
