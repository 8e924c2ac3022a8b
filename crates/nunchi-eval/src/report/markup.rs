//! Text that is no markup, and numbers for people.

/// Text that is no markup, whatever somebody wrote into a comment: well-formed in HTML and XML alike.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // What XML does not know, and what would steer a terminal.
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

/// A number with commas.
pub fn grouped(number: usize) -> String {
    indicatif::HumanCount(number as u64).to_string()
}

/// A share as a percentage.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// `3 models`, `1 model`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A span of time.
pub(super) fn span(seconds: f64) -> String {
    match seconds.clamp(0.0, 1e9).round() as u64 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            escaped("<script>alert('눈치' & \"x\")</script>\u{1}\u{ffff}"),
            "&lt;script&gt;alert(&#39;눈치&#39; &amp; &quot;x&quot;)&lt;/script&gt;  "
        );
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 2_000].map(|count| counted(count, "comment")), ["1 comment", "2,000 comments"]);
        assert_eq!([0.4, 61.0, 7_260.0].map(span), ["0 s", "1 min 1 s", "2 h 1 min"]);
        assert_eq!(percent(0.91234), "91.23 %");
    }
}
