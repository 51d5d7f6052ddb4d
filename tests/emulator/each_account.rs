//! `each-account`, which runs Terraform for many target accounts: with a stand-in for Terraform, and one for the AWS CLI.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use testkit::paths;

/// Notes when it begins and ends, takes a moment, and fails for account 333333333333.
const TERRAFORM: &str = r#"#!/bin/sh
[ "$1" != init ] || exit 0
if [ "$1" = workspace ]; then echo "$TF_WORKSPACE: $*" >>"$NOTES"; exit 0; fi
printf '%s\n' "GOGC=$GOGC" "begin $TF_WORKSPACE $*" >>"$NOTES"
sleep 0.3
echo "end $TF_WORKSPACE" >>"$NOTES"
if [ "$TF_WORKSPACE" = 333333333333 ]; then
  printf '%s\n' '' 'Error: reading role' '' '  on main.tf line 1:' '   1: resource {' '' 'AccessDenied: not you' '' 'Error: another' >&2
  exit 1
fi
if [ "$TF_WORKSPACE" = 666666666666 ]; then
  printf '%s\n' 'Error: No valid credential sources found' '' '  on main.tf line 10:' '' 'Please see …' '' \
    'Error: failed to refresh cached credentials, no such host' '' 'Error: another' >&2
  exit 1
fi
echo "the whole plan of $TF_WORKSPACE"
echo 'Plan: 22 to add, 0 to change, 0 to destroy.'
"#;
/// The organization's accounts.
const AWS: &str = "#!/bin/sh\nprintf '444444444444\\n222222222222\\n'\n";

struct Here {
    folder: TempDir,
}

/// What it printed, what Terraform was asked for, and the exit code.
struct Said {
    lines: Vec<String>,
    error: String,
    notes: Vec<String>,
    code: Option<i32>,
}

