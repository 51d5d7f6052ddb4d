//! The file of target accounts, the same as `justw targets-apply` takes.

use std::fs::File;
use std::path::Path;

use remediation::{AccountId, read_at_most, utf8};

use crate::error::Error;

/// The most bytes of such a file: a line for each of the accounts that an organization can have is a small part of it.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The accounts in a file.
pub(super) fn read(path: &Path) -> Result<Vec<AccountId>, Error> {
    let broken = |reason: String| Error::Accounts { path: path.to_owned(), reason };
    let bytes = File::open(path).and_then(|file| read_at_most(file, MOST_BYTES));
    listed(&bytes.map_err(|error| broken(error.to_string()))?).map_err(broken)
}

/// The accounts in a file's text, or what is wrong with it.
fn listed(bytes: &[u8]) -> Result<Vec<AccountId>, String> {
    let bytes = utf8(bytes);
    // A comment may be in any encoding; an ID that is not text is refused below.
    let text = String::from_utf8_lossy(&bytes);
    let mut accounts = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let id = line.split('#').next().unwrap_or_default().trim();
        if !id.is_empty() {
            accounts.push(id.parse().map_err(|error| format!("line {number}: {error}"))?);
        }
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_file_of_accounts_is_read_as_the_deployment_reads_it() {
        let text = "# all of them\n111111111111\n\n  222222222222  # web\n";
        let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        let utf16 = windows.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [text.as_bytes().to_vec(), windows.into_bytes(), utf16, text.replace("web", "b\u{fc}ro").into()] {
            let accounts = listed(&bytes).unwrap();
            assert_eq!(accounts, ["111111111111".parse().unwrap(), "222222222222".parse().unwrap()]);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, b"111111111111\n22222\n").unwrap();
        let (error, path) = (read(file.path()).unwrap_err().to_string(), file.path().display().to_string());
        assert!([path.as_str(), "line 2", "`22222`"].iter().all(|part| error.contains(part)), "{error}");
    }

    /// What the deployment's script does with a file of these bytes: the accounts, and its exit code.
    fn deployed(bytes: &[u8]) -> (Vec<String>, Option<i32>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, bytes).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../terraform/deploy/targets/each-account");
        // What stands in for Terraform prints its arguments.
        let run = Command::new(script)
            .arg("plan")
            .arg(file.path())
            .env("VERBOSE", "yes")
            .env("TERRAFORM", "echo")
            .output()
            .unwrap();
        let lines = String::from_utf8(run.stdout).unwrap();
        let accounts = lines.lines().filter_map(|line| line.split("account_id=").nth(1)).map(str::to_owned);
        // They are under way side by side.
        let accounts: std::collections::BTreeSet<String> = accounts.collect();
        (accounts.into_iter().collect(), run.status.code())
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
            let listed = listed(text).unwrap();
            assert_eq!(listed.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        }
        for wrong in
            [&b"111111111111\n22222\n"[..], b"111111111111 222222222222\n", b"\xff\xfe1\x001\x00\n\x00", b"#\r\n\r\n"]
        {
            assert_eq!(deployed(wrong), (Vec::new(), Some(2)), "{wrong:?}");
        }
    }
}
