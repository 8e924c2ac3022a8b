//! The tables of a report on models.

use super::super::chart::color;
use super::super::format::{counted, grouped, percent, percent_to, span};
use super::super::page::{meter, nothing};
use super::{ModelResult, Report, ReportedCase};
use crate::metrics::Metrics;
use maud::{Markup, html};
use serde_json::Value;

/// Mistakes of a model that are shown when there are several models.
const FEW_CASES: usize = 8;

/// A figure of a model; more is better.
type Figure = fn(&ModelResult) -> f64;
/// A figure and how it is written.
type Column = (Figure, fn(f64) -> String);

/// A model's name with its color.
pub(super) fn key(index: usize, name: &str) -> Markup {
    html! { span.key.(color(index)) { i {} (name) } }
}

/// The key figures, a row a model, the best of each column marked.
pub(super) fn figures(report: &Report) -> Markup {
    let models = &report.models;
    let best = |of: Figure| models.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
    let columns: [Column; 5] = [
        (|model| model.metrics.accuracy, percent),
        (|model| model.metrics.f1, |value| format!("{value:.4}")),
        (|model| model.metrics.auc, |value| format!("{value:.4}")),
        // Of these less is better.
        (|model| -model.metrics.log_loss, |value| format!("{:.4}", value.abs())),
        (|model| -model.metrics.ece, |value| percent(value.abs())),
    ];
    let cell = |model: &ModelResult, (of, write): Column| {
        let is_best = models.len() > 1 && of(model) == best(of);
        html! { td.best[is_best] { (write(of(model))) } }
    };
    html! {
        table {
            tr {
                @for name in ["model", "version", "parameters", "accuracy", "95 % interval", "F1", "AUC", "log loss", "ECE"] {
                    th { (name) }
                }
            }
            @for (at, model) in models.iter().enumerate() {
                tr {
                    td { (key(at, &model.name)) }
                    td { code { (model.version) } }
                    td { (grouped(model.parameters)) }
                    (cell(model, columns[0]))
                    td { (interval(model)) }
                    @for column in &columns[1..] { (cell(model, *column)) }
                }
            }
        }
    }
}

/// The 95 % interval of a model's accuracy.
pub(super) fn interval(model: &ModelResult) -> String {
    let [low, high] = model.accuracy_95;
    format!("{:.2} – {}", low * 100.0, percent(high))
}

/// The key figures of every file; nothing for a single one.
pub(super) fn files(report: &Report) -> Option<Markup> {
    let (files, several) = (&report.data.files, report.models.len() > 1);
    (files.len() > 1).then(|| {
        html! {
            table {
                tr {
                    th { "file" }
                    @if several { th { "model" } }
                    @for name in ["comments", "accuracy", "F1", "AUC", "log loss", "ECE"] { th { (name) } }
                }
                @for (at, file) in files.iter().enumerate() {
                    @for (index, model) in report.models.iter().enumerate() {
                        tr {
                            td { @if index == 0 { (file.name) } }
                            @if several { td { (key(index, &model.name)) } }
                            td { (grouped(file.records)) }
                            (file_figures(&model.files[at]))
                        }
                    }
                }
            }
        }
    })
}

/// Accuracy and recall by the column that was asked for; nothing if none was.
pub(super) fn groups(report: &Report) -> Option<Markup> {
    let first = &report.models.first()?.groups;
    let several = report.models.len() > 1;
    (!first.is_empty()).then(|| {
        html! {
            table {
                tr {
                    th { (report.data.by.as_deref().unwrap_or("group")) }
                    @if several { th { "model" } }
                    @for name in ["comments", "accuracy", "95 % interval"] { th { (name) } }
                    @for label in &report.data.labels { th { (label) " found" } }
                }
                @for (at, group) in first.iter().enumerate() {
                    @for (index, model) in report.models.iter().enumerate() {
                        @let one = &model.groups[at];
                        tr {
                            td { @if index == 0 { (group.name) } }
                            @if several { td { (key(index, &model.name)) } }
                            td { (grouped(one.records)) }
                            td { (percent(one.accuracy)) }
                            td { (format!("{:.1} – {}", one.accuracy_95[0] * 100.0, percent_to(one.accuracy_95[1], 1))) }
                            @for recall in &one.recall {
                                td { @if let Some(recall) = recall { (percent(*recall)) } @else { "–" } }
                            }
                        }
                    }
                }
            }
        }
    })
}

fn file_figures(metrics: &Metrics) -> Markup {
    html! {
        td { (percent(metrics.accuracy)) }
        td { (format!("{:.4}", metrics.f1)) }
        td { (format!("{:.4}", metrics.auc)) }
        td { (format!("{:.4}", metrics.log_loss)) }
        td { (percent(metrics.ece)) }
    }
}

/// The confusion matrix: rows are classes, columns predictions; shares of the row give the depth of color.
pub(super) fn confusion(model: &ModelResult, labels: &[String]) -> Markup {
    let rows = || labels.iter().zip(&model.confusion).enumerate();
    html! {
        table.matrix {
            tr { th {} @for label in labels { th { "classified " (label) } } }
            @for (class, (label, row)) in rows() {
                tr {
                    th.row { "is " (label) }
                    @for (chosen, &count) in row.iter().enumerate() {
                        @let share = count as f64 / row.iter().sum::<usize>().max(1) as f64;
                        td.cell.right[class == chosen]
                            style={ "background:rgb(var(--fill) / " (format!("{:.3}", 0.04 + 0.5 * share)) ")" } {
                            b { (grouped(count)) }
                            span.small { (percent(share)) }
                        }
                    }
                }
            }
        }
        (rates(model, labels))
    }
}

