//! Credentials, profiles and regions as the AWS CLI takes them. Nothing here calls AWS: a stand-in answers for STS, for the
//! metadata of an instance and for a container's role.

mod credentials;

use assert_cmd::Command;
use remediation::{Batch, BatchId, Finding, Region, RunId};
use serde_json::Value;
use tempfile::TempDir;
use testkit::paths;

const CONFIG: &str = "\
[profile security]
region = eu-west-3
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = secret

[profile new-sso]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Security
region = eu-west-1

[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start

[profile old-sso]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 111122223333
sso_role_name = Security
region = eu-west-1
";

/// A home with a configuration of the AWS CLI, and findings.
struct Home(TempDir);

/// What a command came to.
struct Ran {
    code: i32,
    out: String,
    log: String,
}

impl Home {
    /// So many findings in each of these regions.
    fn new(findings: &[(&str, usize)]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::write(home.0.path().join("config"), CONFIG).unwrap();
        let finding = |region: &str, number: usize| Finding {
            control: "Ensure S3 Bucket is not publicly accessible.".into(),
            account: "111122223333".parse().unwrap(),
            region: Region::code(region),
            resource: format!("bucket-{number}"),
            first_seen: None,
            last_scanned: None,
        };
        let of = |(region, count): &(&str, usize)| (0..*count).map(|n| finding(region, n)).collect::<Vec<_>>();
        let id = BatchId { rule: "s3-public-bucket".into(), run: RunId::start(), batch: 1 };
        let batch = Batch::new(id, findings.iter().flat_map(of).collect());
        std::fs::write(home.0.path().join("findings.ndjson"), batch.to_ndjson().unwrap()).unwrap();
        std::fs::write(home.0.path().join("off.json"), r#"{"mode": "off"}"#).unwrap();
        home
    }

    /// A home with this configuration, and one finding.
    fn with(config: &str) -> Self {
        let home = Self::new(&[("eu-west-1", 1)]);
        std::fs::write(home.0.path().join("config"), config).unwrap();
        home
    }

    /// Plans with a policy that looks at nothing; gives the exit code, what was printed, and what was logged.
    fn plan(&self, environment: &[(&str, &str)], arguments: &[&str]) -> (i32, Value, String) {
        let plan = ["plan", "--findings", "findings.ndjson", "--policy", "off.json", "--json"];
        let Ran { code, out, log } = self.run(environment, &[&plan, arguments].concat());
        (code, serde_json::from_str(&out).unwrap_or(Value::Null), log)
    }

    /// Runs a command that has no terminal.
    fn run(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let autoremediate = paths::binary("autoremediate").unwrap();
        let output = Command::new("setsid")
            .arg("--wait")
            .arg(autoremediate)
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.0.path())
            .env("AWS_CONFIG_FILE", self.0.path().join("config"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), log: text(output.stderr) }
    }
}

#[test]
fn a_region_comes_from_the_argument_then_the_environment_then_the_profile() {
    // The number of findings that are held says which region counts.
    let home = Home::new(&[("us-east-1", 1), ("eu-west-1", 2), ("eu-west-2", 3), ("eu-west-3", 4)]);
    let (argument, region) = (("--region", "us-east-1"), ("AWS_REGION", "eu-west-1"));
    let (default, profile) = (("AWS_DEFAULT_REGION", "eu-west-2"), ("AWS_PROFILE", "security"));
    let by_name = ["--profile", "security"];
    for (environment, arguments, expected) in [
        (&[region, default, profile][..], &[argument.0, argument.1][..], 1),
        (&[region, default, profile], &[], 2),
        (&[default, profile], &[], 3),
        (&[default], &by_name, 3),
        (&[profile], &[], 4),
        (&[], &by_name, 4),
        (&[("AWS_PROFILE", "new-sso")], &by_name, 4),
    ] {
        let (code, shown, log) = home.plan(environment, arguments);
        assert_eq!(code, 2, "{log}");
        assert_eq!(shown["counts"]["held"], expected, "{environment:?} {arguments:?} {log}");
    }
    let keys = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let (code, _, log) = home.plan(&keys, &[]);
    assert!(code == 1 && log.contains("AWS_DEFAULT_REGION"), "{log}");
    for (name, said) in [
        ("xx-south-9", "no finding is of the region xx-south-9"),
        ("Europe", "`Europe` is not a region"),
        ("eu-west-1a", "is not a region"),
    ] {
        let ran = home.plan(&[&keys[..], &[("AWS_REGION", name)]].concat(), &[]);
        assert!(ran.0 == 1 && ran.2.contains(said), "{name}: {}", ran.2);
        let ran = home.plan(&keys, &["--region", name]);
        assert!(ran.0 == 1 && ran.2.contains(said), "{name}: {}", ran.2);
    }
}

#[test]
fn who_is_not_logged_in_to_sso_is_told_how() {
    let home = Home::new(&[("eu-west-1", 1)]);
    for profile in ["new-sso", "old-sso"] {
        let told = format!("aws sso login --profile {profile}\n");
        for (code, _, log) in [home.plan(&[], &["--profile", profile]), home.plan(&[("AWS_PROFILE", profile)], &[])] {
            assert!(code == 1 && log.ends_with(&told) && log.lines().count() == 1, "{log}");
        }
    }
    // The cache of a session that has expired, without what renews it.
    let cache = home.0.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let expired = r#"{"accessToken": "a-secret", "expiresAt": "2020-01-01T00:00:00Z", "region": "eu-west-1",
        "startUrl": "https://corp.awsapps.com/start"}"#;
    // Its name is the SHA-1 of the session's name.
    std::fs::write(cache.join("ee0bfd2552fbd840c02cc48b6e823320543c450f.json"), expired).unwrap();
    let (code, _, log) = home.plan(&[], &["--profile", "new-sso"]);
    assert!(code == 1 && log.contains("has expired") && log.ends_with("aws sso login --profile new-sso\n"), "{log}");
    assert!(!log.contains("a-secret"), "{log}");
    let (code, _, log) = home.plan(&[], &["--profile", "no-such-profile", "--region", "eu-west-1"]);
    assert!(code == 1 && log.contains("no-such-profile") && !log.contains("sso login"), "{log}");
}
