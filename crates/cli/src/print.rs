//! What people and scripts see. Nothing here knows which command prints.
//!
//! Names of resources, notes, reasons and errors come from whoever made them, and a terminal obeys what it is sent. So
//! there is one way out for each kind of output, and each of them escapes: a [`page::Page`] for standard output,
//! [`page::complain`] for standard error, [`progress`] for the bar and the logs, [`question`] for questions. All of
//! them use the crate `escape`.

pub(crate) mod colour;
pub(crate) mod line;
pub(crate) mod list;
pub(crate) mod page;
pub(crate) mod pager;
pub(crate) mod pauses;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod question;
pub(crate) mod report;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;
