//! The Lambda of the rule `vpc-without-flow-logs`.
fn main() -> Result<(), rule_lambda::Error> {
    rule_lambda::run::<vpc_without_flow_logs::VpcWithoutFlowLogs>()
}
