//! The Lambda of the rule `security-group-open-admin-port`.
fn main() -> Result<(), rule_lambda::Error> {
    rule_lambda::run::<security_group_open_admin_port::SecurityGroupOpenAdminPort>()
}
