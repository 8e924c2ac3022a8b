//! Small charts as SVG: axes with round numbers, lines, dots, bars. Colors are classes, which the page's style defines for
//! light and dark ground: `m0` to `m7`, one a model, `good` and `bad`.

use super::format::grouped;
use maud::{Markup, PreEscaped, html};
use std::fmt::Write as _;

/// Different colors of models; further models begin anew.
const COLORS: [&str; 8] = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"];
/// The size of a chart beside another one.
pub const HALF: [f64; 2] = [500.0, 300.0];
/// The size of a square chart.
pub const SQUARE: [f64; 2] = [500.0, 420.0];
/// The size of one of many charts.
pub(crate) const SMALL: [f64; 2] = [420.0, 210.0];
/// The size of a chart over the whole page.
pub const WIDE: [f64; 2] = [1040.0, 290.0];
/// Room around the plot, in units of the chart: for numbers on the left, for the titles above and below.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 22.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 40.0;

/// How an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As it stands.
    Number,
    /// Shares of 1 as percentages.
    Percent,
    /// Shares of 1 as percentages on both sides of zero, without a sign: bars upwards and downwards.
    MirroredPercent,
    /// Powers of ten; only for values above 0.
    Log,
    /// Without numbers.
    Bare,
}

/// One axis.
#[derive(Clone, Debug)]
pub struct Axis {
    title: String,
    from: f64,
    to: f64,
    unit: Unit,
}

impl Axis {
    /// From one value to a greater one.
    pub fn new(title: &str, unit: Unit, from: f64, to: f64) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Axis { title: title.to_owned(), from, to, unit }
    }

    /// Wide enough for all `values`, with some air, within `limits`.
    pub(crate) fn around(
        title: &str,
        unit: Unit,
        values: impl Iterator<Item = f64>,
        limits: [f64; 2],
    ) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return Axis::new(title, unit, limits[0].max(0.0), limits[1].min(1.0));
        }
        let air = ((high - low) * 0.08).max(0.004 * high.abs().max(0.1));
        Axis::new(title, unit, (low - air).max(limits[0]), (high + air).min(limits[1]))
    }

    /// An axis without numbers; names can be written below it.
    pub fn bare(title: &str, from: f64, to: f64) -> Self {
        Axis::new(title, Unit::Bare, from, to)
    }

    /// Its ends.
    pub(crate) fn ends(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// Where a value lies between the ends, 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.unit == Unit::Log { value.max(1e-12).log10() } else { value };
        let share = (scale(value) - scale(self.from)) / (scale(self.to) - scale(self.from));
        share.clamp(0.0, 1.0)
    }

    /// Round numbers, about five of them, and how they are written.
    fn ticks(&self) -> Vec<(f64, String)> {
        match self.unit {
            Unit::Bare => Vec::new(),
            Unit::Log => self.ticks_of_powers(),
            Unit::Number | Unit::Percent | Unit::MirroredPercent => self.ticks_of_steps(),
        }
    }

    fn ticks_of_powers(&self) -> Vec<(f64, String)> {
        let powers = self.from.log10().floor() as i32..=self.to.log10().floor() as i32;
        // Over a few powers of ten there is room for what lies between.
        let factors: &[f64] = if powers.clone().count() < 4 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let values = powers.flat_map(|power| factors.iter().map(move |factor| factor * 10.0_f64.powi(power)));
        let within = values.filter(|value| (self.from * 0.999..=self.to * 1.001).contains(value));
        within.map(|value| (value, plain(value))).collect()
    }

    fn ticks_of_steps(&self) -> Vec<(f64, String)> {
        let rough = (self.to - self.from) / 5.0;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
        let first = (self.from / step - 1e-6).ceil() as i64;
        let last = (self.to / step + 1e-6).floor() as i64;
        let shown = if self.unit == Unit::Number { step } else { step * 100.0 };
        let decimals = (0..6).find(|&places| {
            let scaled = shown * 10.0_f64.powi(places);
            (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0)
        });
        let decimals = decimals.unwrap_or(6) as usize;
        let write = |value: f64| match self.unit {
            Unit::Percent => format!("{:.decimals$} %", value * 100.0),
            Unit::MirroredPercent => format!("{:.decimals$} %", value.abs() * 100.0),
            _ if decimals == 0 && value >= 0.0 => grouped(value.round() as u64),
            _ => format!("{value:.decimals$}"),
        };
        (first..=last).map(|at| at as f64 * step).map(|value| (value, write(value))).collect()
    }
}

