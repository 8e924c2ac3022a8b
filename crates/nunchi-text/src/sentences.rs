//! Splitting a comment into sentences and clauses, as people type Korean: with and without punctuation, spaces and line ends.
//!
//! Rules, not a model: what ends a sentence in Korean is written at its end (요, 니다, 다, 음), and so is what contrasts two clauses
//! (지만, 는데, 고). Words that only look like that (필요, 처음, 최고) are listed. Lines, sentence marks, emoji and laughter end
//! parts too; quotations stay whole.
//!
//! A split that is missing costs little (two opinions are judged as one, as without splitting); one within a sentence gives a part
//! that means nothing. Where a rule is unsure it does not split.

use super::unwritten::is_emoji;
use std::ops::Range;

/// Most parts of a comment; the last one is the rest.
pub const MAX_PARTS: usize = 64;
/// A quotation that does not end after so many characters is none.
const MAX_QUOTATION: usize = 80;

/// Words that a new part begins with.
const OPENERS: [&str; 9] =
    ["근데", "그런데", "하지만", "다만", "그래도", "그러나", "그치만", "그렇지만", "반면에"];
/// Words that end like a sentence, and end none.
const NO_ENDINGS: [&str; 54] = [
    // 요
    "필요",
    "중요",
    "주요",
    "수요",
    "소요",
    "동요",
    "개요",
    "강요",
    "불필요",
    // 다
    "보다",
    "마다",
    "바다",
    "수다",
    "려다",
    "에다",
    "둘다",
    "모두다",
    "전부다",
    "셋다",
    // 음, 함, 임, 짐, 움
    "웃음",
    "얼음",
    "믿음",
    "볶음",
    "묶음",
    "녹음",
    "걸음",
    "포함",
    "명함",
    "보관함",
    "수납함",
    "사물함",
    "게임",
    "모임",
    "프레임",
    "타임",
    "책임",
    "라임",
    "도움",
    "싸움",
    "꾸밈",
    "조짐",
    "만큼",
    // 데
    "가운데",
    "군데",
    "그런데",
    "근데",
    // 고
    "최고",
    "중고",
    "광고",
    "재고",
    "창고",
    "참고",
    "냉장고",
    "그리고",
];
/// Endings in 고 that join what follows to what was said.
const NO_AND: [&str; 14] = [
    "라고",
    "다고",
    "자고",
    "려고",
    "냐고",
    "가지고",
    "갖고",
    "두고",
    "신고",
    "경고",
    "사고",
    "금고",
    "데리고",
    "말고",
];
/// Adjectives in 하다, which verbs in 하다 look like.
const QUALITIES: [&str; 14] = [
    "편하다",
    "튼튼하다",
    "깔끔하다",
    "훌륭하다",
    "완벽하다",
    "저렴하다",
    "친절하다",
    "지루하다",
    "유치하다",
    "답답하다",
    "심하다",
    "약하다",
    "강하다",
    "대단하다",
];
/// Beginnings of words that go on with a verb in 고.
const AFTER_AND: [&str; 18] = [
    "있", "싶", "나서", "나니", "보니", "해서", "말", "계", "다니", "왔", "갔", "난", "나면", "보면", "하는",
    "하니", "합니", "했",
];
/// Beginnings of words that go on with a verb in 다.
const AFTER_DA: [&str; 11] = ["보니", "보면", "말고", "말", "만", "못", "싶", "는", "고", "할", "해도"];

/// The parts of `text`, as ranges of its bytes: in order, without white space at their ends, none empty. A text of one part, or of
/// none but signs, is one range; a text of white space none.
pub fn split(text: &str) -> Vec<Range<usize>> {
    let words = words(text);
    let mut parts: Vec<Range<usize>> = Vec::new();
    let (mut start, mut begun) = (None, 0);
    for (place, word) in words.iter().enumerate() {
        let begin = *start.get_or_insert(word.range.start);
        if parts.len() + 1 >= MAX_PARTS {
            continue;
        }
        begun += 1;
        let next = words.get(place + 1);
        // What has no letter belongs to what it follows.
        let ends = next.is_some_and(|next| !next.is_bare() || next.after_line)
            && (word.ends_part || !word.quoted && ends_part(&words[place + 1 - begun..], begun, next));
        if ends {
            parts.push(begin..word.range.end);
            (start, begun) = (None, 0);
        }
    }
    if let (Some(start), Some(last)) = (start, words.last()) {
        parts.push(start..last.range.end);
    }
    joined(text, parts)
}

/// Joins parts without a letter or digit to the one before.
fn joined(text: &str, parts: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::with_capacity(parts.len());
    for part in parts {
        let is_bare =
            !text[part.clone()].chars().any(char::is_alphanumeric) || is_laughter(&text[part.clone()]);
        match all.last_mut() {
            Some(last) if is_bare || is_bare_range(text, last) => last.end = part.end,
            _ => all.push(part),
        }
    }
    all
}

