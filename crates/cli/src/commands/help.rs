//! What stands below the help of a command: exit codes, and examples that a test runs through the parser.

pub(crate) const RUN_EXIT_CODES: &str = "\
Exit codes:
  0  nothing is left to do
  2  something is left: changes that are planned, held or deferred
  1  something failed: a call, a verification, an unreadable line, the command line itself";

pub(crate) const SIMPLE_EXIT_CODES: &str = "\
Exit codes:
  0  all is well
  1  something failed: a check, a call, the command line itself";

const LOGS: &str = "With RUST_LOG=info, standard error shows each step.";

/// The text below a command's help.
pub(crate) fn below(exit_codes: &str, examples: &str) -> String {
    format!("{exit_codes}\n\nExamples:{examples}\n\n{LOGS}")
}
