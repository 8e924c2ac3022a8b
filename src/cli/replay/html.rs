//! The report of a comparison as one page.

use super::progress::human_time;
use super::report::{conclusion, sureness};
use crate::replay::Bound;
use crate::replay::compare::Report;
use maud::{Markup, html};
use nunchi_eval::comparison::{Comparison, Example, Flips, SCORE_BINS, TimeBucket};
use nunchi_eval::paired::Paired;
use nunchi_eval::report::chart::{Axis, Chart, HALF, SQUARE, Unit, WIDE};
use nunchi_eval::report::format::{counted, grouped, percent, percent_to};
use nunchi_eval::report::page::{
    Bar, Heading, Tile, Tone, Width, bars, card, grid, lead, meter, nothing, page as frame, tiles,
};

/// Products that are shown.
const MAX_PRODUCTS: usize = 12;
/// Kinds of flips that are shown: of many labels there are many.
const MAX_WAYS: usize = 12;
/// Names below the chart of times, for which there is room.
const MAX_TIME_NAMES: usize = 9;

/// The page.
pub(super) fn page(report: &Report) -> String {
    let comparison = &report.comparison;
    let [first, second] = &comparison.models;
    let title = format!("{} and {} compared", first.name, second.name);
    let lengths = comparison.by_length.iter().filter(|group| group.flips.records > 0);
    let lengths: Vec<(&str, Flips)> = lengths.map(|group| (group.name.as_str(), group.flips)).collect();
    let products = comparison.by_product.iter().take(MAX_PRODUCTS);
    let products: Vec<(&str, Flips)> = products.map(|group| (group.name.as_str(), group.flips)).collect();
    let products_heading = format!("Products with most flips, of {}", grouped(comparison.products));
    let content = html! {
        (figures(comparison))
        @if let Some(sentence) = conclusion(report) { (lead(&sentence)) }
        @if let Some(sentence) = sureness(comparison) { (lead(&sentence)) }
        (grid(&html! {
            (card(Width::Half, "Against the stars", "", &stars(comparison)))
            (card(Width::Half, "Which way labels flip", "", &ways(comparison)))
            (score_changes(comparison))
            (card(Width::Half, "Both scores", "Deeper color: more comments.", &map(comparison)))
            (card(Width::Full, &format!("Flips by {}", comparison.unit.name()), "", &times(comparison)))
            (card(Width::Half, "By length, in characters", "", &groups(&lengths, comparison)))
            (card(Width::Half, &products_heading, "", &groups(&products, comparison)))
            (card(Width::Full, "Largest changes", "", &examples(comparison)))
        }))
    };
    let heading = Heading { tab: &format!("nunchi: {title}"), title: &title, tone: Tone::Plain };
    frame(heading, &subtitle(report), &content)
}

fn subtitle(report: &Report) -> Markup {
    let (plan, request) = (&report.plan, &report.plan.request);
    let [first, second] = &report.comparison.models;
    let bound = |bound: &Option<Bound>, open: &str| {
        bound.as_ref().map_or_else(|| open.to_owned(), ToString::to_string)
    };
    let left_out = [
        ("could not be classified", report.dead_letters),
        ("had no value", report.tombstones),
        ("lay outside of the range", report.outside),
    ];
    html! {
        "versions " code { (first.version) } " and " code { (second.version) }
        " on topic " code { (request.topic) }
        ", from " (bound(&request.from, "the beginning")) " to " (bound(&request.to, "the end"))
        "; made " (plan.planned_at.strftime("%Y-%m-%d %H:%M UTC").to_string())
        " in " (human_time(report.seconds))
        @if !report.complete { "; " strong { "stopped before the end" } }
        @for (what, count) in left_out { @if count > 0 { "; " (grouped(count)) " " (what) } }
        @for gap in &report.retention_gaps { "; " (gap) }
    }
}

fn figures(comparison: &Comparison) -> Markup {
    let (all, paired) = (comparison.agreement.all, &comparison.stars.paired);
    let [up, down] = way_names(comparison);
    let mut figures = vec![
        Tile::new(grouped(all.records), "comments classified by both", Tone::Plain),
        Tile::new(percent(all.share()), format!("flip ({})", grouped(all.flips)), Tone::Plain),
        Tile::new(grouped(all.up), format!("flip {up}"), Tone::Good),
        Tile::new(grouped(all.down), format!("flip {down}"), Tone::Bad),
    ];
    if paired.records() > 0 {
        let [first, second] = paired.accuracies();
        let figure = format!("{:.2} → {}", first * 100.0, percent(second));
        figures.push(Tile::new(figure, "agree with the stars", Tone::Plain));
    }
    tiles(&figures)
}

/// What flips to a later and to an earlier label are called.
fn way_names(comparison: &Comparison) -> [String; 2] {
    match &comparison.labels[..] {
        [negative, positive] => [format!("to {positive}"), format!("to {negative}")],
        _ => ["to a later label".to_owned(), "to an earlier label".to_owned()],
    }
}

