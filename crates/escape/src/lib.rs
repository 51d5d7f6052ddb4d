//! Text from outside, made safe to show: on a terminal, in a log, in an error.
//!
//! A name may hold characters that a terminal obeys (ESC, CR), that reorder the text around them (bidirectional
//! controls), that nobody sees (zero-width characters, tags, variation selectors), or that end a line. Each of them is
//! shown as `\u{…}`, its number in hexadecimal digits. All other text stays as it is. [`is_unsafe`] alone decides which
//! characters these are, by Unicode's own properties, for terminals, logs, errors and the names that rows may hold.
//!
//! In JSON the escapes are JSON's own ([`json`]), so that a document stays the same document.

use std::io::{self, Write};

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The most of a text that [`brief`] shows, in characters.
pub const BRIEF: usize = 300;

/// Whether a character is shown as an escape: it is a control or format character, ends a line, is not seen, or has no
/// meaning that is known (private use, not assigned).
/// <https://www.unicode.org/reports/tr44/#General_Category_Values>,
/// <https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point>,
/// <https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>
pub fn is_unsafe(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(letter);
    let unsafe_categories = GeneralCategoryGroup::Other
        .union(GeneralCategoryGroup::LineSeparator)
        .union(GeneralCategoryGroup::ParagraphSeparator);
    unsafe_categories.contains(category) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter)
}

/// The text on one line, with each unsafe character as `\u{…}`; a line end too.
pub fn escaped(text: &str) -> String {
    letters(text).collect()
}

/// The beginning of the text, escaped: at most `most` characters, and `…` where there are more.
pub fn beginning(text: &str, most: usize) -> String {
    let mut letters = letters(text);
    let mut shown: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The first [`BRIEF`] characters of the text, escaped.
pub fn brief(text: &str) -> String {
    beginning(text, BRIEF)
}

/// A JSON document with each unsafe character in its strings as JSON's own escape. It stays the same document; the line
/// ends between its values stay too.
pub fn json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for letter in document.chars() {
        // A string cannot hold a line end, so this one is between values.
        if letter == '\n' || !is_unsafe(letter) {
            shown.push(letter);
        } else {
            let units =
                letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            shown.push_str(&units);
        }
    }
    shown
}

fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(|letter| {
        let is_unsafe = is_unsafe(letter);
        let escape = is_unsafe.then(|| letter.escape_unicode()).into_iter().flatten();
        escape.chain((!is_unsafe).then_some(letter))
    })
}

/// Where a log goes: each write is one line, which is escaped. A line end within it is too, so that no text can look
/// like a line of its own.
#[derive(Debug)]
pub struct Log<W> {
    to: W,
    escape: fn(&str) -> String,
}

impl<W: Write> Log<W> {
    /// A log of plain text.
    pub fn text(to: W) -> Self {
        Self { to, escape: escaped }
    }

    /// A log of JSON documents, one a line.
    pub fn json(to: W) -> Self {
        Self { to, escape: json }
    }
}

