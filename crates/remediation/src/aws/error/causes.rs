//! An error and its causes in one line that a person can read.
//!
//! Some errors of the SDK print their fields, or a whole answer, as they are in memory. Their Debug text can hold an
//! answer's body, which is a session's credentials, or a token, so nothing of it is ever printed.

use aws_config::imds::client::error::ImdsError;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_types::error::ErrorMetadata;

/// What AWS says after "the signature does not match": the request as it should have been, a session's token included.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const CANONICAL: &str = "The Canonical String";
/// What EC2 writes before the encoded details of a refusal: thousands of characters, which only who may call
/// sts:DecodeAuthorizationMessage can read.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html>
const ENCODED: &str = "Encoded authorization failure message:";
/// How the SDK begins what it says of an error that its model does not name. The next cause says the same with the
/// service's own words.
const UNNAMED: &str = "unhandled error";

/// An error with its causes in one line. A cause that repeats the one before is left out.
pub fn plain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut said: Vec<_> = causes.map(sentence).filter(|text| !text.starts_with(UNNAMED) && !text.is_empty()).collect();
    said.dedup();
    // A list of where credentials were looked for has several lines.
    said.join(": ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A service's own words, as far as they may be seen and can be read.
pub(super) fn visible(said: &str) -> String {
    let said = said.split(CANONICAL).next().unwrap_or_default().trim_end();
    let Some((before, encoded)) = said.split_once(ENCODED) else { return said.to_owned() };
    let after = encoded.trim_start().split_once(char::is_whitespace).map_or("", |(_, after)| after);
    format!("{} {after}", before.trim_end()).trim().to_owned()
}

/// One error without its causes; nothing where it says less than its cause does.
fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    if error.is::<CredentialsError>() && error.source().is_some() {
        return String::new();
    }
    if let Some(metadata) = error.downcast_ref::<ErrorMetadata>() {
        let parts = [metadata.code().map(str::to_owned), metadata.message().map(visible)];
        return parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
    }
    if let Some(ImdsError::ErrorResponse(answer)) = error.downcast_ref() {
        let status = answer.response().status().as_u16();
        return format!("the instance's metadata service answered with status {status}");
    }
    visible(&error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io;

    use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;

    use super::*;

    #[test]
    fn an_error_that_the_model_does_not_name_is_told_in_the_services_words() {
        let metadata = ErrorMetadata::builder().code("AccessDenied").message("Not authorized").build();
        let error = CredentialsError::provider_error(AssumeRoleWithWebIdentityError::generic(metadata));
        assert_eq!(plain(&error), "AccessDenied: Not authorized");
    }

    #[test]
    fn the_request_that_aws_repeats_is_not_shown() {
        let said = "The request signature we calculated does not match.\n\nThe Canonical String for this request should \
                    have been\n'POST\n/\n\nx-amz-security-token:a-secret'";
        assert_eq!(visible(said), "The request signature we calculated does not match.");
        let metadata = ErrorMetadata::builder().code("SignatureDoesNotMatch").message(said).build();
        let error = CredentialsError::provider_error(AssumeRoleWithWebIdentityError::generic(metadata));
        assert!(!plain(&error).contains("a-secret"), "{}", plain(&error));
    }

    #[test]
    fn causes_are_one_line_without_repetition() {
        let error = CredentialsError::provider_error(io::Error::other("first\n  second"));
        assert_eq!(plain(&error), "first second");
    }
}
