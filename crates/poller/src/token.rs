//! The Netskope token: given, or from Secrets Manager, read once and again when Netskope refuses it.

use aws_sdk_secretsmanager::Client;
use remediation::Error;
use secrecy::SecretString;
use tokio::sync::Mutex;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The call failed.
    #[error(transparent)]
    Api(#[from] Error),
    /// The secret is there, but holds no text.
    #[error(
        "secretsmanager:GetSecretValue: the secret holds no text: set the tenant's REST API v1 token with Terraform"
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

    /// The token that was read last, or is read now.
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

    /// The token that is read now, because the cached one was refused.
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
        let text = answer.secret_string.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        text.map(SecretString::from).ok_or(TokenError::Empty)
    }
}