fn is_bare_range(text: &str, range: &Range<usize>) -> bool {
    !text[range.clone()].chars().any(char::is_alphanumeric) || is_laughter(&text[range.clone()])
}

/// Whether all letters are jamo by themselves, such as ㅋㅋ and ㅠㅠ.
fn is_laughter(text: &str) -> bool {
    text.chars().all(|c| !c.is_alphanumeric() || is_jamo(c))
}

/// A word: what stands between spaces, or a piece of that.
#[derive(Debug)]
struct Word<'t> {
    range: Range<usize>,
    /// Its letters, without the signs at its end.
    core: &'t str,
    /// Whether something other than an ending says that a part ends here.
    ends_part: bool,
    /// Whether a line begins with it.
    after_line: bool,
    /// Whether a quotation goes on after it.
    quoted: bool,
}

impl Word<'_> {
    fn is_bare(&self) -> bool {
        self.core.is_empty()
    }
}

/// The words of `text`. What was typed without spaces is cut where a sentence certainly ends.
fn words(text: &str) -> Vec<Word<'_>> {
    // Both are in order: each quotation is looked at once.
    let mut quotations = quotations(text).into_iter().peekable();
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut after_line = false;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let spaces = rest.len() - rest.trim_start().len();
        after_line |= rest[..spaces].contains(['\n', '\r', '\u{2028}', '\u{2029}']);
        at += spaces;
        let rest = &text[at..];
        let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
        if length == 0 {
            break;
        }
        if after_line && let Some(last) = words.last_mut() {
            last.ends_part = true;
        }
        for (piece, ends_part) in pieces(&rest[..length]) {
            let range = at + piece.start..at + piece.end;
            while quotations.next_if(|quotation| quotation.end <= range.end).is_some() {}
            let quoted = quotations.peek().is_some_and(|quotation| quotation.start <= range.end);
            words.push(Word {
                core: core(&text[range.clone()]),
                ends_part: (ends_part || has_end_mark(&text[range.clone()])) && !quoted,
                after_line: std::mem::take(&mut after_line),
                quoted,
                range,
            });
        }
        at += length;
    }
    words
}

/// The bytes within quotation marks, the closing one not included.
fn quotations(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open: Option<(usize, char, usize)> = None;
    for (count, (at, c)) in text.char_indices().enumerate() {
        match open {
            Some((_, _, begun)) if count - begun > MAX_QUOTATION || c == '\n' => open = None,
            Some((begin, close, _)) if c == close => {
                found.push(begin..at);
                open = None;
            }
            Some(_) => {}
            None => {
                let close = match c {
                    '"' => '"',
                    '“' => '”',
                    '‘' => '’',
                    '「' => '」',
                    '『' => '』',
                    _ => continue,
                };
                open = Some((at, close, count));
            }
        }
    }
    found
}

/// A word cut where a sentence ends within it, and whether it ends there for certain.
fn pieces(word: &str) -> Vec<(Range<usize>, bool)> {
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    let mut pieces = Vec::new();
    let (mut start, mut has_syllable) = (0, false);
    for place in 1..chars.len() {
        let (at, next) = chars[place];
        has_syllable |= is_syllable(chars[place - 1].1);
        // `줍니다.2kg`, and not `1.5`.
        let counts = next.is_ascii_digit() && place > 1 && is_syllable(chars[place - 2].1);
        if !(is_syllable(next) || counts) || !ends_within(&chars, place, has_syllable) {
            continue;
        }
        pieces.push((start..at, true));
        start = at;
    }
    pieces.push((start..word.len(), false));
    pieces
}

/// Whether a sentence ends before the syllable at `place` of a word, which has a syllable before that or not.
fn ends_within(chars: &[(usize, char)], place: usize, has_syllable: bool) -> bool {
    let at = |back: usize| place.checked_sub(back).map(|place| chars[place].1);
    let (Some(last), next) = (at(1), chars[place].1) else { return false };
    if is_end_mark(last) {
        return has_syllable;
    }
    // Laughter and emoji after words; one jamo may be a slip.
    if is_jamo(last) && at(2).is_some_and(is_jamo) || is_emoji(last) || last == '\u{fe0f}' {
        return has_syllable;
    }
    if last == '~' || last == '^' {
        return has_syllable && at(2).is_some_and(|c| c == last || c == '요' || c == '다');
    }
    // Typed without spaces: only endings that nothing else looks like, with something on both sides.
    let left = chars.len() - place;
    let opens = chars[place].1 == '근' && chars.get(place + 1).is_some_and(|&(_, c)| c == '데');
    if place < 3 || left < 3 && !opens {
        return false;
    }
    let previous = at(2).unwrap_or(' ');
    match last {
        '만' => previous == '지' && !"요서은".contains(next),
        '데' => {
            final_of(previous) == NIEUN
                && !"운런근군".contains(previous)
                && !"요도다서에는를의가".contains(next)
        }
        '다' => previous == '니' && !"만요라고".contains(next),
        '요' => "아어여해에예세네군죠까라대데와워봐줘돼져려겨".contains(previous) && !"라만".contains(next),
        _ => false,
    }
}

