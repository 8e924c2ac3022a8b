//! Small charts as SVG: axes with round numbers, lines, dots, bars. Colours are classes `m0` to `m7`, one a model, which
//! the page's style defines for light and dark ground.

use super::markup::{escaped, grouped};
use std::fmt::Write as _;

/// Different colours; further models begin anew.
pub(super) const COLOURS: usize = 8;
/// Room around the plot, in units of the picture: for numbers on the left, for the titles above and below.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 22.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 40.0;

/// How an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// As it stands.
    Number,
    /// Shares of 1 as percentages.
    Percent,
    /// Powers of ten; only for values above 0.
    Log,
    /// Without numbers.
    Bare,
}

/// One axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    title: String,
    from: f64,
    to: f64,
    unit: Unit,
}

impl Axis {
    /// From one value to a greater one.
    pub(super) fn new(title: &str, unit: Unit, from: f64, to: f64) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Axis { title: title.to_owned(), from, to, unit }
    }

    /// Wide enough for all `values`, with some air, within `limits`.
    pub(super) fn around(
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
    pub(super) fn bare(title: &str, from: f64, to: f64) -> Self {
        Axis::new(title, Unit::Bare, from, to)
    }

    /// Its ends.
    pub(super) fn ends(&self) -> (f64, f64) {
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
        if self.unit == Unit::Bare {
            return Vec::new();
        }
        if self.unit == Unit::Log {
            let powers = self.from.log10().floor() as i32..=self.to.log10().floor() as i32;
            // Over a few powers of ten there is room for what lies between.
            let factors: &[f64] = if powers.clone().count() < 4 { &[1.0, 2.0, 5.0] } else { &[1.0] };
            let values =
                powers.flat_map(|power| factors.iter().map(move |factor| factor * 10.0_f64.powi(power)));
            let within = values.filter(|value| (self.from * 0.999..=self.to * 1.001).contains(value));
            return within.map(|value| (value, plain(value))).collect();
        }
        let rough = (self.to - self.from) / 5.0;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
        let first = (self.from / step - 1e-6).ceil() as i64;
        let last = (self.to / step + 1e-6).floor() as i64;
        let shown = if self.unit == Unit::Percent { step * 100.0 } else { step };
        let decimals = (0..6).find(|&places| {
            let scaled = shown * 10.0_f64.powi(places);
            (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0)
        });
        let decimals = decimals.unwrap_or(6) as usize;
        let write = |value: f64| match self.unit {
            Unit::Percent => format!("{:.decimals$} %", value * 100.0),
            _ if decimals == 0 && value >= 0.0 => grouped(value.round() as usize),
            _ => format!("{value:.decimals$}"),
        };
        (first..=last).map(|at| at as f64 * step).map(|value| (value, write(value))).collect()
    }
}

/// A round number as a person writes it.
fn plain(value: f64) -> String {
    if value >= 1.0 {
        return grouped(value.round() as usize);
    }
    let places = (-value.log10()).ceil() as usize;
    format!("{value:.places$}")
}

/// A chart that is being drawn.
#[derive(Debug)]
pub(super) struct Chart {
    out: String,
    x: Axis,
    y: Axis,
    width: f64,
    height: f64,
}

impl Chart {
    /// Axes and grid; `label` says to those who cannot see it what it shows.
    pub(super) fn new(label: &str, [width, height]: [f64; 2], x: Axis, y: Axis) -> Self {
        let mut chart = Chart { out: String::new(), x, y, width, height };
        chart.out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
            escaped(label)
        );
        let (left, right) = (LEFT, width - RIGHT);
        for (value, text) in chart.y.ticks() {
            let y = chart.down(value);
            let _ = write!(
                chart.out,
                "<line class=\"rule\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                left - 6.0,
                y + 4.0
            );
        }
        let floor = height - BOTTOM;
        for (value, text) in chart.x.ticks() {
            let x = chart.across(value);
            let _ = write!(
                chart.out,
                "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{floor}\" y2=\"{}\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
                floor + 4.0,
                floor + 17.0
            );
        }
        let _ = write!(
            chart.out,
            "<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{floor}\" y2=\"{floor}\"/>\
             <text class=\"title\" x=\"2\" y=\"12\">{}</text>\
             <text class=\"title\" x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            escaped(&chart.y.title),
            height - 5.0,
            escaped(&chart.x.title)
        );
        chart
    }

    /// Where a value of the x axis lies.
    pub(super) fn across(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (self.width - LEFT - RIGHT)
    }

    /// Where a value of the y axis lies.
    pub(super) fn down(&self, value: f64) -> f64 {
        self.height - BOTTOM - self.y.place(value) * (self.height - TOP - BOTTOM)
    }

    /// A line through points.
    pub(super) fn line(&mut self, class: &str, points: impl IntoIterator<Item = [f64; 2]>) {
        let mut path = String::new();
        for [x, y] in points {
            let letter = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", self.across(x), self.down(y));
        }
        if !path.is_empty() {
            let _ = write!(self.out, "<path class=\"line {class}\" d=\"{path}\"/>");
        }
    }

    /// A dot that says more when pointed at.
    pub(super) fn dot(&mut self, class: &str, [x, y]: [f64; 2], radius: f64, title: &str) {
        let _ = write!(
            self.out,
            "<circle class=\"dot {class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"><title>{}</title></circle>",
            self.across(x),
            self.down(y),
            escaped(title)
        );
    }

    /// A thin upright line: an interval.
    pub(super) fn whisker(&mut self, class: &str, x: f64, [low, high]: [f64; 2]) {
        let x = self.across(x);
        let _ = write!(
            self.out,
            "<line class=\"whisker {class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
            self.down(low),
            self.down(high)
        );
    }

    /// A bar over a stretch of the x axis, between two heights.
    pub(super) fn bar(&mut self, class: &str, x: [f64; 2], y: [f64; 2], title: &str) {
        let [left, right] = x.map(|value| self.across(value));
        let [one, other] = y.map(|value| self.down(value));
        let (top, height) = (one.min(other), (one - other).abs());
        if height > 0.0 {
            let _ = write!(
                self.out,
                "<rect class=\"bar {class}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
                left + 0.75,
                (right - left - 1.5).max(0.6),
                height.max(0.6),
                escaped(title)
            );
        }
    }

    /// Words in the plot.
    pub(super) fn note(&mut self, [x, y]: [f64; 2], anchor: &str, text: &str) {
        let _ = write!(
            self.out,
            "<text class=\"note\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            self.across(x),
            self.down(y),
            escaped(text)
        );
    }

    /// A name in its line's colour.
    pub(super) fn named(&mut self, [x, y]: [f64; 2], class: &str, text: &str) {
        let (x, y) = (self.across(x), self.down(y) + 4.0);
        let text = escaped(text);
        let _ = write!(self.out, "<text class=\"named {class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }

    /// Words below the x axis, instead of numbers.
    pub(super) fn name(&mut self, x: f64, text: &str) {
        let _ = write!(
            self.out,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            self.across(x),
            self.height - BOTTOM + 17.0,
            escaped(text)
        );
    }

    /// The picture.
    pub(super) fn finish(self) -> String {
        self.out + "</svg>"
    }
}

/// The class of model `index`'s colour.
pub(super) fn colour(index: usize) -> String {
    format!("m{}", index % COLOURS)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
