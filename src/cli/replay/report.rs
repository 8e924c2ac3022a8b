//! The report of a comparison, as text for a terminal and as JSON.

use super::progress::{grouped, human_time};
use crate::cli::color::push_harmless;
use crate::replay::compare::Report;
use nunchi_eval::comparison::{Comparison, Example, Flips, Group};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Longest excerpt of an example on a terminal, in characters.
const EXCERPT: usize = 60;
/// P-values below this are reported as a difference.
pub(super) const SIGNIFICANT: f64 = 0.05;

/// Which model is right more often, as a text; `None` without stars.
pub(super) fn conclusion(report: &Report) -> Option<String> {
    let paired = &report.comparison.stars.paired;
    if paired.records() == 0 {
        return None;
    }
    let [first, second] = [0, 1].map(|side: usize| report.comparison.models[side].name.as_str());
    let ([right_first, right_second], difference) = (paired.accuracies(), paired.gain());
    let [low, high] = paired.gain_interval();
    let p = paired.p_value();
    let interval = format!("{:+.2} to {:+.2} points", low * 100.0, high * 100.0);
    let figures = format!(
        "{first} {:.2} %, {second} {:.2} % of {} comments with stars; difference {:+.2} points, 95 % interval {interval}; \
         McNemar's exact test, p {}",
        right_first * 100.0,
        right_second * 100.0,
        grouped(paired.records()),
        difference * 100.0,
        probability(p)
    );
    Some(if p >= SIGNIFICANT {
        format!("The stars show no difference between the models: {figures}.")
    } else {
        let better = if difference > 0.0 { second } else { first };
        format!("{better} is right more often: {figures}.")
    })
}

/// How many verdicts of each model are unsure, as a text; `None` where nobody decides that.
pub(super) fn sureness(comparison: &Comparison) -> Option<String> {
    let decided = comparison.agreement.decided?;
    let all = comparison.agreement.all.records.max(1) as f64;
    let [first, second] = decided.unsure.map(|count| count as f64 / all * 100.0);
    let sure = decided.both_sure;
    Some(format!(
        "{first:.1} % and {second:.1} % of the verdicts are unsure; of {} comments that both models are sure of {} flip ({:.2} %)",
        grouped(sure.records),
        grouped(sure.flips),
        sure.share() * 100.0
    ))
}

/// A formatted probability.
fn probability(p: f64) -> String {
    match p {
        p if p < 1e-300 => "< 1e-300".to_owned(),
        p if p < 1e-4 => format!("= {p:.0e}"),
        p => format!("= {p:.4}"),
    }
}

/// One JSON object: everything counted, with what follows from it for the stars.
pub(super) fn json(report: &Report) -> Value {
    let mut object = serde_json::to_value(report).unwrap_or(Value::Null);
    let paired = &report.comparison.stars.paired;
    object["event"] = json!("compared");
    object["stars"]["records"] = json!(paired.records());
    if paired.records() > 0 {
        let (difference, p) = (paired.gain(), paired.p_value());
        object["stars"]["accuracy"] = json!(paired.accuracies());
        object["stars"]["difference"] = json!(difference);
        object["stars"]["interval_95"] = json!(paired.gain_interval());
        object["stars"]["p_value"] = json!(p);
        let better = usize::from(difference > 0.0);
        object["stars"]["better"] =
            if p < SIGNIFICANT { json!(report.comparison.models[better].version) } else { Value::Null };
        object["stars"]["sentence"] = json!(conclusion(report));
    }
    object
}

/// A page of text. Writing to a string does not fail.
pub(super) fn terminal(report: &Report) -> String {
    let mut out = String::new();
    write_totals(&mut out, report);
    write_flips(&mut out, &report.comparison);
    write_stars(&mut out, report);
    write_groups(&mut out, &report.comparison);
    write_examples(&mut out, &report.comparison.examples);
    out
}

fn write_totals(out: &mut String, report: &Report) {
    let [first, second] = &report.comparison.models;
    let _ = writeln!(
        out,
        "{} ({}) and {} ({}) on {} comments of `{}`, in {}",
        first.name,
        first.version,
        second.name,
        second.version,
        grouped(report.comparison.agreement.all.records),
        report.plan.request.topic,
        human_time(report.seconds)
    );
    for (what, count) in [
        ("could not be classified", report.dead_letters),
        ("without a value", report.tombstones),
        ("outside of the range, skipped", report.outside),
    ] {
        if count > 0 {
            let _ = writeln!(out, "  {what}: {}", grouped(count));
        }
    }
}

