//! What a person's terminal and shell get: colours, help, completions.

use std::process::{Command, Output, Stdio};

use testkit::paths;

/// A command that needs nothing, with a check that fails.
const DOCTOR: [&str; 4] = ["doctor", "--region", "us-east-1", "--no-pager"];
/// Runs what follows on a terminal, without its standard error, where the progress bar is.
const ON_A_TERMINAL: &str = "import pty, sys; pty.spawn(['sh', '-c', '\"$0\" \"$@\" 2>/dev/null', *sys.argv[1:]])";

fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("PATH", std::env::var_os("PATH").unwrap()).envs(environment.iter().copied());
    command.stdin(Stdio::null()).output().unwrap()
}

fn autoremediate() -> String {
    paths::binary("autoremediate").unwrap().display().to_string()
}

#[test]
fn a_result_has_a_colour_on_a_terminal_that_wants_one() {
    let on_a_terminal = |environment: &[(&str, &str)]| {
        let output = run("python3", &[&["-c", ON_A_TERMINAL, &autoremediate()], &DOCTOR[..]].concat(), environment);
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = on_a_terminal(&[("TERM", "xterm")]);
    assert!(shown.contains("failed") && shown.contains("\u{1b}["), "{shown:?}");
    for declined in [[("TERM", "xterm"), ("NO_COLOR", "1")], [("TERM", "dumb"), ("LANG", "C")]] {
        let shown = on_a_terminal(&declined);
        assert!(shown.contains("failed") && !shown.contains('\u{1b}'), "{declined:?} {shown:?}");
    }
}

#[test]
fn what_goes_into_a_pipe_has_no_colour() {
    for arguments in [&DOCTOR[..], &["rules"], &["--help"], &["plan", "--help"], &["doctor", "--nonsense"]] {
        let output = run(&autoremediate(), arguments, &[("TERM", "xterm"), ("COLORTERM", "truecolor")]);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!text.is_empty() && !text.contains('\u{1b}'), "{arguments:?} {text:?}");
    }
}

#[test]
fn text_from_outside_reaches_no_terminal_unescaped() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy\u{1b}[2J.json");
    std::fs::write(&policy, r#"{"rules": {"\u202e\u009b31m": {}}}"#).unwrap();
    let policy = policy.to_str().unwrap();
    let missing = "reports/r\u{1b}[2J/2026-01-02/\u{202e}x-1.json";
    for (arguments, escaped) in [
        (&["policy", "check", policy][..], "\\u{1b}[2J.json: "),
        (&["policy", "check", policy, "--json"], "\\u202e\\u009b31m"),
        (&["policy", "check", "\u{9b}31m"], "\\u{9b}31m"),
        (&["plan", "--findings", "-", "--region", "\u{202e}\u{9b}2J"], "`\\u{202e}\\u{9b}2J`"),
        (&["undo", missing, "--region", "us-east-1"], "r\\u{1b}[2J"),
    ] {
        let keys = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let output = run(&autoremediate(), arguments, &keys);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.code() == Some(1) && text.contains(escaped), "{arguments:?} {text:?}");
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{arguments:?} {text:?}");
    }
}

#[test]
fn a_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&autoremediate(), &["completions", shell], &[]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(script.contains("AUTOREMEDIATE_COMPLETE") && script.contains(&autoremediate()), "{shell}: {script}");
    }
    // As bash does it: the words of the line, the place of the one that is completed, and that word.
    let script = r#"source <("$0" completions bash) && complete -p autoremediate > /dev/null && COMP_WORDS=("${@:2}") &&
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) && _clap_complete_autoremediate autoremediate "${COMP_WORDS[-1]}" "$1" &&
        echo "${COMPREPLY[@]}""#;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    std::fs::write(&config, "[profile audit]\nregion = eu-west-1\n[profile people]\n").unwrap();
    let environment = [("AWS_CONFIG_FILE", config.to_str().unwrap())];
    for (line, expected) in [
        (&["doc"][..], "doctor"),
        (&["plan", "--rule", "s3-"], "s3-public-bucket"),
        (&["undo", "x", "--rule", "iam"], "iam-stale-access-key"),
        (&["plan", "--region", "eu-central-"], "eu-central-1 eu-central-2"),
        (&["apply", "--profile", "au"], "audit"),
    ] {
        let program = autoremediate();
        let words = [&["-c", script, &program, "", "autoremediate"], line].concat();
        let output = run("bash", &words, &environment);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(text.trim(), expected, "{line:?}");
    }
    let output = run(&autoremediate(), &["completions", "tcsh"], &[]);
    assert!(output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains("zsh"));
}

