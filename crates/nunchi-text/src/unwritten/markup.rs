//! Entities, escapes that nobody undid, addresses.
//!
//! Every function looks at the beginning of `rest` and says how many bytes of it are such a thing. None looks at more than it
//! then takes away.

/// Backslashes that are counted.
const MAX_BACKSLASHES: usize = 32;

/// A character that was written as something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    Char(char),
    /// Of no character: a zero, half a surrogate pair, a number beyond Unicode.
    Nothing,
}

impl Decoded {
    fn of(code: u32) -> Self {
        char::from_u32(code).filter(|&c| c != '\0').map_or(Decoded::Nothing, Decoded::Char)
    }
}

/// The entity at the beginning of `rest`, which begins with `&`, and its bytes. `&amp;amp;lt;` is `<`: escaping twice is
/// undone at once, however often it was done.
pub(super) fn entity(rest: &str) -> Option<(Decoded, usize)> {
    let mut at = 1;
    while let Some(more) = ["amp;", "#38;", "#x26;"].iter().find(|name| starts_with(&rest[at..], name)) {
        at += more.len();
    }
    let body = &rest[at..];
    let found = match body.strip_prefix('#') {
        Some(number) => numeric(number).map(|(decoded, bytes)| (decoded, bytes + 1)),
        None => named(body),
    };
    match found {
        Some((decoded, bytes)) => Some((decoded, at + bytes)),
        None if at > 1 => Some((Decoded::Char('&'), at)),
        None => None,
    }
}

/// `65;`, `x41;`; without the semicolon from two digits on, as browsers read it. Two halves of a surrogate pair are one.
fn numeric(number: &str) -> Option<(Decoded, usize)> {
    let (code, mut bytes) = code(number)?;
    if let (0xd800..0xdc00, Some(next)) = (code, number[bytes..].strip_prefix("&#"))
        && let Some((low @ 0xdc00..0xe000, more)) = self::code(next)
    {
        bytes += more + 2;
        return Some((Decoded::of(pair(code, low)), bytes));
    }
    Some((Decoded::of(code), bytes))
}

/// A number with its semicolon; one that is too large is beyond Unicode.
fn code(number: &str) -> Option<(u32, usize)> {
    let bytes = number.as_bytes();
    let (radix, first) = if matches!(bytes.first(), Some(b'x' | b'X')) { (16, 1) } else { (10, 0) };
    let digits = bytes[first..].iter().take_while(|byte| char::from(**byte).is_digit(radix));
    let (mut value, mut end) = (0_u32, first);
    for &digit in digits {
        let digit = char::from(digit).to_digit(radix).unwrap_or(0);
        value = value.saturating_mul(radix).saturating_add(digit);
        end += 1;
    }
    let semicolon = bytes.get(end) == Some(&b';');
    let count = end - first;
    (count > 1 || (count == 1 && semicolon)).then_some((value, end + usize::from(semicolon)))
}

/// The character of two surrogates.
fn pair(high: u32, low: u32) -> u32 {
    0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
}

/// Named entities, and whether they are known without their semicolon.
pub(super) const NAMED: [(&str, char, bool); 45] = [
    ("nbsp", ' ', true),
    ("lt", '<', true),
    ("gt", '>', true),
    ("quot", '"', true),
    ("amp", '&', true),
    ("apos", '\'', false),
    ("hellip", '…', false),
    ("middot", '·', false),
    ("bull", '•', false),
    ("hearts", '♥', false),
    ("star", '☆', false),
    ("starf", '★', false),
    ("ldquo", '“', false),
    ("rdquo", '”', false),
    ("lsquo", '‘', false),
    ("rsquo", '’', false),
    ("sbquo", '‚', false),
    ("bdquo", '„', false),
    ("laquo", '«', false),
    ("raquo", '»', false),
    ("ndash", '–', false),
    ("mdash", '—', false),
    ("tilde", '~', false),
    ("times", '×', false),
    ("divide", '÷', false),
    ("deg", '°', false),
    ("plusmn", '±', false),
    ("le", '≤', false),
    ("ge", '≥', false),
    ("ne", '≠', false),
    ("rarr", '→', false),
    ("larr", '←', false),
    ("uarr", '↑', false),
    ("darr", '↓', false),
    ("ensp", ' ', false),
    ("emsp", ' ', false),
    ("thinsp", ' ', false),
    ("zwnj", '\u{200c}', false),
    ("zwj", '\u{200d}', false),
    ("shy", '\u{ad}', false),
    ("copy", '©', false),
    ("reg", '®', false),
    ("trade", '™', false),
    ("yen", '¥', false),
    ("euro", '€', false),
];