fn write_flips(out: &mut String, comparison: &Comparison) {
    let (all, counts) = (comparison.agreement.all, &comparison.agreement.label_counts);
    let _ = writeln!(
        out,
        "\n{} flip ({:.2} %); the score changes by {:.4} on average, {:+.4} with its sign",
        grouped(all.flips),
        all.share() * 100.0,
        comparison.change.mean_absolute,
        comparison.change.mean
    );
    if let Some(sentence) = sureness(comparison) {
        let _ = writeln!(out, "  {sentence}");
    }
    for way in &comparison.ways {
        let _ = writeln!(out, "  {} → {}: {}", way.from, way.to, grouped(way.records));
    }
    for (label, (first, second)) in comparison.labels.iter().zip(counts[0].iter().zip(&counts[1])) {
        let _ = writeln!(out, "  classified {label}: {} and {}", grouped(*first), grouped(*second));
    }
}

fn write_stars(out: &mut String, report: &Report) {
    let Some(conclusion) = conclusion(report) else {
        *out += "\nNo comment has stars that stand for a label: which model is right is not known.\n";
        return;
    };
    let ([first, second], paired) = (&report.comparison.models, &report.comparison.stars.paired);
    let _ = writeln!(
        out,
        "\n{conclusion}\n  only {} right: {}; only {} right: {}; both: {}; neither: {}",
        first.name,
        grouped(paired.only_first),
        second.name,
        grouped(paired.only_second),
        grouped(paired.both),
        grouped(paired.neither)
    );
}

fn write_groups(out: &mut String, comparison: &Comparison) {
    let named = |group: &Group| (group.name.clone(), group.flips);
    let lengths = comparison.by_length.iter().filter(|group| group.flips.records > 0);
    let times = comparison.by_time.iter();
    let times: Vec<(String, Flips)> =
        times.map(|bucket| (comparison.unit.bucket_name(bucket.start), bucket.flips)).collect();
    let products: Vec<(String, Flips)> = comparison.by_product.iter().take(10).map(named).collect();
    let labels = &comparison.labels;
    table(out, "By characters", &lengths.map(named).collect::<Vec<_>>(), labels);
    table(out, &format!("By {}", comparison.unit.name()), &latest(&times), labels);
    table(out, "Products with most flips", &products, labels);
}

fn write_examples(out: &mut String, examples: &[Example]) {
    if !examples.is_empty() {
        *out += "\nLargest changes\n";
    }
    for example in examples {
        let mut text = String::new();
        push_harmless(&example.text.chars().take(EXCERPT).collect::<String>(), &mut text);
        let stars = example.rating.map_or_else(String::new, |stars| format!("  {stars}★"));
        let _ = writeln!(out, "  {:.3} → {:.3}{stars}  {text}", example.scores[0], example.scores[1]);
    }
}

/// The last rows of a long table.
fn latest(rows: &[(String, Flips)]) -> Vec<(String, Flips)> {
    rows[rows.len().saturating_sub(14)..].to_vec()
}

fn table(out: &mut String, title: &str, rows: &[(String, Flips)], labels: &[String]) {
    if rows.is_empty() {
        return;
    }
    let ways = if labels.len() == 2 {
        [format!("to {}", labels[1]), format!("to {}", labels[0])]
    } else {
        ["to later labels".to_owned(), "to earlier labels".to_owned()]
    };
    let _ = writeln!(
        out,
        "\n{title:<26} {:>12} {:>10} {:>8}  {:>14} {:>14}",
        "comments", "flips", "share", ways[0], ways[1]
    );
    for (name, cell) in rows {
        let mut shown = String::new();
        push_harmless(&name.chars().take(24).collect::<String>(), &mut shown);
        let _ = writeln!(
            out,
            "  {shown:<24} {:>12} {:>10} {:>6.2} %  {:>14} {:>14}",
            grouped(cell.records),
            grouped(cell.flips),
            cell.share() * 100.0,
            grouped(cell.up),
            grouped(cell.down)
        );
    }
}