/// Runs what follows on a terminal of this width, with this pager.
fn on_a_terminal(columns: u16, pager: &str, arguments: &[&str]) -> String {
    let python = "import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, int(sys.argv[1]), 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
seen = b''
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
os.waitpid(child, 0)
sys.stdout.buffer.write(seen)";
    let (columns, program) = (columns.to_string(), autoremediate());
    let words = [&["-c", python, &columns, &program], arguments].concat();
    let output = run("python3", &words, &[("TERM", "xterm"), ("AUTOREMEDIATE_PAGER", pager)]);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_result_is_read_in_a_pager_and_without_one_where_there_is_none() {
    let rules = |pager: &str, arguments: &[&str]| on_a_terminal(200, pager, &[&["rules"], arguments].concat());
    // It says what it was given.
    let paged = rules("sed s/s3-public-bucket/PAGED/", &[]);
    assert!(paged.contains("PAGED") && !paged.contains("s3-public-bucket"), "{paged}");
    for (pager, arguments) in
        [("/nonexistent/pager", &[][..]), ("sed s/s3-public-bucket/PAGED/", &["--no-pager"]), ("", &[])]
    {
        let plain = rules(pager, arguments);
        assert!(plain.contains("s3-public-bucket") && !plain.contains("PAGED"), "{pager}: {plain}");
    }
    // Who has seen enough says so by leaving.
    let left = rules("head -n 1", &[]);
    assert!(!left.contains("error"), "{left}");
}

#[test]
fn who_reads_only_the_beginning_is_told_of_no_error() {
    let script = r#""$0" rules --json | head -n 1; echo "${PIPESTATUS[0]}""#;
    let output = run("bash", &["-c", script, &autoremediate()], &[]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "[\n0\n");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A command that has no credentials, and does not get so far as to miss them.
#[test]
fn what_is_wrong_on_this_machine_is_told_before_credentials_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (policy, findings, missing) = (place("policy.json"), place("findings.ndjson"), place("missing.ndjson"));
    std::fs::write(&policy, "{\"pausd\": true,\n\"mode\": \"aply\",\n\"limitz\": {}}").unwrap();
    let batch =
        r#"{"schema":1,"rule":"s3-public-bucket","run":"01980000-0000-7000-8000-000000000000","batch":1,"findings":0}"#;
    std::fs::write(&findings, format!("{batch}\n")).unwrap();
    let report = "reports/s3-public-bucket/2026-01-02/x-1.json";
    for (arguments, told) in [
        (&["plan", "--findings", &missing][..], &["missing.ndjson"][..]),
        (&["plan"], &["NETSKOPE_TENANT", "--findings"]),
        (&["plan", "--netskope-tenant", "example.goskope.com"], &["NETSKOPE_TOKEN"]),
        (&["plan", "--netskope-tenant", "not a domain"], &["not a domain"]),
        (
            &["apply", "--alone", "--yes", "--findings", &findings, "--policy", &policy],
            &["`pausd`", "`aply`", "`limitz`"],
        ),
        (&["undo", report, "--policy", &policy], &["`pausd`", "`aply`", "`limitz`"]),
        (&["undo", report, "--rule", "iam-stale-access-key"], &["--rule iam-stale-access-key"]),
    ] {
        let output = run(&autoremediate(), &[arguments, &["--region", "us-east-1"]].concat(), &[]);
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?} {log}");
        assert!(told.iter().all(|part| log.contains(part)) && !log.contains("credentials"), "{arguments:?} {log}");
        assert_eq!(log.lines().count(), told.iter().filter(|part| part.starts_with('`')).count().max(1), "{log}");
    }
}
