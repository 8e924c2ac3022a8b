//! What messages may show of data. The first line of a file without column names is a comment, and so is a label where
//! columns are out of place: logs must not get them by way of an error.

use crate::names;

/// Longest name that is shown.
const MAX_NAME: usize = 32;
/// Longest value that is shown: enough for a label, too little for a comment.
const MAX_VALUE: usize = 11;

/// Whether messages may show this name of a column or field: up to 32 of the characters A-Z, a-z, 0-9, `_` and `.`.
pub fn is_showable(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_plain)
}

/// The columns' names, as far as they may be shown.
pub fn shown_names(names: &[String]) -> String {
    let names = || names.iter().map(String::as_str).filter(|name| !name.is_empty());
    let shown: Vec<&str> = names().filter(|name| is_showable(name) || names::is_known(name)).collect();
    let hidden = match names().count() - shown.len() {
        0 => return shown.join(", "),
        1 => "1 whose name is not shown".to_owned(),
        hidden => format!("{hidden} whose names are not shown"),
    };
    if shown.is_empty() { hidden } else { format!("{} and {hidden}", shown.join(", ")) }
}

/// Column `place` of `columns`, counted from 0: by its name, as far as that may be shown.
pub fn shown_column(columns: &[String], place: usize) -> String {
    match columns.get(place) {
        Some(name) if is_showable(name) || names::is_known(name) => format!("`{name}`"),
        _ => format!("column {}", place + 1),
    }
}

/// Whether messages may show this value: it is short, and of characters that words of a comment in Korean do not have.
pub(crate) fn is_plain_value(value: &str) -> bool {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || "_.+-/%점★☆⭐".contains(c) || ('０'..='９').contains(&c);
    // The one Hangul syllable is a unit behind digits, no word.
    let is_value = !value.contains('점') || value.starts_with(|c: char| c.is_numeric());
    (1..=MAX_VALUE).contains(&value.chars().count()) && is_value && value.chars().all(is_plain)
}

/// A value, in backquotes if it is short and plain; else how long it is.
pub fn shown_value(value: &str) -> String {
    match value.chars().count() {
        0 => "empty".to_owned(),
        _ if is_plain_value(value) => format!("`{value}`"),
        1 => "1 character".to_owned(),
        characters => format!("{characters} characters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_shown_only_if_they_cannot_be_comments() {
        let names =
            ["id", "review_text", "좋아요 정말", "a,b", &"x".repeat(33), "v1.text"].map(str::to_owned);
        assert_eq!(shown_names(&names), "id, review_text, v1.text and 3 whose names are not shown");
        assert_eq!(shown_names(&names[2..3]), "1 whose name is not shown");
        assert_eq!(shown_names(&names[..2]), "id, review_text");
        let values = ["", "7", "-1.5", "neutral", "two words", "좋", "twelve_chars"];
        let shown = ["empty", "`7`", "`-1.5`", "`neutral`", "9 characters", "1 character", "12 characters"];
        assert_eq!(values.map(shown_value), shown);
    }
}
