//! The report of a comparison, for people at a terminal and for machines.

use super::progress::{grouped, human_time};
use crate::cli::colour::push_harmless;
use crate::replay::compare::{Cell, Report};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Longest excerpt of an example on a terminal, in characters.
const EXCERPT: usize = 60;
/// Below this the data are said to show a difference.
pub(super) const SIGNIFICANT: f64 = 0.05;

/// Which model is right more often, in one sentence; `None` without stars.
pub(super) fn conclusion(report: &Report) -> Option<String> {
    let paired = &report.tally.stars.paired;
    if paired.records() == 0 {
        return None;
    }
    let [first, second] = [0, 1].map(|side: usize| report.tally.models[side].name.as_str());
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

/// A probability for people.
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
    let paired = &report.tally.stars.paired;
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
            if p < SIGNIFICANT { json!(report.tally.models[better].model) } else { Value::Null };
        object["stars"]["sentence"] = json!(conclusion(report));
    }
    object
}

/// A page of text.
pub(super) fn terminal(report: &Report) -> String {
    let tally = &report.tally;
    let [first, second] = &tally.models;
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "{} ({}) and {} ({}) on {} comments of `{}`, in {}",
        first.name,
        first.model,
        second.name,
        second.model,
        grouped(tally.all.records),
        report.plan.request.topic,
        human_time(report.seconds)
    );
    for (what, count) in [
        ("could not be judged", report.dead_letters),
        ("without a value", report.tombstones),
        ("outside of the range, passed over", report.outside),
    ] {
        if count > 0 {
            let _ = writeln!(out, "  {what}: {}", grouped(count));
        }
    }
    let _ = writeln!(
        out,
        "\n{} flip ({:.2} %); the score changes by {:.4} on average, {:+.4} with its sign",
        grouped(tally.all.flips),
        tally.all.share() * 100.0,
        tally.change.mean_absolute,
        tally.change.mean
    );
    for way in &tally.ways {
        let _ = writeln!(out, "  {} → {}: {}", way.from, way.to, grouped(way.records));
    }
    for (label, (before, after)) in tally.labels.iter().zip(tally.said[0].iter().zip(&tally.said[1])) {
        let _ = writeln!(out, "  said {label}: {} and {}", grouped(*before), grouped(*after));
    }
    match conclusion(report) {
        Some(sentence) => {
            let _ = writeln!(out, "\n{sentence}");
            let paired = &tally.stars.paired;
            let _ = writeln!(
                out,
                "  only {} right: {}; only {} right: {}; both: {}; neither: {}",
                first.name,
                grouped(paired.only_first),
                second.name,
                grouped(paired.only_second),
                grouped(paired.both),
                grouped(paired.neither)
            );
        }
        None => out += "\nNo comment has stars that say something: which model is right is not known.\n",
    }
    let times: Vec<(String, Cell)> = tally
        .by_time
        .iter()
        .map(|bucket| (super::html::time_name(tally.unit, bucket.start), bucket.cell))
        .collect();
    let lengths: Vec<(String, Cell)> = tally
        .by_length
        .iter()
        .filter(|named| named.cell.records > 0)
        .map(|named| (named.name.clone(), named.cell))
        .collect();
    let products: Vec<(String, Cell)> =
        tally.by_product.iter().take(10).map(|named| (named.name.clone(), named.cell)).collect();
    table(&mut out, "By characters", &lengths, &tally.labels);
    table(&mut out, &format!("By {}", tally.unit.name()), &latest(&times), &tally.labels);
    table(&mut out, "Products with most flips", &products, &tally.labels);
    if !tally.examples.is_empty() {
        out += "\nLargest changes\n";
    }
    for example in &tally.examples {
        let mut text = String::new();
        push_harmless(&example.text.chars().take(EXCERPT).collect::<String>(), &mut text);
        let stars = example.rating.map_or_else(String::new, |stars| format!("  {stars}★"));
        let _ = writeln!(out, "  {:.3} → {:.3}{stars}  {text}", example.scores[0], example.scores[1]);
    }
    out
}

/// The last rows of a long table.
fn latest(rows: &[(String, Cell)]) -> Vec<(String, Cell)> {
    rows[rows.len().saturating_sub(14)..].to_vec()
}

fn table(out: &mut String, title: &str, rows: &[(String, Cell)], labels: &[String]) {
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
