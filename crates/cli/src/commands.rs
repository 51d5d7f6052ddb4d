//! The command line: a file for each subcommand, with its arguments, its help and what it does.
//!
//! Beside them: [`arguments`] and [`help`], which subcommands share; [`run`], which plan and apply share; [`pauses`], which
//! pause and resume share; [`selection`], which inbox, show, approve and reject share; [`moments`], which are times in
//! arguments; and [`results`], which is what came of findings, for every command that has reports.

mod apply;
mod approve;
mod arguments;
mod complete;
pub(crate) mod completions;
mod doctor;
mod failures;
mod help;
mod inbox;
mod interrupts;
mod moments;
mod notify;
mod pause;
mod pauses;
mod plan;
mod policy;
mod reject;
mod report;
mod results;
mod resume;
mod rules;
mod run;
mod selection;
mod show;
mod undo;

use clap::{Parser, Subcommand};

use crate::commands::arguments::paging;
use crate::commands::interrupts::Interrupts;
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page};
use crate::print::pager::Paging;
use crate::print::progress::{self, Bar};

/// Finds and fixes violations of compliance rules in AWS accounts.
#[derive(Debug, Parser)]
#[command(name = "autoremediate", version, after_help = help())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what would change, and change nothing.
    ///
    /// Findings of the region and of global resources are looked at; those of other regions are counted and skipped.
    #[command(after_help = plan::help())]
    Plan(plan::PlanArgs),
    /// Make the changes, after storing their plan, and verify each one by reading the resource again.
    ///
    /// Findings of the region and of global resources are worked on; those of other regions are counted and skipped.
    #[command(after_help = apply::help())]
    Apply(apply::ApplyArgs),
    /// Show how to put back what a run changed; with --yes, put it back and verify it.
    #[command(after_help = undo::help())]
    Undo(undo::UndoArgs),
    /// Show what is waiting for a person, or for a time: a grace, a change window.
    #[command(after_help = inbox::help())]
    Inbox(inbox::InboxArgs),
    /// Show a plan, a run, a report or a resource, with its changes and what became of it.
    #[command(after_help = show::help())]
    Show(show::ShowArgs),
    /// Approve stored plans as they stand, or some of their changes. These are then made.
    #[command(after_help = approve::help())]
    Approve(approve::ApproveArgs),
    /// Reject changes that are waiting: they are not proposed again until they differ, or until the rejection ends.
    #[command(after_help = reject::help())]
    Reject(reject::RejectArgs),
    /// Show what is in the failure queue, retry it, or drop it.
    #[command(subcommand, after_help = failures::help())]
    Failures(failures::FailuresCommand),
    /// Stop writing, at once and for a time: everything, or what is of a rule, an account or a region.
    ///
    /// No write starts any more, not even in runs that are under way; a write that has begun still ends.
    #[command(after_help = pause::help())]
    Pause(pause::PauseArgs),
    /// End pauses, and show what is still paused.
    #[command(after_help = resume::help())]
    Resume(resume::ResumeArgs),
    /// Send a message of each kind, marked as a test; or print the JSON Schema of messages.
    #[command(after_help = notify::help())]
    Notify(notify::NotifyArgs),
    /// Show the policy in effect, check one, or print the JSON Schema of policies.
    #[command(subcommand, after_help = policy::help())]
    Policy(policy::PolicyCommand),
    /// Show what was found over a span of days, and what became of it: in numbers, as CSV, or as a page for a browser.
    #[command(after_help = report::help())]
    Report(report::ReportArgs),
    /// List the rules, their controls and their permissions.
    #[command(after_help = rules::help())]
    Rules(rules::RulesArgs),
    /// Check that the rules have all they need: token, roles, permissions, runbooks, bucket, clock.
    #[command(after_help = doctor::help())]
    Doctor(doctor::DoctorArgs),
    /// Print the completion script for a shell.
    #[command(after_help = completions::help())]
    Completions(completions::CompletionsArgs),
}

impl Command {
    fn format(&self) -> Format {
        match self {
            Self::Plan(args) => args.run.output.format,
            Self::Apply(args) => args.run.output.format,
            Self::Undo(args) => args.output.format,
            Self::Inbox(args) => args.output.format,
            Self::Show(args) => args.output.format,
            Self::Approve(args) => args.output.format,
            Self::Reject(args) => args.output.format,
            Self::Failures(command) => command.output().format,
            Self::Pause(args) => args.output.format,
            Self::Resume(args) => args.output.format,
            Self::Notify(args) => args.output.format,
            Self::Policy(command) => command.format(),
            Self::Report(args) => args.output.format,
            Self::Rules(args) => args.output.format,
            Self::Doctor(args) => args.output.format,
            // A shell reads it.
            Self::Completions(_) => Format::Json,
        }
    }