/// `word` without the signs, laughter and emoji at its end and without signs at its beginning.
fn core(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() || is_jamo(c))
}

/// Whether signs at the end of `word` say that a sentence ends: marks, or laughter and emoji after letters.
fn has_end_mark(word: &str) -> bool {
    let core_end = word
        .rfind(|c: char| c.is_alphanumeric() && !is_jamo(c))
        .map_or(0, |at| at + word[at..].chars().next().map_or(0, char::len_utf8));
    let tail = &word[core_end..];
    // `1.` counts what follows; `3.5` has no such end.
    let is_number = word[..core_end].chars().all(|c| c.is_ascii_digit());
    let marks = tail.chars().any(is_end_mark) && !(is_number && core_end > 0);
    let jamo = tail.chars().filter(|&c| is_jamo(c)).count();
    marks || jamo >= 2 || tail.chars().any(is_emoji)
}

/// Whether the last of `words` ends a part that has `begun` words so far and goes on with `next`.
fn ends_part(words: &[Word<'_>], begun: usize, next: Option<&Word<'_>>) -> bool {
    let (Some(word), Some(next)) = (words.get(begun - 1), next) else { return false };
    let core = word.core;
    // `비싸긴 하지만` is one clause.
    let goes_with = |core: &str| core.ends_with('긴') || core.ends_with("기는");
    if OPENERS.contains(&next.core) {
        return !goes_with(core);
    }
    if core == "하지만" && begun >= 2 && goes_with(words[begun - 2].core) {
        return true;
    }
    if OPENERS.contains(&core) || NO_ENDINGS.iter().any(|no| core.ends_with(no)) {
        return false;
    }
    let mut back = core.chars().rev();
    let (Some(last), Some(previous)) = (back.next(), back.next()) else { return false };
    if !is_syllable(last) || !is_syllable(previous) {
        return false;
    }
    // What was said: `좋아요 라고 했어요`.
    if ["라고", "라는", "이라", "란"].iter().any(|of| next.core.starts_with(of)) {
        return false;
    }
    let goes_on = |beginnings: &[&str]| beginnings.iter().any(|beginning| next.core.starts_with(beginning));
    match last {
        '요' => true,
        '죠' => true,
        '다' => is_predicate(core, previous) && !goes_on(&AFTER_DA),
        '음' => final_of(previous) != 0 && !goes_on(&["없", "이", "을"]),
        '함' | '됨' | '임' | '짐' | '움' | '큼' | '쁨' => !goes_on(&["없", "이", "을", "때문"]),
        '름' => "빠다마모".contains(previous),
        '림' => "느걸풀밀열흘".contains(previous),
        '만' => previous == '지',
        '데' => final_of(previous) == NIEUN,
        '도' => {
            core.ends_with("는데도")
                || core.ends_with("은데도")
                || core.ends_with("인데도")
                || core.ends_with("싼데도")
        }
        '나' => core.ends_with("으나"),
        // Both sides of `and` have a subject and a predicate, so that each can be judged by itself.
        '고' => {
            begun >= 2
                && next.ends_long()
                && !NO_AND.iter().any(|no| core.ends_with(no))
                && !goes_on(&AFTER_AND)
        }
        _ => false,
    }
}

impl Word<'_> {
    /// Whether this word can be a subject: it does not end a sentence right away.
    fn ends_long(&self) -> bool {
        let particle = self.core.chars().next_back();
        !self.ends_part
            && self.core.chars().count() >= 2
            && particle.is_some_and(|c| "은는이가도을를만".contains(c))
    }
}

/// Whether a word in 다 is a predicate: 있다, 한다, 좋다, 빠르다, 편하다; not 조립하다 in 조립하다 나사를 잃었어요.
fn is_predicate(word: &str, previous: char) -> bool {
    final_of(previous) != 0
        || "니크싸쁘로고이르프느".contains(previous)
        || previous == '하' && QUALITIES.iter().any(|quality| word.ends_with(quality))
}

/// The number of ㄴ among final consonants.
const NIEUN: u32 = 4;

/// The number of a syllable's final consonant; 0 for none.
fn final_of(syllable: char) -> u32 {
    (syllable as u32).checked_sub('가' as u32).map_or(0, |index| index % 28)
}

fn is_syllable(c: char) -> bool {
    ('가'..='힣').contains(&c)
}

/// Jamo by themselves: ㅋ, ㅎ, ㅠ, ㅜ.
fn is_jamo(c: char) -> bool {
    ('\u{3131}'..='\u{318e}').contains(&c)
}

fn is_end_mark(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？' | ';')
}

#[cfg(test)]
mod tests;
