//! What was found, and what became of it, over a span of days: from stored records to numbers, CSV and one page.
//!
//! A [`History`] takes records one by one, the oldest first, and keeps one [`Life`] a finding: when Netskope saw it first,
//! when we did, what was planned, who approved it, what was written, what proved it, what Netskope says of it, what was taken back. A [`Summary`] is
//! that history in numbers, and it alone is printed: as JSON, as [`csv`], and as the [`page`]. So all three say the same.
//!
//! Nothing here reads a store or a clock: which records there are, and what time it is, is said by the caller. Names in
//! records are anybody's. They are escaped where a person reads them, and no spreadsheet or browser is given one to run.

pub mod csv;
mod history;
mod life;
pub mod page;
mod summary;
#[cfg(test)]
mod tests;

pub use history::{History, Scope, in_order};
pub use life::{Approver, Closure, Fix, Life, Proof, State, Step, Wait};
pub use summary::{Counts, Day, Group, Numbers, Summary, Times, duration};