fn named(body: &str) -> Option<(Decoded, usize)> {
    let end = body.bytes().take(8).take_while(u8::is_ascii_alphabetic).count();
    let semicolon = body.as_bytes().get(end) == Some(&b';');
    let word = &body[..end];
    let &(_, c, alone) = NAMED.iter().find(|(name, ..)| word.eq_ignore_ascii_case(name))?;
    let apart = !body[end..].starts_with(|c: char| c.is_ascii_alphanumeric());
    (semicolon || (alone && apart)).then_some((Decoded::Char(c), end + usize::from(semicolon)))
}

/// The escape at the beginning of `rest`, which begins with a backslash: `\n`, `\r`, `\t` (white space), `\"`, `\'`, `\/`,
/// `\u2764`; each also with more backslashes in front.
pub(super) fn escape(rest: &str) -> Option<(Decoded, usize)> {
    let at = rest.bytes().take(MAX_BACKSLASHES).take_while(|&byte| byte == b'\\').count();
    let c = rest[at..].chars().next()?;
    match c {
        'n' | 'r' | 't' => Some((Decoded::Char(' '), at + 1)),
        '"' | '\'' | '/' => Some((Decoded::Char(c), at + 1)),
        'u' => {
            let four = |text: &str| {
                let digits =
                    text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
                u32::from_str_radix(digits, 16).ok()
            };
            let high = four(&rest[at + 1..])?;
            let low = rest[at + 5..].strip_prefix("\\u").and_then(four);
            match low {
                Some(low @ 0xdc00..0xe000) if (0xd800..0xdc00).contains(&high) => {
                    Some((Decoded::of(pair(high, low)), at + 11))
                }
                _ => Some((Decoded::of(high), at + 5)),
            }
        }
        _ => None,
    }
}

/// The bytes of an address's end at the beginning of `rest`: what addresses are written in, without the punctuation that
/// ends a sentence.
pub(super) fn address(rest: &str) -> usize {
    let belongs = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&*+,;=%".contains(&byte);
    let end = rest.bytes().take_while(|&byte| belongs(byte)).count();
    rest[..end].trim_end_matches(|c| ".,!?~:;*".contains(c)).len()
}

/// Whether `text` begins with `prefix`, whatever the case of its ASCII letters.
fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_read_in_every_spelling() {
        for (text, want, bytes) in [
            ("&lt;", '<', 4),
            ("&LT;", '<', 4),
            ("&nbsp;", ' ', 6),
            ("&nbsp좋", ' ', 5),
            ("&amp;lt;", '<', 8),
            ("&amp;amp;amp;#39;", '\'', 17),
            ("&#38;#38;gt;", '>', 12),
            ("&#45909;", '덕', 8),
            ("&#xB355;", '덕', 8),
            ("&#x1F9E1;", '🧡', 9),
            ("&#xD83D;&#xDE00;", '😀', 16),
            ("&#55357;&#56832;", '😀', 16),
            ("&#0000000000000000000000065;", 'A', 28),
            ("&#65", 'A', 4),
            ("&amp;", '&', 5),
            ("&amp;좋", '&', 5),
        ] {
            assert_eq!(entity(text), Some((Decoded::Char(want), bytes)), "{text}");
        }
        for (text, bytes) in [
            ("&#0;", 4),
            ("&#x110000;", 10),
            ("&#99999999999999999999;", 23),
            ("&#xD83D;", 8),
            ("&#xDE00;", 8),
        ] {
            assert_eq!(entity(text), Some((Decoded::Nothing, bytes)), "{text}");
        }
        for not in ["&", "&;", "&#;", "&#x;", "&#1", "& lt;", "&ltd", "R&D", "&unknown;", "&좋아요;"] {
            assert_eq!(entity(not), None, "{not}");
        }
    }

    #[test]
    fn escapes_and_addresses() {
        assert_eq!(escape("\\n좋"), Some((Decoded::Char(' '), 2)));
        assert_eq!(escape("\\\\\\n"), Some((Decoded::Char(' '), 4)));
        assert_eq!(escape("\\u2764"), Some((Decoded::Char('❤'), 6)));
        assert_eq!(escape("\\uD83D\\uDE00"), Some((Decoded::Char('😀'), 12)));
        assert_eq!(escape("\\ud83d좋"), Some((Decoded::Nothing, 6)));
        for not in ["\\", "\\\\", "\\u12", "\\u12좋좋", "\\ㅇㅅㅇ/"] {
            assert_eq!(escape(not), None, "{not}");
        }
        assert_eq!(address("naver.me/abc?x=1&y=2좋아요"), "naver.me/abc?x=1&y=2".len());
        assert_eq!(address("a.b/c. 좋아요"), "a.b/c".len());
    }
}
