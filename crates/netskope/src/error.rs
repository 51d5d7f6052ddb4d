//! Errors of the API client. None of them holds the token or a URL with it.

use std::time::Duration;

use crate::ScanError;

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
    #[error("a page of {0} rows was asked for, but the API accepts 1 to {max}", max = crate::MAX_PAGE_SIZE)]
    PageSize(u32),
    /// A proxy or a file of certificates of the environment cannot be used.
    #[error(transparent)]
    Network(#[from] network::SettingError),
    /// The HTTP client could not be created.
    #[error("cannot create the HTTPS client: {0}")]
    Http(String),
    /// A page could not be read, so the list is incomplete.
    #[error("cannot read page {page} of the violations of `{rule_name}`: {source}")]
    Page {
        /// The page's number, from 1.
        page: usize,
        /// The control that was asked for.
        rule_name: String,
        /// What went wrong.
        source: PageError,
    },
    /// A scan was not started, as far as is known.
    #[error("cannot start a scan by Netskope's policy `{policy}`: {source}")]
    Scan {
        /// The policy's name.
        policy: String,
        /// What went wrong.
        source: ScanError,
    },
}

impl Error {
    /// Whether the API refused the token.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Page { source: PageError::Refused(_), .. })
    }

    /// Whether nothing at the API's address has ever answered, so that no other list can be read either.
    pub fn is_unreachable(&self) -> bool {
        let unreachable =
            |error: &PageError| matches!(error, PageError::Unreachable { .. } | PageError::Unconnected(_));
        matches!(self, Self::Page { source, .. } if unreachable(source))
    }
}

/// What went wrong with a page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The API refused the token.
    #[error(
        "the API refused the token ({0}). Check that it is the tenant's token for REST API v1, and that it has not \
         expired"
    )]
    Refused(String),
    /// The answer was a redirect; following it would hand the token to another address.
    #[error(
        "the API answered with a redirect (HTTP {0}), which is not followed because the URL holds the token. Check the \
         tenant's name"
    )]
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
    #[error("the answer to a request for {rows} row(s) is larger than {most} bytes, the most that is read of a page")]
    TooLarge {
        /// The most bytes that a page may have.
        most: usize,
        /// How many rows were asked for.
        rows: u32,
    },
    /// No answer in time, or a broken connection.
    #[error("the answer did not arrive, or not in full: {0}")]
    Transport(String),
    /// Nobody can say when the request may be sent, so that the tenant's rate is kept to.
    #[error("the request was not sent: {0}")]
    NoTurn(String),
    /// The API cannot be reached, and has never answered before.
    #[error(
        "{host} cannot be reached ({reason}). Check the tenant's name (netskope_tenant in Terraform, --netskope-tenant \
         on the command line), and that the network allows the connection"
    )]
    Unreachable {
        /// The name of the API's machine.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// The API cannot be reached, and what to look at is known: a proxy, a certificate or a name.
    #[error(transparent)]
    Unconnected(network::Failure),
    /// All of the page's rows were on pages before it.
    #[error(
        "all of its rows were on earlier pages, so the list would never end. The API, or a proxy in front of it, \
         ignores `skip`: ask Netskope's support"
    )]
    Repeats,
    /// The list has ended, and some of its rows came on two pages.
    #[error(
        "{0} row(s) of the list came on two pages, so as many others may be missing: the list changed while it was \
         read. The next poll reads it again; if this continues, ask Netskope's support"
    )]
    Overlaps(usize),
    /// The list has more pages or rows than any that is plausible.
    #[error(
        "the list goes on after {pages} pages and {rows} rows, so it is treated as one that never ends. If there \
         really are that many violations, mute or fix some in Netskope first"
    )]
    Endless {
        /// How many pages were read.
        pages: usize,
        /// How many rows they had.
        rows: usize,
    },
    /// As many requests were sent as may be, and the list goes on.
    #[error("the list goes on after as many requests as may be sent for it")]
    OutOfRequests,
    /// The time for reading the list is over, and the list is not.
    #[error(
        "no time was left to read the rest, after {pages} page(s) with {rows} row(s): the API is slow, or the list \
         never ends. The next poll starts again; if this continues, ask Netskope's support"
    )]
    OutOfTime {
        /// How many pages were read.
        pages: usize,
        /// How many rows they had.
        rows: usize,
    },
}

impl PageError {
    /// Whether nothing at the API's address has ever answered.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unconnected(_))
    }

    /// Whether another try may help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Transport(_) | Self::Unreachable { .. } => true,
            Self::Unconnected(failure) => !failure.is_permanent(),
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
