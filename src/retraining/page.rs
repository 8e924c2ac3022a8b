//! The report as one page.

use super::report::{Ending, Measured, Report};
use jiff::Timestamp;
use maud::{Markup, html};
use nunchi_eval::comparison::words::MovedWord;
use nunchi_eval::drift::Part;
use nunchi_eval::metrics::Metrics;
use nunchi_eval::report::format::{counted, grouped, percent, percent_to};
use nunchi_eval::report::page::{
    Bar, Heading, Tile, Tone, Width, bars, card, grid, lead, page as frame, tiles,
};

/// The page.
pub fn page(report: &Report) -> String {
    let (title, tone) = match report.ending {
        Ending::Promoted => ("Promoted: the new network serves", Tone::Good),
        Ending::Published => ("Published: it passed the gate", Tone::Good),
        Ending::Rejected => ("Rejected: the current network stays", Tone::Bad),
        Ending::NotEnoughData => ("Not enough data: nothing was trained", Tone::Faint),
    };
    let has_stars = report.drift.iter().any(|part| part.stars.iter().any(|&count| count > 0));
    let part = |is_there: bool, width: Width, heading: &str, note: &str, body: fn(&Report) -> Markup| {
        html! { @if is_there { (card(width, heading, note, &body(report))) } }
    };
    let content = html! {
        (figures(report))
        (lead(&report.why))
        (grid(&html! {
            (part(!report.verdict.checks.is_empty(), Width::Full, "The gate", "", gate))
            (part(!report.sets.is_empty(), Width::Full, "Both networks", "", sets))
            (part(true, Width::Full, "Training data", "", learned))
            (part(!report.pairs.is_empty(), Width::Half, "Pairs of comments", "", pairs))
            (part(has_stars, Width::Half, "Stars", "", stars))
            (part(
                !report.words.is_empty(),
                Width::Half,
                "Words whose score changed",
                "The score of the word alone, from 0 (negative) to 1: the small dot is the current network, the large one the \
                 candidate; and how many new comments contain it.",
                words,
            ))
            (part(
                !report.new_words.is_empty(),
                Width::Half,
                "Words that are not in the old comments",
                "",
                new_words,
            ))
            (part(!report.drift.is_empty(), Width::Full, "How the comments change", "", drift))
            (part(!report.flips.is_empty(), Width::Full, "Comments whose label changes", "", label_changes))
        }))
    };
    let heading = Heading { tab: &format!("nunchi retrain: {title}"), title, tone };
    frame(heading, &subtitle(report), &content)
}