/// A round number as a person writes it.
fn plain(value: f64) -> String {
    if value >= 1.0 {
        return grouped(value.round() as u64);
    }
    let places = (-value.log10()).ceil() as usize;
    format!("{value:.places$}")
}

/// A coordinate: a tenth of a unit is less than a pixel.
fn at(value: f64) -> String {
    format!("{value:.1}")
}

/// A chart that is being drawn.
#[derive(Debug)]
pub struct Chart {
    label: String,
    marks: Vec<Markup>,
    x: Axis,
    y: Axis,
    width: f64,
    height: f64,
}

impl Chart {
    /// Axes and grid; `label` is the description for screen readers.
    pub fn new(label: &str, [width, height]: [f64; 2], x: Axis, y: Axis) -> Self {
        let mut chart = Chart { label: label.to_owned(), marks: Vec::new(), x, y, width, height };
        let (left, right, floor) = (LEFT, width - RIGHT, height - BOTTOM);
        for (value, text) in chart.y.ticks() {
            let y = chart.down(value);
            chart.marks.push(html! {
                line.rule x1=(left) x2=(right) y1=(at(y)) y2=(at(y)) {}
                text x=(at(left - 6.0)) y=(at(y + 4.0)) text-anchor="end" { (text) }
            });
        }
        for (value, text) in chart.x.ticks() {
            let x = at(chart.across(value));
            chart.marks.push(html! {
                line.axis x1=(x) x2=(x) y1=(floor) y2=(floor + 4.0) {}
                text x=(x) y=(floor + 17.0) text-anchor="middle" { (text) }
            });
        }
        chart.marks.push(html! {
            line.axis x1=(left) x2=(right) y1=(floor) y2=(floor) {}
            text.title x="2" y="12" { (chart.y.title) }
            text.title x=(right) y=(height - 5.0) text-anchor="end" { (chart.x.title) }
        });
        chart
    }

    /// Where a value of the x axis lies.
    fn across(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (self.width - LEFT - RIGHT)
    }

    /// Where a value of the y axis lies.
    fn down(&self, value: f64) -> f64 {
        self.height - BOTTOM - self.y.place(value) * (self.height - TOP - BOTTOM)
    }

    /// A line through points.
    pub fn line(&mut self, class: &str, points: impl IntoIterator<Item = [f64; 2]>) {
        let mut path = String::new();
        for [x, y] in points {
            let command = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.across(x), self.down(y));
        }
        if !path.is_empty() {
            self.marks.push(html! { path.line.(class) d=(path) {} });
        }
    }

    /// A dot with a tooltip.
    pub fn dot(&mut self, class: &str, [x, y]: [f64; 2], radius: f64, title: &str) {
        let (x, y) = (at(self.across(x)), at(self.down(y)));
        self.marks.push(html! { circle.dot.(class) cx=(x) cy=(y) r=(at(radius)) { title { (title) } } });
    }

    /// A thin upright line: an interval.
    pub(crate) fn whisker(&mut self, class: &str, x: f64, [low, high]: [f64; 2]) {
        let x = at(self.across(x));
        let (low, high) = (at(self.down(low)), at(self.down(high)));
        self.marks.push(html! { line.whisker.(class) x1=(x) x2=(x) y1=(low) y2=(high) {} });
    }

    /// A thick horizontal line: an interval on the x axis.
    pub fn range(&mut self, class: &str, [low, high]: [f64; 2], y: f64) {
        let y = at(self.down(y));
        let (low, high) = (at(self.across(low)), at(self.across(high)));
        self.marks.push(html! { line.range.(class) x1=(low) x2=(high) y1=(y) y2=(y) {} });
    }

    /// A bar over a stretch of the x axis, between two heights.
    pub fn bar(&mut self, class: &str, x: [f64; 2], y: [f64; 2], title: &str) {
        let [left, right] = x.map(|value| self.across(value));
        let [one, other] = y.map(|value| self.down(value));
        let (top, height) = (one.min(other), (one - other).abs());
        if height > 0.0 {
            let width = (right - left - 1.5).max(0.6);
            self.marks.push(html! {
                rect.bar.(class) x=(at(left + 0.75)) y=(at(top)) width=(at(width)) height=(at(height.max(0.6))) {
                    title { (title) }
                }
            });
        }
    }

    /// A cell of a heat map; `depth` (0 to 1) of its color.
    pub fn cell(&mut self, class: &str, x: [f64; 2], y: [f64; 2], depth: f64, title: &str) {
        let [left, right] = x.map(|value| self.across(value));
        let [bottom, top] = y.map(|value| self.down(value));
        self.marks.push(html! {
            rect.bar.(class) x=(at(left)) y=(at(top)) width=(at(right - left)) height=(at(bottom - top))
                opacity=(format!("{depth:.3}")) { title { (title) } }
        });
    }

    /// Words in the plot.
    pub fn note(&mut self, [x, y]: [f64; 2], anchor: &str, text: &str) {
        let (x, y) = (at(self.across(x)), at(self.down(y)));
        self.marks.push(html! { text.note x=(x) y=(y) text-anchor=(anchor) { (text) } });
    }

    /// A name in its line's color.
    pub(crate) fn named(&mut self, [x, y]: [f64; 2], class: &str, text: &str) {
        let (x, y) = (at(self.across(x)), at(self.down(y) + 4.0));
        self.marks.push(html! { text.named.(class) x=(x) y=(y) { (text) } });
    }

    /// Words below the x axis, instead of numbers.
    pub fn name(&mut self, x: f64, text: &str) {
        let x = at(self.across(x));
        self.marks.push(html! { text x=(x) y=(self.height - BOTTOM + 17.0) text-anchor="middle" { (text) } });
    }

    /// The chart, as a part of a page.
    pub fn finish(self) -> Markup {
        self.draw("")
    }

    /// The chart as a file of its own.
    pub(crate) fn into_file(self) -> String {
        super::page::without_controls(&self.draw(super::page::CHART_STYLE).into_string())
    }

    /// The chart; `style` is one of the constants of this folder.
    fn draw(&self, style: &'static str) -> Markup {
        let view_box = format!("0 0 {} {}", self.width, self.height);
        html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox=(view_box) role="img" aria-label=(self.label) {
                @if !style.is_empty() { style { (PreEscaped(style)) } }
                @for mark in &self.marks { (mark) }
            }
        }
    }
}

