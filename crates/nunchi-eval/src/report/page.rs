//! The page: what stands where.

use super::markup::{counted, escaped, grouped, percent};
use super::tables::{self, key};
use super::{ModelResult, Report, pictures};
use std::fmt::Write as _;

/// Colours and lines of pictures, for light and dark ground.
pub(super) const STYLE: &str = include_str!("style.css");
/// Everything else on the page.
const PAGE_STYLE: &str = include_str!("page.css");

/// The page. It is well-formed XML too, so that tests and other programs can read it.
pub(super) fn page(report: &Report) -> String {
    let title = match &report.models[..] {
        [one] => format!("How {} judges", one.name),
        several => format!("{} side by side", counted(several.len(), "model")),
    };
    // Training needs no development data; its curves are there all the same.
    let measured = report.data.records > 0;
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"/><meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;\"/><title>nunchi: {0}</title>\
         <style>{STYLE}{PAGE_STYLE}</style></head><body><main><h1>{0}</h1><p class=\"faint\">{1}</p>",
        escaped(&title),
        subtitle(report)
    );
    if let ([one], true) = (&report.models[..], measured) {
        tiles(&mut out, one);
    }
    out += "<div class=\"grid\">";
    if report.models.len() > 1 {
        card(&mut out, "wide", "Key figures", "", &tables::figures(report));
        card(
            &mut out,
            "wide",
            "How far apart they are",
            "Where intervals overlap widely, the data cannot tell the models apart.",
            &pictures::accuracies(report),
        );
    }
    let files = tables::files(report);
    if !files.is_empty() {
        card(&mut out, "wide", "By file", "", &files);
    }
    learning(&mut out, report);
    if measured {
        judging(&mut out, report);
        mistakes(&mut out, report);
    }
    let made: Vec<(String, String)> =
        report.models.iter().map(|model| (model.name.clone(), tables::made_of(model))).collect();
    let title = if made.len() == 1 { "What it is made of" } else { "What they are made of" };
    card(&mut out, "wide", title, "", &many(report, &made));
    let _ = writeln!(
        out,
        "</div><footer>Made by {}. The same figures lie beside this page as JSON.</footer></main></body></html>",
        escaped(&report.made_by)
    );
    out
}

fn mistakes(out: &mut String, report: &Report) {
    if report.models.len() > 1 {
        let says =
            "Where some models are right and others wrong, the furthest apart first. A bar is the score.";
        card(out, "wide", "Where they differ", says, &tables::disagreements(report));
    }
    let says = "What a model was surest of and got wrong. A bar is the score.";
    card(out, "wide", "The worst mistakes", says, &tables::mistakes(report));
}

/// What was measured on.
fn subtitle(report: &Report) -> String {
    let data = &report.data;
    if data.records == 0 {
        return "nothing was kept back to measure it on".to_owned();
    }
    let files: Vec<String> = data.files.iter().map(|file| escaped(&file.name)).collect();
    let classes: Vec<String> = data
        .labels
        .iter()
        .zip(&data.classes)
        .map(|(label, count)| format!("{} {}", grouped(*count), escaped(label)))
        .collect();
    let mut text =
        format!("on {}: {} ({})", files.join(", "), counted(data.records, "comment"), classes.join(", "));
    if let [one] = &report.models[..] {
        let _ = write!(text, "; version <code>{}</code>", escaped(&one.version));
    }
    for (count, what) in [(data.dropped, "of no class"), (data.unreadable, "that could not be read")] {
        if count > 0 {
            let _ = write!(text, "; without {} {what}", counted(count, "row"));
        }
    }
    text
}

fn tiles(out: &mut String, model: &ModelResult) {
    let metrics = &model.metrics;
    let [low, high] = model.accuracy_95;
    let tile = |out: &mut String, figure: String, what: &str| {
        let _ = write!(
            out,
            "<div class=\"card tile\"><b>{figure}</b><span class=\"faint small\">{}</span></div>",
            escaped(what)
        );
    };
    *out += "<div class=\"tiles\">";
    let interval = format!("accuracy ({:.2} to {})", low * 100.0, percent(high));
    tile(out, percent(metrics.accuracy), &interval);
    tile(out, format!("{:.4}", metrics.f1), "F1");
    tile(out, format!("{:.4}", metrics.auc), "area under the ROC curve");
    tile(out, format!("{:.4}", metrics.log_loss), "log loss, in nats");
    tile(out, percent(metrics.ece), "calibration error (ECE)");
    tile(out, grouped(model.parameters), "parameters");
    *out += "</div>";
}

