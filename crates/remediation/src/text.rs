//! Text that people and other systems wrote, read up to a length, and in the encodings in which Windows' tools write it; and
//! JSON that is the same text in every build.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read};

use serde_json::Value;

/// Reads all of `from`, where that is at most `most` bytes.
///
/// # Errors
///
/// It cannot be read, or is longer ([`io::ErrorKind::FileTooLarge`]); of what is longer, nothing after the first byte too
/// many is read.
pub fn read_at_most(from: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let (mut bytes, limit) = (Vec::new(), u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1));
    from.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        let message = format!("it has more than {most} bytes, so it was not read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// The bytes as UTF-8 without a byte order mark. UTF-16 is known by its mark; every other text is left as it is, valid or
/// not. <https://www.unicode.org/faq/utf_bom.html#bom4>
pub fn utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes {
        [0xef, 0xbb, 0xbf, text @ ..] => Cow::Borrowed(text),
        [0xff, 0xfe, text @ ..] => Cow::Owned(from_utf16(text, u16::from_le_bytes)),
        [0xfe, 0xff, text @ ..] => Cow::Owned(from_utf16(text, u16::from_be_bytes)),
        text => Cow::Borrowed(text),
    }
}

/// The value with the keys of every object in order. serde_json sorts them or keeps the order of insertion, depending on the
/// features of the build, and what is printed and kept must not depend on those.
pub fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(entries) => {
            let entries: BTreeMap<_, _> = entries.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.into_iter().collect()
        }
        plain => plain,
    }
}

fn from_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let (pairs, rest) = bytes.as_chunks();
    // Half a unit is no character, and must not be lost in silence.
    let units = pairs.iter().map(|pair| unit(*pair)).chain(rest.iter().map(|_| 0xfffd));
    char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(bytes).collect()
    }

    #[test]
    fn what_is_no_text_stays_so() {
        assert_eq!(utf8(b"a\xffb").as_ref(), b"a\xffb");
        assert_eq!(utf8(b"\xff\xfea\0b").as_ref(), "a\u{fffd}".as_bytes());
        assert_eq!(utf8(b"\xff\xfe\0\xd8").as_ref(), "\u{fffd}".as_bytes());
    }

    /// Only a build in which serde_json keeps the order of insertion can show that the keys are sorted.
    #[test]
    fn the_keys_are_sorted_however_it_was_built() {
        let entries =
            |pairs: [(&str, Value); 2]| pairs.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
        let inner = Value::Object(entries([("d", json!(1)), ("c", json!([2, 1]))]));
        let value = Value::Object(entries([("b", json!([inner])), ("a", Value::Null)]));
        assert_eq!(
            value.to_string(),
            r#"{"b":[{"d":1,"c":[2,1]}],"a":null}"#,
            "serde_json sorts in this build, so the next line shows nothing"
        );
        assert_eq!(sorted(value).to_string(), r#"{"a":null,"b":[{"c":[2,1],"d":1}]}"#);
    }

    proptest! {
        #[test]
        fn a_text_is_the_same_in_every_encoding(text in "[^\u{feff}]\\PC*") {
            for bytes in [
                text.clone().into_bytes(),
                [b"\xef\xbb\xbf", text.as_bytes()].concat(),
                utf16(&text, u16::to_le_bytes),
                utf16(&text, u16::to_be_bytes),
            ] {
                prop_assert_eq!(utf8(&bytes).into_owned(), text.as_bytes());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, mark in prop::sample::select(vec![&b""[..], b"\xff\xfe", b"\xfe\xff"])) {
            let _ = utf8(&[mark, &bytes].concat());
        }
    }
}