/// The class of model `index`'s color.
pub(crate) fn color(index: usize) -> &'static str {
    COLORS[index % COLORS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::well_formed::{HOSTILE, read_markup};

    fn written(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_lie_within() {
        let axis = Axis::new("", Unit::Percent, 0.853, 0.912);
        assert_eq!(written(&axis), ["86 %", "88 %", "90 %"]);
        assert_eq!(
            written(&Axis::new("", Unit::Number, 0.0, 12_000.0)),
            ["0", "2,500", "5,000", "7,500", "10,000"]
        );
        assert_eq!(written(&Axis::new("", Unit::Number, 0.21, 0.69)), ["0.3", "0.4", "0.5", "0.6"]);
        assert_eq!(written(&Axis::new("", Unit::Log, 0.0004, 1.0)), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(written(&Axis::new("", Unit::Log, 0.1, 1.1)), ["0.1", "0.2", "0.5", "1"]);
        let mirrored = Axis::new("", Unit::MirroredPercent, -0.05, 0.05);
        assert_eq!(written(&mirrored), ["4 %", "2 %", "0 %", "2 %", "4 %"]);
    }

    #[test]
    fn axes_of_nothing_and_of_one_value_have_a_length() {
        for axis in [
            Axis::around("", Unit::Number, std::iter::empty(), [0.0, f64::INFINITY]),
            Axis::around("", Unit::Percent, [1.0].into_iter(), [0.0, 1.0]),
            Axis::new("", Unit::Number, 3.0, 3.0),
        ] {
            assert!(axis.to > axis.from && !axis.ticks().is_empty(), "{axis:?}");
        }
    }

    #[test]
    fn text_in_every_part_stays_text() {
        let axis = || Axis::new(HOSTILE, Unit::Number, 0.0, 1.0);
        let mut chart = Chart::new(HOSTILE, HALF, axis(), axis());
        chart.dot("m0", [0.5, 0.5], 2.0, HOSTILE);
        chart.bar("m0", [0.2, 0.4], [0.0, 1.0], HOSTILE);
        chart.cell("m0", [0.2, 0.4], [0.0, 1.0], 0.5, HOSTILE);
        chart.note([0.1, 0.1], "end", HOSTILE);
        chart.named([0.1, 0.1], "m0", HOSTILE);
        chart.name(0.5, HOSTILE);
        let drawn = chart.into_file();
        let (elements, text) = read_markup(&drawn);
        assert_eq!(text.matches(HOSTILE).count(), 9, "{drawn}");
        assert!(!elements.iter().any(|element| element == "script"));
    }
}
