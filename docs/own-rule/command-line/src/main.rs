//! `autoremediate` with our own rules beside those that it comes with.
use std::process::ExitCode;

use autoremediate::FurtherRule;
use subnet_public_addresses::SubnetPublicAddresses;

fn main() -> ExitCode {
    autoremediate::run(&[FurtherRule::of::<SubnetPublicAddresses>()])
}
