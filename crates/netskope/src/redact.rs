//! The token, known again in whatever form a server sends it back.
//!
//! A server may echo the URL that it was asked for, and may write it as it likes: as it came, percent-encoded, escaped
//! for JSON or HTML, one of these within another, in any case of its letters, in Base64 or in hexadecimal digits. So a
//! text is decoded step by step, each decoded letter keeps the place that it was read from, and after each step the
//! token is looked for. What is found is cut out of the text as it came.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

/// What stands where the token was.
const TOKEN: &str = "[token]";
/// The most bytes of a text that are looked through to be shown: far more than are.
const MOST_READ: usize = 64 * 1024;
/// How many encodings may be within one another.
const MOST_LAYERS: usize = 6;
/// How many bytes a letter of the token takes at most, in such layers: `%255Cu002F`, with some to spare.
const MOST_OF_LETTER: usize = 24;
/// Shorter forms of Base64 and hexadecimal digits are found in any text.
const LEAST_PACKED: usize = 12;
/// A shorter token is found in names that do not hold it. Netskope's have 32 characters.
const LEAST_IN_NAME: usize = 8;
/// The letters that HTML has names for, of those that a token may have.
/// <https://html.spec.whatwg.org/multipage/named-characters.html>
const NAMES: [(&str, char); 33] = [
    ("amp", '&'),
    ("apos", '\''),
    ("ast", '*'),
    ("bsol", '\\'),
    ("colon", ':'),
    ("comma", ','),
    ("commat", '@'),
    ("dollar", '$'),
    ("equals", '='),
    ("excl", '!'),
    ("grave", '`'),
    ("gt", '>'),
    ("hat", '^'),
    ("lbrace", '{'),
    ("lbrack", '['),
    ("lcub", '{'),
    ("lowbar", '_'),
    ("lpar", '('),
    ("lsqb", '['),
    ("lt", '<'),
    ("num", '#'),
    ("percnt", '%'),
    ("period", '.'),
    ("plus", '+'),
    ("quest", '?'),
    ("quot", '"'),
    ("rbrace", '}'),
    ("rcub", '}'),
    ("rpar", ')'),
    ("rsqb", ']'),
    ("semi", ';'),
    ("sol", '/'),
    ("verbar", '|'),
];

/// What is looked for.
pub(crate) struct Forms {
    /// The token, and what its bytes are in Base64 and in hexadecimal digits; each folded.
    needles: Vec<String>,
    /// The token's length in bytes.
    length: usize,
}

/// A byte that a text says, and which of the text's own bytes say it.
#[derive(Clone)]
struct Said {
    byte: u8,
    from: Range<usize>,
}

impl Forms {
    pub(crate) fn of(token: &SecretString) -> Self {
        let token = token.expose_secret();
        let hexadecimal: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
        let packed = base64_forms(token.as_bytes()).into_iter().chain([hexadecimal]);
        let packed = packed.filter(|form| form.len() >= LEAST_PACKED);
        let needles = [token.to_owned()].into_iter().chain(packed).filter(|form| !form.is_empty());
        Self { needles: needles.map(|form| folded(&form)).collect(), length: token.len() }
    }

    /// The beginning of the text, without the token.
    pub(crate) fn redact(&self, text: &str) -> String {
        let cut = text.floor_char_boundary(MOST_READ);
        // What the cut may have left of a token is not shown.
        let shown = if cut < text.len() { cut.saturating_sub(self.length.saturating_mul(MOST_OF_LETTER)) } else { cut };
        let (mut redacted, mut at) = (String::new(), 0);
        for found in self.found(&text[..cut]) {
            if found.start >= shown {
                break;
            }
            redacted.push_str(text.get(at..found.start).unwrap_or_default());
            redacted.push_str(TOKEN);
            at = found.end;
        }
        redacted.push_str(text.get(at..text.floor_char_boundary(shown)).unwrap_or_default());
        redacted
    }

    /// Whether a name holds the token.
    pub(crate) fn is_in(&self, name: &str) -> bool {
        if self.length < LEAST_IN_NAME {
            return false;
        }
        if name.bytes().any(|byte| b"%\\&".contains(&byte)) {
            return !self.found(name).is_empty();
        }
        // Nothing in it is encoded, as in almost every name of a long list.
        let name = folded(name);
        self.needles.iter().any(|needle| name.contains(needle.as_str()))
    }

