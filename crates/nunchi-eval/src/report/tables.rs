//! The tables of a report.

use super::chart::colour;
use super::markup::{counted, escaped, grouped, percent, span};
use super::{ModelResult, Report, Told};
use serde_json::Value;
use std::fmt::Write as _;

/// ConfigErrors a model that are shown when there are several models.
const FEW: usize = 8;

/// A figure of a model; more is better.
type Figure = fn(&ModelResult) -> f64;
/// A figure and how it is written.
type Column = (Figure, fn(f64) -> String);

/// A model's name with its colour.
pub(super) fn key(index: usize, name: &str) -> String {
    format!("<span class=\"key {}\"><i></i>{}</span>", colour(index), escaped(name))
}

/// The key figures, a row a model, the best of each column marked.
pub(super) fn figures(report: &Report) -> String {
    let mut out =
        "<table><tr><th>model</th><th>version</th><th>parameters</th><th>accuracy</th><th>95 % interval</th>\
                   <th>F1</th><th>AUC</th><th>log loss</th><th>ECE</th></tr>"
            .to_owned();
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
    for (at, model) in models.iter().enumerate() {
        let cells = columns.map(|(of, write)| {
            let class = if models.len() > 1 && of(model) == best(of) { " class=\"best\"" } else { "" };
            format!("<td{class}>{}</td>", write(of(model)))
        });
        let [low, high] = model.accuracy_95;
        let [accuracy, rest @ ..] = &cells;
        let _ = write!(
            out,
            "<tr><td>{}</td><td><code>{}</code></td><td>{}</td>{accuracy}<td>{:.2} – {}</td>{}</tr>",
            key(at, &model.name),
            escaped(&model.version),
            grouped(model.parameters),
            low * 100.0,
            percent(high),
            rest.concat()
        );
    }
    out + "</table>"
}

/// The key figures of every file; nothing for a single one.
pub(super) fn files(report: &Report) -> String {
    if report.data.files.len() < 2 {
        return String::new();
    }
    let several = report.models.len() > 1;
    let mut out = format!(
        "<table><tr><th>file</th>{}<th>comments</th><th>accuracy</th><th>F1</th><th>AUC</th><th>log loss</th><th>ECE</th></tr>",
        if several { "<th>model</th>" } else { "" }
    );
    for (at, file) in report.data.files.iter().enumerate() {
        for (index, model) in report.models.iter().enumerate() {
            let metrics = &model.files[at];
            let model = if several { format!("<td>{}</td>", key(index, &model.name)) } else { String::new() };
            let _ = write!(
                out,
                "<tr><td>{}</td>{model}<td>{}</td><td>{}</td><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td><td>{}</td></tr>",
                if index == 0 { escaped(&file.name) } else { String::new() },
                grouped(file.records),
                percent(metrics.accuracy),
                metrics.f1,
                metrics.auc,
                metrics.log_loss,
                percent(metrics.ece)
            );
        }
    }
    out + "</table>"
}

/// What is taken for what: rows are classes, columns verdicts; shares of the row give the depth of colour.
pub(super) fn confusion(model: &ModelResult, labels: &[String]) -> String {
    let mut out = "<table class=\"matrix\"><tr><th></th>".to_owned();
    for label in labels {
        let _ = write!(out, "<th>judged {}</th>", escaped(label));
    }
    out += "</tr>";
    for (class, (label, row)) in labels.iter().zip(&model.confusion).enumerate() {
        let total: usize = row.iter().sum();
        let _ = write!(out, "<tr><th class=\"row\">is {}</th>", escaped(label));
        for (chosen, &count) in row.iter().enumerate() {
            let share = count as f64 / total.max(1) as f64;
            let border = if class == chosen { ";box-shadow:inset 0 0 0 1px var(--line)" } else { "" };
            let _ = write!(
                out,
                "<td class=\"cell\" style=\"background:rgb(var(--fill) / {:.3}){border}\"><b>{}</b><span class=\"small\">{}</span></td>",
                0.04 + 0.5 * share,
                grouped(count),
                percent(share)
            );
        }
        out += "</tr>";
    }
    out + "</table>" + &rates(model, labels)
}

/// Precision, recall and F1 of each class.
fn rates(model: &ModelResult, labels: &[String]) -> String {
    let mut out =
        "<table class=\"rates\"><tr><th></th><th>precision</th><th>recall</th><th>F1</th></tr>".to_owned();
    for (class, (label, row)) in labels.iter().zip(&model.confusion).enumerate() {
        let hits = row[class] as f64;
        let (there, said) =
            (row.iter().sum::<usize>(), model.confusion.iter().map(|row| row[class]).sum::<usize>());
        let share = |of: usize| if of > 0 { percent(hits / of as f64) } else { "–".to_owned() };
        let f1 = 2.0 * hits / (there + said).max(1) as f64;
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{f1:.4}</td></tr>",
            escaped(label),
            share(said),
            share(there)
        );
    }
    out + "</table>"
}

