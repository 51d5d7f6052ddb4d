//! The workspace of `docs/own-rule`: a rule outside of this repository, built there, deployed by Terraform with its
//! manifest, and taken back by a command line of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use std::{env, fs};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::AttributeBooleanValue;
use remediation::Outcome;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::account::{Account, REGION, fresh_account};
use testkit::deployment::{Deployment, Settings};
use testkit::emulator::Emulator;
use testkit::netskope::{FakeNetskope, display_name, row};
use testkit::paths;

const RULE: &str = "subnet-public-addresses";
const CONTROL: &str = "Ensure that subnets do not assign public IP addresses by themselves";
const TOKEN: &str = "a-token-for-a-rule-of-ones-own";
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn the_page_shows_the_files() {
    let docs = paths::repository().join("docs");
    let page = fs::read_to_string(docs.join("own-rule.md")).unwrap();
    for (language, name) in [
        ("toml", "Cargo.toml"),
        ("toml", "subnet-public-addresses/Cargo.toml"),
        ("rust", "subnet-public-addresses/src/main.rs"),
        ("toml", "command-line/Cargo.toml"),
        ("rust", "command-line/src/main.rs"),
    ] {
        let block = format!("```{language}\n{}```\n", fs::read_to_string(docs.join("own-rule").join(name)).unwrap());
        assert!(page.contains(&block), "docs/own-rule.md should show {name} as this block:\n{block}");
    }
}

#[tokio::test]
async fn it_is_built_outside_deployed_and_taken_back() {
    let workspace = workspace();
    let folder = workspace.path();
    succeeded(&cargo(folder, &["build", "--workspace"]));
    let laws = cargo(folder, &["test", "--workspace", "--lib"]);
    assert!(succeeded(&laws).contains("the_laws_hold ... ok"));
    let rules = own_command(folder, &["rules", "--json"]).output().unwrap();
    let rules: Value = serde_json::from_str(&succeeded(&rules)).unwrap();
    let has = |id: &str| rules.as_array().unwrap().iter().any(|rule| rule["id"] == id);
    assert!(has(RULE) && has("s3-public-bucket"), "{rules}");

    let emulator = Emulator::shared().await.unwrap();
    let target = Account::fresh(emulator);
    let (ec2, subnet) = public_subnet(&target).await;
    let netskope = FakeNetskope::start(TOKEN).await;
    netskope.set_rows(vec![row(CONTROL, &target.id, display_name(REGION).unwrap(), &subnet)]);
    let settings = Settings {
        central: fresh_account(),
        regions: vec![vec![REGION.into()]],
        targets: vec![target.id.clone()],
        policy: json!({"mode": "apply", "rules": {RULE: {"mode": "apply"}}}),
        netskope: netskope.url(),
        token: TOKEN.into(),
    };
    let (manifest, packages) = (folder.join(RULE).join("rule.json"), folder.join("dist"));
    pack(folder, &["--package", RULE]);
    pack(paths::repository(), &["--package", "poller", "--out", packages.to_str().unwrap()]);
    let variables = [
        ("rules", json!([RULE]).to_string()),
        ("further_rules", json!([manifest]).to_string()),
        ("package_dir", packages.display().to_string()),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let deployment = Deployment::apply_with(emulator, settings, &variables).await.unwrap();
    let done = deployment.done_for(1, PATIENCE).await.unwrap();
    let outcomes: Vec<_> = done[0].findings().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Fixed], "{done:?}");
    assert!(!is_public(&ec2, &subnet).await);

    let report = format!("s3://{}/{}", deployment.home().bucket, done[0].reports[0].0);
    let operator = deployment.person("operator").await.unwrap();
    let undo = |mut command: Command| command.args(["undo", &report, "--yes"]).envs(operator.clone()).output().unwrap();
    // The command line without the rule says so.
    let stock = undo(clean(Command::new(paths::binary("autoremediate").unwrap())));
    let said = String::from_utf8_lossy(&stock.stderr).into_owned();
    assert!(!stock.status.success() && said.contains(&format!("there is no rule `{RULE}`")), "{said}");
    assert!(said.contains("docs/own-rule.md") && !is_public(&ec2, &subnet).await, "{said}");
    succeeded(&undo(own_command(folder, &[])));
    assert!(is_public(&ec2, &subnet).await);
}