fn card(out: &mut String, class: &str, title: &str, says: &str, body: &str) {
    let says = match says {
        "" => String::new(),
        says => format!("<p class=\"faint small\">{}</p>", escaped(says)),
    };
    let _ = write!(out, "<section class=\"card {class}\"><h2>{}</h2>{says}{body}</section>", escaped(title));
}

/// Which colour is which model; nothing where there is one.
fn legend(names: &[(usize, String)]) -> String {
    if names.len() < 2 {
        return String::new();
    }
    let keys: Vec<String> = names.iter().map(|(at, name)| key(*at, name)).collect();
    format!("<p class=\"legend\">{}</p>", keys.concat())
}

fn model_names(report: &Report) -> Vec<(usize, String)> {
    report.models.iter().map(|model| model.name.clone()).enumerate().collect()
}

/// One part a model, with its name where there are several.
fn many(report: &Report, parts: &[(String, String)]) -> String {
    match parts {
        [(_, one)] => one.clone(),
        parts => {
            let mut out = "<div class=\"many\">".to_owned();
            for (at, (name, body)) in parts.iter().enumerate() {
                let _ = write!(out, "<div><h3>{}</h3>{body}</div>", key(at, name));
            }
            debug_assert_eq!(parts.len(), report.models.len());
            out + "</div>"
        }
    }
}

fn learning(out: &mut String, report: &Report) {
    let loss = pictures::loss(report);
    // Beside the loss, or alone.
    let width = if loss.is_some() { "" } else { "wide" };
    let development = pictures::development(report, loss.is_none());
    if let Some(loss) = loss {
        let body = legend(&model_names(report)) + &loss;
        let width = if development.is_some() { "" } else { "wide" };
        card(out, width, "Learning: loss", "Thin: as it was; thick: what it tends to.", &body);
    }
    if let Some((picture, names)) = development {
        card(out, width, "Learning: development data", "", &(legend(&names) + &picture));
    }
}

fn judging(out: &mut String, report: &Report) {
    let each = |part: &dyn Fn(&ModelResult) -> String| -> String {
        let parts: Vec<_> = report.models.iter().map(|model| (model.name.clone(), part(model))).collect();
        many(report, &parts)
    };
    let several = report.models.len() > 1;
    let legend = legend(&model_names(report));
    let says = match report.data.labels.len() {
        2 => "How many positives are found at the price of how many false alarms.",
        _ => "How much of a class is found at the price of how many false alarms; the mean over classes.",
    };
    let roc = pictures::roc(report).unwrap_or_else(|| {
        "<p class=\"faint\">There is one class alone: nothing to tell apart.</p>".to_owned()
    });
    card(out, "", "ROC", says, &(legend.clone() + &roc));
    let errors: Vec<String> = report.models.iter().map(|model| percent(model.metrics.ece)).collect();
    let says = format!(
        "On the diagonal a score of 0.9 is right nine times in ten. Expected calibration error {}; larger dots stand for \
         more comments.",
        errors.join(", ")
    );
    card(out, "", "Calibration", &says, &(legend.clone() + &pictures::reliability(report)));
    let confusion = each(&|model| tables::confusion(model, &report.data.labels));
    let width = if several || report.data.labels.len() > 3 { "wide" } else { "" };
    card(out, width, "Confusion", "Rows: what a comment is. Columns: what the model says.", &confusion);
    if let Some(lengths) = pictures::lengths(report, width == "wide") {
        card(out, width, "Length against accuracy", "", &(legend + &lengths));
    }
    let says = "Heights are square roots: most comments lie at the ends.";
    card(out, "wide", "How scores lie", says, &each(&|model| pictures::scores(model, !several)));
}