    /// Where the token is: in order, apart from one another.
    fn found(&self, text: &str) -> Vec<Range<usize>> {
        // The bytes of a letter are from all of it, so that none is cut in two.
        let bytes = text.char_indices().flat_map(|(at, letter)| {
            let from = at..at + letter.len_utf8();
            utf8(letter).map(move |byte| Said { byte, from: from.clone() })
        });
        let mut said: Vec<_> = bytes.collect();
        let mut found = self.search(&said);
        for _ in 0..MOST_LAYERS {
            let Some(decoded) = decoded(&said) else { break };
            said = decoded;
            found.extend(self.search(&said));
        }
        found.sort_by_key(|range| range.start);
        let mut apart: Vec<Range<usize>> = Vec::new();
        for range in found {
            match apart.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        apart
    }

    fn search(&self, said: &[Said]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for needle in &self.needles {
            for window in said.windows(needle.len()) {
                if let [first, ..] = window
                    && let [.., last] = window
                    && window.iter().zip(needle.bytes()).all(|(said, sought)| fold(said.byte) == sought)
                {
                    found.push(first.from.start..last.from.end);
                }
            }
        }
        found
    }
}

/// The byte in the one form in which bytes are compared: forms write a space as a plus sign, and a case may be lost.
fn fold(byte: u8) -> u8 {
    if byte == b' ' { b'+' } else { byte.to_ascii_lowercase() }
}

/// The same of a text.
fn folded(text: &str) -> String {
    text.to_ascii_lowercase().replace(' ', "+")
}

fn utf8(letter: char) -> impl Iterator<Item = u8> {
    let mut bytes = [0; 4];
    let length = letter.encode_utf8(&mut bytes).len();
    bytes.into_iter().take(length)
}

/// What is said with one layer of encodings taken off; none where there is none.
fn decoded(said: &[Said]) -> Option<Vec<Said>> {
    let (mut decoded, mut rest, mut is_other) = (Vec::with_capacity(said.len()), said, false);
    while let [first, others @ ..] = rest {
        let sequence = sequence(rest).and_then(|(says, length)| Some((says, rest.split_at_checked(length)?)));
        if let Some((says, ([.., last], after))) = sequence {
            let from = first.from.start..last.from.end;
            decoded.extend(says.into_iter().map(|byte| Said { byte, from: from.clone() }));
            (rest, is_other) = (after, true);
        } else {
            decoded.push(first.clone());
            rest = others;
        }
    }
    is_other.then_some(decoded)
}

/// What an encoded sequence at the beginning says, and how many bytes the sequence has.
fn sequence(said: &[Said]) -> Option<(Vec<u8>, usize)> {
    let at = |index: usize| said.get(index).map(|said| said.byte);
    let byte = |digits| Some(vec![u8::try_from(number(said, digits, 16)?).ok()?]);
    let letter = |digits, radix| Some(utf8(char::from_u32(number(said, digits, radix)?)?).collect::<Vec<_>>());
    let end = |mark| said.iter().take(16).position(|said| said.byte == mark);
    match (at(0)?, at(1)?) {
        (b'%', _) => Some((byte(1..3)?, 3)),
        (b'\\', b'x' | b'X') => Some((byte(2..4)?, 4)),
        (b'\\', b'u' | b'U') if at(2) == Some(b'{') => {
            let end = end(b'}')?;
            Some((letter(3..end, 16)?, end + 1))
        }
        (b'\\', b'u' | b'U') => Some((letter(2..6, 16)?, 6)),
        (b'\\', escaped) if escaped.is_ascii_punctuation() => Some((vec![escaped], 2)),
        (b'&', second) => {
            let end = end(b';')?;
            let says = match (second, at(2)) {
                (b'#', Some(b'x' | b'X')) => letter(3..end, 16)?,
                (b'#', _) => letter(2..end, 10)?,
                _ => {
                    let name: Vec<_> = said.get(1..end)?.iter().map(|said| said.byte).collect();
                    let known = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
                    known.map(|(_, letter)| utf8(*letter).collect())?
                }
            };
            Some((says, end + 1))
        }
        _ => None,
    }
}

/// The number that these digits are.
fn number(said: &[Said], digits: Range<usize>, radix: u32) -> Option<u32> {
    let digits: String = said.get(digits)?.iter().map(|said| char::from(said.byte)).collect();
    // A sign is no digit, though it may begin a number.
    let is_number = digits.chars().all(|digit| digit.is_digit(radix));
    is_number.then(|| u32::from_str_radix(&digits, radix).ok()).flatten()
}

/// What the bytes are in Base64 in any longer text: its letters depend on how many bytes are before them, by three;
/// those at the edges also on which they are. In both alphabets. <https://www.rfc-editor.org/rfc/rfc4648#section-4>
fn base64_forms(bytes: &[u8]) -> Vec<String> {
    let forms = (0..3_usize).map(|before| {
        let padded = [&vec![0; before][..], bytes].concat();
        let encoded = STANDARD_NO_PAD.encode(&padded);
        // The first letter that holds bits of ours alone, and the end of the last one.
        let (start, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        encoded.get(start..end).unwrap_or_default().to_owned()
    });
    forms.flat_map(|form| [form.replace('+', "-").replace('/', "_"), form]).collect()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE;
    use proptest::prelude::*;

    use super::*;

    fn forms(token: &str) -> Forms {
        Forms::of(&SecretString::from(token))
    }

    /// A way in which a server may write a letter.
    fn written(letter: char, way: u8) -> String {
        let code = u32::from(letter);
        let utf8 = |form: fn(u8) -> String| letter.to_string().bytes().map(form).collect::<String>();
        match way {
            0 => letter.to_string(),
            1 => utf8(|byte| format!("%{byte:02X}")),
            2 => utf8(|byte| format!("%{byte:02x}")),
            3 => utf8(|byte| format!("%25{byte:02X}")),
            4 => format!("\\u{code:04x}"),
            5 => format!("\\u{code:04X}"),
            6 => format!("\\\\u{code:04x}"),
            7 => format!("\\u{{{code:x}}}"),
            8 => format!("&#{code};"),
            9 => format!("&#x{code:04X};"),
            10 => format!("&amp;#{code};"),
            11 => letter.to_ascii_lowercase().to_string(),
            12 => letter.to_ascii_uppercase().to_string(),
            _ => format!("%5Cu{code:04x}"),
        }
    }

    #[test]
    fn a_token_is_found_as_servers_write_it() {
        let token = "s3cret/tok en+\"2f&6b==";
        let forms = forms(token);
        for echo in [
            "s3cret/tok en+\"2f&6b==",
            "s3cret%2Ftok+en%2B%222f%266b%3D%3D",
            "s3cret%2ftok%20en%2b%222f%266b%3d%3d",
            "s3cret%252Ftok%2520en%252B%25222f%25266b%253D%253D",
            "s3cret\\/tok en+\\\"2f&6b==",
            "s3cret\\u002ftok\\u0020en\\u002B\\u00222f\\u00266b\\u003d\\u003d",
            "s3cret&#x2F;tok en+&quot;2f&amp;6b&equals;=",
            "s3cret&sol;tok&#32;en&plus;&#34;2f&#38;6b&#61;&#061;",
            "S3CRET/TOK EN+\"2F&6B==",
            "s3cret/tok+en+\"2f&6b==",
        ] {
            let text = format!("before {echo} after");
            assert_eq!(forms.redact(&text), "before [token] after", "{echo}");
            assert!(forms.is_in(&text));
        }
        for before in ["", "a", "ab", "https://x/?token="] {
            let text = format!("{before}{token}&limit=1");
            for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE.encode(&text)] {
                let redacted = forms.redact(&encoded);
                assert!(redacted.contains("[token]") && redacted.len() < 60, "{encoded} {redacted}");
            }
        }
        let hexadecimal: String = token.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(forms.redact(&hexadecimal), "[token]");
    }

    #[test]
    fn what_is_no_token_stays() {
        let forms = forms("0123456789abcdef");
        for text in
            ["", "100%", "%", "&", "\\", "&#;", "\\u{", "%é", "&#99999999999;", "a & b; c\\d", "0123456789abcde"]
        {
            assert_eq!(forms.redact(text), text);
            assert!(!forms.is_in(text));
        }
        for short in ["", "bench"] {
            assert!(!super::Forms::of(&SecretString::from(short)).is_in("bench-bucket"));
        }
        assert_eq!(super::Forms::of(&SecretString::from("bench")).redact("bench"), "[token]");
    }

    #[test]
    fn a_long_text_shows_no_part_of_a_token_that_its_cut_has_left() {
        let token = "0123456789abcdef".repeat(4);
        let long = "x".repeat(MOST_READ - token.len() / 2) + &token;
        assert!(!forms(&token).redact(&long).contains("0123"));
        let tokens = token.repeat(1 << 12);
        assert!(!forms(&token).redact(&tokens).contains("0123"));
    }

    proptest! {
        #[test]
        fn a_token_is_found_however_each_of_its_letters_is_written(
            letters in prop::collection::vec(("[A-Za-z0-9/+=_.~é \\-\"]", 0..14_u8), 8..40),
            around in "[ -$\'-[]{0,9}",
        ) {
            let letters: Vec<_> = letters.iter().map(|(letter, way)| (letter.chars().next().unwrap(), *way)).collect();
            let token: String = letters.iter().map(|(letter, _)| letter).collect();
            let echo: String = letters.iter().map(|(letter, way)| written(*letter, *way)).collect();
            let text = [around.as_str(), &echo, &around].concat();
            let forms = forms(&token);
            prop_assert!(forms.is_in(&text), "{:?} {:?}", token, echo);
            prop_assert!(!forms.redact(&text).contains(&echo));
        }

        #[test]
        fn a_token_is_found_that_looks_encoded_itself(token in "[%&\\\\#;xu0-9A-F]{8,40}", way in 0..14_u8) {
            let echo: String = token.chars().map(|letter| written(letter, way)).collect();
            let text = format!("({echo})");
            prop_assert!(forms(&token).is_in(&text), "{}", echo);
        }

        #[test]
        fn any_text_can_be_redacted(text: String, token in "\\PC{1,40}") {
            let _ = forms(&token).redact(&text);
            let text = [text.as_str(), &token, &text].concat();
            prop_assert!(forms(&token).redact(&text).contains(TOKEN));
        }
    }
}
