//! Names of columns: when two are the same, and those that are known.

use unicode_normalization::UnicodeNormalization as _;

/// Columns that hold comments, the likeliest first. In Korean: those of the exports of SmartStore, Coupang Wing, Cafe24, 11st,
/// Gmarket and their like.
pub(crate) const TEXTS: [&str; 30] = [
    "text",
    "comment",
    "review",
    "document",
    "content",
    "sentence",
    "리뷰상세내용",
    "리뷰내용",
    "리뷰본문",
    "상품평내용",
    "상품평상세",
    "상품평",
    "구매평",
    "후기내용",
    "구매후기",
    "상품후기",
    "이용후기",
    "후기",
    "리뷰",
    "한줄평",
    "내용",
    "본문",
    "댓글내용",
    "댓글",
    "코멘트",
    "의견",
    "고객의견",
    "review_text",
    "review_content",
    "comments",
];
/// Columns that hold labels.
pub(crate) const LABELS: [&str; 6] = ["label", "라벨", "레이블", "긍부정", "감성", "sentiment"];
/// Columns that hold stars.
pub(crate) const STARS: [&str; 14] = [
    "stars",
    "rating",
    "구매자평점",
    "상품평점",
    "리뷰평점",
    "고객평점",
    "평점",
    "별점",
    "상품만족도",
    "구매만족도",
    "만족도",
    "평가점수",
    "점수",
    "star_rating",
];
/// Columns that hold a comment's id.
pub(crate) const IDS: [&str; 11] = [
    "id",
    "리뷰글번호",
    "리뷰번호",
    "리뷰id",
    "상품평번호",
    "후기번호",
    "글번호",
    "게시글번호",
    "review_id",
    "comment_id",
    "번호",
];
/// Columns that hold a product's id.
const PRODUCTS: [&str; 7] =
    ["product_id", "상품번호", "상품코드", "상품id", "채널상품번호", "판매자상품코드", "상품명"];
/// Others that exports have: they tell the row with the names from a title.
const OTHERS: [&str; 14] = [
    "리뷰등록일",
    "리뷰등록일시",
    "등록일",
    "작성일",
    "작성일자",
    "작성자",
    "등록자",
    "주문번호",
    "상품주문번호",
    "리뷰구분",
    "date",
    "created_at",
    "리뷰도움수",
    "포토/영상",
];

/// A name as names are compared: composed (NFC), without case and outer white space.
pub(crate) fn key(name: &str) -> String {
    let trimmed = name.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}');
    trimmed.nfc().flat_map(char::to_lowercase).collect()
}

/// As [`key`], without white space within, in which known names differ between shops.
fn known_key(name: &str) -> String {
    key(name).chars().filter(|c| !c.is_whitespace()).collect()
}

/// Whether a name is known, and so no part of a comment.
pub(crate) fn is_known(name: &str) -> bool {
    let key = known_key(name);
    !key.is_empty()
        && [&TEXTS[..], &LABELS, &STARS, &IDS, &PRODUCTS, &OTHERS]
            .iter()
            .any(|names| names.contains(&key.as_str()))
}

/// The place of the first column with a name of `candidates`, which stand in the order of preference.
pub(crate) fn find_known(columns: &[String], candidates: &[&str]) -> Option<usize> {
    let keys: Vec<String> = columns.iter().map(|column| known_key(column)).collect();
    candidates.iter().find_map(|candidate| keys.iter().position(|key| key == candidate))
}

/// The place of the column `name`: of that very name, or of one that is the same.
pub(crate) fn find(columns: &[String], name: &str) -> Option<usize> {
    let exact = columns.iter().position(|column| column == name);
    exact.or_else(|| {
        let wanted = key(name);
        columns.iter().position(|column| key(column) == wanted)
    })
}

/// Names that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Names(names.into_iter().map(key).filter(|key| !key.is_empty()).collect())
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&key(name))
    }
}

/// Two columns of the same name, as places counted from 0.
pub(crate) fn twice(columns: &[String]) -> Option<(usize, usize)> {
    let mut seen = std::collections::HashMap::new();
    columns.iter().enumerate().find_map(|(place, column)| {
        let key = key(column);
        if key.is_empty() {
            return None;
        }
        seen.insert(key, place).map(|before| (before, place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_however_they_are_typed() {
        let columns = ["\u{feff} Text ", "리뷰상세내용", "LABEL"].map(str::to_owned);
        let decomposed: String = "리뷰상세내용".nfd().collect();
        assert_eq!(find(&columns, "text"), Some(0));
        assert_eq!(find(&columns, &decomposed), Some(1));
        assert_eq!(find(&[decomposed], "리뷰상세내용"), Some(0));
        assert_eq!(find(&columns, "label "), Some(2));
        assert_eq!(find(&columns, "labels"), None);
        assert_eq!(find_known(&["상품 번호".to_owned(), "리뷰 내용".to_owned()], &TEXTS), Some(1));
    }

    #[test]
    fn the_same_name_twice_is_found() {
        let columns = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(twice(&columns(&["text", "label", "Text "])), Some((0, 2)));
        assert_eq!(twice(&columns(&["text", "", "label", ""])), None);
    }
}
