//! The Lambda of the rule `network-acl-open-ingress`.
fn main() -> Result<(), rule_lambda::Error> {
    rule_lambda::run::<network_acl_open_ingress::NetworkAclOpenIngress>()
}
