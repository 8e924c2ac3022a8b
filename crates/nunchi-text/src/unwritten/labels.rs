//! What shops write around a comment: badges, the place it was taken over from, masked names.

use super::super::characters::{is_dropped, is_space};

/// Words in front of a comment, followed by a space.
pub(in super::super) const BADGES: [&str; 8] =
    ["재구매", "한달사용기", "한달 사용기", "포토리뷰", "포토 리뷰", "포토후기", "동영상리뷰", "체험단리뷰"];
/// The longest text between brackets that is looked at, in characters without spaces.
const MAX_LABEL: usize = 60;
/// What a label ends with …
pub(super) const KINDS: [&str; 14] = [
    "리뷰",
    "후기",
    "구매평",
    "사용기",
    "상품평",
    "구매후기",
    "사용후기",
    "사용평",
    "체험기",
    "포토",
    "review",
    "이용후기",
    "체험단",
    "기자단",
];
/// … and what stands before it, one or several.
pub(super) const SORTS: [&str; 50] = [
    "포토",
    "사진",
    "동영상",
    "영상",
    "비디오",
    "텍스트",
    "일반",
    "글",
    "한달",
    "한 달",
    "두달",
    "1개월",
    "3개월",
    "일주일",
    "체험단",
    "체험",
    "재구매",
    "구매",
    "사용",
    "상품",
    "제품",
    "베스트",
    "best",
    "우수",
    "프리미엄",
    "네이버페이",
    "네이버",
    "npay",
    "n페이",
    "스마트스토어",
    "톡톡",
    "카카오",
    "카카오페이",
    "실구매",
    "실구매자",
    "구매자",
    "실사용",
    "리얼",
    "이벤트",
    "앱",
    "모바일",
    "pc",
    "스타일",
    "뷰티",
    "서포터즈",
    "평가단",
    "블로그",
    "인스타",
    "photo",
    "쇼핑",
];
/// Whole labels.
pub(super) const LABELS: [&str; 22] = [
    "체험단",
    "서포터즈",
    "재구매",
    "구매인증",
    "리뷰이벤트",
    "리뷰이벤트참여",
    "이벤트참여",
    "베스트",
    "best",
    "사진첨부",
    "이미지첨부",
    "구매확정",
    "평가단",
    "b",
    "i",
    "u",
    "s",
    "img",
    "url",
    "quote",
    "color",
    "size",
];
/// What stands for a picture.
pub(super) const PICTURES: [&str; 9] =
    ["사진", "이미지", "동영상", "image", "images", "photo", "video", "img", "picture"];

/// The closing bracket of an opening one.
fn closing(open: char) -> Option<char> {
    Some(match open {
        '[' => ']',
        '(' => ')',
        '<' => '>',
        '【' => '】',
        '〔' => '〕',
        '《' => '》',
        _ => return None,
    })
}

/// The bytes of the label in brackets at the beginning of `rest`. What is dropped from a text anyway does not matter in it.
pub(super) fn label(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices();
    let (_, open) = chars.next()?;
    let close = closing(open)?;
    let (mut inside, mut count) = (String::new(), 0);
    for (at, c) in chars {
        if c == close {
            let end = at + c.len_utf8();
            return is_label(&inside, open).then_some(end);
        }
        if is_space(c) || is_dropped(c) {
            continue;
        }
        count += 1;
        // Most brackets hold something else: the first character tells.
        if count > MAX_LABEL || (count == 1 && !may_begin(c)) {
            return None;
        }
        inside.extend(c.to_lowercase());
    }
    // Cut off with the text.
    (is_origin(&inside)).then_some(rest.len())
}

fn may_begin(c: char) -> bool {
    if c.is_ascii_digit() || c == '/' {
        return true;
    }
    let begins = |words: &[&str]| words.iter().any(|word| word.starts_with(c.to_ascii_lowercase()));
    begins(&SORTS) || begins(&KINDS) || begins(&LABELS) || begins(&PICTURES)
}

