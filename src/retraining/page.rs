//! The report as one page: nothing is loaded from anywhere, nothing is a script.

use super::report::{Ending, Measured, Report};
use jiff::Timestamp;
use nunchi_eval::drift::Part;
use nunchi_eval::report::{escaped, grouped};
use std::fmt::Write as _;

/// Colours that read on light and dark ground.
const STYLE: &str = "
:root{--ground:#fafaf8;--card:#fff;--ink:#1d2330;--faint:#697080;--line:#e4e5e8;--good:#1a8f6a;--bad:#d0543f;--mark:#3a5fc8;--bar:#c9d3ee}
@media(prefers-color-scheme:dark){:root{--ground:#14171d;--card:#1c2028;--ink:#e7e9ee;--faint:#98a0b0;--line:#2d333f;--good:#3fbf94;--bad:#ef7f6a;--mark:#7f9cf0;--bar:#35446f}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,'Noto Sans KR',sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}h1{font-size:26px;margin:0 0 4px}h2{font-size:17px;margin:0 0 12px}
p{margin:0 0 10px}.faint{color:var(--faint)}.good{color:var(--good)}.bad{color:var(--bad)}
.grid{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(460px,1fr));margin-top:16px}@media(max-width:560px){.grid{grid-template-columns:1fr}}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;overflow-x:auto}.wide{grid-column:1/-1}
.tiles{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));margin-top:20px}.tile b{display:block;font-size:26px;font-weight:650}
.lead{font-size:17px;border-left:4px solid var(--mark);padding:2px 0 2px 14px;margin:22px 0 0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th{font-weight:500;color:var(--faint);text-align:right;padding:4px 8px;border-bottom:1px solid var(--line)}
td{text-align:right;padding:4px 8px;border-bottom:1px solid var(--line);vertical-align:top;white-space:nowrap}th:first-child,td:first-child{text-align:left;padding-left:0}
td.text{text-align:left;white-space:normal;min-width:240px}svg{display:block;width:100%;height:auto}svg text{fill:var(--faint);font:12px system-ui,'Noto Sans KR',sans-serif}svg .ink{fill:var(--ink)}code{font-size:13px}";

/// The page.
pub fn page(report: &Report) -> String {
    let (title, class) = match report.ending {
        Ending::Promoted => ("Promoted: the new network serves", "good"),
        Ending::Published => ("Published: it passed the gate", "good"),
        Ending::Rejected => ("Rejected: the old network stays", "bad"),
        Ending::NotEnoughData => ("Not enough data: nothing was trained", "faint"),
    };
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>nunchi retrain: {title}</title><style>{STYLE}</style></head><body>\
         <main><h1 class=\"{class}\">{title}</h1><p class=\"faint\">{}</p>",
        subtitle(report)
    );
    tiles(&mut out, report);
    let _ = write!(out, "<p class=\"lead\">{}</p><div class=\"grid\">", escaped(&report.why));
    if !report.verdict.checks.is_empty() {
        wide(&mut out, "The gate", &gate(report));
    }
    if !report.sets.is_empty() {
        wide(&mut out, "Both networks", &sets(&report.sets));
    }
    card(&mut out, "What it learned from", &learned(report));
    if !report.pairs.is_empty() {
        card(&mut out, "Pairs of sentences", &pairs(report));
    }
    if !report.words.is_empty() {
        card(&mut out, "Words that moved", &words(report));
    }
    if !report.new_words.is_empty() {
        card(&mut out, "Words that the old comments do not have", &new_words(report));
    }
    if !report.drift.is_empty() {
        wide(&mut out, "How the comments change", &drift(report));
    }
    if report.drift.iter().any(|part| part.stars.iter().any(|&count| count > 0)) {
        card(&mut out, "Stars", &stars(&report.drift));
    }
    if !report.flips.is_empty() {
        wide(&mut out, "Comments whose label changes", &flips(report));
    }
    out += "</div></main></body></html>\n";
    out
}

