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

    /// Whether nothing at the API's address has ever answered, so that no other list can be had either.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Page { source: PageError::Unreachable { .. }, .. })
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
    /// There is no connection to the API, and there was none before.
    #[error(
        "{host} cannot be reached ({reason}): is the tenant's name right (netskope_tenant in Terraform, \
         --netskope-tenant on the command line), and does the network let this through?"
    )]
    Unreachable {
        /// The name of the API's machine.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// All of the page's rows were on pages before it.
    #[error(
        "all of its rows were on earlier pages, so the list would never end: the API, or a proxy before it, does not \
         heed `skip`; ask Netskope's support"
    )]
    Repeats,
    /// The list has ended, and some of its rows came on two pages.
    #[error(
        "{0} row(s) of the list came on two pages, so as many others may be missing: the list moved while it was \
         read, and the next poll reads it again; if this stays so, ask Netskope's support"
    )]
    Overlaps(usize),
    /// The list has more pages or rows than any that is plausible.
    #[error(
        "the list goes on after {pages} pages and {rows} rows, so it is taken for one that never ends; if there \
         really are as many violations, mute or fix some in Netskope first"
    )]
    Endless {
        /// How many pages were read.
        pages: usize,
        /// How many rows they had.
        rows: usize,
    },
    /// The time that was given ended before the list.
    #[error(
        "no time was left to read it, after {pages} page(s) and {rows} row(s): the API is slow, or the list never \
         ends; the next poll begins anew, and if this stays so, ask Netskope's support"
    )]
    OutOfTime {
        /// How many pages were read.
        pages: usize,
        /// How many rows they had.
        rows: usize,
    },
}

impl PageError {
    /// Whether another try may help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Transport(_) | Self::Unreachable { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// The error with the texts that came from outside as `clean` makes them.
    pub(crate) fn cleaned(self, clean: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Refused(said) => Self::Refused(clean(&said)),
            Self::Api(said) => Self::Api(clean(&said)),
            Self::Malformed(what) => Self::Malformed(clean(&what)),
            other => other,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if let Self::Status { retry_after, .. } = self { *retry_after } else { None }
    }
}
