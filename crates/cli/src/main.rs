//! The command line with the rules of this repository. One with further rules is such a file, too: [`autoremediate::run`].
use std::process::ExitCode;

fn main() -> ExitCode {
    autoremediate::run(&[])
}