fn subtitle(report: &Report) -> String {
    let time = |time: Option<Timestamp>, open: &str| {
        time.map_or_else(|| open.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
    };
    let mut text = format!(
        "run <code>{}</code>, {} UTC, {:.0} s, {:.0} s of them training; comments from {} to {}",
        escaped(&report.run),
        report.started_at.strftime("%Y-%m-%d %H:%M"),
        report.seconds,
        report.training_seconds,
        time(report.window[0], "the beginning"),
        time(report.window[1], "now"),
    );
    let _ = write!(text, "; current version <code>{}</code>", escaped(&report.parent));
    if let Some(candidate) = &report.candidate {
        let _ = write!(text, ", candidate <code>{}</code>", escaped(candidate));
    }
    text
}

fn tiles(out: &mut String, report: &Report) {
    let tile = |out: &mut String, figure: String, what: &str, class: &str| {
        let _ = write!(
            out,
            "<div class=\"card tile\"><b class=\"{class}\">{figure}</b><span class=\"faint\">{what}</span></div>"
        );
    };
    out.push_str("<div class=\"tiles\">");
    for set in &report.sets {
        let gain = set.candidate.accuracy - set.current.accuracy;
        let figure = format!("{:.1} → {:.1} %", set.current.accuracy * 100.0, set.candidate.accuracy * 100.0);
        let what =
            format!("right, {} set of {} comments", escaped(&set.name), grouped(set.candidate.records));
        tile(out, figure, &what, sign(gain, 5e-4));
    }
    let learned: usize = report.learned.iter().flat_map(|source| &source.classes).sum();
    tile(out, grouped(learned), "comments learned from", "");
    if report.corrections.standing > 0 {
        let figure = grouped(report.records.corrected);
        tile(out, figure, "labels corrected by people", "");
    }
    let flips: usize = report.sets.iter().map(|set| set.flips).sum();
    if !report.sets.is_empty() {
        tile(out, grouped(flips), "labels change", "");
    }
    out.push_str("</div>");
}

fn gate(report: &Report) -> String {
    let mut rows = String::from("<table>");
    for check in &report.verdict.checks {
        let (class, mark) = if check.passed { ("good", "holds") } else { ("bad", "does not hold") };
        let _ = write!(
            rows,
            "<tr><td>{}</td><td class=\"{class}\">{mark}</td><td class=\"text\">{}</td></tr>",
            escaped(&check.name),
            escaped(&check.said)
        );
    }
    rows + "</table>"
}

fn sets(sets: &[Measured]) -> String {
    let mut rows = String::from("<table><tr><th>figure</th>");
    for set in sets {
        let name = escaped(&set.name);
        let _ = write!(rows, "<th>{name}: current</th><th>{name}: candidate</th><th>{name}: difference</th>");
    }
    rows += "</tr>";
    type Figure = (&'static str, fn(&nunchi_eval::metrics::Metrics) -> f64, f64, f64);
    // Name, value, factor to what is shown, and whether more is better (1) or worse (-1).
    let figures: [Figure; 5] = [
        ("accuracy, %", |metrics| metrics.accuracy, 100.0, 1.0),
        ("F1, %", |metrics| metrics.f1, 100.0, 1.0),
        ("area under the ROC curve, %", |metrics| metrics.auc, 100.0, 1.0),
        ("log loss, nats", |metrics| metrics.log_loss, 1.0, -1.0),
        ("calibration error, points", |metrics| metrics.ece, 100.0, -1.0),
    ];
    for (name, value, factor, better) in figures {
        let _ = write!(rows, "<tr><td>{name}</td>");
        for set in sets {
            let [current, candidate] = [value(&set.current) * factor, value(&set.candidate) * factor];
            let places = if factor > 1.0 { 2 } else { 4 };
            let class = sign((candidate - current) * better, if factor > 1.0 { 0.05 } else { 5e-4 });
            let _ = write!(
                rows,
                "<td>{current:.places$}</td><td>{candidate:.places$}</td><td class=\"{class}\">{:+.places$}</td>",
                candidate - current
            );
        }
        rows += "</tr>";
    }
    rows + "</table>"
}

fn learned(report: &Report) -> String {
    let mut rows = String::from("<table><tr><th>source</th><th>weight</th>");
    report.labels.iter().for_each(|label| rows += &format!("<th>{}</th>", escaped(label)));
    rows += "</tr>";
    for source in &report.learned {
        let _ = write!(rows, "<tr><td>{}</td><td>{}</td>", escaped(&source.name), source.weight);
        source.classes.iter().for_each(|&count| rows += &format!("<td>{}</td>", grouped(count)));
        rows += "</tr>";
    }
    let counts = &report.records;
    let _ = write!(
        rows,
        "</table><p class=\"faint\">{} records read: {} without a label, {} with stars in between, {} unreadable, {} outside of \
         the window, {} came again under the same id. {} comments chose the epoch and the temperature. {} texts are in what is \
         measured and in what could be learned: they count on one side only.</p>",
        grouped(counts.records),
        grouped(counts.unlabelled),
        grouped(counts.between),
        grouped(counts.unreadable),
        grouped(counts.outside),
        grouped(counts.superseded),
        grouped(report.dev),
        grouped(report.left_out)
    );
    rows
}

fn pairs(report: &Report) -> String {
    let mut rows =
        String::from("<table><tr><th>kind</th><th>pairs</th><th>current</th><th>candidate</th></tr>");
    for tally in &report.pairs {
        if tally.labelled > 0 {
            let [current, candidate] = tally.right;
            let _ = write!(
                rows,
                "<tr><td>{}: both right</td><td>{}</td><td>{current}</td><td class=\"{}\">{candidate}</td></tr>",
                escaped(&tally.category),
                tally.labelled,
                sign(candidate as f64 - current as f64, 0.5)
            );
        }
        if tally.unlabelled > 0 {
            let [current, candidate] = tally.told_apart;
            let _ = write!(
                rows,
                "<tr><td>{}: told apart</td><td>{}</td><td>{current}</td><td>{candidate}</td></tr>",
                escaped(&tally.category),
                tally.unlabelled
            );
        }
    }
    rows + "</table>"
}

/// Each word a line from its old score to its new one.
fn words(report: &Report) -> String {
    const ROW: usize = 22;
    let height = report.words.len() * ROW + 8;
    let mut out = format!("<svg viewBox=\"0 0 460 {height}\" role=\"img\" aria-label=\"words that moved\">");
    let x = |score: f64| 150.0 + 250.0 * score;
    let _ =
        write!(out, "<line x1=\"{0}\" x2=\"{0}\" y1=\"0\" y2=\"{height}\" stroke=\"var(--line)\"/>", x(0.5));
    for (row, word) in report.words.iter().enumerate() {
        let y = row * ROW + ROW / 2 + 4;
        let [from, to] = word.scores;
        let colour = if to > from { "var(--good)" } else { "var(--bad)" };
        let _ = write!(
            out,
            "<text class=\"ink\" x=\"0\" y=\"{0}\">{1}</text><line x1=\"{2:.1}\" x2=\"{3:.1}\" y1=\"{y}\" y2=\"{y}\" \
             stroke=\"{colour}\" stroke-width=\"3\"/><circle cx=\"{2:.1}\" cy=\"{y}\" r=\"3\" fill=\"var(--faint)\"/><circle \
             cx=\"{3:.1}\" cy=\"{y}\" r=\"5\" fill=\"{colour}\"/><text x=\"410\" y=\"{0}\">{4}×</text>",
            y + 4,
            escaped(&word.word),
            x(from),
            x(to),
            word.comments
        );
    }
    out + "</svg><p class=\"faint\">The score of the word alone, from 0 (negative) to 1: the small dot is the current network, the \
           large one the candidate. How many new comments have it.</p>"
}

fn new_words(report: &Report) -> String {
    let words: Vec<String> = report
        .new_words
        .iter()
        .map(|word| {
            format!("{} <span class=\"faint\">{}×</span>", escaped(&word.word), grouped(word.comments))
        })
        .collect();
    format!("<p>{}</p>", words.join(" · "))
}

fn drift(report: &Report) -> String {
    let mut rows = String::from(
        "<table><tr><th>part</th><th>comments</th><th>characters</th><th>tokens</th><th>unknown tokens</th>",
    );
    report.labels.iter().for_each(|label| rows += &format!("<th>{}</th>", escaped(label)));
    rows += "<th>current network right</th></tr>";
    for part in &report.drift {
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{}</td><td>{:.1}</td><td>{:.1}</td><td>{:.2} %</td>",
            escaped(&part.name),
            grouped(part.comments),
            part.characters,
            part.tokens,
            part.unknown * 100.0
        );
        part.classes.iter().for_each(|share| rows += &format!("<td>{:.1} %</td>", share * 100.0));
        let _ = write!(rows, "<td>{:.1} %</td></tr>", part.accuracy * 100.0);
    }
    rows + "</table>"
}

/// A group of bars for each part that has stars.
fn stars(parts: &[Part]) -> String {
    let shown: Vec<&Part> = parts.iter().filter(|part| part.stars.iter().any(|&count| count > 0)).collect();
    let height = shown.len() * 120 + 10;
    let mut out = format!("<svg viewBox=\"0 0 460 {height}\" role=\"img\" aria-label=\"stars\">");
    for (index, part) in shown.iter().enumerate() {
        let (top, total) = (index * 120, part.stars.iter().sum::<usize>() as f64);
        let _ = write!(out, "<text class=\"ink\" x=\"0\" y=\"{}\">{}</text>", top + 14, escaped(&part.name));
        for (star, &count) in part.stars.iter().enumerate() {
            let (share, y) = (count as f64 / total, top + 22 + star * 18);
            let _ = write!(
                out,
                "<text x=\"0\" y=\"{0}\">{1} ★</text><rect x=\"40\" y=\"{y}\" width=\"{2:.1}\" height=\"13\" rx=\"2\" \
                 fill=\"var(--bar)\"/><text x=\"{3:.1}\" y=\"{0}\">{4:.1} %</text>",
                y + 11,
                star + 1,
                share * 340.0,
                share * 340.0 + 46.0,
                share * 100.0
            );
        }
    }
    out + "</svg>"
}

fn flips(report: &Report) -> String {
    let mut rows = String::from(
        "<table><tr><th>set</th><th>label</th><th>current</th><th>candidate</th><th>comment</th></tr>",
    );
    for flip in &report.flips {
        let class = if flip.given[1] == flip.label { "good" } else { "bad" };
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{}</td><td>{} {:.2}</td><td class=\"{class}\">{} {:.2}</td><td class=\"text\">{}</td></tr>",
            escaped(&flip.set),
            escaped(&flip.label),
            escaped(&flip.given[0]),
            flip.scores[0],
            escaped(&flip.given[1]),
            flip.scores[1],
            escaped(&flip.text)
        );
    }
    rows + "</table>"
}

fn card(out: &mut String, heading: &str, content: &str) {
    let _ = write!(out, "<section class=\"card\"><h2>{heading}</h2>{content}</section>");
}

fn wide(out: &mut String, heading: &str, content: &str) {
    let _ = write!(out, "<section class=\"card wide\"><h2>{heading}</h2>{content}</section>");
}

/// The class of a change: good, bad, or too small to be either.
fn sign(change: f64, least: f64) -> &'static str {
    match change {
        change if change >= least => "good",
        change if change <= -least => "bad",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_no_markup() {
        assert_eq!(escaped("<b>\"3\" & 'x'</b>"), "&lt;b&gt;&quot;3&quot; &amp; &#39;x&#39;&lt;/b&gt;");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
