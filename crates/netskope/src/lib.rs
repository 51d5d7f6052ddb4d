//! A client for the one call of Netskope's REST API v1 that remediation needs: "View Security Assessment Violations",
//! `GET /api/v1/security_assessment`.
//!
//! Invariants:
//!
//! - A list is whole or an error: a page that is not JSON, ends early or is refused ends the stream with an error that
//!   names the page.
//! - Every page of a list is of the same moment (`as_of`), so that rows do not move between pages.
//! - The token travels in the URL, because v1 documents no other place for it. So no URL is kept in an error, no
//!   redirect is followed, and every text that the server sends back is redacted before it becomes part of an error.
//! - Memory is bounded by one page.

mod client;
mod error;
mod region;
mod violation;

pub use client::{Client, Endpoint, MAX_PAGE_SIZE, Options, Page};
pub use error::{Error, PageError};
pub use region::Region;
pub use violation::{InvalidItem, Violation};
