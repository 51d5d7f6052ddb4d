//! A client for the one call of Netskope's REST API v1 that remediation needs: "View Security Assessment Violations",
//! `GET /api/v1/security_assessment`.
//!
//! How a list is read: [`Client::violations`] gives a [`Violations`], which asks for page after page, each of the same
//! moment (`as_of`), until one is empty. A page may be shorter than asked for, so the next begins after the rows that
//! came. Each [`Page`] says of each of its rows that it is a violation, one to skip, or invalid. What the API answers is
//! trusted for nothing: a list that repeats itself or does not end is an error like a page that cannot be read.
//!
//! Invariants:
//!
//! - A list is whole or an error: a page that is not JSON, ends early or is refused, and rows that come on two pages, end
//!   the list with an error that names the page.
//! - One bad row costs itself alone, whatever bytes are in it.
//! - The token travels in the URL, because v1 documents no other place for it. So no URL is kept in an error, no
//!   redirect is followed, and every text that the server sends back is redacted before it becomes part of an error.
//! - Memory is bounded by one page, and eight bytes a row; time by what the caller gives.

mod client;
mod error;
mod list;
mod page;
mod redact;
mod region;
mod skip;
mod text;
mod violation;

pub use client::{Client, Endpoint, MAX_PAGE_SIZE, Options};
pub use error::{Error, PageError};
pub use list::Violations;
pub use page::Page;
pub use region::Region;
pub use skip::{Skip, Skipped};
pub use violation::{InvalidItem, Violation};