impl<W: Write> Write for Log<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let shown = match text.strip_suffix('\n') {
            Some(line) => (self.escape)(line) + "\n",
            None => (self.escape)(&text),
        };
        self.to.write_all(shown.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What a formula begins with, in letters of either width.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A cell of comma-separated values that no spreadsheet runs: with an apostrophe before it where it begins as a formula does.
/// <https://owasp.org/www-community/attacks/CSV_Injection>
#[must_use]
pub fn csv_cell(escaped: String) -> String {
    let is_formula = escaped.starts_with(['\t', '\r', '\n']) || escaped.trim_start().starts_with(FORMULA);
    if is_formula { format!("'{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{BRIEF, Log, beginning, brief, escaped, is_unsafe, json as escaped_json};
    use std::io::Write;

    /// Characters that a terminal obeys or hides, or that move others: by name, apart from the properties.
    const NAMED: &str = "\0\u{7}\u{8}\t\n\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{9d}\u{9f}\u{ad}\u{34f}\u{61c}\u{115f}\
        \u{1160}\u{17b4}\u{180b}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\
        \u{202c}\u{202d}\u{202e}\u{2060}\u{2061}\u{2064}\u{2066}\u{2067}\u{2068}\u{2069}\u{206a}\u{206f}\u{3164}\
        \u{fe00}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{fffb}\u{e000}\u{1d173}\u{e0001}\u{e0041}\u{e007f}\u{e0100}\u{e01ef}\
        \u{f0000}\u{10ffff}";

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_shown_as_an_escape() {
        for (text, shown) in [
            ("data\u{1b}[2J", "data\\u{1b}[2J"),
            ("a\r\nb\u{7f}\u{9b}31m", "a\\u{d}\\u{a}b\\u{7f}\\u{9b}31m"),
            ("\u{1b}]8;;http://x\u{7}link", "\\u{1b}]8;;http://x\\u{7}link"),
            ("\u{202e}gpj.exe\u{2066}\u{61c}\u{200f}", "\\u{202e}gpj.exe\\u{2066}\\u{61c}\\u{200f}"),
            ("a\u{200b}b\u{feff}\u{2028}\u{e0041}", "a\\u{200b}b\\u{feff}\\u{2028}\\u{e0041}"),
            ("büro/日本語 e\u{301} שלום 🦀 `x` \\ \"ok\"", "büro/日本語 e\u{301} שלום 🦀 `x` \\ \"ok\""),
        ] {
            assert_eq!(escaped(text), shown);
        }
        for letter in NAMED.chars() {
            assert_eq!(escaped(&letter.to_string()), format!("\\u{{{:x}}}", u32::from(letter)));
        }
    }

    #[test]
    fn a_brief_text_is_cut_after_it_is_escaped() {
        assert_eq!(brief(&"x".repeat(BRIEF)), "x".repeat(BRIEF));
        assert_eq!(brief(&"x".repeat(BRIEF + 1)), "x".repeat(BRIEF) + "…");
        assert_eq!(brief(&"\n".repeat(1 << 20)), "\\u{a}".repeat(BRIEF / 5) + "…");
        assert_eq!((beginning("ab", 1), beginning("", 0)), ("a…".into(), String::new()));
    }

    #[test]
    fn escaped_json_is_the_same_document() {
        let document = json!({"a\u{202e}": ["\u{9b}\u{1b}\n", "\u{e0041}", "日"], "n": {"deep": "\u{7f}"}});
        let text = escaped_json(&serde_json::to_string_pretty(&document).unwrap());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
        assert!(text.contains("日") && text.contains("\n  \"n\": {\n"), "{text}");
    }

    #[test]
    fn a_line_of_a_log_stays_one_line() {
        let mut text = Vec::new();
        let line = "WARN role \u{1b}[2Jx\u{202e}\nERROR forged\n";
        assert_eq!(Log::text(&mut text).write(line.as_bytes()).unwrap(), line.len());
        assert_eq!(String::from_utf8(text).unwrap(), "WARN role \\u{1b}[2Jx\\u{202e}\\u{a}ERROR forged\n");
        let mut text = Vec::new();
        Log::json(&mut text).write_all("{\"a\":\"\u{9b}\u{202e}\"}\n".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "{\"a\":\"\\u009b\\u202e\"}\n");
    }

    /// Any text, with many of the named characters in it.
    fn texts() -> impl Strategy<Value = String> {
        let named = NAMED.chars().collect::<Vec<_>>();
        prop::collection::vec(prop_oneof![any::<char>(), prop::sample::select(named)], 0..50)
            .prop_map(|letters| letters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn nothing_that_is_shown_is_unsafe(text in texts(), most in 0..400_usize) {
            prop_assert!(!escaped(&text).chars().any(is_unsafe));
            let cut = beginning(&text, most);
            prop_assert!(!cut.chars().any(is_unsafe) && cut.chars().count() <= most + 1);
            let mut log = Vec::new();
            Log::text(&mut log).write_all(text.as_bytes()).unwrap();
            let log = String::from_utf8(log).unwrap();
            prop_assert!(!log.strip_suffix('\n').unwrap_or(&log).chars().any(is_unsafe));
        }

        #[test]
        fn any_document_stays_the_same(key in texts(), value in texts(), pretty: bool) {
            let document = json!({ key: [value] });
            let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
            let shown = escaped_json(&text.unwrap());
            prop_assert!(!shown.chars().any(|letter| letter != '\n' && is_unsafe(letter)));
            prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), document);
        }

        #[test]
        fn what_is_safe_stays(text in "[ -~äöü日本語]*") {
            prop_assert_eq!(escaped(&text), text);
        }
    }
}
