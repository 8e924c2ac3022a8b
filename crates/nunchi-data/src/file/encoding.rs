//! Which encoding a text is in, and its bytes as UTF-8.

use encoding_rs::{CoderResult, Decoder, DecoderResult, EUC_KR, UTF_8, UTF_16BE, UTF_16LE};
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

/// Of 20 letters beyond ASCII so many must be Hangul for a text to be CP949: Chinese and Japanese encodings share its bytes.
const HANGUL_OF_20: usize = 18;
/// Stands for a sequence that the encoding does not have: no UTF-8 text contains this byte, so its row is found unreadable.
const MALFORMED: u8 = 0xff;
/// Bytes that are decoded at once.
const CHUNK: usize = 1 << 16;

/// An encoding of text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// UTF-8.
    pub const UTF_8: Encoding = Encoding(UTF_8);

    /// Its name as people who use it know it: Windows' Korean encoding is `CP949`, of which EUC-KR is a part.
    pub fn name(self) -> &'static str {
        if self.0 == EUC_KR { "CP949" } else { self.0.name() }
    }

    /// This encoding, or its sister if a byte order mark says so: `utf-16` is a name of both.
    pub(super) fn agreeing_with(self, text: &[u8]) -> Self {
        match text {
            [0xff, 0xfe, ..] if self.0 == UTF_16BE => Encoding(UTF_16LE),
            [0xfe, 0xff, ..] if self.0 == UTF_16LE => Encoding(UTF_16BE),
            _ => self,
        }
    }

    /// Bytes of its byte order mark at the start of `text`.
    fn mark(self, text: &[u8]) -> usize {
        let mark: &[u8] = if self.0 == UTF_16LE {
            &[0xff, 0xfe]
        } else if self.0 == UTF_16BE {
            &[0xfe, 0xff]
        } else if self.0 == UTF_8 {
            &[0xef, 0xbb, 0xbf]
        } else {
            &[]
        };
        if text.starts_with(mark) { mark.len() } else { 0 }
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Encoding {
    type Err = String;

    /// From a name of the [Encoding Standard](https://encoding.spec.whatwg.org/#names-and-labels), or one that Python, Java or
    /// Windows use for Korean.
    fn from_str(name: &str) -> Result<Self, String> {
        let lower = name.trim().to_ascii_lowercase().replace('_', "-");
        let known = match lower.as_str() {
            "cp949" | "ms949" | "uhc" | "x-windows-949" | "949" | "euckr" => Some(EUC_KR),
            "utf8" | "utf-8-sig" => Some(UTF_8),
            "utf16" | "utf-16-le" => Some(UTF_16LE),
            "utf-16-be" => Some(UTF_16BE),
            _ => encoding_rs::Encoding::for_label(lower.as_bytes())
                .or_else(|| encoding_rs::Encoding::for_label(name.trim().as_bytes())),
        };
        known.filter(|known| known.name() != "replacement").map(Encoding).ok_or_else(|| {
            format!("there is no encoding `{name}`; known are UTF-8, UTF-16, CP949, EUC-KR and others")
        })
    }
}

/// The encoding of a text that begins with `sample`; `whole` if there is no more.
///
/// # Errors
/// Why it is no text that can be recognized.
pub(super) fn detect(sample: &[u8], whole: bool) -> Result<Encoding, &'static str> {
    match sample {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            return Err("is UTF-32 text, which hardly any program writes: save it as UTF-8");
        }
        [0xff, 0xfe, ..] => return Ok(Encoding(UTF_16LE)),
        [0xfe, 0xff, ..] => return Ok(Encoding(UTF_16BE)),
        [0xef, 0xbb, 0xbf, ..] => return Ok(Encoding(UTF_8)),
        _ => {}
    }
    if sample.contains(&0) && !is_utf_8_with_zeros(sample, whole) {
        return utf_16_without_mark(sample).ok_or(BINARY);
    }
    if is_mostly_control(sample) {
        return Err(BINARY);
    }
    if is_utf_8(sample, whole) {
        return Ok(Encoding(UTF_8));
    }
    if is_cp949(sample, whole) {
        return Ok(Encoding(EUC_KR));
    }
    Err("is neither UTF-8 nor UTF-16 nor CP949 text: name its encoding with --encoding, or save it as UTF-8")
}

const BINARY: &str = "is no text: name a CSV, TSV, JSON, Excel or Parquet file";

/// Control characters that no text has make more than a hundredth of it.
fn is_mostly_control(sample: &[u8]) -> bool {
    let control = sample.iter().filter(|byte| matches!(byte, 1..=8 | 14..=25 | 28..=31 | 127)).count();
    control * 100 > sample.len()
}