    /// How the result may be shown.
    pub(crate) fn paging(&self) -> Paging {
        match self {
            Self::Plan(args) => args.run.output.paging,
            Self::Apply(args) => paging(args.consent, &args.run.output),
            Self::Undo(args) => paging(args.consent, &args.output),
            Self::Inbox(args) => args.output.paging,
            Self::Show(args) => args.output.paging,
            Self::Approve(args) => paging(args.consent, &args.output),
            Self::Reject(args) => paging(args.consent, &args.output),
            Self::Failures(command) => command.paging(),
            Self::Notify(args) => args.output.paging,
            Self::Report(args) => args.output.paging,
            Self::Pause(args) => args.output.paging,
            Self::Resume(args) => args.output.paging,
            Self::Policy(command) => command.paging(),
            Self::Rules(args) => args.output.paging,
            Self::Doctor(args) => args.output.paging,
            Self::Completions(_) => Paging::Off,
        }
    }
}

/// Carries out a command.
///
/// # Errors
///
/// [`Error`], where nothing of the command could be carried out.
pub(crate) fn run(command: Command, page: &mut Page<'_>) -> Result<Exit, Error> {
    let bar = Bar::new(command.format());
    progress::log_above(&bar);
    // One thread is enough: the work is waiting for AWS and Netskope.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    match command {
        Command::Plan(args) => runtime.block_on(plan::plan(&args, &bar, &Interrupts::listen(&bar)?, page)),
        Command::Apply(args) => runtime.block_on(apply::apply(&args, &bar, &Interrupts::listen(&bar)?, page)),
        Command::Undo(args) => runtime.block_on(undo::undo(&args, &bar, &Interrupts::listen(&bar)?, page)),
        Command::Inbox(args) => runtime.block_on(inbox::inbox(&args, page)),
        Command::Show(args) => runtime.block_on(show::show(&args, page)),
        Command::Approve(args) => runtime.block_on(approve::approve(&args, &bar, &Interrupts::listen(&bar)?, page)),
        Command::Reject(args) => runtime.block_on(reject::reject(&args, page)),
        Command::Failures(command) => runtime.block_on(failures::failures(&command, page)),
        Command::Pause(args) => runtime.block_on(pause::pause(&args, page)),
        Command::Resume(args) => runtime.block_on(resume::resume(&args, page)),
        Command::Notify(args) => runtime.block_on(notify::notify(&args, page)),
        Command::Policy(command) => runtime.block_on(policy::policy(&command, page)),
        Command::Report(args) => runtime.block_on(report::report(&args, page)),
        Command::Rules(args) => rules::rules(&args, page),
        Command::Doctor(args) => runtime.block_on(doctor::doctor(&args, &bar, page)),
        Command::Completions(args) => completions::completions(&args, page),
    }
}