/// Comments with what is true and what every model said.
fn cases(report: &Report, cases: &[Told]) -> String {
    let mut out = "<table><tr><th>is</th>".to_owned();
    for (at, model) in report.models.iter().enumerate() {
        let _ = write!(out, "<th>{}</th>", key(at, &model.name));
    }
    out += "<th class=\"text\">comment</th></tr>";
    for case in cases {
        let _ = write!(out, "<tr><td>{}</td>", escaped(&case.label));
        for verdict in &case.verdicts {
            let class = if verdict.label == case.label { "good" } else { "bad" };
            let _ = write!(
                out,
                "<td class=\"said-{class}\" title=\"{}\"><span class=\"score {class}\"><i style=\"width:{:.0}%\"></i></span>{:.4}</td>",
                escaped(&verdict.label),
                verdict.score * 100.0,
                verdict.score
            );
        }
        let _ = write!(out, "<td class=\"text\"><bdi>{}</bdi></td></tr>", escaped(&case.text));
    }
    out + "</table>"
}

/// The worst mistakes: of one model all that are kept, of several the first of each.
pub(super) fn mistakes(report: &Report) -> String {
    let mut out = String::new();
    for (at, model) in report.models.iter().enumerate() {
        let several = report.models.len() > 1;
        let shown =
            &model.mistakes[..if several { model.mistakes.len().min(FEW) } else { model.mistakes.len() }];
        if several {
            let _ = write!(out, "<h3 style=\"margin-top:14px\">{}</h3>", key(at, &model.name));
        }
        out += &match shown {
            [] => "<p class=\"faint\">No mistake at all.</p>".to_owned(),
            shown => cases(report, shown),
        };
    }
    out
}

/// Where models differ.
pub(super) fn disagreements(report: &Report) -> String {
    match &report.disagreements[..] {
        [] => "<p class=\"faint\">All are right, or all wrong, on every comment.</p>".to_owned(),
        shown => cases(report, &shown[..shown.len().min(2 * FEW)]),
    }
}

/// What the model is made of and how it was trained.
pub(super) fn made_of(model: &ModelResult) -> String {
    let shape = &model.network;
    let mut rows = vec![("version".to_owned(), model.version.clone())];
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    let mut network = shape.cell.name().to_owned();
    if shape.layers > 0 {
        network = format!("{network}, {} of {} units", counted(shape.layers, "layer"), shape.hidden);
    }
    if shape.bidirectional {
        network += ", reading both ways";
    }
    row("network", format!("{network}, {} pooling, {} head", shape.pooling.name(), shape.head.name()));
    row("embedding", format!("{} tokens × {}", grouped(shape.vocabulary), shape.embedding));
    row("parameters", grouped(model.parameters));
    row("longest comment", counted(model.max_tokens, "token"));
    row("temperature", format!("{:.3}", model.temperature));
    let training = &model.training;
    for file in training["data"].as_array().into_iter().flatten() {
        let classes = file["classes"].as_array().into_iter().flatten();
        let count: u64 = classes.filter_map(Value::as_u64).sum();
        let weight = file["weight"].as_f64().unwrap_or(1.0);
        let name = file["file"].as_str().unwrap_or("?");
        row("trained on", format!("{name}: {} comments, weight {weight}", grouped(count as usize)));
    }
    if let Some(settings) = training["settings"].as_object() {
        let shown = settings.iter().filter(|(_, value)| !value.is_null());
        let list: Vec<String> =
            shown.map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
        row("settings", list.join(", "));
    }
    if let Some(history) = &model.history {
        row("epochs", format!("{}, of which epoch {} was kept", history.epochs.len(), history.kept_epoch));
        if let Some(seconds) = history.seconds {
            row("took", span(seconds));
        }
        let rates: Vec<f64> = history.epochs.iter().filter_map(|pass| pass.examples_per_s).collect();
        if !rates.is_empty() {
            let mean = rates.iter().sum::<f64>() / rates.len() as f64;
            row("speed", format!("{} examples/s", grouped(mean.round() as usize)));
        }
    }
    if let Some(made_by) = training["made_by"].as_str() {
        row("made by", made_by.to_owned());
    }
    let mut out = "<dl>".to_owned();
    for (name, value) in rows {
        let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", escaped(&name), escaped(&value));
    }
    out + "</dl>"
}