/// Accuracy by stars, and the difference with its interval.
fn stars(comparison: &Comparison) -> Markup {
    let stars = &comparison.stars;
    if stars.paired.records() == 0 {
        return nothing("No comment has stars that stand for a label.");
    }
    let [first, second] = &comparison.models;
    let by_rating = stars.by_rating.iter().enumerate().map(|(at, paired)| (format!("{} ★", at + 1), paired));
    let rows =
        by_rating.chain([("all".to_owned(), &stars.paired)]).filter(|(_, paired)| paired.records() > 0);
    html! {
        (interval(&stars.paired))
        table {
            tr {
                th { "stars" } th { "comments" }
                @for model in [first, second] { th { (model.name) " right" } }
                @for model in [first, second] { th { "only " (model.name) } }
            }
            @for (name, paired) in rows {
                tr {
                    td { (name) }
                    td { (grouped(paired.records())) }
                    @for accuracy in paired.accuracies() { td { (percent(accuracy)) } }
                    td { (grouped(paired.only_first)) }
                    td { (grouped(paired.only_second)) }
                }
            }
        }
        @if stars.undecided > 0 {
            p.faint { "Not counted: " (counted(stars.undecided, "comment")) " with stars that stand for neither label." }
        }
    }
}

/// The gain on a line around zero.
fn interval(paired: &Paired) -> Markup {
    let (gain, [low, high]) = (paired.gain() * 100.0, paired.gain_interval().map(|end| end * 100.0));
    let reach = [low.abs(), high.abs(), 0.1].into_iter().fold(0.0, f64::max) * 1.25;
    let x = Axis::new(
        "points of accuracy that the second model is ahead, with the 95 % interval",
        Unit::Number,
        -reach,
        reach,
    );
    let mut chart =
        Chart::new("difference with its 95 % interval", [500.0, 110.0], x, Axis::bare("", 0.0, 1.0));
    chart.line("ideal", [[0.0, 0.0], [0.0, 1.0]]);
    chart.range("mark", [low, high], 0.4);
    chart.dot("mark", [gain, 0.4], 6.0, &format!("{gain:+.2} points, {low:+.2} to {high:+.2}"));
    chart.note([gain, 0.75], "middle", &format!("{gain:+.2}"));
    chart.finish()
}

/// A bar for each way, and each model's labels.
fn ways(comparison: &Comparison) -> Markup {
    let most = comparison.ways.iter().map(|way| way.records).max().unwrap_or(1).max(1) as f64;
    let place = |label: &str| comparison.labels.iter().position(|other| other == label);
    let shown: Vec<Bar> = comparison
        .ways
        .iter()
        .take(MAX_WAYS)
        .map(|way| Bar {
            name: format!("{} → {}", way.from, way.to),
            share: way.records as f64 / most,
            class: if place(&way.to) > place(&way.from) { "good" } else { "bad" },
            text: grouped(way.records),
        })
        .collect();
    let counts = &comparison.agreement.label_counts;
    let share = |count: u64| count as f64 / comparison.agreement.all.records.max(1) as f64;
    html! {
        @if shown.is_empty() { (nothing("No label flips.")) } @else { (bars(&shown)) }
        table {
            tr { th { "label" } @for model in &comparison.models { th { (model.name) } } }
            @for (at, label) in comparison.labels.iter().enumerate() {
                tr {
                    td { (label) }
                    @for count in [counts[0][at], counts[1][at]] {
                        td { (grouped(count)) " " span.faint { (percent_to(share(count), 1)) } }
                    }
                }
            }
        }
    }
}

/// Changes of the score. Heights are roots: most comments hardly change, and the rest is what matters.
fn score_changes(comparison: &Comparison) -> Markup {
    let change = &comparison.change;
    let root = |count: u64| (count as f64).sqrt();
    let highest = change.histogram.iter().copied().max().map_or(1.0, root).max(1.0);
    let x = Axis::new("change of the score", Unit::Number, -1.0, 1.0);
    let mut chart =
        Chart::new("comments by change of the score", HALF, x, Axis::bare("", 0.0, highest * 1.05));
    let width = 2.0 / change.histogram.len() as f64;
    for (at, &count) in change.histogram.iter().enumerate() {
        let x = [at as f64 * width - 1.0, (at + 1) as f64 * width - 1.0];
        let class = if at < change.histogram.len() / 2 { "bad" } else { "good" };
        let title = format!("{:+.1} to {:+.1}: {}", x[0], x[1], counted(count, "comment"));
        chart.bar(class, x, [0.0, root(count)], &title);
    }
    let note = format!(
        "{:.4} on average, {:+.4} with its sign; heights are square roots.",
        change.mean_absolute, change.mean
    );
    card(Width::Half, "How the score changes", &note, &chart.finish())
}