impl Here {
    fn new() -> Self {
        let here = Self { folder: TempDir::new().unwrap() };
        for (name, text) in [("terraform", TERRAFORM), ("aws", AWS)] {
            let path = here.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        here
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs it on a file of accounts.
    fn run(&self, accounts: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let file = self.path().join("accounts.txt");
        fs::write(&file, accounts).unwrap();
        let arguments: Vec<_> =
            arguments.iter().map(|of| if *of == "FILE" { file.to_str().unwrap() } else { of }).collect();
        self.each_account(&arguments, environment)
    }

    fn each_account(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let notes = self.path().join("notes");
        fs::write(&notes, "").unwrap();
        let path = format!("{}:{}", self.path().display(), std::env::var("PATH").unwrap());
        let output = Command::new(paths::repository().join("terraform/deploy/targets/each-account"))
            .args(arguments)
            .env("PATH", path)
            .env("TERRAFORM", self.path().join("terraform"))
            .env("NOTES", &notes)
            .env("TMPDIR", self.path())
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let notes = lines(&fs::read(&notes).unwrap());
        Said { lines: lines(&output.stdout), error, notes, code: output.status.code() }
    }
}

impl Said {
    /// How many accounts were under way at a time, at most.
    fn at_once(&self) -> i32 {
        let step = |now: &mut i32, note: &String| {
            *now += match note.split(' ').next() {
                Some("begin") => 1,
                Some("end") => -1,
                _ => 0,
            };
            Some(*now)
        };
        self.notes.iter().scan(0, step).max().unwrap_or_default()
    }
}

#[test]
fn accounts_are_under_way_side_by_side_and_one_that_fails_stops_no_other() {
    let here = Here::new();
    let accounts = "222222222222\n333333333333 # fails\n\n444444444444\n555555555555\n";
    let said = here.run(accounts, &["plan", "FILE", "-var=x=ACCOUNT {account}"], &[("JOBS", "2")]);
    assert_eq!((said.code, said.at_once()), (Some(1), 2), "{:?}", said.notes);
    assert_eq!(said.lines.len(), 4, "{:?}", said.lines);
    let planned = |line: &&String| line.contains("plan: Plan: 22 to add, 0 to change, 0 to destroy.");
    assert_eq!(said.lines.iter().filter(planned).count(), 3);
    let failed = said.lines.iter().find(|line| line.starts_with("333333333333")).unwrap();
    assert!(failed.contains("failed: reading role AccessDenied: not you") && !failed.contains("another"), "{failed}");
    assert!(said.error.contains("plan of 4 accounts") && said.error.contains("3 done, 1 failed: 333333333333"));
    let asked = "begin 222222222222 plan -no-color -input=false -var account_id=222222222222 -var=x=ACCOUNT {account}";
    assert!(said.notes.iter().any(|note| note == asked), "{:?}", said.notes);
}

#[test]
fn why_there_are_no_credentials_is_said_on_the_accounts_own_line() {
    let said = Here::new().run("666666666666\n", &["plan", "FILE"], &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.lines[0].contains("failed: failed to refresh cached credentials, no such host"), "{:?}", said.lines);
    assert!(!said.lines[0].contains("No valid") && !said.lines[0].contains("another"), "{:?}", said.lines);
}

/// A sixth of the CPU time of 500 accounts.
#[test]
fn terraform_collects_garbage_less_often_unless_it_is_told_how_often() {
    let asked = |environment: &[(&str, &str)]| {
        let here = Here::new();
        let said = here.run("222222222222\n", &["plan", "FILE"], environment);
        said.notes.into_iter().find(|note| note.starts_with("GOGC")).unwrap()
    };
    assert_eq!(asked(&[]), "GOGC=400");
    assert_eq!(asked(&[("GOGC", "100")]), "GOGC=100");
}

#[test]
fn all_that_is_printed_is_shown_or_kept_where_that_is_asked_for() {
    let here = Here::new();
    let logs = here.path().join("logs");
    let quiet = here.run("222222222222\n", &["plan", "FILE"], &[("LOGS", logs.to_str().unwrap())]);
    assert_eq!((quiet.code, quiet.lines.len()), (Some(0), 2), "{:?}", quiet.lines);
    assert!(fs::read_to_string(logs.join("222222222222.log")).unwrap().contains("the whole plan of 222222222222"));
    let verbose = here.run("222222222222\n", &["plan", "FILE"], &[("VERBOSE", "yes")]);
    assert!(verbose.lines.iter().any(|line| line == "the whole plan of 222222222222"), "{:?}", verbose.lines);
}

#[test]
fn the_accounts_of_the_organization_are_listed_by_the_aws_cli() {
    let said = Here::new().each_account(&["plan", "organization"], &[]);
    assert_eq!(said.code, Some(0), "{}", said.error);
    assert!(said.lines[2].contains("plan of 2 accounts"), "{:?}", said.lines);
}

#[test]
fn what_is_destroyed_has_no_workspace_any_more() {
    let said = Here::new().run("222222222222\n", &["destroy", "FILE", "-auto-approve"], &[]);
    assert_eq!(said.notes.last().unwrap(), "default: workspace delete 222222222222");
}

#[test]
fn a_list_as_windows_writes_it_is_read_and_any_other_line_refused_before_anything_runs() {
    let here = Here::new();
    let said = here.run("\u{feff}222222222222\r\n444444444444\r\n", &["plan", "FILE"], &[]);
    assert_eq!((said.code, said.lines.len()), (Some(0), 3), "{}", said.error);
    for (accounts, arguments, environment, why) in [
        ("22222222222\n444444444444\n", &["plan", "FILE"][..], &[][..], "no account IDs of twelve digits"),
        ("# none\n", &["plan", "FILE"], &[], "lists no account"),
        ("222222222222\n", &["apply", "FILE"], &[], "say -auto-approve"),
        ("222222222222\n", &["destroy", "FILE", "-var=x=y"], &[], "say -auto-approve"),
        ("222222222222\n", &["refresh", "FILE"], &[], "usage: each-account"),
        ("222222222222\n", &["plan", "FILE"], &[("JOBS", "many")], "JOBS must be a number"),
    ] {
        let said = here.run(accounts, arguments, environment);
        assert_eq!((said.code, said.notes.len()), (Some(2), 0), "{arguments:?}: {}", said.error);
        assert!(said.error.contains(why), "{}", said.error);
    }
}
