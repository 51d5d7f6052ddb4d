//! Text that another system sent, made readable before it is parsed.

use serde::de::IgnoredAny;

/// What stands where bytes were that are no text.
pub(crate) const UNREADABLE: char = char::REPLACEMENT_CHARACTER;
/// The text of a JSON document, in which neither a byte order mark, nor a byte that is not UTF-8, nor a character or an
/// escape that a string may not have keeps the rest from being read: what cannot stay becomes [`UNREADABLE`] or a
/// control character, which [`escape::is_unsafe`] knows.
/// <https://www.rfc-editor.org/rfc/rfc8259#section-7>, <https://www.rfc-editor.org/rfc/rfc8259#section-8.1>
///
/// It takes the bytes, so that no more than two copies of a page are ever held.
pub(crate) fn readable(mut body: Vec<u8>) -> String {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if body.starts_with(MARK) {
        body.drain(..MARK.len());
    }
    let text = String::from_utf8(body).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
    if is_json { text } else { mended(&text) }
}

/// The document with what its strings may not have replaced, letter by letter.
fn mended(text: &str) -> String {
    let (mut in_string, mut after_backslash) = (false, false);
    let longer = text.bytes().filter(|byte| *byte < b' ').count().saturating_mul(UNREADABLE.len_utf8() - 1);
    let mut mended = String::with_capacity(text.len().saturating_add(longer));
    for letter in text.chars() {
        if after_backslash {
            after_backslash = false;
            mended.push(if "\"\\/bfnrtu".contains(letter) { letter } else { 'n' });
            continue;
        }
        after_backslash = in_string && letter == '\\';
        in_string ^= letter == '"';
        mended.push(if in_string && letter < ' ' { UNREADABLE } else { letter });
    }
    mended
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
            assert_eq!(readable(broken.to_vec()), read);
            serde_json::from_str::<IgnoredAny>(read).unwrap();
        }
    }

    proptest! {
        #[test]
        fn what_is_json_stays_as_it_is(text: String, number: i64) {
            let json = serde_json::json!([text, {"n": number}]).to_string();
            prop_assert_eq!(readable(json.clone().into_bytes()), json);
        }

        #[test]
        fn any_bytes_within_a_string_leave_a_document(bytes: Vec<u8>) {
            // Without what ends the string, or begins an escape that ends too early.
            let inner: Vec<_> = bytes.into_iter().filter(|byte| !b"\"\\".contains(byte)).collect();
            let document = [b"[\"", &inner[..], b"\"]"].concat();
            prop_assert!(serde_json::from_str::<Vec<String>>(&readable(document)).is_ok());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = readable(bytes);
        }
    }
}
