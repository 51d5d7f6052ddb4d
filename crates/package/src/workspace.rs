//! What Cargo knows of the workspace, and how it builds the Lambdas.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use serde::Deserialize;

use crate::args::Profile;
use crate::error::Error;

/// The profile of the Lambdas in the workspace's Cargo.toml, and the folder of its binaries.
const LAMBDA_PROFILE: &str = "lambda";

/// Leaves the lines of `debug` and `trace` out of the Lambdas: most are of HTTP, and `logging` shows none of those. `tracing`
/// and `log` have a feature for it; as a flag it holds for the Lambdas alone, and the workspace is not built again for it.
/// <https://docs.rs/tracing/latest/tracing/level_filters/#compile-time-filters>
const NO_DEBUG_LINES: &str = "--cfg=feature=\"release_max_level_info\"";

/// What separates flags in CARGO_ENCODED_RUSTFLAGS.
/// <https://doc.rust-lang.org/cargo/reference/environment-variables.html>
const FLAG_SEPARATOR: &str = "\u{1f}";

/// The workspace, as `cargo metadata` gives it.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

/// What of a `rule.json` is needed here.
#[derive(Deserialize)]
struct Manifest {
    id: String,
}

impl Workspace {
    /// The workspace of the current folder.
    pub(crate) fn load() -> Result<Self, Error> {
        let command = "metadata";
        let output = cargo(command)
            .args(["--format-version", "1", "--no-deps"])
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| Error::Cargo { command, source })?;
        if !output.status.success() {
            return Err(Error::CargoFailed { command, status: output.status });
        }
        serde_json::from_slice(&output.stdout).map_err(Error::Metadata)
    }

    /// The packages and binaries of the Lambdas: the poller, and every folder of rules with a `rule.json`.
    pub(crate) fn lambdas(&self) -> Result<Vec<String>, Error> {
        let rules = self.workspace_root.join("crates/rules");
        if !rules.exists() {
            return Err(Error::OtherWorkspace(self.workspace_root.clone()));
        }
        let unreadable = |path: &Path, source| Error::Read { path: path.to_owned(), source };
        let mut names = Vec::new();
        for folder in fs::read_dir(&rules).map_err(|source| unreadable(&rules, source))? {
            let path = folder.map_err(|source| unreadable(&rules, source))?.path().join("rule.json");
            if path.exists() {
                let text = fs::read(&path).map_err(|source| unreadable(&path, source))?;
                let manifest: Manifest =
                    serde_json::from_slice(&text).map_err(|source| Error::Manifest { path, source })?;
                names.push(manifest.id);
            }
        }
        names.sort();
        names.insert(0, "poller".into());
        Ok(names)
    }

    /// Where Cargo puts the binaries.
    pub(crate) fn binaries(&self, profile: Profile, target: Option<&str>) -> PathBuf {
        let folder = match profile {
            Profile::Release => LAMBDA_PROFILE,
            Profile::Dev => "debug",
        };
        self.target_directory.join(target.unwrap_or_default()).join(folder)
    }

    /// Builds the binaries of the Lambdas.
    pub(crate) fn build(&self, lambdas: &[String], profile: Profile, target: Option<&str>) -> Result<(), Error> {
        let command = "build";
        let mut build = cargo(command);
        build.current_dir(&self.workspace_root).arg("--bins");
        match profile {
            Profile::Release => {
                build.args(["--profile", LAMBDA_PROFILE, "--locked"]);
                build.args(lambdas.iter().flat_map(|name| ["-p", name]));
                build.env("CARGO_ENCODED_RUSTFLAGS", self.flags(&cargo_home()?));
            }
            // All of it: for a part of the workspace Cargo would unify features anew and build the SDKs again.
            Profile::Dev => {
                build.arg("--workspace");
            }
        }
        if let Some(triple) = target {
            build.args(["--target", triple]);
        }
        let status = build.status().map_err(|source| Error::Cargo { command, source })?;
        if status.success() { Ok(()) } else { Err(Error::CargoFailed { command, status }) }
    }

    /// The compiler's flags of a release build.
    ///
    /// No path of this machine is left in the binaries: flags do it, because `trim-paths` is not stable; the last one that
    /// matches a path wins, and the target folder is often inside the workspace.
    fn flags(&self, cargo_home: &Path) -> String {
        let paths =
            [(cargo_home, "/cargo"), (&self.workspace_root, "/autoremediate"), (&self.target_directory, "/target")];
        let paths = paths.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
        [paths.as_slice(), &[NO_DEBUG_LINES.to_owned()]].concat().join(FLAG_SEPARATOR)
    }
}

fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(command);
    cargo
}

/// <https://doc.rust-lang.org/cargo/guide/cargo-home.html>
fn cargo_home() -> Result<PathBuf, Error> {
    let named = env::var_os("CARGO_HOME").map(PathBuf::from);
    named.or_else(|| env::home_dir().map(|home| home.join(".cargo"))).ok_or(Error::CargoHome)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn workspace(target: &str) -> Workspace {
        Workspace { workspace_root: "/home/alice/repo".into(), target_directory: target.into() }
    }

    #[test]
    fn the_binaries_are_where_cargo_puts_them() {
        let workspace = workspace("/home/alice/repo/target");
        let path = |profile, target| workspace.binaries(profile, target).display().to_string();
        assert_eq!(path(Profile::Dev, None), "/home/alice/repo/target/debug");
        let arm = path(Profile::Release, Some("aarch64-unknown-linux-gnu"));
        assert_eq!(arm, "/home/alice/repo/target/aarch64-unknown-linux-gnu/lambda");
    }

    #[test]
    fn the_target_folder_is_mapped_last_because_it_can_be_inside_the_workspace() {
        let flags = workspace("/home/alice/repo/target").flags(Path::new("/home/alice/.cargo"));
        let flags: Vec<_> = flags.split(FLAG_SEPARATOR).collect();
        assert_eq!(flags[0], "--remap-path-prefix=/home/alice/.cargo=/cargo");
        assert_eq!(flags[2], "--remap-path-prefix=/home/alice/repo/target=/target");
    }

    /// The root of this checkout. Asked for when it runs: another checkout may have compiled this.
    fn root() -> PathBuf {
        Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..")
    }

    /// The SDK's crates with the features that a build with these kinds of dependencies gives them.
    fn sdk_features(edges: &str) -> BTreeSet<String> {
        let tree = ["--workspace", "--locked", "--prefix", "none", "--format", "{p} {f}", "--edges", edges];
        let output = cargo("tree").args(tree).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines = lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned());
        lines.filter(|line| line.starts_with("aws-")).collect()
    }

    #[test]
    fn the_tests_build_no_sdk_a_second_time() {
        let (of_binaries, of_tests) = (sdk_features("normal,build"), sdk_features("normal,build,dev"));
        assert!(of_binaries.iter().any(|line| line.starts_with("aws-sdk-ec2 ")), "{of_binaries:?}");
        assert_eq!(of_binaries, of_tests);
    }

    #[test]
    fn rules_of_ones_own_are_built_as_ours_are() {
        let profile = |file: &str| {
            let text = fs::read_to_string(root().join(file)).unwrap();
            let lines = text.lines().skip_while(|line| *line != "[profile.lambda]");
            lines.take_while(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let ours = profile("Cargo.toml");
        assert!(ours.contains(&"panic = \"abort\"".to_owned()), "{ours:?}");
        assert_eq!(ours, profile("docs/own-rule/Cargo.toml"));
    }

    #[test]
    fn in_another_workspace_packages_are_named() {
        let error = workspace("/home/alice/repo/target").lambdas().unwrap_err().to_string();
        assert!(error.contains("/home/alice/repo") && error.contains("--package"), "{error}");
    }

    #[test]
    fn every_rule_of_this_workspace_and_the_poller_are_lambdas() {
        let root = root();
        let lambdas = Workspace { workspace_root: root, target_directory: PathBuf::new() }.lambdas().unwrap();
        assert_eq!(lambdas[0], "poller");
        assert!(lambdas.contains(&"s3-public-bucket".to_owned()));
    }
}