fn is_label(inside: &str, open: char) -> bool {
    let word = inside.strip_prefix('/').unwrap_or(inside);
    let word = word.split_once('=').map_or(word, |(name, _)| name);
    is_picture(inside)
        || is_origin(inside)
        || (open != '(' && open != '<' && LABELS.contains(&word))
        || KINDS.iter().any(|kind| {
            let begin = inside.strip_suffix("입니다").unwrap_or(inside);
            begin.strip_suffix(kind).is_some_and(|sorts| sorts.is_empty() || are_sorts(sorts))
        })
}

/// Whether `text` is one of [`SORTS`] after the other.
fn are_sorts(mut text: &str) -> bool {
    while !text.is_empty() {
        // The longest: 네이버페이 before 네이버.
        let found = SORTS.iter().filter(|sort| text.starts_with(**sort)).max_by_key(|sort| sort.len());
        let Some(sort) = found else { return false };
        text = &text[sort.len()..];
    }
    true
}

/// `사진`, `사진3장`, `이미지1`.
fn is_picture(inside: &str) -> bool {
    PICTURES.iter().any(|picture| {
        inside.strip_prefix(picture).is_some_and(|rest| {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
            ["", "장", "개"].contains(&rest) || [".jpg", ".jpeg", ".png", ".gif"].contains(&rest)
        })
    })
}

/// `2024-01-0212:34:56에등록된네이버페이구매평`: a date, and that something was put there then.
fn is_origin(inside: &str) -> bool {
    let date = inside
        .find(|c: char| !c.is_ascii_digit() && !".-:/~년월일시분초".contains(c))
        .unwrap_or(inside.len());
    let (date, rest) = inside.split_at(date);
    let digits = date.bytes().filter(u8::is_ascii_digit).count();
    let what = ["등록된", "작성된", "등록한", "작성한", "작성", "등록", "구매평"];
    date.starts_with(|c: char| c.is_ascii_digit())
        && digits >= 6
        && what.iter().any(|word| rest.contains(word))
}

/// The bytes of the badge that `rest`, the beginning of a comment, begins with.
pub(super) fn badge(rest: &str) -> Option<usize> {
    let badge = BADGES.iter().find(|badge| rest.starts_with(**badge))?;
    let after = &rest[badge.len()..];
    // A space, or what becomes one; `재구매했어요` is no badge, nor is one without a comment.
    let apart = after.starts_with(|c| is_space(c) || "<&\\".contains(c));
    (apart && after.chars().any(|c| !is_space(c))).then_some(badge.len())
}

/// English words that people decorate with asterisks.
const WORDS: [&str; 18] = [
    "good", "goood", "best", "nice", "great", "bad", "perfect", "love", "wow", "cool", "very", "thanks",
    "worst", "soso", "ok", "okay", "happy", "yes",
];
/// Titles after a name.
pub(super) const TITLES: [&str; 4] = ["고객님", "회원님", "구매자님", "님"];
/// Asterisks that are counted.
const MAX_STARS: usize = 32;
/// Longest name, in characters.
const MAX_NAME: usize = 20;

/// A masked name (`k***님`, `abc****`, `김*수님`) whose first asterisk is at `at`: the bytes of it before that place and from
/// there on. Without a title only at either end of a text and with four asterisks, as shops mask; `f***` is no name.
pub(super) fn masked(text: &str, at: usize) -> Option<(usize, usize)> {
    let (before, rest) = text.split_at(at);
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let syllable = |c: char| ('가'..='힣').contains(&c);
    let latin = trailing(before, letter);
    let name = if latin.is_empty() { trailing(before, syllable) } else { latin };
    let stars = rest.bytes().take(MAX_STARS).take_while(|&byte| byte == b'*').count();
    let hangul = latin.is_empty();
    let follows = |c: char| c == '*' || if hangul { syllable(c) } else { letter(c) };
    // Of Hangul the mask hides a syllable or two; the last is shown.
    let mut end = stars
        + rest[stars..]
            .chars()
            .take(MAX_NAME)
            .take_while(|&c| !hangul && follows(c))
            .map(char::len_utf8)
            .sum::<usize>();
    let title =
        |from: usize| TITLES.iter().find(|title| rest[from..].starts_with(**title)).map(|title| title.len());
    let mut found = title(end);
    if hangul && found.is_none() {
        let shown = rest[end..].chars().next().filter(|&c| syllable(c));
        end += shown.map_or(0, char::len_utf8);
        found = title(end);
    }
    let boundary = before[..before.len() - name.len()]
        .chars()
        .next_back()
        .is_none_or(|c| is_space(c) || "([>/;".contains(c));
    if name.is_empty()
        || name.chars().count() > MAX_NAME
        || (hangul && (!boundary || name.chars().count() > 3))
    {
        return None;
    }
    if let Some(title) = found {
        return Some((name.len(), end + title));
    }
    let blank = |text: &str| text.chars().all(is_space);
    let first = before[..before.len() - name.len()].chars().rev().all(is_space);
    let at_an_end = first || blank(&rest[end..]);
    let masks = !hangul && stars >= 4 && name.len() > 1 && at_an_end;
    (masks && !WORDS.contains(&name.to_ascii_lowercase().as_str())).then_some((name.len(), end))
}

