//! The frame that all reports share, and the parts that their pages are made of.
//!
//! Markup is written with [`maud`], which escapes whatever is put into it: text from outside cannot become markup. A page
//! is self-contained (its charts are SVG inside), loads nothing and runs nothing; it is well-formed XML, so that tests and
//! other programs can read it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Colors and lines of charts, for light and dark ground.
pub(crate) const CHART_STYLE: &str = include_str!("chart.css");
/// Everything else on a page.
const PAGE_STYLE: &str = include_str!("page.css");
/// Elements without an end tag. `maud` writes them as HTML has them, not as XML; this text is constant.
const META: &str = "<meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>";

/// What stands at the top of a page.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// The title of the browser's tab.
    pub tab: &'a str,
    /// The title.
    pub title: &'a str,
    /// Its color.
    pub tone: Tone,
}

/// A whole page: title, what was measured on what, and the rest.
pub fn page(heading: Heading<'_>, subtitle: &Markup, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                (PreEscaped(META))
                title { (heading.tab) }
                style { (PreEscaped(CHART_STYLE)) (PreEscaped(PAGE_STYLE)) }
            }
            body {
                main {
                    h1.(heading.tone.class()) { (heading.title) }
                    p.faint { (subtitle) }
                    (content)
                }
            }
        }
    };
    without_controls(&page.into_string())
}

/// Replaces characters that XML forbids, and those that turn the direction of the text around them, by spaces, anywhere in a document: escaping does not change them.
pub(super) fn without_controls(document: &str) -> String {
    let is_forbidden = |character: char| {
        nunchi_text::steers_display(character) && !matches!(character, '\n' | '\t')
            || matches!(character, '\u{fffe}' | '\u{ffff}')
    };
    document.chars().map(|character| if is_forbidden(character) { ' ' } else { character }).collect()
}

/// The meaning of a color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// Better, higher, passed.
    Good,
    /// Worse, lower, failed.
    Bad,
    /// Less important.
    Faint,
}

impl Tone {
    /// Its class in the style.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Faint => "faint",
        }
    }

    /// Of a change, of which more is better; plain where it is smaller than `least`.
    pub fn of_change(change: f64, least: f64) -> Self {
        match change {
            change if change >= least => Tone::Good,
            change if change <= -least => Tone::Bad,
            _ => Tone::Plain,
        }
    }
}

/// How much of a row a card takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Half of it.
    Half,
    /// All of it.
    Full,
}

/// A box with a heading; `note` explains it, unless it is empty.
pub fn card(width: Width, heading: &str, note: &str, body: &Markup) -> Markup {
    html! {
        section.card.wide[width == Width::Full] {
            h2 { (heading) }
            @if !note.is_empty() { p.faint.small { (note) } }
            (body)
        }
    }
}

/// Cards beside and below each other.
pub fn grid(cards: &Markup) -> Markup {
    html! { div.grid { (cards) } }
}

/// One figure that is worth a box of its own.
#[derive(Clone, Debug)]
pub struct Tile {
    figure: String,
    what: String,
    tone: Tone,
}

impl Tile {
    /// A figure and what it is.
    pub fn new(figure: String, what: impl Into<String>, tone: Tone) -> Self {
        Tile { figure, what: what.into(), tone }
    }
}

/// A row of figures.
pub fn tiles(tiles: &[Tile]) -> Markup {
    html! {
        div.tiles {
            @for tile in tiles {
                div.card.tile { b.(tile.tone.class()) { (tile.figure) } span.faint.small { (tile.what) } }
            }
        }
    }
}

/// The conclusion of a page.
pub fn lead(conclusion: &str) -> Markup {
    html! { p.lead { (conclusion) } }
}

/// The text where there is nothing to show.
pub fn nothing(why: &str) -> Markup {
    html! { p.faint { (why) } }
}

/// A horizontal bar, `share` (0 to 1) of its place long.
pub fn meter(share: f64, class: &str) -> Markup {
    html! { span.meter.(class) { i style={ "width:" (format!("{:.1}", share.clamp(0.0, 1.0) * 100.0)) "%" } {} } }
}

/// A labeled bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it is of.
    pub name: String,
    /// Its length, 0 to 1.
    pub share: f64,
    /// Its color's class: `mark`, or a [`Tone`]'s.
    pub class: &'static str,
    /// What stands behind it.
    pub text: String,
}

/// Bars below each other.
pub fn bars(bars: &[Bar]) -> Markup {
    html! {
        table.bars {
            @for bar in bars {
                tr { td { (bar.name) } td.room { (meter(bar.share, bar.class)) } td { (bar.text) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::well_formed::{HOSTILE, read_markup};

    #[test]
    fn text_in_every_part_stays_text() {
        let (hostile, text) = (HOSTILE, || HOSTILE.to_owned());
        let bar = Bar { name: text(), share: 2.0, class: "good", text: text() };
        let content = html! {
            (tiles(&[Tile::new(text(), text(), Tone::Plain)]))
            (lead(hostile))
            (grid(&card(Width::Full, hostile, hostile, &html! { (nothing(hostile)) (bars(&[bar])) })))
        };
        let heading = Heading { tab: hostile, title: hostile, tone: Tone::Bad };
        let page = page(heading, &html! { (hostile) }, &content);
        let (elements, text) = read_markup(&page);
        assert_eq!(text.matches(HOSTILE).count(), 11, "{page}");
        assert!(!elements.iter().any(|element| element == "script"));
    }

    #[test]
    fn control_characters_become_spaces() {
        let page = page(
            Heading { tab: "", title: "a\u{1}b\u{ffff}\u{1b}[31m\tc\n", tone: Tone::Plain },
            &html! {},
            &html! {},
        );
        assert!(page.contains("<h1 class=\"plain\">a b  [31m\tc\n</h1>"), "{page}");
    }

    #[test]
    fn small_changes_have_no_tone() {
        let tones = [0.1, -0.1, 0.01, f64::NAN].map(|change| Tone::of_change(change, 0.05));
        assert_eq!(tones, [Tone::Good, Tone::Bad, Tone::Plain, Tone::Plain]);
    }
}
