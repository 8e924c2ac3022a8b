//! Comments with other spaces than their writers gave them.
//!
//! Spaces are often left out or scattered in Korean comments; a model must not depend on them.

use unicode_width::UnicodeWidthChar as _;

/// Joins emoji into one.
const JOINER: char = '\u{200d}';

/// What happens to the spaces of a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Spacing {
    /// Remove all spaces
    None,
    /// Put a space between all characters
    Every,
}

impl Spacing {
    /// `text` with spaces as this says. What belongs to the character before it (marks, joined emoji) is not torn off.
    pub fn apply(self, text: &str) -> String {
        let mut spaced = String::with_capacity(text.len() * 4 / 3 + 1);
        let mut joined = true;
        for character in text.chars().filter(|character| !character.is_whitespace()) {
            if self == Spacing::Every && !joined && character.width() != Some(0) {
                spaced.push(' ');
            }
            spaced.push(character);
            joined = character == JOINER;
        }
        spaced
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Spacing::None => "none",
            Spacing::Every => "every",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_removed_or_set_between_all_characters() {
        let text = " 배송이  빨라요\tㅎㅎ ";
        assert_eq!(Spacing::None.apply(text), "배송이빨라요ㅎㅎ");
        assert_eq!(Spacing::Every.apply(text), "배 송 이 빨 라 요 ㅎ ㅎ");
        assert_eq!(Spacing::Every.apply(" "), "");
    }

    #[test]
    fn one_character_of_several_code_points_stays_whole() {
        // A heart with its variation selector; a gesture joined with a sign; a syllable of three conjoining jamo.
        assert_eq!(Spacing::Every.apply("가❤\u{fe0f}나"), "가 ❤\u{fe0f} 나");
        assert_eq!(Spacing::Every.apply("🙅\u{200d}♀\u{fe0f}비추"), "🙅\u{200d}♀\u{fe0f} 비 추");
        assert_eq!(
            Spacing::Every.apply("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}"),
            "\u{1112}\u{1161}\u{11ab} \u{1100}\u{1173}"
        );
    }
}