fn subtitle(report: &Report) -> Markup {
    let time = |time: Option<Timestamp>, open: &str| {
        time.map_or_else(|| open.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
    };
    html! {
        "run " code { (report.run) } ", " (report.started_at.strftime("%Y-%m-%d %H:%M").to_string()) " UTC, "
        (format!("{:.0} s, {:.0} s", report.seconds, report.training_seconds)) " of them training; comments from "
        (time(report.window[0], "the beginning")) " to " (time(report.window[1], "now"))
        "; current version " code { (report.parent) }
        @if let Some(candidate) = &report.candidate { ", candidate " code { (candidate) } }
    }
}

fn figures(report: &Report) -> Markup {
    let mut figures: Vec<Tile> = report.sets.iter().map(accuracy).collect();
    let learned: usize = report.learned.iter().flat_map(|source| &source.classes).sum();
    figures.push(Tile::new(grouped(learned), "training comments", Tone::Plain));
    if report.corrections.active > 0 {
        let count = grouped(report.records.corrected);
        figures.push(Tile::new(count, "labels corrected by people", Tone::Plain));
    }
    if !report.sets.is_empty() {
        let flips: usize = report.sets.iter().map(|set| set.flips).sum();
        figures.push(Tile::new(grouped(flips), "labels change", Tone::Plain));
    }
    tiles(&figures)
}

fn accuracy(set: &Measured) -> Tile {
    let [current, candidate] = [set.current.accuracy, set.candidate.accuracy];
    Tile::new(
        format!("{:.1} → {}", current * 100.0, percent_to(candidate, 1)),
        format!("right, {} set of {}", set.name, counted(set.candidate.records, "comment")),
        Tone::of_change(candidate - current, 5e-4),
    )
}

fn gate(report: &Report) -> Markup {
    html! {
        table {
            @for check in &report.verdict.checks {
                @let (tone, mark) = if check.passed { (Tone::Good, "holds") } else { (Tone::Bad, "does not hold") };
                tr { td { (check.name) } td.(tone.class()) { (mark) } td.text { (check.finding) } }
            }
        }
    }
}

/// A figure of both models.
struct Figure {
    name: &'static str,
    value: fn(&Metrics) -> f64,
    /// From the value to what is shown.
    factor: f64,
    /// Whether more is better (1) or worse (-1).
    better: f64,
}

const FIGURES: [Figure; 5] = [
    Figure { name: "accuracy, %", value: |metrics| metrics.accuracy, factor: 100.0, better: 1.0 },
    Figure { name: "F1, %", value: |metrics| metrics.f1, factor: 100.0, better: 1.0 },
    Figure { name: "ROC AUC, %", value: |metrics| metrics.auc, factor: 100.0, better: 1.0 },
    Figure { name: "log loss, nats", value: |metrics| metrics.log_loss, factor: 1.0, better: -1.0 },
    Figure { name: "calibration error, points", value: |metrics| metrics.ece, factor: 100.0, better: -1.0 },
];

fn sets(report: &Report) -> Markup {
    html! {
        table {
            tr {
                th { "figure" }
                @for set in &report.sets {
                    @for what in ["current", "candidate", "difference"] { th { (set.name) ": " (what) } }
                }
            }
            @for figure in &FIGURES {
                tr { td { (figure.name) } @for set in &report.sets { (both(figure, set)) } }
            }
        }
    }
}

fn both(figure: &Figure, set: &Measured) -> Markup {
    let [current, candidate] =
        [&set.current, &set.candidate].map(|metrics| (figure.value)(metrics) * figure.factor);
    let (places, least) = if figure.factor > 1.0 { (2, 0.05) } else { (4, 5e-4) };
    let difference = candidate - current;
    let tone = Tone::of_change(difference * figure.better, least);
    html! {
        td { (format!("{current:.places$}")) }
        td { (format!("{candidate:.places$}")) }
        td.(tone.class()) { (format!("{difference:+.places$}")) }
    }
}

fn learned(report: &Report) -> Markup {
    let counts = &report.records;
    html! {
        table {
            tr { th { "source" } th { "weight" } @for label in &report.labels { th { (label) } } }
            @for source in &report.learned {
                tr {
                    td.wrap { (source.name) }
                    td { (source.weight) }
                    @for &count in &source.classes { td { (grouped(count)) } }
                }
            }
        }
        p.faint.small {
            (grouped(counts.records)) " records read: " (grouped(counts.unlabelled)) " without a label, "
            (grouped(counts.between)) " with stars in between, "
            @if counts.beyond > 0 { (grouped(counts.beyond)) " with stars beyond the scale, " } (grouped(counts.unreadable)) " unreadable, "
            (grouped(counts.outside)) " outside of the window, " (grouped(counts.superseded))
            " superseded by a later record with the same id. " (grouped(report.dev))
            " comments in the dev set, which selects the epoch and the temperature. " (grouped(report.left_out))
            " texts were in the dev or test set and in the training data: removed from the training data."
        }
    }
}

fn pairs(report: &Report) -> Markup {
    html! {
        table {
            tr { th { "kind" } th { "pairs" } th { "current" } th { "candidate" } }
            @for tally in &report.pairs {
                @if tally.labelled > 0 {
                    @let [current, candidate] = tally.right;
                    @let tone = Tone::of_change(candidate as f64 - current as f64, 0.5);
                    tr {
                        td.wrap { (tally.category) ": both right" }
                        td { (tally.labelled) } td { (current) } td.(tone.class()) { (candidate) }
                    }
                }
                @if tally.unlabelled > 0 {
                    tr {
                        td.wrap { (tally.category) ": distinguished" }
                        td { (tally.unlabelled) } @for count in tally.told_apart { td { (count) } }
                    }
                }
            }
        }
    }
}

/// Each word a line from its old score to its new one.
fn words(report: &Report) -> Markup {
    html! {
        table {
            @for word in &report.words {
                tr { td.wrap { (word.word) } td.move { (movement(word)) } td { (grouped(word.comments)) "×" } }
            }
        }
    }
}

fn movement(word: &MovedWord) -> Markup {
    let [from, to] = word.scores;
    let x = |score: f64| format!("{:.1}", 8.0 + 244.0 * score);
    let tone = if to > from { Tone::Good } else { Tone::Bad };
    html! {
        svg viewBox="0 0 260 22" role="img" aria-label=(format!("from {from:.2} to {to:.2}")) {
            line.axis x1=(x(0.0)) x2=(x(1.0)) y1="11" y2="11" {}
            line.axis x1=(x(0.5)) x2=(x(0.5)) y1="2" y2="20" {}
            line.line.(tone.class()) x1=(x(from)) x2=(x(to)) y1="11" y2="11" {}
            circle.dot.ideal cx=(x(from)) cy="11" r="3.5" {}
            circle.dot.(tone.class()) cx=(x(to)) cy="11" r="5.5" {}
        }
    }
}

fn new_words(report: &Report) -> Markup {
    html! {
        p {
            @for (at, word) in report.new_words.iter().enumerate() {
                @if at > 0 { " · " }
                (word.word) " " span.faint { (grouped(word.comments)) "×" }
            }
        }
    }
}

fn drift(report: &Report) -> Markup {
    html! {
        table {
            tr {
                @for name in ["part", "comments", "characters", "tokens", "unknown tokens"] { th { (name) } }
                @for label in &report.labels { th { (label) } }
                th { "current network right" }
            }
            @for part in &report.drift { (drift_row(part)) }
        }
    }
}

fn drift_row(part: &Part) -> Markup {
    html! {
        tr {
            td { (part.name) }
            td { (grouped(part.comments)) }
            td { (format!("{:.1}", part.characters)) }
            td { (format!("{:.1}", part.tokens)) }
            td { (percent(part.unknown)) }
            @for &share in &part.classes { td { (percent_to(share, 1)) } }
            td { (percent_to(part.accuracy, 1)) }
        }
    }
}

/// A group of bars for each part that has stars.
fn stars(report: &Report) -> Markup {
    let shown = report.drift.iter().filter(|part| part.stars.iter().any(|&count| count > 0));
    html! { @for part in shown { h3 { (part.name) } (bars(&star_bars(part))) } }
}

fn star_bars(part: &Part) -> Vec<Bar> {
    let total = part.stars.iter().sum::<usize>() as f64;
    let bar = |(at, &count): (usize, &usize)| {
        let share = count as f64 / total;
        Bar { name: format!("{} ★", at + 1), share, class: "mark", text: percent_to(share, 1) }
    };
    part.stars.iter().enumerate().map(bar).collect()
}

fn label_changes(report: &Report) -> Markup {
    html! {
        table {
            tr { @for name in ["set", "label", "current", "candidate"] { th { (name) } } th.text { "comment" } }
            @for change in &report.flips {
                @let class = if change.given[1] == change.label { "good" } else { "bad" };
                tr {
                    td { (change.set) }
                    td { (change.label) }
                    td { (change.given[0]) (format!(" {:.2}", change.scores[0])) }
                    td.(class) { (change.given[1]) (format!(" {:.2}", change.scores[1])) }
                    td.text { bdi { (change.text) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
