//! Phrases made of counts.

/// How many there are of something.
pub(crate) struct Count {
    pub(crate) count: usize,
    pub(crate) what: String,
}

impl Count {
    pub(crate) fn of(count: usize, what: impl Into<String>) -> Self {
        Self { count, what: what.into() }
    }
}

/// Counts in words, without those of nothing.
pub(crate) fn listed(counts: impl IntoIterator<Item = Count>) -> String {
    let counts = counts.into_iter().filter(|Count { count, .. }| *count > 0);
    counts.map(|Count { count, what }| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// `1 finding`, `2 findings`.
pub(crate) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// A word of a command line, as a shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@%+,".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_read_more_into_it() {
        for (word, expected) in [
            ("s3://bucket/reports/r/2026-01-02/x-1.json", "s3://bucket/reports/r/2026-01-02/x-1.json"),
            ("my records/x", "'my records/x'"),
            ("it's; rm", "'it'\\''s; rm'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn counts_of_nothing_are_left_out() {
        assert_eq!(listed([Count::of(0, "failed"), Count::of(2, "fixed"), Count::of(1, "held")]), "2 fixed, 1 held");
        assert_eq!((counted(1, "finding"), counted(0, "finding")), ("1 finding".into(), "0 findings".into()));
    }
}
