//! What `doctor` is asked for.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use remediation::{AccountId, utf8};

use crate::args::{AccessArgs, RecordsPlace, region};
use crate::error::Error;

/// What `doctor` looks at.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Only what this rule needs, by its ID; can be repeated. Without it, every rule.
    #[arg(long = "rule", value_name = "ID")]
    pub(crate) rules: Vec<String>,
    /// A target account to look at, by its twelve digits; can be repeated.
    #[arg(long = "account", value_name = "ID")]
    pub(crate) accounts: Vec<AccountId>,
    /// Target accounts in a file: one ID a line; empty lines and what follows a # are passed over.
    #[arg(long, value_name = "FILE")]
    pub(crate) accounts_file: Option<PathBuf>,
    /// The region of the deployment. Without it, that of the AWS configuration.
    #[arg(long, value_name = "CODE", value_parser = region)]
    pub(crate) region: Option<String>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// The role that may look, in each account.
    #[arg(long, value_name = "NAME", default_value = "autoremediate-doctor")]
    pub(crate) doctor_role_name: String,
    /// Ask this Netskope tenant, by its domain name. NETSKOPE_TOKEN holds the token of its REST API v1.
    #[arg(long, value_name = "FQDN")]
    pub(crate) netskope_tenant: Option<String>,
    /// Ask the Netskope API at another address, such as a proxy.
    #[arg(long, value_name = "URL", hide_short_help = true, conflicts_with = "netskope_tenant")]
    pub(crate) netskope_endpoint: Option<String>,
    /// The bucket of the deployment: s3://bucket.
    #[arg(long, value_name = "PLACE", value_parser = bucket)]
    pub(crate) records: Option<String>,
    /// Print one JSON document with the checks.
    #[arg(long)]
    pub(crate) json: bool,
}

impl DoctorArgs {
    /// The accounts of the arguments and of the file, each once.
    pub(crate) fn every_account(&self) -> Result<Vec<AccountId>, Error> {
        let mut accounts = self.accounts.clone();
        if let Some(path) = &self.accounts_file {
            let bytes =
                fs::read(path).map_err(|source| Error::Accounts { path: path.clone(), reason: source.to_string() })?;
            accounts.extend(listed(path, &bytes)?);
        }
        accounts.sort();
        accounts.dedup();
        Ok(accounts)
    }

    /// What the names of the roles begin with, as Terraform's `name_prefix`.
    pub(crate) fn name_prefix(&self) -> &str {
        self.access.role_name.strip_suffix("-{rule}").unwrap_or("autoremediate")
    }
}

/// The accounts of a file's text; the same file as `justw targets-apply` takes.
fn listed(path: &Path, bytes: &[u8]) -> Result<Vec<AccountId>, Error> {
    let bytes = utf8(bytes);
    // A comment may be in any encoding; an ID that is not text is refused below.
    let text = String::from_utf8_lossy(&bytes);
    let mut accounts = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let id = line.split('#').next().unwrap_or_default().trim();
        if id.is_empty() {
            continue;
        }
        let account = id
            .parse()
            .map_err(|error| Error::Accounts { path: path.to_owned(), reason: format!("line {number}: {error}") })?;
        accounts.push(account);
    }
    Ok(accounts)
}

/// The bucket's name.
fn bucket(text: &str) -> Result<String, Error> {
    match text.parse()? {
        RecordsPlace::Bucket(bucket) => Ok(bucket),
        RecordsPlace::Folder(_) => Err(Error::Records(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_file_of_accounts_is_read_as_the_deployment_reads_it() {
        let text = "# all of them\n111111111111\n\n  222222222222  # web\n";
        let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        let utf16 = windows.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [text.as_bytes().to_vec(), windows.into_bytes(), utf16, text.replace("web", "b\u{fc}ro").into()] {
            let accounts = listed(Path::new("accounts.txt"), &bytes).unwrap();
            assert_eq!(accounts, ["111111111111".parse().unwrap(), "222222222222".parse().unwrap()]);
        }
        let error = listed(Path::new("accounts.txt"), b"111111111111\n22222\n").unwrap_err().to_string();
        assert!(error.contains("accounts.txt") && error.contains("line 2") && error.contains("`22222`"), "{error}");
    }

    /// What the deployment's script does with a file of these bytes: the accounts, and its exit code.
    fn deployed(bytes: &[u8]) -> (Vec<String>, Option<i32>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, bytes).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../terraform/deploy/targets/each-account");
        // What stands in for Terraform prints its arguments.
        let run = Command::new(script).arg("plan").arg(file.path()).env("TERRAFORM", "echo").output().unwrap();
        let lines = String::from_utf8(run.stdout).unwrap();
        let accounts = lines.lines().filter_map(|line| line.split("account_id=").nth(1)).map(str::to_owned).collect();
        (accounts, run.status.code())
    }

    #[test]
    fn the_deployment_reads_the_same_accounts() {
        let expected = ["111111111111", "222222222222"].map(str::to_owned).to_vec();
        for text in [
            &b"# all of them\n111111111111\n\n  222222222222  # web\n"[..],
            b"# all of them\r\n111111111111\r\n\r\n\t222222222222 \r\n",
            b"\xef\xbb\xbf111111111111\r\n222222222222",
            b"\xef\xbb\xbf# b\xfcro\r\n111111111111 # b\xfcro\r\n222222222222\r\n",
        ] {
            assert_eq!(deployed(text), (expected.clone(), Some(0)), "{text:?}");
            let listed = listed(Path::new("accounts.txt"), text).unwrap();
            assert_eq!(listed.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        }
        for wrong in
            [&b"111111111111\n22222\n"[..], b"111111111111 222222222222\n", b"\xff\xfe1\x001\x00\n\x00", b"#\r\n\r\n"]
        {
            assert_eq!(deployed(wrong), (Vec::new(), Some(2)), "{wrong:?}");
        }
    }

    #[test]
    fn only_a_bucket_can_be_looked_at() {
        assert_eq!(bucket("s3://records").unwrap(), "records");
        assert!(bucket("./records").unwrap_err().to_string().contains("s3://<bucket>"));
    }
}
