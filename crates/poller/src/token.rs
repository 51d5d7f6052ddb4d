//! The Netskope token: given by a person, or read from Secrets Manager, and read again when Netskope refuses it.

use aws_sdk_secretsmanager::Client;
use remediation::Error;
use secrecy::SecretString;
use tokio::sync::Mutex;

/// Why the token cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The call failed.
    #[error(transparent)]
    Api(#[from] Error),
    /// The secret holds no text.
    #[error(
        "secretsmanager:GetSecretValue: the secret holds no token. With Terraform, set the tenant's token for REST \
         API v1"
    )]
    Empty,
}

/// Where the token comes from.
#[derive(Debug)]
pub struct TokenSource {
    origin: Origin,
    cached: Mutex<Option<SecretString>>,
}

#[derive(Debug)]
enum Origin {
    Secret { client: Client, secret: String },
    Given(SecretString),
}

impl TokenSource {
    /// The token in the secret `secret` (its ARN or name).
    pub fn new(client: Client, secret: String) -> Self {
        Self { origin: Origin::Secret { client, secret }, cached: Mutex::default() }
    }

    /// The token that a person gave; it stays the same.
    pub fn given(token: SecretString) -> Self {
        Self { origin: Origin::Given(token), cached: Mutex::default() }
    }

    /// The token: the cached one, or else as it is read now.
    ///
    /// # Errors
    ///
    /// It could not be read.
    pub async fn get(&self) -> Result<SecretString, TokenError> {
        let mut cached = self.cached.lock().await;
        if let Some(token) = &*cached {
            return Ok(token.clone());
        }
        let token = self.read().await?;
        *cached = Some(token.clone());
        Ok(token)
    }

    /// Reads the token again, because Netskope refused the cached one.
    ///
    /// # Errors
    ///
    /// It could not be read.
    pub async fn renew(&self) -> Result<SecretString, TokenError> {
        *self.cached.lock().await = None;
        self.get().await
    }

    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
    async fn read(&self) -> Result<SecretString, TokenError> {
        let (client, secret) = match &self.origin {
            Origin::Secret { client, secret } => (client, secret),
            Origin::Given(token) => return Ok(token.clone()),
        };
        let answer = client.get_secret_value().secret_id(secret).send().await;
        let answer = answer.map_err(|error| Error::api("secretsmanager:GetSecretValue", error))?;
        // A file that Windows wrote begins with a byte order mark.
        let text = answer.secret_string.map(|text| text.trim_start_matches('\u{feff}').trim().to_owned());
        let text = text.filter(|text| !text.is_empty());
        text.map(SecretString::from).ok_or(TokenError::Empty)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::error::ErrorMetadata;
    use aws_sdk_secretsmanager::operation::get_secret_value::{GetSecretValueError, GetSecretValueOutput};
    use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;
    use secrecy::ExposeSecret;

    use super::*;

    fn holding(text: Option<&'static str>) -> MockRule {
        mock!(Client::get_secret_value)
            .match_requests(|request| request.secret_id() == Some("the-secret"))
            .then_output(move || GetSecretValueOutput::builder().set_secret_string(text.map(str::to_owned)).build())
    }

    fn source(rules: &[&MockRule]) -> TokenSource {
        let client = mock_client!(aws_sdk_secretsmanager, RuleMode::MatchAny, rules);
        TokenSource::new(client, "the-secret".into())
    }

    #[tokio::test]
    async fn the_token_is_read_once_and_again_when_it_was_refused() {
        let secret = holding(Some("the-token"));
        let source = source(&[&secret]);
        for (renew, calls) in [(false, 1), (false, 1), (true, 2), (false, 2)] {
            let token = if renew { source.renew().await } else { source.get().await };
            assert_eq!((token.unwrap().expose_secret(), secret.num_calls()), ("the-token", calls));
        }
    }

    #[tokio::test]
    async fn space_around_the_token_is_not_part_of_it() {
        for text in [" the-token\n", "\u{feff}the-token\r\n"] {
            assert_eq!(source(&[&holding(Some(text))]).get().await.unwrap().expose_secret(), "the-token");
        }
    }

    #[tokio::test]
    async fn a_secret_without_a_text_says_what_to_do() {
        for text in [None, Some(""), Some(" \n")] {
            let error = source(&[&holding(text)]).get().await.unwrap_err().to_string();
            assert!(error.contains("secretsmanager:GetSecretValue") && error.contains("set the tenant's"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_failed_read_names_the_action_and_is_not_remembered() {
        let denied = || GetSecretValueError::generic(ErrorMetadata::builder().code("AccessDeniedException").build());
        let secret = mock!(Client::get_secret_value)
            .sequence()
            .error(denied)
            .output(|| GetSecretValueOutput::builder().secret_string("the-token").build())
            .build();
        let source = source(&[&secret]);
        let error = source.get().await.unwrap_err().to_string();
        assert!(error.starts_with("secretsmanager:GetSecretValue: AccessDeniedException"), "{error}");
        assert_eq!(source.get().await.unwrap().expose_secret(), "the-token");
    }

    #[tokio::test]
    async fn a_given_token_stays_the_same() {
        let source = TokenSource::given(SecretString::from("the-token"));
        assert_eq!(source.get().await.unwrap().expose_secret(), "the-token");
        assert_eq!(source.renew().await.unwrap().expose_secret(), "the-token");
    }

    #[tokio::test]
    async fn the_token_is_in_no_error_and_no_debug_text() {
        let body = r#"{"SecretString": "the-token", "CreatedDate": "no number"}"#;
        let unreadable = mock!(Client::get_secret_value)
            .then_http_response(move || HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body)));
        let error = source(&[&unreadable]).get().await.unwrap_err();
        let cached = source(&[&holding(Some("the-token"))]);
        cached.get().await.unwrap();
        let given = TokenSource::given(SecretString::from("the-token"));
        for text in [error.to_string(), format!("{error:?}"), format!("{cached:?}"), format!("{given:?}")] {
            assert!(!text.contains("the-token"), "{text}");
        }
    }
}
