//! The code of an MFA device, asked of the person at the terminal.

use std::io;

use tokio::task;

use crate::error::NoCredentials;

/// Asks the person at the terminal. It fails where there is none.
pub(crate) type Ask = fn(question: &str) -> io::Result<String>;

/// The code of the device that the profile names. The question waits for as long as the person does.
///
/// # Errors
///
/// There is no terminal, or what was typed is no code.
pub(super) async fn code(ask: Ask, profile: &str, serial: &str) -> Result<String, NoCredentials> {
    let question = format!("MFA code of {serial}, for the profile {profile}: ");
    let typed = task::spawn_blocking(move || ask(&question)).await.map_err(io::Error::other).flatten();
    let Ok(typed) = typed else {
        let reason =
            format!("the profile `{profile}` needs a code of the MFA device {serial}, and there is no terminal");
        let advice = format!(
            "get a session on one, and give it in the environment and not by --profile: eval \"$(aws configure \
             export-credentials --profile {profile} --format env)\""
        );
        return Err(NoCredentials { reason, advice });
    };
    let code = typed.trim();
    if is_code(code) {
        return Ok(code.to_owned());
    }
    let reason = format!("what was typed for the profile `{profile}` is no code of an MFA device");
    Err(NoCredentials { reason, advice: "type its six digits".to_owned() })
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html> (`TokenCode`)
fn is_code(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_six_digits() {
        assert!(is_code("012345"));
        for text in ["", "12345", "1234567", "12345a", "١٢٣"] {
            assert!(!is_code(text), "{text}");
        }
    }
}
