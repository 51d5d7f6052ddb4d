//! Text that another system sent, made readable before it is parsed.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// What stands where bytes were that are no text.
pub(crate) const UNREADABLE: char = char::REPLACEMENT_CHARACTER;
/// The text of a JSON document, in which neither a byte order mark, nor a byte that is not UTF-8, nor a character or an
/// escape that a string may not have keeps the rest from being read: what cannot stay becomes [`UNREADABLE`] or a
/// control character, which [`escape::is_unsafe`] knows.
/// <https://www.rfc-editor.org/rfc/rfc8259#section-7>, <https://www.rfc-editor.org/rfc/rfc8259#section-8.1>
pub(crate) fn readable(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body));
    let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
    if is_json { text } else { Cow::Owned(mended(&text)) }
}

/// The document with what its strings may not have replaced, letter by letter.
fn mended(text: &str) -> String {
    let (mut in_string, mut after_backslash) = (false, false);
    let letters = text.chars().map(|letter| {
        if after_backslash {
            after_backslash = false;
            return if "\"\\/bfnrtu".contains(letter) { letter } else { 'n' };
        }
        after_backslash = in_string && letter == '\\';
        in_string ^= letter == '"';
        if in_string && letter < ' ' { UNREADABLE } else { letter }
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_spoils_one_string_spoils_nothing_else() {
        for (broken, read) in [
            (&b"[\"a\xffb\", 1]"[..], "[\"a\u{fffd}b\", 1]"),
            (b"[\"a\x00b\"]", "[\"a\u{fffd}b\"]"),
            (b"[\"a\nb\",\n1]", "[\"a\u{fffd}b\",\n1]"),
            (b"[\"\\\xff\"]", "[\"\\n\"]"),
            (b"[\"\\x41\\\\\", \"\\\"\t\"]", "[\"\\n41\\\\\", \"\\\"\u{fffd}\"]"),
            (b"\xef\xbb\xbf[1]", "[1]"),
        ] {
            assert_eq!(readable(broken), read);
            serde_json::from_str::<IgnoredAny>(read).unwrap();
        }
    }

    proptest! {
        #[test]
        fn what_is_json_stays_as_it_is(text: String, number: i64) {
            let json = serde_json::json!([text, {"n": number}]).to_string();
            prop_assert_eq!(readable(json.as_bytes()), json.as_str());
        }

        #[test]
        fn any_bytes_within_a_string_leave_a_document(bytes: Vec<u8>) {
            // Without what ends the string, or begins an escape that ends too early.
            let inner: Vec<_> = bytes.into_iter().filter(|byte| !b"\"\\".contains(byte)).collect();
            let document = [b"[\"", &inner[..], b"\"]"].concat();
            prop_assert!(serde_json::from_str::<Vec<String>>(&readable(&document)).is_ok());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = readable(&bytes);
        }
    }
}
