//! What comes from outside, fed to whatever reads it: a target for each kind of text.
//!
//! A target takes any bytes. It reads them as the product does, does with what came out what the product does first
//! (compares times, counts, fills in names), and asserts what holds of every result. A panic is the only failure, so what
//! is refused as it should be is no finding.
//!
//! Two use these same functions: the fuzzer in `fuzz/`, which makes up the bytes, and this crate's test, which feeds each
//! target with the corpus in `fuzz/corpus/<target>/`. What once panicked stays in the corpus.
//!
//! A target that takes several texts has them apart by a zero byte, which none of them can hold.

mod names;
mod outside;
mod policy;
mod records;

/// A kind of text, and what reads it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Reads any bytes.
    ///
    /// # Panics
    ///
    /// What reads them panics, or gives what must not be.
    pub feed: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "approval", feed: records::approval },
    Target { name: "arn", feed: names::arn },
    Target { name: "batch", feed: records::batch },
    Target { name: "card", feed: records::card },
    Target { name: "event", feed: outside::event },
    Target { name: "exemption", feed: policy::exemption },
    Target { name: "failure", feed: outside::failure },
    Target { name: "fight", feed: policy::fight },
    Target { name: "key", feed: names::key },
    Target { name: "ledger", feed: records::ledger },
    Target { name: "organization", feed: policy::organization },
    Target { name: "page", feed: outside::page },
    Target { name: "pauses", feed: records::pauses },
    Target { name: "plan", feed: records::plan },
    Target { name: "policy", feed: policy::policy },
    Target { name: "region", feed: names::region },
    Target { name: "report", feed: records::report },
];

/// The rule of every record that a target reads.
const RULE: &str = "s3-public-bucket";

/// The texts of a target that takes `N`; those that are missing are empty.
fn texts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut texts = data.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| texts.next().unwrap_or_default())
}

/// The moments at which a target asks: that of the text, where it is one, and both ends of time.
fn moments(text: &[u8]) -> impl Iterator<Item = jiff::Timestamp> {
    let given = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    [jiff::Timestamp::MIN, jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MAX].into_iter().chain(given)
}
