//! Words for people, of names that others gave.

use std::collections::BTreeSet;

/// The most characters of a line.
pub(crate) const MOST_OF_LINE: usize = 1_000;

/// A text from outside on one line, at most `most` characters: escaped, and without what is more than a character in a
/// template of EventBridge (quotes, backslashes, angle brackets) or in Markdown's code (backquotes).
pub(crate) fn plain(text: &str, most: usize) -> String {
    let letters = escape::beginning(text, most);
    letters
        .chars()
        .map(|letter| match letter {
            '"' | '`' => '\'',
            '\\' => '/',
            '<' => '‹',
            '>' => '›',
            letter => letter,
        })
        .collect()
}

/// `1 finding`, `2 findings`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The first items, and how many there are beside them.
pub(crate) fn first(items: impl Iterator<Item = String>, most: usize, further: usize) -> String {
    let mut items: Vec<_> = items.collect();
    let further = further.saturating_add(items.len().saturating_sub(most));
    items.truncate(most);
    let told = items.join(", ");
    if further > 0 { format!("{told} and {further} more") } else { told }
}

/// The first reasons, each once, in their order.
pub(crate) fn reasons<'a>(all: impl Iterator<Item = &'a str>, most: usize) -> String {
    let mut known = BTreeSet::new();
    let distinct: Vec<_> = all.filter(|reason| known.insert(*reason)).collect();
    let more = distinct.len().saturating_sub(most);
    let told = distinct.into_iter().take(most).collect::<Vec<_>>().join("; ");
    if more > 0 { format!("{told}; and {more} more") } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_template_or_a_chat_would_obey_is_no_part_of_a_text() {
        assert_eq!(plain("a\"b`c\\d<!here>\n\u{1b}[2J", 100), "a'b'c/d‹!here›/u{a}/u{1b}[2J");
        assert_eq!(plain("xxxx", 3), "xxx…");
    }

    #[test]
    fn of_many_items_the_first_are_told_and_how_many_there_are_beside_them() {
        let items = || ["a", "b", "c"].into_iter().map(str::to_owned);
        assert_eq!(first(items(), 3, 0), "a, b, c");
        assert_eq!(first(items(), 2, 4), "a, b and 5 more");
        assert_eq!(reasons(["x", "y", "x", "z"].into_iter(), 2), "x; y; and 1 more");
        assert_eq!((counted(1, "plan"), counted(2, "plan")), ("1 plan".into(), "2 plans".into()));
    }
}