/// A copy of the workspace, with this checkout in the place of the Git repository, so that uncommitted changes count and
/// nothing is fetched; and with this workspace's lock file, profiles and features, so that what is built of other
/// people's crates is what is built already.
fn workspace() -> TempDir {
    let (repository, copy) = (paths::repository(), TempDir::new().unwrap());
    copy_folder(&repository.join("docs/own-rule"), copy.path());
    fs::copy(repository.join("Cargo.lock"), copy.path().join("Cargo.lock")).unwrap();
    let ours = fs::read_to_string(repository.join("Cargo.toml")).unwrap();
    let own = fs::read_to_string(copy.path().join("Cargo.toml")).unwrap();
    let own: Vec<_> = own.lines().map(|line| of_this_checkout(line, &ours)).collect();
    let own = own.join("\n").replace("members = [", "members = [\"features\", ");
    let profile = &ours[ours.find("[profile.dev]").unwrap()..ours.find("[profile.release]").unwrap()];
    fs::write(copy.path().join("Cargo.toml"), format!("{own}\n{profile}")).unwrap();
    fs::create_dir_all(copy.path().join("features/src")).unwrap();
    fs::write(copy.path().join("features/src/lib.rs"), "").unwrap();
    fs::write(copy.path().join("features/Cargo.toml"), features(&ours)).unwrap();
    copy
}

/// A line of the workspace's Cargo.toml, with a folder of this checkout where it names the Git repository.
fn of_this_checkout(line: &str, ours: &str) -> String {
    let Some((name, _)) = line.split_once(" = { git = ") else { return line.to_owned() };
    let here = ours.lines().find_map(|line| line.strip_prefix(&format!("{name} = {{ path = \""))).unwrap();
    let path = paths::repository().join(here.split('"').next().unwrap());
    format!("{name} = {{ path = {:?} }}", path.display().to_string())
}

/// A package that depends on what this workspace depends on, with the features that a build of all of it has.
fn features(ours: &str) -> String {
    let tree = ["tree", "--workspace", "--depth", "1", "--prefix", "none", "--format", "{p}|{f}"];
    let tree = cargo(paths::repository(), &tree);
    let mut dependencies: Vec<_> = succeeded(&tree).lines().filter_map(|line| dependency(line, ours)).collect();
    dependencies.sort();
    dependencies.dedup();
    assert!(dependencies.iter().any(|line| line.starts_with("aws-sdk-ec2 = ")), "{dependencies:?}");
    let package = "[package]\nname = \"features\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n";
    package.to_owned() + &dependencies.join("\n") + "\n"
}

/// The dependency that a line of the tree shows, where it is a crate that this workspace's Cargo.toml names.
fn dependency(line: &str, ours: &str) -> Option<String> {
    let (package, features) = line.trim_end_matches(" (*)").split_once('|')?;
    let (name, version) = package.trim_end_matches(" (proc-macro)").split_once(" v")?;
    let is_third_party = !version.contains(" (/") && ours.contains(&format!("\n{name} = "));
    let features: Vec<_> = features.split(',').filter(|feature| !feature.is_empty()).collect();
    is_third_party
        .then(|| format!("{name} = {{ version = \"={version}\", default-features = false, features = {features:?} }}"))
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let to = to.join(name);
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// Runs cargo with the build folder of this test.
fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    let mut cargo = clean(Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())));
    cargo.args(arguments).arg("--offline").current_dir(folder).output().unwrap()
}

/// Without what Cargo told this test of itself, and with its build folder.
fn clean(mut command: Command) -> Command {
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_")) {
        command.env_remove(name);
    }
    command.env_remove("CARGO_MANIFEST_DIR").env("CARGO_TARGET_DIR", target());
    command
}

fn target() -> PathBuf {
    paths::binaries().unwrap().parent().unwrap().to_owned()
}

/// The command line of the workspace.
fn own_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = clean(Command::new(paths::binaries().unwrap().join("acme-remediate")));
    command.args(arguments).current_dir(folder);
    command
}

fn pack(folder: &Path, arguments: &[&str]) {
    let mut pack = clean(Command::new(paths::binary("package").unwrap()));
    let pack = pack.args(["--profile", "dev", "--no-build"]).args(arguments).current_dir(folder);
    succeeded(&pack.output().unwrap());
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

async fn public_subnet(account: &Account) -> (Client, String) {
    let ec2 = Client::new(&account.config);
    let vpc = ec2.create_vpc().cidr_block("10.0.0.0/16").send().await.unwrap().vpc.unwrap();
    let subnet = ec2.create_subnet().vpc_id(vpc.vpc_id.unwrap()).cidr_block("10.0.0.0/24").send().await.unwrap();
    let subnet = subnet.subnet.unwrap().subnet_id.unwrap();
    let yes = AttributeBooleanValue::builder().value(true).build();
    ec2.modify_subnet_attribute().subnet_id(&subnet).map_public_ip_on_launch(yes).send().await.unwrap();
    assert!(is_public(&ec2, &subnet).await);
    (ec2, subnet)
}

async fn is_public(ec2: &Client, subnet: &str) -> bool {
    let found = ec2.describe_subnets().subnet_ids(subnet).send().await.unwrap();
    found.subnets()[0].map_public_ip_on_launch().unwrap()
}
