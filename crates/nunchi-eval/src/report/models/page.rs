//! The page of a report on models, from top to bottom.

use super::super::format::{counted, grouped, percent};
use super::super::page::{Heading, Tile, Tone, Width, card, grid, nothing, page as frame, tiles};
use super::tables::{self, key};
use super::{ModelResult, Report, charts};
use maud::{Markup, html};

pub(super) fn page(report: &Report) -> String {
    let title = match &report.models[..] {
        [one] => format!("Predictions of {}", one.name),
        several => format!("{} compared", counted(several.len(), "model")),
    };
    // Without development data the training curves are shown alone.
    let measured = report.data.records > 0;
    let several = report.models.len() > 1;
    let content = html! {
        @if let ([one], true) = (&report.models[..], measured) { (key_figures(one)) }
        (grid(&html! {
            @if several {
                (card(Width::Full, "Key figures", "", &tables::figures(report)))
                (card(
                    Width::Full,
                    "Accuracy intervals",
                    "Where intervals overlap widely, the data show no difference between the models.",
                    &charts::accuracies(report),
                ))
            }
            @if let Some(files) = tables::files(report) { (card(Width::Full, "By file", "", &files)) }
            (learning(report))
            @if measured { (quality(report)) (examples(report)) }
            (card(
                Width::Full,
                if several { "Networks and training" } else { "Network and training" },
                "",
                &each(report, tables::made_of),
            ))
        }))
        footer { "Made by " (report.made_by) ". The same figures lie beside this page as JSON." }
    };
    let heading = Heading { tab: &format!("nunchi: {title}"), title: &title, tone: Tone::Plain };
    frame(heading, &subtitle(report), &content)
}

/// What was measured on.
fn subtitle(report: &Report) -> Markup {
    let data = &report.data;
    if data.records == 0 {
        return html! { "without development data, so nothing was measured" };
    }
    let files: Vec<&str> = data.files.iter().map(|file| file.name.as_str()).collect();
    let classes: Vec<String> = data
        .labels
        .iter()
        .zip(&data.classes)
        .map(|(label, count)| format!("{} {label}", grouped(*count)))
        .collect();
    html! {
        "on " (files.join(", ")) ": " (counted(data.records, "comment")) " (" (classes.join(", ")) ")"
        @if let [one] = &report.models[..] { "; version " code { (one.version) } }
        @for (count, what) in [(data.dropped, "of no class"), (data.unreadable, "that could not be read")] {
            @if count > 0 { "; without " (counted(count, "row")) " " (what) }
        }
    }
}

fn key_figures(model: &ModelResult) -> Markup {
    let metrics = &model.metrics;
    let [low, high] = model.accuracy_95;
    let interval = format!("accuracy ({:.2} to {})", low * 100.0, percent(high));
    let tile = |figure: String, what: &str| Tile::new(figure, what, Tone::Plain);
    tiles(&[
        tile(percent(metrics.accuracy), &interval),
        tile(format!("{:.4}", metrics.f1), "F1"),
        tile(format!("{:.4}", metrics.auc), "area under the ROC curve"),
        tile(format!("{:.4}", metrics.log_loss), "log loss, in nats"),
        tile(percent(metrics.ece), "calibration error (ECE)"),
        tile(grouped(model.parameters), "parameters"),
    ])
}

/// Which color is which model; nothing where there is one.
fn legend(names: &[(usize, String)]) -> Markup {
    html! {
        @if names.len() > 1 { p.legend { @for (at, name) in names { (key(*at, name)) } } }
    }
}

fn model_names(report: &Report) -> Vec<(usize, String)> {
    report.models.iter().map(|model| model.name.clone()).enumerate().collect()
}

/// The part of each model, with its name where there are several.
fn each(report: &Report, part: impl Fn(&ModelResult) -> Markup) -> Markup {
    if let [one] = &report.models[..] {
        return part(one);
    }
    html! {
        div.many {
            @for (at, model) in report.models.iter().enumerate() {
                div { h3 { (key(at, &model.name)) } (part(model)) }
            }
        }
    }
}

fn learning(report: &Report) -> Markup {
    let loss = charts::loss(report);
    // Beside the loss, or alone.
    let development = charts::development(report, loss.is_none());
    let width = |has_neighbor: bool| if has_neighbor { Width::Half } else { Width::Full };
    html! {
        @if let Some(loss) = &loss {
            (card(
                width(development.is_some()),
                "Learning: loss",
                "Thin: each stretch of steps; thick: the moving average.",
                &html! { (legend(&model_names(report))) (loss) },
            ))
        }
        @if let Some((chart, names)) = &development {
            (card(
                width(loss.is_some()),
                "Learning: development data",
                "",
                &html! { (legend(names)) (chart) },
            ))
        }
    }
}

/// The quality of the predictions.
fn quality(report: &Report) -> Markup {
    let legend = legend(&model_names(report));
    let several = report.models.len() > 1;
    let width = if several || report.data.labels.len() > 3 { Width::Full } else { Width::Half };
    html! {
        (roc(report, &legend))
        (calibration(report, &legend))
        (card(
            width,
            "Confusion",
            "Rows: labels. Columns: predictions.",
            &each(report, |model| tables::confusion(model, &report.data.labels)),
        ))
        @if let Some(lengths) = charts::lengths(report, width == Width::Full) {
            (card(width, "Length against accuracy", "", &html! { (legend) (lengths) }))
        }
        @if let Some(groups) = tables::groups(report) {
            (card(Width::Full, &format!("By {}", report.data.by.as_deref().unwrap_or("group")), "", &groups))
        }
        @if let Some(coverage) = charts::coverage(report, true) {
            (card(
                Width::Full,
                "Risk against coverage",
                "How often it is wrong if only its most confident verdicts count and somebody looks at the others.",
                &html! { (legend) (coverage) },
            ))
        }
        (card(
            Width::Full,
            "Distribution of the scores",
            "Heights are square roots: most scores are near 0 or 1.",
            &each(report, |model| charts::scores(model, !several)),
        ))
    }
}

fn roc(report: &Report, legend: &Markup) -> Markup {
    let note = match report.data.labels.len() {
        2 => "True positive rate against false positive rate.",
        _ => "True positive rate against false positive rate, the mean over classes.",
    };
    let chart = charts::roc(report)
        .unwrap_or_else(|| nothing("The data have one class alone: there is no ROC curve."));
    card(Width::Half, "ROC", note, &html! { (legend) (chart) })
}

fn calibration(report: &Report, legend: &Markup) -> Markup {
    let errors: Vec<String> = report.models.iter().map(|model| percent(model.metrics.ece)).collect();
    let note = format!(
        "On the diagonal 90 % of the predictions with confidence 0.9 are right.  Expected calibration error {}; larger dots stand for \
         more comments.",
        errors.join(", ")
    );
    card(Width::Half, "Calibration", &note, &html! { (legend) (charts::reliability(report)) })
}

fn examples(report: &Report) -> Markup {
    html! {
        @if report.models.len() > 1 {
            (card(
                Width::Full,
                "Disagreements",
                "Where some models are right and others wrong, the furthest apart first. A bar is the score.",
                &tables::disagreements(report),
            ))
        }
        (card(
            Width::Full,
            "Largest errors",
            "The wrong predictions with the highest confidence. A bar is the score.",
            &tables::mistakes(report),
        ))
    }
}
