//! Emoji: which are one, and what each stands for.
//!
//! A vocabulary has pieces for the few that people type often. Each of the others would be four bytes, which a network reads
//! as it likes. They are what they mean instead: a piece that texts are full of.

/// What an emoji is in a normalized text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emoji {
    /// Itself: a piece of its own, or a symbol that is typed as text.
    Kept(char),
    /// Another spelling of its class.
    Class(&'static str),
    /// Nothing beside words; alone, this.
    Silent(char),
}

const SMILE: &str = "😀😃😄😁😆🙂😉😇🥰😍🤩😘😗☺😚😙😋😛😜😝🤪🤗🤭😎🤓🥳😺😸😻😽🤤😌🥹🙆🤠☻";
const LAUGH: &str = "😂🤣😹😅";
const CRY: &str = "😢😭😥😪😓😿🥺😰😞😔☹🙁😩😫😖😣😟😕😨😱😧😦😵🥶🥵🥲🙀";
const BORED: &str = "😐😑😒🙄😬😶🥱😴💤🤨😏🫤";
const ANGER: &str = "😠🤬👿💢😤🤮🤢💩😾🖕☠💀👺";
const REFUSAL: &str = "🙅🤦💔❌🚫🙎🙍🗑";
const HAND: &str = "👌👏🙌🤙🤟✌💪🙏💯👊✊🤞🤝🫰🫡☝";
const LOVE: &str = "💕💖💗💓💞💝💘❣💟😻🫶💑💏💌";
/// Hearts of a color: decoration, as often a list's bullets as a feeling.
const COLORED: &str = "🧡💛💚💙💜🤎🖤🤍🩷🩵🩶";
const KEPT: &str = "👍👎😊😡";

/// The emoji at the beginning of `rest` and the bytes of all that belongs to it: variation selectors, skin tones, what
/// zero-width joiners add, the second half of a flag. `None` if it begins with no emoji.
pub(super) fn unit(rest: &str) -> Option<(Emoji, usize)> {
    let mut chars = rest.chars();
    let first = chars.next()?;
    if !is_emoji(first) {
        return None;
    }
    if is_flag_letter(first) {
        let second = chars.next().filter(|&c| is_flag_letter(c));
        return Some((Emoji::Silent('.'), first.len_utf8() + second.map_or(0, char::len_utf8)));
    }
    let mut end = first.len_utf8();
    let mut joined = false;
    while let Some(c) = rest[end..].chars().next() {
        let belongs = match u32::from(c) {
            0xfe0e | 0xfe0f | 0x1f3fb..=0x1f3ff | 0xe0020..=0xe007f => true,
            // A joiner, if an emoji follows it.
            0x200d => rest[end + c.len_utf8()..].starts_with(is_emoji),
            _ => joined && is_emoji(c),
        };
        if !belongs {
            break;
        }
        joined = c == '\u{200d}';
        end += c.len_utf8();
    }
    Some((meaning(first), end))
}

/// The bytes of a keycap whose first character has been read (`1`, `#`, `*`): what follows it, if that makes it one.
#[inline]
pub(super) fn keycap(rest: &str) -> Option<usize> {
    // The lead bytes of the two characters: nearly every digit is followed by something else.
    if !matches!(rest.as_bytes().first(), Some(0xef | 0xe2)) {
        return None;
    }
    let after = rest.strip_prefix('\u{fe0f}').unwrap_or(rest);
    after.strip_prefix('\u{20e3}').map(|left| rest.len() - left.len())
}

/// Characters that are drawn as pictures, and the symbols among which they stand.
#[inline]
pub(crate) fn is_emoji(c: char) -> bool {
    matches!(u32::from(c), 0x1f000..=0x1faff | 0x2600..=0x27bf | 0x2b50 | 0x2b55 | 0x2b1b | 0x2b1c | 0x231a | 0x231b
        | 0x23e9..=0x23fa | 0x25fd | 0x25fe | 0x1fb00..=0x1fbff)
}

fn is_flag_letter(c: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

fn meaning(c: char) -> Emoji {
    let of = |class: &str| class.contains(c);
    match c {
        _ if of(KEPT) => Emoji::Kept(c),
        _ if of(SMILE) => Emoji::Class("😊"),
        _ if of(LAUGH) => Emoji::Class("ㅋㅋ"),
        _ if of(CRY) => Emoji::Class("ㅠㅠ"),
        _ if of(BORED) => Emoji::Class("ㅡㅡ"),
        _ if of(ANGER) => Emoji::Class("😡"),
        _ if of(REFUSAL) => Emoji::Class("👎"),
        _ if of(HAND) => Emoji::Class("👍"),
        _ if of(LOVE) => Emoji::Class("♥"),
        _ if of(COLORED) => Emoji::Silent('♥'),
        '❗' | '❕' => Emoji::Class("!"),
        '❓' | '❔' => Emoji::Class("?"),
        '🌟' => Emoji::Kept('⭐'),
        '⭐' | '⭕' => Emoji::Kept(c),
        '✅' | '✨' | '⚡' | '⚽' | '⚾' | '⛄' | '⛔' | '☔' | '☕' | '✋' | '♿' | '⛳' | '⛵' | '⛺'
        | '⛽' | '➕' | '➖' | '➗' | '➰' | '➿' | '☀' | '☁' | '☂' | '☃' | '☄' => {
            Emoji::Silent('.')
        }
        // Typed symbols: ♥ ★ ♬ ☞ ✔.
        '\u{2600}'..='\u{27bf}' => Emoji::Kept(c),
        _ => Emoji::Silent('.'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_is_one() {
        for (text, want) in [
            ("🧡", Emoji::Silent('♥')),
            ("👨\u{200d}👩\u{200d}👧", Emoji::Silent('.')),
            ("👩🏽\u{200d}❤\u{fe0f}\u{200d}👨🏿", Emoji::Silent('.')),
            ("👍🏽", Emoji::Kept('👍')),
            ("🇰🇷", Emoji::Silent('.')),
            ("🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}", Emoji::Silent('.')),
            ("❤\u{fe0f}", Emoji::Kept('❤')),
            ("🤦🏻\u{200d}♀\u{fe0f}", Emoji::Class("👎")),
            ("😭", Emoji::Class("ㅠㅠ")),
        ] {
            assert_eq!(unit(text), Some((want, text.len())), "{text}");
            assert_eq!(unit(&format!("{text}{text}")), Some((want, text.len())), "twice {text}");
        }
        assert_eq!(unit("👍\u{200d}좋"), Some((Emoji::Kept('👍'), 4)));
        assert_eq!((unit("가"), unit("1"), unit("")), (None, None, None));
    }

    #[test]
    fn keycaps_are_told_from_digits() {
        assert_eq!((keycap("\u{fe0f}\u{20e3}가"), keycap("\u{20e3}")), (Some(6), Some(3)));
        assert_eq!((keycap("점"), keycap("\u{fe0f}"), keycap("")), (None, None, None));
    }
}
