//! What stands below the help of each command: exit codes, and examples that a test runs through the parser.

const RUN_EXIT_CODES: &str = "\
Exit codes:
  0  nothing is left to do
  2  something is left: changes that are planned, held or deferred
  1  something failed: a call, a proof, a line that cannot be read, the command line itself";

const SIMPLE_EXIT_CODES: &str = "\
Exit codes:
  0  fine
  1  something failed: a check, a call, the command line itself";

const LOGS: &str = "RUST_LOG=info shows on standard error what is being done.";

/// Below the help of everything.
pub(crate) fn all() -> String {
    text(
        RUN_EXIT_CODES,
        "
  Whether everything is there that the rules need:
    autoremediate doctor --account 111122223333 --records s3://bucket

  What would change in the findings of a batch; then change it, after a question:
    autoremediate plan --findings batch.ndjson
    autoremediate apply --findings batch.ndjson

  Approve a plan that waits for it; take back what a run wrote:
    autoremediate approve s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json --reason TICKET-4711
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN-1.json

The help of each command has more.",
    )
}

pub(crate) fn plan() -> String {
    text(
        RUN_EXIT_CODES,
        "
  See what would change in the findings of a batch:
    autoremediate plan --findings batch.ndjson

  The same, straight from Netskope, for one account, as JSON:
    export NETSKOPE_TOKEN=...
    autoremediate plan --netskope-tenant example.goskope.com --account 111122223333 --json

  With a profile of the AWS configuration, in another region than the profile's:
    autoremediate plan --findings batch.ndjson --profile security --region eu-west-1",
    )
}

pub(crate) fn apply() -> String {
    text(
        RUN_EXIT_CODES,
        "
  Fix what a plan showed, after a question:
    autoremediate apply --rule s3-public-bucket --findings batch.ndjson

  Without a terminal, or as JSON, without a question:
    autoremediate apply --findings batch.ndjson --yes --json

  Keep plans and reports where the Lambdas keep theirs:
    autoremediate apply --findings batch.ndjson --records s3://bucket",
    )
}

pub(crate) fn undo() -> String {
    text(
        RUN_EXIT_CODES,
        "
  What a run wrote, and how it would be put back; then put it back:
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN-1.json
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN-1.json --yes

  All batches of a run, and a run that has died and left its plan alone:
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN
    autoremediate undo s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json

  Of one resource only, also where it was changed since:
    autoremediate undo reports/s3-public-bucket/2026-01-02/RUN-1.json --resource data --force --yes",
    )
}

pub(crate) fn approve() -> String {
    text(
        RUN_EXIT_CODES,
        "
  See what a plan that waits for an approval would change, and approve it after a question:
    autoremediate approve s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json --reason TICKET-4711

  Without a question; then wait until the rule's Lambda is done, and show its report:
    autoremediate approve s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json --reason TICKET-4711 --yes --wait 300",
    )
}

pub(crate) fn policy() -> String {
    text(
        SIMPLE_EXIT_CODES,
        "
  Say what is wrong with a policy before it is deployed:
    autoremediate policy check policy.json
    autoremediate policy check eu-west-1.tfvars.json

  Let an editor know the keys of a policy:
    autoremediate policy schema > policy.schema.json",
    )
}

pub(crate) fn rules() -> String {
    text(
        SIMPLE_EXIT_CODES,
        "
  What the rules are and may do:
    autoremediate rules

  The same with everything that their manifests say:
    autoremediate rules --json",
    )
}

pub(crate) fn doctor() -> String {
    text(
        SIMPLE_EXIT_CODES,
        "
  Whether one account has what all rules need:
    export EXTERNAL_ID=...
    autoremediate doctor --account 111122223333

  Everything: every account of a file, the bucket, and Netskope:
    export NETSKOPE_TOKEN=...
    autoremediate doctor --accounts-file accounts.txt --records s3://bucket --netskope-tenant example.goskope.com

  What one rule needs, as JSON:
    autoremediate doctor --rule s3-public-bucket --account 111122223333 --json",
    )
}

pub(crate) fn completions() -> String {
    text(
        SIMPLE_EXIT_CODES,
        "
  Complete the words of this command in bash, zsh or fish:
    source <(autoremediate completions bash)
    autoremediate completions zsh > ~/.zfunc/_autoremediate
    autoremediate completions fish > ~/.config/fish/completions/autoremediate.fish",
    )
}

fn text(exit_codes: &str, examples: &str) -> String {
    format!("{exit_codes}\n\nExamples:{examples}\n\n{LOGS}")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::args::Cli;

    /// The command lines of a help text, each without what a shell does with it.
    fn examples(help: &str) -> Vec<Vec<&str>> {
        let lines = help.lines().filter(|line| line.starts_with("    ")).filter_map(|line| {
            let start = line.find("autoremediate ")?;
            Some(line[start..].split_whitespace().map(|word| word.trim_end_matches(')')))
        });
        lines.map(|words| words.take_while(|word| *word != ">").collect()).collect()
    }

    #[test]
    fn every_command_has_examples_of_its_own_and_all_of_them_parse() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = examples(&help);
            assert!(examples.len() >= 2, "{}: {help}", command.get_name());
            for example in &examples {
                assert_eq!(example[1], command.get_name(), "{example:?}");
                Cli::try_parse_from(example).unwrap_or_else(|error| panic!("{example:?}: {error}"));
            }
        }
        for example in examples(&super::all()) {
            Cli::try_parse_from(&example).unwrap_or_else(|error| panic!("{example:?}: {error}"));
        }
    }
}
