//! Text that is safe to show, and phrases made of counts.

/// The text with every character as an escape that a terminal would obey, that is not seen, or that moves others.
pub(crate) fn escaped(text: &str) -> String {
    replaced(text, is_unsafe, |letter| letter.escape_default().collect())
}

/// The same for JSON: the escapes are JSON's own, so that the document stays the same document.
pub(crate) fn escaped_json(document: &str) -> String {
    // Only strings can hold such a character, beside the line ends between the values.
    let is_unsafe = |letter| letter != '\n' && is_unsafe(letter);
    replaced(document, is_unsafe, |letter| {
        letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    })
}

/// The lines of the text, each escaped.
pub(crate) fn escaped_lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

fn replaced(text: &str, is_meant: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_meant(letter) {
            shown.push_str(&escape(letter));
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Control characters, and the format characters that hide text or change its direction.
/// <https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>,
/// <https://www.unicode.org/reports/tr44/#General_Category_Values>
fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_shown_as_an_escape() {
        for (text, shown) in [
            ("data\u{1b}[2J", "data\\u{1b}[2J"),
            ("a\r\nb\u{7f}\u{9b}31m", "a\\r\\nb\\u{7f}\\u{9b}31m"),
            ("\u{202e}gpj.exe\u{2066}\u{61c}\u{200f}", "\\u{202e}gpj.exe\\u{2066}\\u{61c}\\u{200f}"),
            ("a\u{200b}b\u{feff}\u{2028}\u{e0041}", "a\\u{200b}b\\u{feff}\\u{2028}\\u{e0041}"),
            ("büro/日本語 `x` \\ \"ok\"", "büro/日本語 `x` \\ \"ok\""),
        ] {
            assert_eq!(escaped(text), shown);
        }
        assert_eq!(escaped_lines("a\u{1b}\nb\n"), "a\\u{1b}\nb\n");
    }

    #[test]
    fn escaped_json_is_the_same_document() {
        let document = json!({"a\u{202e}": ["\u{9b}\u{1b}\n", "\u{e0041}", "日"], "n": {"deep": "\u{7f}"}});
        let text = escaped_json(&serde_json::to_string_pretty(&document).unwrap());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
        assert!(!text.chars().any(|letter| letter != '\n' && is_unsafe(letter)), "{text:?}");
        assert!(text.contains("日") && text.contains("\n  \"n\": {\n"), "{text}");
    }

    #[test]
    fn counts_of_nothing_are_left_out() {
        assert_eq!(listed([Count::of(0, "failed"), Count::of(2, "fixed"), Count::of(1, "held")]), "2 fixed, 1 held");
        assert_eq!((counted(1, "finding"), counted(0, "finding")), ("1 finding".into(), "0 findings".into()));
    }
}
