//! Takes one safeguard after the other out of a copy of the product, and runs seeds until one of them shows it. Fails where
//! none does.

#![allow(clippy::print_stdout, reason = "it is what is asked for")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{fs, io};

use clap::Parser;
use sim::{MUTANTS, Mutant};

/// Takes out each safeguard whose name contains this, or all.
#[derive(Debug, Parser)]
struct Arguments {
    /// A part of the names.
    #[arg(default_value = "")]
    named: String,
    /// The repository.
    #[arg(long, default_value = ".")]
    repository: String,
    /// Where its copy goes.
    #[arg(long)]
    copy: String,
    /// A folder in which what was found is kept, each as a small scenario.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// So many seeds at most.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut missed = 0;
    for mutant in MUTANTS.iter().filter(|mutant| mutant.name.contains(&arguments.named)) {
        match find(&arguments, mutant) {
            Ok(Some(found)) => println!("found   {}: {found}", mutant.name),
            Ok(None) => {
                println!("MISSED  {}", mutant.name);
                missed += 1;
            }
            Err(error) => {
                println!("ERROR   {}: {error}", mutant.name);
                missed += 1;
            }
        }
    }
    println!("{missed} missed");
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The first seed that shows a mutant, by the simulator's own words.
fn find(arguments: &Arguments, mutant: &Mutant) -> io::Result<Option<String>> {
    let (from, to) = (Path::new(&arguments.repository), Path::new(&arguments.copy));
    let listed = Command::new("git").arg("ls-files").current_dir(from).output()?;
    for file in String::from_utf8_lossy(&listed.stdout).lines() {
        copy(&from.join(file), &to.join(file))?;
    }
    let path = to.join(mutant.file);
    let text = fs::read_to_string(&path)?;
    if !text.contains(mutant.old) {
        return Err(io::Error::other(format!("{} has changed", mutant.file)));
    }
    fs::write(&path, text.replace(mutant.old, mutant.new))?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--profile", "sim", "-p", "sim", "--bin", "sim"]).current_dir(to);
    let built = cargo.status()?;
    if !built.success() {
        return Err(io::Error::other("it cannot be built"));
    }
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| to.join("target").display().to_string());
    let program = format!("{target}/sim/sim");
    let mut sim = Command::new(&program);
    sim.args(["--failures", "1", "--seeds", &arguments.seeds.to_string()]).stderr(Stdio::inherit());
    let said = sim.output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let found = said.lines().find(|line| line.starts_with("seed ")).map(str::to_owned);
    let seed = found.as_ref().and_then(|line| line.split([' ', ':']).nth(1));
    if let (Some(folder), Some(seed)) = (&arguments.keep, seed) {
        let shrunk = Command::new(&program).args(["--shrink", seed]).output()?;
        let scenario = String::from_utf8_lossy(&shrunk.stdout).lines().next().unwrap_or_default().to_owned();
        fs::create_dir_all(folder)?;
        let name: String = mutant.name.chars().filter(|letter| *letter == ' ' || letter.is_alphanumeric()).collect();
        fs::write(folder.join(format!("{}.json", name.replace(' ', "-"))), scenario + "\n")?;
    }
    Ok(found)
}

/// Copies a file where it differs, so that what is unchanged is not built again.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let bytes = match fs::read(from) {
        Ok(bytes) => bytes,
        // Listed, and deleted since.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, bytes)
}
