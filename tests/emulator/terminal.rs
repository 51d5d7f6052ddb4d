//! What a person's terminal and shell get: colours, help, completions.

use std::process::{Command, Output, Stdio};

use testkit::paths;

/// A command that needs nothing, with a check that fails.
const DOCTOR: [&str; 3] = ["doctor", "--region", "us-east-1"];
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
        for word in ["doctor", "undo", "netskope-tenant"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let script = r#"source <("$0" completions bash) && complete -p autoremediate && COMP_WORDS=(autoremediate doc) &&
        COMP_CWORD=1 && _autoremediate autoremediate doc autoremediate && echo "${COMPREPLY[@]}""#;
    let output = run("bash", &["-c", script, &autoremediate()], &[]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(text.ends_with("\ndoctor\n"), "{text}");
    let output = run(&autoremediate(), &["completions", "tcsh"], &[]);
    assert!(output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains("zsh"));
}