/// Text in UTF-16: of its ASCII characters (separators, line ends) one byte is zero, always the same one.
fn utf_16_without_mark(sample: &[u8]) -> Option<Encoding> {
    let zeros = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|&&byte| byte == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let encoding = match (first, second) {
        (0, 1..) => UTF_16LE,
        (1.., 0) => UTF_16BE,
        // A character such as U+AC00 has a zero byte at the other place.
        _ if second > 4 * first => UTF_16LE,
        _ if first > 4 * second => UTF_16BE,
        _ => return None,
    };
    let even = &sample[..sample.len() & !1];
    let units = || {
        even.chunks_exact(2).map(|pair| {
            let pair = [pair[0], pair[1]];
            if encoding == UTF_16LE { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
        })
    };
    // Surrogates may be cut at the end; anything else that is no character shows that it is something else.
    let wrong = char::decode_utf16(units())
        .filter(|unit| unit.as_ref().map_or(true, |c| c.is_control() && !c.is_whitespace()))
        .count();
    (wrong * 100 <= even.len() / 2 + 100 && units().count() > 1).then_some(Encoding(encoding))
}

/// Some databases export a few zero bytes in their texts. In UTF-16 every second byte of ASCII is zero, and Korean letters are no
/// valid UTF-8.
fn is_utf_8_with_zeros(sample: &[u8], whole: bool) -> bool {
    let zeros = sample.iter().filter(|&&byte| byte == 0).count();
    let valid =
        std::str::from_utf8(sample).map_or_else(|error| !whole && error.error_len().is_none(), |_| true);
    valid && zeros * 4 < sample.len()
}

fn is_utf_8(sample: &[u8], whole: bool) -> bool {
    let (mut valid, mut invalid) = (0, 0);
    let mut chunks = sample.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        // The sample may end within a character.
        let cut = !whole && chunks.peek().is_none() && chunk.invalid().len() < 4;
        invalid += usize::from(!chunk.invalid().is_empty() && !cut);
    }
    // Of CP949 read as UTF-8 hardly any sequence is valid: a few invalid ones are faults of single rows.
    valid >= invalid
}

fn is_cp949(sample: &[u8], whole: bool) -> bool {
    let mut decoder = EUC_KR.new_decoder_without_bom_handling();
    let mut text = String::new();
    text.reserve(decoder.max_utf8_buffer_length(sample.len()).unwrap_or(3 * sample.len()));
    let (result, _, _) = decoder.decode_to_string(sample, &mut text, whole);
    let (mut letters, mut hangul, mut malformed) = (0, 0, 0);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        malformed += usize::from(c == '\u{fffd}');
        letters += usize::from(c.is_alphabetic());
        hangul += usize::from(matches!(c, '\u{ac00}'..='\u{d7a3}' | '\u{3131}'..='\u{318e}'));
    }
    result == CoderResult::InputEmpty
        && hangul > 0
        && 2 * rare_syllables(sample) <= hangul
        && 20 * hangul >= HANGUL_OF_20 * letters
        && malformed * 20 <= letters
}

/// Characters that CP949 has and EUC-KR has not: syllables such as 뷁. Of Korean text they are few; Japanese in Shift_JIS would
/// consist of them.
fn rare_syllables(sample: &[u8]) -> usize {
    let (mut at, mut rare) = (0, 0);
    while let Some(&lead) = sample.get(at) {
        let trail = sample.get(at + 1).copied().unwrap_or_default();
        let is_pair = lead >= 0x81;
        rare += usize::from(is_pair && (lead < 0xa1 || trail < 0xa1));
        at += 1 + usize::from(is_pair);
    }
    rare
}

/// A source of bytes in `encoding` as UTF-8, without the byte order mark.
pub(super) fn decoded(encoding: Encoding, source: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut source = source;
    let mut start = Vec::new();
    (&mut source).take(3).read_to_end(&mut start)?;
    let mark = encoding.mark(&start);
    let source = io::Cursor::new(start.split_off(mark)).chain(source);
    if encoding == Encoding::UTF_8 {
        return Ok(Box::new(source));
    }
    Ok(Box::new(Decoded {
        source,
        decoder: encoding.0.new_decoder_without_bom_handling(),
        // Half an emoji is no reason to lose a row, as in JSON.
        replacement: if encoding.0 == UTF_16LE || encoding.0 == UTF_16BE {
            "\u{fffd}".as_bytes()
        } else {
            &[MALFORMED]
        },
        raw: vec![0; CHUNK],
        left: 0..0,
        text: Vec::with_capacity(4 * CHUNK),
        given: 0,
        ended: false,
    }))
}

struct Decoded<R> {
    source: R,
    decoder: Decoder,
    replacement: &'static [u8],
    raw: Vec<u8>,
    /// What is not decoded of `raw`.
    left: std::ops::Range<usize>,
    text: Vec<u8>,
    /// Bytes of `text` that were handed out.
    given: usize,
    ended: bool,
}

