//! Errors of the API client. None of them holds the token or a URL with it.

use std::time::Duration;

/// What went wrong, and with which page.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the API cannot be used.
    #[error("`{address}` cannot be used as the address of the Netskope API: {reason}")]
    Endpoint {
        /// What was given.
        address: String,
        /// Why not.
        reason: String,
    },
    /// The page size is out of the API's range.
    #[error("a page of {0} rows: the API takes 1 to {max}", max = crate::MAX_PAGE_SIZE)]
    PageSize(u32),
    /// The HTTP client could not be made.
    #[error("the HTTPS client could not be made: {0}")]
    Http(String),
    /// A page could not be had, so the list is not whole.
    #[error("page {page} of the violations of `{rule_name}`: {source}")]
    Page {
        /// The page's number, from 1.
        page: usize,
        /// The control that was asked for.
        rule_name: String,
        /// What went wrong.
        source: PageError,
    },
}

impl Error {
    /// Whether the API refused the token.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Page { source: PageError::Refused(_), .. })
    }
}

/// What went wrong with a page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The token is not accepted.
    #[error("the API refused the token ({0}): is it the tenant's REST API v1 token, and not expired?")]
    Refused(String),
    /// The answer was a redirect; following it would hand the token to another address.
    #[error("HTTP {0}, a redirect, is not followed because the token is in the URL: is the tenant's name right?")]
    Redirect(u16),
    /// Any other HTTP status.
    #[error("HTTP {status}: {message}")]
    Status {
        /// The status.
        status: u16,
        /// What the server said.
        message: String,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// The API answered with an error, whatever the HTTP status.
    #[error("the API answered with an error: {0}")]
    Api(String),
    /// The answer is not the JSON that is documented, or ends early.
    #[error("the answer is not a page of violations: {0}")]
    Malformed(String),
    /// The answer is larger than a page can be.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// No answer in time, or a broken connection.
    #[error("no whole answer: {0}")]
    Transport(String),
}

impl PageError {
    /// Whether another try may help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if let Self::Status { retry_after, .. } = self { *retry_after } else { None }
    }
}