/// What stands below the help of `autoremediate` itself.
fn help() -> String {
    help::below(
        help::RUN_EXIT_CODES,
        "
  Check that an account has what the rules need:
    autoremediate doctor --account 111122223333 --records s3://bucket

  See what the findings of a batch would change, then make the changes:
    autoremediate plan --findings batch.ndjson
    autoremediate apply --findings batch.ndjson

  See what is waiting; approve a plan; undo a run:
    autoremediate inbox --records s3://bucket
    autoremediate approve s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json --reason TICKET-4711
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN-1.json

The help of each command has more examples.",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;
    use crate::print::question::Consent;
    use crate::session::records::RecordsPlace;

    fn plan_args(arguments: &[&str]) -> Result<run::RunArgs, clap::Error> {
        let line = ["autoremediate", "plan"].iter().chain(arguments);
        match Cli::try_parse_from(line)?.command {
            Command::Plan(args) => Ok(args.run),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_prints_json_and_takes_a_profile_and_a_region_where_it_calls_aws() {
        let has = |command: &clap::Command, name: &str| command.get_arguments().any(|arg| arg.get_id() == name);
        let cli = Cli::command();
        let failures = cli.find_subcommand("failures").unwrap();
        // Completions are a script in any case, and a schema JSON.
        for command in cli.get_subcommands().chain(failures.get_subcommands()) {
            if ["completions", "policy", "failures"].contains(&command.get_name()) {
                continue;
            }
            assert!(has(command, "format"), "{}", command.get_name());
            if command.get_name() != "rules" {
                let has_region = has(command, "region") || has(command, "records_region");
                assert!(has(command, "profile") && has_region, "{}", command.get_name());
            }
        }
    }

    #[test]
    fn a_region_is_the_same_argument_in_every_command() {
        let cli = Cli::command();
        let helps: BTreeSet<_> = cli
            .get_subcommands()
            .flat_map(|command| command.get_arguments().filter(|arg| arg.get_id() == "region"))
            .map(|arg| arg.get_help().unwrap().to_string())
            .collect();
        assert_eq!(helps.len(), 1, "{helps:?}");
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        let run = plan_args(&["--findings", "-"]).unwrap();
        assert_eq!(run.access.role_name, "autoremediate-{rule}");
        assert_eq!(run.records, RecordsPlace::Folder("./autoremediate-records".into()));
        assert!(run.rules.is_empty() && run.accounts.is_empty() && run.access.region.is_none());
        assert_eq!(run.output.format, Format::Table);
        let format =
            |arguments: &[&str]| plan_args(&[&["--findings", "-"], arguments].concat()).map(|of| of.output.format);
        assert_eq!(format(&["--json"]).unwrap(), Format::Json);
        assert_eq!(format(&["--output", "json"]).unwrap(), Format::Json);
        assert_eq!(format(&["--output", "csv"]).unwrap(), Format::Csv);
        assert_eq!(format(&["--json", "--output", "csv"]).unwrap_err().kind(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn what_a_question_is_about_is_in_no_pager() {
        let paging = |line: &str| {
            let words = ["autoremediate"].into_iter().chain(line.split(' '));
            Cli::try_parse_from(words).unwrap().command.paging()
        };
        for (line, expected) in [
            ("plan --findings x", Paging::Allowed),
            ("plan --findings x --no-pager", Paging::Off),
            ("apply --findings x", Paging::Asks),
            ("apply --findings x --yes", Paging::Allowed),
            ("undo reports/r/2026-01-02/x-1.json", Paging::Asks),
            ("undo reports/r/2026-01-02/x-1.json --yes --no-pager", Paging::Off),
            ("failures list --records s3://b", Paging::Allowed),
            ("failures retry --records s3://b --all", Paging::Asks),
            ("failures drop --records s3://b --all --yes", Paging::Allowed),
            ("completions bash", Paging::Off),
        ] {
            assert_eq!(paging(line), expected, "{line}");
        }
    }

    #[test]
    fn consent_is_given_on_the_command_line_alone() {
        for (arguments, expected) in
            [(&["--findings", "-"][..], Consent::Ask), (&["--findings", "-", "--yes"], Consent::Given)]
        {
            let line = ["autoremediate", "apply"].iter().chain(arguments);
            let Command::Apply(args) = Cli::try_parse_from(line).unwrap().command else { panic!("another command") };
            assert_eq!(args.consent, expected);
        }
    }

    #[test]
    fn findings_come_from_one_place() {
        let two = plan_args(&["--findings", "x", "--netskope-tenant", "example.goskope.com"]);
        assert_eq!(two.unwrap_err().kind(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn profiles_and_policies_are_of_a_tenant_and_not_of_a_file() {
        let named = ["--netskope-profile", "CIS", "--netskope-profile", "BPR", "--netskope-policy", "prod"];
        assert!(plan_args(&[&["--netskope-tenant", "example.goskope.com"], &named[..]].concat()).is_ok());
        let of_file = plan_args(&[&["--findings", "x"], &named[..]].concat());
        assert_eq!(of_file.unwrap_err().kind(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn a_bad_argument_is_answered_with_what_is_accepted() {
        for (argument, value, accepted) in [
            ("--account", "1234", "twelve digits"),
            ("--region", "eu-centrall-1", "eu-central-1"),
            ("--region", "global", "eu-central-1"),
            ("--records", "s3://bucket/prefix", "s3://<bucket>"),
            ("--records", "https://bucket", "s3://<bucket>"),
        ] {
            let error = plan_args(&["--findings", "x", argument, value]).unwrap_err().to_string();
            assert!(error.contains(value) && error.contains(accepted), "{error}");
        }
    }

    /// A time that is added to a clock has an end.
    #[test]
    fn no_number_is_too_great_for_what_is_reckoned_with_it() {
        for (arguments, most) in [
            (&["undo", "reports/r/2026-01-02/x-1.json", "--exempt-hours"][..], 720),
            (&["approve", "plans/r/2026-01-02/x-1.json", "--reason", "r", "--wait"], 86_400),
        ] {
            let parse = |number: u64| {
                let (first, number) = (["autoremediate"], [number.to_string()]);
                let words = first.into_iter().chain(arguments.iter().copied()).chain(number.iter().map(String::as_str));
                Cli::try_parse_from(words)
            };
            assert!(parse(most).is_ok() && parse(most + 1).is_err() && parse(u64::MAX).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn the_token_is_not_an_argument() {
        let error = plan_args(&["--netskope-tenant", "example.goskope.com", "--netskope-token", "x"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownArgument);
    }

    /// The command lines of a help text, each without what a shell does with it.
    fn examples(help: &str) -> Vec<Vec<&str>> {
        let lines = help.lines().filter(|line| line.starts_with("    ")).filter_map(|line| {
            let start = line.find("autoremediate ")?;
            Some(line[start..].split_whitespace().map(|word| word.trim_end_matches(')')))
        });
        lines.map(|words| words.take_while(|word| *word != ">").collect()).collect()
    }

    /// Every `--flag` of a text.
    fn flags(text: &str) -> impl Iterator<Item = &str> {
        let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        text.split(move |letter| !is_of_word(letter))
            .filter_map(|word| word.strip_prefix("--"))
            .filter(|flag| flag.starts_with(|letter: char| letter.is_ascii_lowercase()))
    }

    /// The long flags that any command has.
    fn every_flag() -> BTreeSet<String> {
        fn collect(command: &clap::Command, flags: &mut BTreeSet<String>) {
            flags.extend(command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)));
            command.get_subcommands().for_each(|command| collect(command, flags));
        }
        let mut flags = ["help", "version"].map(str::to_owned).into();
        collect(&Cli::command(), &mut flags);
        flags
    }

    const README: &str = include_str!("../../../README.md");

    /// What the README has in code: spans, and lines of blocks.
    fn code(text: &str) -> impl Iterator<Item = &str> {
        let blocks = text.split("```").skip(1).step_by(2).flat_map(str::lines);
        let prose = text.split("```").step_by(2);
        prose.flat_map(|prose| prose.split('`').skip(1).step_by(2)).chain(blocks)
    }

    #[test]
    fn every_flag_that_the_readme_names_is_one() {
        let known = every_flag();
        // Lines about other programs, such as the AWS CLI, have flags of those.
        let ours = |line: &&str| !["`aws ", "./justw", "--target "].iter().any(|other| line.contains(other));
        let text = README.lines().filter(ours).collect::<Vec<_>>().join("\n");
        let ours = code(&text).filter(|code| code.starts_with("--") || code.contains("autoremediate "));
        let named: BTreeSet<_> = ours.flat_map(flags).collect();
        assert!(named.len() >= 10, "{named:?}");
        for flag in named {
            assert!(known.contains(flag), "the README names --{flag}");
        }
    }

    #[test]
    fn every_command_line_of_the_readme_parses() {
        let mut lines = 0;
        for code in code(README) {
            let Some(start) = code.find("autoremediate ") else { continue };
            let line = code[start..].split(" #").next().unwrap_or_default().trim_end_matches(')');
            let words: Vec<_> = line.split_whitespace().collect();
            // A path, or the words for a file of either kind.
            if !Cli::command().get_subcommands().any(|command| command.get_name() == words[1]) || words.len() < 3 {
                continue;
            }
            Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{line}: {error}"));
            lines += 1;
        }
        assert!(lines >= 8, "only {lines} command lines were found");
    }

    #[test]
    fn every_flag_that_a_help_or_an_error_names_is_one() {
        let known = every_flag();
        let mut texts = vec![include_str!("error.rs").to_owned(), help()];
        for command in Cli::command().get_subcommands() {
            texts.push(command.clone().render_long_help().to_string());
        }
        for flag in texts.iter().flat_map(|text| flags(text)) {
            assert!(known.contains(flag), "--{flag} is named, and there is none");
        }
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
        for example in examples(&help()) {
            Cli::try_parse_from(&example).unwrap_or_else(|error| panic!("{example:?}: {error}"));
        }
    }
}