/// The second model's score over the first's; depth of color is the logarithm of the number.
fn map(comparison: &Comparison) -> Markup {
    let [first, second] = &comparison.models;
    let axis = |name: &str| Axis::new(&format!("score of {name}"), Unit::Number, 0.0, 1.0);
    let mut chart = Chart::new("comments by both scores", SQUARE, axis(&first.name), axis(&second.name));
    let most = (comparison.change.map.iter().copied().max().unwrap_or(1) as f64).ln_1p().max(1e-9);
    let bin = |at: usize| [at as f64 / SCORE_BINS as f64, (at + 1) as f64 / SCORE_BINS as f64];
    for (at, &count) in comparison.change.map.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (x, y) = (bin(at / SCORE_BINS), bin(at % SCORE_BINS));
        let title =
            format!("{:.2} to {:.2}, {:.2} to {:.2}: {}", x[0], x[1], y[0], y[1], counted(count, "comment"));
        chart.cell("mark", x, y, (count as f64).ln_1p() / most, &title);
    }
    for half in [[[0.5, 0.0], [0.5, 1.0]], [[0.0, 0.5], [1.0, 0.5]]] {
        chart.line("ideal", half);
    }
    chart.finish()
}

/// A bar for each hour, day, month or year: flips up above the line, flips down below it, as shares.
fn times(comparison: &Comparison) -> Markup {
    let buckets = &comparison.by_time;
    if buckets.is_empty() {
        return nothing("No record has a time.");
    }
    let share = |count: u64, bucket: &TimeBucket| count as f64 / bucket.flips.records.max(1) as f64;
    let shares = |bucket: &TimeBucket| share(bucket.flips.up, bucket).max(share(bucket.flips.down, bucket));
    let reach = buckets.iter().map(shares).fold(1e-3, f64::max) * 1.1;
    // A single bucket must not fill the page.
    let x = Axis::bare("", 0.0, buckets.len().max(16) as f64);
    let y = Axis::new("share of comments that flip", Unit::MirroredPercent, -reach, reach);
    let mut chart = Chart::new("share of flips by time", WIDE, x, y);
    let every = buckets.len().div_ceil(MAX_TIME_NAMES).max(1);
    for (at, bucket) in buckets.iter().enumerate() {
        let (flips, x) = (&bucket.flips, [at as f64, at as f64 + 1.0]);
        let name = comparison.unit.bucket_name(bucket.start);
        let title = format!(
            "{name}: {}, {} up, {} down",
            counted(flips.records, "comment"),
            grouped(flips.up),
            grouped(flips.down)
        );
        chart.bar("good", x, [0.0, share(flips.up, bucket)], &title);
        chart.bar("bad", x, [-share(flips.down, bucket), 0.0], &title);
        if at % every == 0 {
            chart.name(at as f64 + 0.5, &name);
        }
    }
    chart.line("ideal", [[0.0, 0.0], [buckets.len().max(16) as f64, 0.0]]);
    let [up, down] = way_names(comparison);
    html! {
        (chart.finish())
        p.faint {
            "Share of comments that flip " span.good { (up) } " (above) and " span.bad { (down) } " (below)."
        }
    }
}

fn groups(rows: &[(&str, Flips)], comparison: &Comparison) -> Markup {
    if rows.is_empty() {
        return nothing("Nothing to show.");
    }
    let most = rows.iter().map(|(_, flips)| flips.share()).fold(1e-9, f64::max);
    let [up, down] = way_names(comparison);
    html! {
        table {
            tr { th {} th { "comments" } th { "flips" } th { (up) } th { (down) } }
            @for (name, flips) in rows {
                tr {
                    td.wrap { (name) }
                    td { (grouped(flips.records)) }
                    td { (meter(flips.share() / most, "mark")) (percent(flips.share())) }
                    td.good { (grouped(flips.up)) }
                    td.bad { (grouped(flips.down)) }
                }
            }
        }
    }
}

fn examples(comparison: &Comparison) -> Markup {
    if comparison.examples.is_empty() {
        return nothing("No score changes.");
    }
    html! {
        table {
            tr {
                th { "change" }
                @for model in &comparison.models { th { (model.name) } }
                th { "stars" } th { "product" } th.text { "comment" }
            }
            @for example in &comparison.examples { (example_row(example)) }
        }
    }
}

fn example_row(example: &Example) -> Markup {
    html! {
        tr {
            td.(if example.change > 0.0 { "good" } else { "bad" }) { (format!("{:+.3}", example.change)) }
            @for (score, label) in example.scores.iter().zip(&example.labels) {
                td { (format!("{score:.3}")) div.faint.small { (label) } }
            }
            td { @if let Some(stars) = example.rating { (stars) } }
            td { @if let Some(product) = &example.product { (product) } }
            td.text { bdi { (example.text) } div.faint.small { (example.source) } }
        }
    }
}

#[cfg(test)]
mod tests;