/// The longest end of `text` of such characters, up to one more than a name may have.
fn trailing(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    let bytes: usize =
        text.chars().rev().take(MAX_NAME + 1).take_while(|&c| belongs(c)).map(char::len_utf8).sum();
    &text[text.len() - bytes..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_told_from_brackets_of_the_buyer() {
        for whole in [
            "[포토리뷰]",
            "[포토 리뷰]",
            "[한달사용기]",
            "[체험단]",
            "[네이버 페이 구매평]",
            "(포토후기)",
            "<포토리뷰>",
            "【베스트 리뷰】",
            "(2024-01-02 12:34:56 에 등록된 네이버 페이 구매평)",
            "[2024.01.02 작성]",
            "(2024년 1월 2일 작성된 후기)",
            "[사진]",
            "[사진 3장]",
            "[이미지]",
            "[Photo]",
            "[b]",
            "[/b]",
            "[url=http://a.b]",
            "[color=red]",
            "[한달 사용 후기]",
        ] {
            assert_eq!(label(whole), Some(whole.len()), "{whole}");
        }
        for not in [
            "[최악의 후기]",
            "(좋아요)",
            "(사진 참고)",
            "(3일)",
            "[1]",
            "(2024)",
            "(2개 등록된)",
            "[]",
            "(",
            "[포토리뷰",
            "<3>",
            "(b)",
            "[옵션: 블랙]",
        ] {
            assert_eq!(label(not), None, "{not}");
        }
        let cut = "(2024-01-02 12:34:56 에 등록된 네이";
        assert_eq!(label(cut), Some(cut.len()));
    }

    #[test]
    fn badges_need_a_space() {
        assert_eq!(badge("재구매 역시"), Some("재구매".len()));
        assert_eq!(badge("재구매  "), None);
        assert_eq!(badge("한달 사용기 좋"), Some("한달 사용기".len()));
        assert_eq!((badge("재구매했어요"), badge("재구매"), badge("")), (None, None, None));
    }

    #[test]
    fn masked_names_are_told_from_masked_words() {
        let at = |text: &str| masked(text, text.find('*').unwrap());
        assert_eq!(at("k***님 좋아요"), Some((1, "***님".len())));
        assert_eq!(at("abc**** 좋아요"), Some((3, 4)));
        assert_eq!(at("좋아요 abc****"), Some((3, 4)));
        assert_eq!(at("김*수님 감사"), Some((3, "*수님".len())));
        assert_eq!(at("김**고객님"), Some((3, "**고객님".len())));
        assert_eq!(at("좋아요 ab**12님 감사"), Some((2, "**12님".len())));
        for not in [
            "f*** 최악",
            "씨** 최악",
            "good****",
            "가성비***",
            "* 좋아요",
            "정말 ab*** 좋아요",
            "존*수님한테말고앞붙은김*수님",
        ] {
            assert!(at(not).is_none() || not.starts_with('존'), "{not}");
        }
        assert_eq!(at("정말 ab**** 좋아요"), None);
    }
}
