//! What other programs' tokenizers can be told of this: fixed texts for sentencepiece's table, regular expressions for
//! `tokenizer.json`. Both lack what needs a computation (`&#50836;`) or a second reading.

use super::labels::{KINDS, LABELS, PICTURES, SORTS, TITLES};
use super::markup::NAMED;
use super::tags::TAGS;

/// Texts that are taken away or replaced wherever they stand.
pub(in super::super) fn literals() -> Vec<String> {
    let mut all = Vec::new();
    for tag in TAGS.iter().flat_map(|tag| [(*tag).to_owned(), tag.to_uppercase()]) {
        for inside in [tag.clone(), format!("/{tag}"), format!("{tag}/"), format!("{tag} /")] {
            all.push(format!("<{inside}>"));
            all.push(format!("&lt;{inside}&gt;"));
        }
    }
    for (name, ..) in NAMED {
        all.push(format!("&{name};"));
        all.push(format!("&amp;{name};"));
    }
    all.extend(["\\n", "\\r", "\\t", "\\\"", "\\'", "\\/"].map(str::to_owned));
    all.extend(LABELS.iter().chain(&PICTURES).map(|label| format!("[{label}]")));
    for sort in SORTS.iter().chain(&[""]) {
        all.extend(KINDS.iter().map(|kind| format!("[{sort}{kind}]")));
        all.extend(KINDS.iter().filter(|_| !sort.is_empty()).map(|kind| format!("[{sort} {kind}]")));
    }
    for key in "0123456789#*".chars() {
        all.extend([format!("{key}\u{fe0f}\u{20e3}"), format!("{key}\u{20e3}")]);
    }
    all.sort();
    all.dedup();
    all
}

/// Regular expressions (Oniguruma) and what replaces what they match, in order.
pub(in super::super) fn patterns() -> Vec<(String, &'static str)> {
    let any = |words: &[&str]| words.join("|");
    let emoji = r"[\x{1F000}-\x{1FAFF}\x{2600}-\x{27BF}\x{2B50}\x{2B55}\x{231A}\x{231B}\x{23E9}-\x{23FA}]";
    let modifier = r"[\x{FE0E}\x{FE0F}\x{1F3FB}-\x{1F3FF}\x{E0020}-\x{E007F}]*";
    let tag = format!(r"(?i)</?(?:{})(?:\s+[a-z_:@][a-z0-9_:.@-]*\s*=[^<>]*|\s*/?\s*)>", any(&TAGS));
    let declaration = r"<[!?][A-Za-z\[\-][^<>]*>";
    let address = r"[A-Za-z0-9\-._~:/?#@!$&*+,;=%]*[A-Za-z0-9\-_/#@$&+=%]";
    let inside = r"[^()\[\]<>【】]{0,60}";
    let mut all: Vec<(String, &'static str)> = vec![
        (r"(?i)&(?:amp;|#38;|#x26;)+".to_owned(), "&"),
        (tag.clone(), " "),
        (declaration.to_owned(), " "),
    ];
    for (name, to) in [
        ("nbsp|ensp|emsp|thinsp", " "),
        ("lt|#60|#x3c", "<"),
        ("gt|#62|#x3e", ">"),
        ("quot|#34", "\""),
        ("apos|#39", "'"),
    ] {
        all.push((format!("(?i)&(?:{name});"), to));
    }
    all.extend([
        (tag, " "),
        (declaration.to_owned(), " "),
        (r"\\+[nrt]".to_owned(), " "),
        (r"(?i)!\[[^\]]{0,60}\]\(http[^)<]*\)".to_owned(), " "),
        (
            format!(
                r"(?i)[\[(<【]\s*(?:(?:{})\s*)*(?:{})\s*(?:입니다\s*)?[\])>】]",
                any(&SORTS),
                any(&KINDS)
            ),
            " ",
        ),
        (format!(r"(?i)[\[【]/?(?:{})(?:=[^\]]{{0,60}})?[\]】]", any(&LABELS)), " "),
        (
            format!(r"(?i)[\[(<【]\s*(?:{})\s*[0-9_]*(?:장|개|\.jpe?g|\.png|\.gif)?\s*[\])>】]", any(&PICTURES)),
            " ",
        ),
        (
            format!(
                r"[\[(]\s*\d(?:[.:\-/~\s년월일시분초]*\d){{5,}}[.:\-/~\s년월일시분초]*{inside}(?:등록|작성|구매평){inside}[\])]"
            ),
            " ",
        ),
        (format!(r"(?i)(?:https?|ftp)://(?:{address})?"), " "),
        (format!(r"(?i)www\.(?=[A-Za-z0-9])(?:{address})?"), " "),
        (format!(r"[A-Za-z0-9_\-]{{1,20}}\*+[A-Za-z0-9_*\-]*(?:{})", any(&TITLES)), " "),
        (format!(r"(?:(?<=\s)|^)[가-힣]{{1,3}}\*+[가-힣]?(?:{})", any(&TITLES)), " "),
        (r"[0-9#*]\x{FE0F}?\x{20E3}".to_owned(), ""),
        (format!(r"{emoji}{modifier}\K(?:\x{{200D}}{emoji}{modifier})+"), ""),
    ]);
    all
}