impl<R: Read> Decoded<R> {
    fn fill(&mut self) -> io::Result<()> {
        self.text.clear();
        self.given = 0;
        while self.text.is_empty() && !(self.ended && self.left.is_empty()) {
            if self.left.is_empty() && !self.ended {
                let read = self.source.read(&mut self.raw)?;
                self.left = 0..read;
                self.ended = read == 0;
            }
            let mut at = self.text.len();
            self.text.resize(self.text.capacity(), 0);
            loop {
                let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
                    &self.raw[self.left.clone()],
                    &mut self.text[at..],
                    self.ended,
                );
                self.left.start += read;
                at += written;
                match result {
                    DecoderResult::Malformed(..) if at + 3 <= self.text.len() => {
                        self.text[at..at + self.replacement.len()].copy_from_slice(self.replacement);
                        at += self.replacement.len();
                    }
                    _ => break,
                }
            }
            self.text.truncate(at);
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.text.len() {
            self.fill()?;
        }
        let count = out.len().min(self.text.len() - self.given);
        out[..count].copy_from_slice(&self.text[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "text,label\r\n\"배송이 빠르고 좋아요 😡\",1\r\n가격이 비싸요,0\r\n";

    fn utf_16(text: &str, little: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
            .collect()
    }

    fn cp949(text: &str) -> Vec<u8> {
        EUC_KR.encode(&text.replace(" 😡", "")).0.into_owned()
    }

    fn detected(bytes: &[u8]) -> Result<&'static str, &'static str> {
        detect(bytes, true).map(Encoding::name)
    }

    #[test]
    fn encodings_are_recognized_by_content() {
        let marked = |mark: &[u8], text: Vec<u8>| [mark.to_vec(), text].concat();
        for (bytes, want) in [
            (TEXT.as_bytes().to_vec(), "UTF-8"),
            (marked(&[0xef, 0xbb, 0xbf], TEXT.into()), "UTF-8"),
            (b"plain,1\n".to_vec(), "UTF-8"),
            (format!("{TEXT}zero\0,1\n").into_bytes(), "UTF-8"),
            (b"text,label\nzero\0,1\n".to_vec(), "UTF-8"),
            (utf_16("text,label\nplain,1\n", true), "UTF-16LE"),
            (cp949(TEXT), "CP949"),
            (cp949("좋아요"), "CP949"),
            (cp949("★★★★☆ 뷁 ㅋㅋ"), "CP949"),
            (utf_16(TEXT, true), "UTF-16LE"),
            (utf_16(TEXT, false), "UTF-16BE"),
            (marked(&[0xff, 0xfe], utf_16(TEXT, true)), "UTF-16LE"),
            (marked(&[0xfe, 0xff], utf_16(TEXT, false)), "UTF-16BE"),
        ] {
            assert_eq!(detected(&bytes), Ok(want), "{bytes:?}");
            let encoding = detect(&bytes, true).unwrap();
            let mut text = String::new();
            decoded(encoding, io::Cursor::new(bytes.clone())).unwrap().read_to_string(&mut text).unwrap();
            assert!(!text.starts_with('\u{feff}') && !text.contains('\u{fffd}'), "{text}");
        }
        let (sjis, _, _) = encoding_rs::SHIFT_JIS.encode("とても良い商品でした。また買います。");
        for binary in [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0"[..], &[1, 2, 3, 4], &sjis] {
            assert!(detected(binary).is_err(), "{binary:?}");
        }
    }

    /// One row in another encoding does not change that of the others.
    #[test]
    fn a_few_wrong_bytes_are_faults_of_utf_8() {
        let mixed = [TEXT.as_bytes(), &cp949("좋아요")].concat();
        assert_eq!(detected(&mixed), Ok("UTF-8"));
        let cut = &TEXT.as_bytes()[..TEXT.find("좋").unwrap() + 1];
        assert_eq!(detect(cut, false).map(Encoding::name), Ok("UTF-8"));
    }

    #[test]
    fn malformed_sequences_make_no_valid_text() {
        let mut bytes = cp949("좋아요");
        bytes.extend([0x81, 0x20, b'a']);
        let mut text = Vec::new();
        decoded(Encoding(EUC_KR), io::Cursor::new(bytes)).unwrap().read_to_end(&mut text).unwrap();
        assert!(std::str::from_utf8(&text).is_err() && text.starts_with("좋아요".as_bytes()));
    }

    #[test]
    fn names_are_those_in_use() {
        for (name, want) in [
            ("cp949", "CP949"),
            ("EUC-KR", "CP949"),
            ("euc_kr", "CP949"),
            ("ks_c_5601-1987", "CP949"),
            ("utf-8", "UTF-8"),
            ("UTF-16", "UTF-16LE"),
            ("utf-16be", "UTF-16BE"),
            ("shift_jis", "Shift_JIS"),
            ("latin1", "windows-1252"),
        ] {
            assert_eq!(name.parse::<Encoding>().map(Encoding::name), Ok(want), "{name}");
        }
        assert!("klingon".parse::<Encoding>().is_err());
    }
}
