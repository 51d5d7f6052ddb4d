//! A client for the calls of Netskope's REST API v1 that remediation needs: "View Security Assessment Violations",
//! `GET /api/v1/security_assessment`, and, where somebody wants a scan, `GET /api/v1/csa_scan` ([`Client::start_scan`]).
//!
//! How a list is read: [`Client::violations`] gives a [`Violations`], which asks for page after page, each of the same
//! moment (`as_of`), until one is empty. A page may be shorter than asked for, so the next begins after the rows that
//! came. A [`Page`] sorts its rows into violations, rows to skip and invalid rows. Nothing in an answer is trusted: a
//! list that repeats itself or does not end is an error, like a page that cannot be read.
//!
//! Invariants:
//!
//! - A list is complete, or it ends with an error that names the page: one that is not JSON, ends early, is refused, or
//!   holds rows that an earlier page had.
//! - A bad row affects no other row, whatever bytes are in it.
//! - The token travels in the URL, because v1 documents no other place for it. So no URL is kept in an error, no
//!   redirect is followed, every text that the server sends back is redacted before it becomes part of an error, and a
//!   row that holds the token is invalid.
//! - Memory is bounded by one page, of which the size is bounded, and eight bytes for each row. Time is bounded by the
//!   caller.

mod body;
mod client;
mod error;
mod filter;
mod list;
mod pace;
mod page;
mod redact;
mod region;
mod scan;
mod skip;
mod text;
mod violation;

pub use client::{Client, Endpoint, MAX_PAGE_SIZE, Options, Transport};
pub use error::{Error, PageError};
pub use filter::{Filter, Filters, InvalidFilters};
pub use list::Violations;
pub use pace::Pace;
pub use page::Page;
pub use region::Region;
pub use scan::ScanError;
pub use skip::{Skip, Skipped};
pub use violation::{InvalidItem, Violation};
