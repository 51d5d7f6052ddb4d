//! AWS as every rule sees it: accounts, regions, ARNs, sessions, calls and their errors.

mod account;
mod arn;
mod call;
mod concurrency;
mod error;
mod http;
mod loader;
mod region;
mod sessions;
mod signing;
mod target;
mod together;
mod traffic;

pub use account::{AccountId, InvalidAccountId};
pub use arn::Arn;
pub use call::{again_if_passing, call, counted};
pub(crate) use concurrency::of_no_account;
pub use concurrency::{Concurrency, Most, WritePermit};
pub use error::{Error, ErrorKind, Result, plain};
pub use loader::sdk_loader;
pub use region::{Region, partition};
pub use sessions::{Access, Sessions, SourceIdentity};
pub use target::{SERVICE_ROLE_SUFFIX, SessionKind, Target, TargetRole, UNDO_ROLE_SUFFIX};
pub use together::Together;
pub use traffic::Traffic;
