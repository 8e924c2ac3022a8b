//! Colors: only where standard output is a terminal and `NO_COLOR` (no-color.org) is not set.

use nunchi_text::steers_display;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

/// Adds colors, or not.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    colors: bool,
}

/// The meaning of a color.
#[derive(Clone, Copy, Debug)]
pub enum Tone {
    /// Positive: green.
    Good,
    /// Negative: red.
    Bad,
    /// Something is wrong: yellow.
    Warning,
    /// Of little importance.
    Faint,
}

impl Paint {
    /// For standard output.
    pub fn for_stdout() -> Self {
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Paint { colors: std::io::stdout().is_terminal() && !forbidden }
    }

    /// Appends `text` in the color of `tone`.
    pub fn paint(self, tone: Tone, text: &str, out: &mut String) {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warning => "33",
            Tone::Faint => "2",
        };
        let _ = match self.colors {
            true => write!(out, "\x1b[{code}m{text}\x1b[0m"),
            false => write!(out, "{text}"),
        };
    }
}

/// Appends `text` without the characters that would steer a terminal or turn its direction.
pub fn push_harmless(text: &str, out: &mut String) {
    out.extend(text.chars().map(|c| if steers_display(c) { ' ' } else { c }));
}

/// Good from one half on.
pub fn tone(score: f64) -> Tone {
    if score >= 0.5 { Tone::Good } else { Tone::Bad }
}