/// Precision, recall and F1 of each class.
fn rates(model: &ModelResult, labels: &[String]) -> Markup {
    html! {
        table.rates {
            tr { th {} th { "precision" } th { "recall" } th { "F1" } }
            @for (class, (label, row)) in labels.iter().zip(&model.confusion).enumerate() {
                @let (hits, there) = (row[class] as f64, row.iter().sum::<usize>());
                @let chosen = model.confusion.iter().map(|row| row[class]).sum::<usize>();
                tr {
                    td { (label) }
                    @for of in [chosen, there] {
                        td { @if of > 0 { (percent(hits / of as f64)) } @else { "–" } }
                    }
                    td { (format!("{:.4}", 2.0 * hits / (there + chosen).max(1) as f64)) }
                }
            }
        }
    }
}

/// Comments with their label and every model's verdict.
fn cases(report: &Report, cases: &[ReportedCase]) -> Markup {
    html! {
        table {
            tr {
                th { "is" }
                @for (at, model) in report.models.iter().enumerate() { th { (key(at, &model.name)) } }
                th.text { "comment" }
            }
            @for case in cases {
                tr {
                    td { (case.label) }
                    @for verdict in &case.verdicts {
                        @let class = if verdict.label == case.label { "good" } else { "bad" };
                        td.(class) title=(verdict.label) {
                            (meter(verdict.score, class)) (format!("{:.4}", verdict.score))
                        }
                    }
                    td.text { bdi { (case.text) } }
                }
            }
        }
    }
}

/// The worst mistakes: of one model all that are kept, of several the first of each.
pub(super) fn mistakes(report: &Report) -> Markup {
    let several = report.models.len() > 1;
    let shown = |model: &ModelResult| if several { FEW_CASES } else { usize::MAX }.min(model.mistakes.len());
    html! {
        @for (at, model) in report.models.iter().enumerate() {
            @if several { h3.part { (key(at, &model.name)) } }
            @if model.mistakes.is_empty() {
                (nothing("No errors."))
            } @else {
                (cases(report, &model.mistakes[..shown(model)]))
            }
        }
    }
}

/// Where models disagree.
pub(super) fn disagreements(report: &Report) -> Markup {
    match &report.disagreements[..] {
        [] => nothing("All are right, or all wrong, on every comment."),
        shown => cases(report, &shown[..shown.len().min(2 * FEW_CASES)]),
    }
}

/// The network and its training.
pub(super) fn made_of(model: &ModelResult) -> Markup {
    let mut rows = network(model);
    rows.extend(training(&model.training));
    rows.extend(history(model));
    if let Some(made_by) = model.training["made_by"].as_str() {
        rows.push(("made by", made_by.to_owned()));
    }
    html! { dl { @for (name, value) in rows { dt { (name) } dd { (value) } } } }
}

type Row = (&'static str, String);

fn network(model: &ModelResult) -> Vec<Row> {
    let shape = &model.network;
    let mut network = shape.cell.name().to_owned();
    if shape.layers > 0 {
        network = format!("{network}, {} of {} units", counted(shape.layers, "layer"), shape.hidden);
    }
    if shape.bidirectional {
        network += ", bidirectional";
    }
    let network = format!("{network}, {} pooling, {} head", shape.pooling.name(), shape.head.name());
    vec![
        ("version", model.version.clone()),
        ("network", network),
        ("embedding", format!("{} tokens × {}", grouped(shape.vocabulary), shape.embedding)),
        ("parameters", grouped(model.parameters)),
        ("longest comment", counted(model.max_tokens, "token")),
        ("temperature", format!("{:.3}", model.temperature)),
    ]
}

/// Data and settings, as the training's own report states them.
fn training(report: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for file in report["data"].as_array().into_iter().flatten() {
        let classes = file["classes"].as_array().into_iter().flatten();
        let count: u64 = classes.filter_map(Value::as_u64).sum();
        let weight = file["weight"].as_f64().unwrap_or(1.0);
        let name = file["file"].as_str().unwrap_or("?");
        rows.push(("trained on", format!("{name}: {} comments, weight {weight}", grouped(count))));
    }
    if let Some(settings) = report["settings"].as_object() {
        let shown = settings.iter().filter(|(_, value)| !value.is_null());
        let list: Vec<String> =
            shown.map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
        rows.push(("settings", list.join(", ")));
    }
    rows
}

fn history(model: &ModelResult) -> Vec<Row> {
    let Some(history) = &model.history else { return Vec::new() };
    let epochs = format!("{}, of which epoch {} was kept", history.epochs.len(), history.kept_epoch);
    let mut rows = vec![("epochs", epochs)];
    rows.extend(history.seconds.map(|seconds| ("took", span(seconds))));
    let rates: Vec<f64> = history.epochs.iter().filter_map(|pass| pass.examples_per_s).collect();
    if !rates.is_empty() {
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        rows.push(("speed", format!("{} examples/s", grouped(mean.round() as u64))));
    }
    rows
}
