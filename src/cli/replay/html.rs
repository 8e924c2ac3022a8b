//! The report of a comparison as one page: pictures are inline SVG, nothing is loaded from anywhere, nothing is a script.

use super::progress::{grouped, human_time};
use super::report::conclusion;
use crate::replay::compare::Report;
use nunchi_eval::comparison::{Comparison, Example, Flips, SCORE_BINS};
use nunchi_eval::report::escaped;
use std::fmt::Write as _;

/// Products that are shown.
const PRODUCTS: usize = 12;

/// Colours that read on light and dark ground: to a higher label, to a lower one, neither.
const STYLE: &str = "
:root{--ground:#fafaf8;--card:#fff;--ink:#1d2330;--faint:#697080;--line:#e4e5e8;--up:#1a8f6a;--down:#d0543f;--mark:#3a5fc8;--bar:#c9d3ee}
@media(prefers-color-scheme:dark){:root{--ground:#14171d;--card:#1c2028;--ink:#e7e9ee;--faint:#98a0b0;--line:#2d333f;--up:#3fbf94;--down:#ef7f6a;--mark:#7f9cf0;--bar:#35446f}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,'Noto Sans KR',sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}h1{font-size:26px;margin:0 0 4px}h2{font-size:17px;margin:0 0 12px}
p{margin:0 0 10px}.faint{color:var(--faint)}.grid{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(460px,1fr));margin-top:16px}
@media(max-width:560px){.grid{grid-template-columns:1fr}}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;overflow-x:auto}.wide{grid-column:1/-1}
.tiles{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));margin-top:20px}.tile b{display:block;font-size:26px;font-weight:650}
.up{color:var(--up)}.down{color:var(--down)}.lead{font-size:17px;border-left:4px solid var(--mark);padding:2px 0 2px 14px;margin:22px 0 0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th{font-weight:500;color:var(--faint);text-align:right;padding:4px 8px;border-bottom:1px solid var(--line)}
td{text-align:right;padding:4px 8px;border-bottom:1px solid var(--line);vertical-align:top;white-space:nowrap}th:first-child,td:first-child{text-align:left;padding-left:0}
td.text{text-align:left;min-width:280px;white-space:normal}svg{display:block;width:100%;height:auto}svg text{fill:var(--faint);font:11px system-ui,sans-serif}
.axis{stroke:var(--line);stroke-width:1}code{font-size:13px}";

/// The page.
pub(super) fn page(report: &Report) -> String {
    let tally = &report.comparison;
    let [first, second] = &tally.models;
    let title = format!("{} and {}", first.name, second.name);
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>nunchi: {0}</title><style>{STYLE}</style></head><body><main>\
         <h1>What if: {0}</h1><p class=\"faint\">{1}</p>",
        escaped(&title),
        subtitle(report)
    );
    tiles(&mut out, tally);
    if let Some(sentence) = conclusion(report) {
        let _ = write!(out, "<p class=\"lead\">{}</p>", escaped(&sentence));
    }
    out += "<div class=\"grid\">";
    card(&mut out, "Against the stars", &stars(report));
    card(&mut out, "Which way labels flip", &ways(tally));
    card(&mut out, "How the score changes", &histogram(tally));
    card(&mut out, "Both scores", &map(tally));
    wide(&mut out, &format!("Flips by {}", tally.unit.name()), &times(tally));
    let lengths: Vec<(String, Flips)> = tally
        .by_length
        .iter()
        .filter(|named| named.flips.records > 0)
        .map(|named| (named.name.clone(), named.flips))
        .collect();
    card(&mut out, "By length, in characters", &table(&lengths, tally));
    let products: Vec<(String, Flips)> =
        tally.by_product.iter().take(PRODUCTS).map(|named| (named.name.clone(), named.flips)).collect();
    let heading = format!("Products with most flips, of {}", grouped(tally.products));
    card(&mut out, &heading, &table(&products, tally));
    wide(&mut out, "Largest changes", &examples(tally));
    out += "</div></main></body></html>\n";
    out
}

fn subtitle(report: &Report) -> String {
    let (plan, request) = (&report.plan, &report.plan.request);
    let bound = |bound: &Option<crate::replay::Bound>, open: &str| {
        bound.as_ref().map_or_else(|| open.to_owned(), ToString::to_string)
    };
    let mut text = format!(
        "versions <code>{}</code> and <code>{}</code> on topic <code>{}</code>, from {} to {}; made {} in {}",
        escaped(&report.comparison.models[0].version),
        escaped(&report.comparison.models[1].version),
        escaped(&request.topic),
        escaped(&bound(&request.from, "the beginning")),
        escaped(&bound(&request.to, "the end")),
        plan.planned_at.strftime("%Y-%m-%d %H:%M UTC"),
        human_time(report.seconds)
    );
    if !report.complete {
        text += "; <b>stopped before the end</b>";
    }
    for (what, count) in [
        ("could not be judged", report.dead_letters),
        ("had no value", report.tombstones),
        ("lay outside of the range", report.outside),
    ] {
        if count > 0 {
            let _ = write!(text, "; {} {what}", grouped(count));
        }
    }
    for gone in &report.gone {
        let _ = write!(text, "; {}", escaped(&gone.to_string()));
    }
    text
}

fn tiles(out: &mut String, tally: &Comparison) {
    let tile = |out: &mut String, class: &str, figure: String, what: &str| {
        let _ = write!(
            out,
            "<div class=\"card tile\"><b class=\"{class}\">{figure}</b><span class=\"faint\">{}</span></div>",
            escaped(what)
        );
    };
    let [up, down] = way_names(tally);
    out.push_str("<div class=\"tiles\">");
    tile(out, "", grouped(tally.agreement.all.records), "comments judged by both");
    tile(
        out,
        "",
        format!("{:.2} %", tally.agreement.all.share() * 100.0),
        &format!("flip ({})", grouped(tally.agreement.all.flips)),
    );
    tile(out, "up", grouped(tally.agreement.all.up), &format!("flip {up}"));
    tile(out, "down", grouped(tally.agreement.all.down), &format!("flip {down}"));
    let [first, second] = tally.stars.paired.accuracies();
    if tally.stars.paired.records() > 0 {
        let figure = format!("{:.2} → {:.2} %", first * 100.0, second * 100.0);
        tile(out, "", figure, "agree with the stars");
    }
    out.push_str("</div>");
}

/// What flips to a later and to an earlier label are called.
fn way_names(tally: &Comparison) -> [String; 2] {
    match &tally.labels[..] {
        [negative, positive] => [format!("to {positive}"), format!("to {negative}")],
        _ => ["to a later label".to_owned(), "to an earlier label".to_owned()],
    }
}

fn card(out: &mut String, title: &str, body: &str) {
    let _ = write!(out, "<section class=\"card\"><h2>{}</h2>{body}</section>", escaped(title));
}

fn wide(out: &mut String, title: &str, body: &str) {
    let _ = write!(out, "<section class=\"card wide\"><h2>{}</h2>{body}</section>", escaped(title));
}

/// Accuracy by stars, and the difference with its interval.
fn stars(report: &Report) -> String {
    let stars = &report.comparison.stars;
    if stars.paired.records() == 0 {
        return "<p class=\"faint\">No comment has stars that say something.</p>".to_owned();
    }
    let [first, second] = &report.comparison.models;
    let mut out = interval((stars.paired.gain(), stars.paired.gain_interval()));
    let _ = write!(
        out,
        "<table><tr><th>stars</th><th>comments</th><th>{} right</th><th>{} right</th><th>only {0}</th><th>only {1}</th></tr>",
        escaped(&first.name),
        escaped(&second.name)
    );
    let rows = stars.by_rating.iter().enumerate().map(|(at, paired)| (format!("{} ★", at + 1), paired));
    for (name, paired) in rows.chain([("all".to_owned(), &stars.paired)]) {
        if paired.records() == 0 {
            continue;
        }
        let [right_first, right_second] = paired.accuracies();
        let _ = write!(
            out,
            "<tr><td>{name}</td><td>{}</td><td>{:.2} %</td><td>{:.2} %</td><td>{}</td><td>{}</td></tr>",
            grouped(paired.records()),
            right_first * 100.0,
            right_second * 100.0,
            grouped(paired.only_first),
            grouped(paired.only_second)
        );
    }
    out += "</table>";
    if stars.undecided > 0 {
        let _ = write!(
            out,
            "<p class=\"faint\">{} comments with stars that say neither are not counted.</p>",
            grouped(stars.undecided)
        );
    }
    out
}

/// The difference on a line around zero.
fn interval((difference, [low, high]): (f64, [f64; 2])) -> String {
    let reach = [low.abs(), high.abs(), 0.001].into_iter().fold(0.0, f64::max) * 1.25;
    let x = |value: f64| 240.0 + value / reach * 220.0;
    format!(
        "<svg viewBox=\"0 0 480 62\" role=\"img\" aria-label=\"difference with its 95 % interval\">\
         <line class=\"axis\" x1=\"20\" x2=\"460\" y1=\"30\" y2=\"30\"/><line class=\"axis\" x1=\"240\" x2=\"240\" y1=\"12\" y2=\"44\"/>\
         <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"30\" y2=\"30\" stroke=\"var(--mark)\" stroke-width=\"6\" stroke-linecap=\"round\" opacity=\".45\"/>\
         <circle cx=\"{:.1}\" cy=\"30\" r=\"6\" fill=\"var(--mark)\"/><text x=\"240\" y=\"58\" text-anchor=\"middle\">0</text>\
         <text x=\"20\" y=\"58\">{:.2} points</text><text x=\"460\" y=\"58\" text-anchor=\"end\">{:+.2} points</text>\
         <text x=\"{:.1}\" y=\"16\" text-anchor=\"middle\">{:+.2}</text></svg>",
        x(low),
        x(high),
        x(difference),
        -reach * 100.0,
        reach * 100.0,
        x(difference),
        difference * 100.0
    )
}

/// A bar for each way, and what each model says of each label.
fn ways(tally: &Comparison) -> String {
    let most = tally.ways.iter().map(|way| way.records).max().unwrap_or(1).max(1);
    let mut out = String::new();
    if tally.ways.is_empty() {
        out += "<p class=\"faint\">No label flips.</p>";
    } else {
        let shown = &tally.ways[..tally.ways.len().min(12)];
        let _ = write!(
            out,
            "<svg viewBox=\"0 0 480 {}\" role=\"img\" aria-label=\"flips by way\">",
            shown.len() * 40
        );
        for (at, way) in shown.iter().enumerate() {
            let y = at * 40;
            let place = |label: &str| tally.labels.iter().position(|other| other == label);
            let colour = if place(&way.to) > place(&way.from) { "up" } else { "down" };
            let width = way.records as f64 / most as f64 * 380.0;
            let _ = write!(
                out,
                "<text x=\"0\" y=\"{}\">{} → {}</text><rect x=\"0\" y=\"{}\" width=\"{width:.1}\" height=\"14\" rx=\"3\" \
                 fill=\"var(--{colour})\"/><text x=\"{:.1}\" y=\"{}\">{}</text>",
                y + 12,
                escaped(&way.from),
                escaped(&way.to),
                y + 17,
                width + 8.0,
                y + 28,
                grouped(way.records)
            );
        }
        out += "</svg>";
    }
    let _ = write!(
        out,
        "<table><tr><th>says</th><th>{}</th><th>{}</th></tr>",
        escaped(&tally.models[0].name),
        escaped(&tally.models[1].name)
    );
    for (label, (before, after)) in
        tally.labels.iter().zip(tally.agreement.label_counts[0].iter().zip(&tally.agreement.label_counts[1]))
    {
        let share = |count: u64| count as f64 / tally.agreement.all.records.max(1) as f64 * 100.0;
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{} <span class=\"faint\">{:.1} %</span></td><td>{} <span class=\"faint\">{:.1} %</span></td></tr>",
            escaped(label),
            grouped(*before),
            share(*before),
            grouped(*after),
            share(*after)
        );
    }
    out + "</table>"
}

/// Changes of the score. Heights are roots: most comments hardly change, and the rest is what matters.
fn histogram(tally: &Comparison) -> String {
    let bins = &tally.change.histogram;
    let most = bins.iter().copied().max().unwrap_or(1).max(1) as f64;
    let width = 440.0 / bins.len() as f64;
    let mut out = format!(
        "<p class=\"faint\">{:.4} on average, {:+.4} with its sign; heights are square roots</p>\
         <svg viewBox=\"0 0 480 190\" role=\"img\" aria-label=\"comments by change of the score\">\
         <line class=\"axis\" x1=\"20\" x2=\"460\" y1=\"160\" y2=\"160\"/>",
        tally.change.mean_absolute, tally.change.mean
    );
    for (at, &count) in bins.iter().enumerate() {
        let height = (count as f64 / most).sqrt() * 145.0;
        let colour = if at < bins.len() / 2 { "down" } else { "up" };
        let _ = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"var(--{colour})\"><title>{}</title></rect>",
            20.0 + at as f64 * width + 1.0,
            160.0 - height,
            width - 2.0,
            grouped(count)
        );
    }
    for (x, text) in [(20, "-1"), (130, "-0.5"), (240, "0"), (350, "+0.5"), (460, "+1")] {
        let _ = write!(out, "<text x=\"{x}\" y=\"178\" text-anchor=\"middle\">{text}</text>");
    }
    out + "</svg>"
}

/// The second model's score over the first's; depth of colour is the logarithm of the number.
fn map(tally: &Comparison) -> String {
    let most = (tally.change.map.iter().copied().max().unwrap_or(1) as f64).ln_1p().max(1e-9);
    let cell = 260.0 / SCORE_BINS as f64;
    let mut out =
        "<svg viewBox=\"0 0 480 310\" role=\"img\" aria-label=\"comments by both scores\">".to_owned();
    for (at, &count) in tally.change.map.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (first, second) = (at / SCORE_BINS, at % SCORE_BINS);
        let _ = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{cell:.1}\" height=\"{cell:.1}\" fill=\"var(--mark)\" opacity=\"{:.3}\">\
             <title>{}</title></rect>",
            110.0 + first as f64 * cell,
            10.0 + (SCORE_BINS - 1 - second) as f64 * cell,
            (count as f64).ln_1p() / most,
            grouped(count)
        );
    }
    let _ = write!(
        out,
        "<rect x=\"110\" y=\"10\" width=\"260\" height=\"260\" fill=\"none\" class=\"axis\"/>\
         <line class=\"axis\" x1=\"240\" x2=\"240\" y1=\"10\" y2=\"270\"/><line class=\"axis\" x1=\"110\" x2=\"370\" y1=\"140\" y2=\"140\"/>\
         <text x=\"110\" y=\"286\" text-anchor=\"middle\">0</text><text x=\"370\" y=\"286\" text-anchor=\"middle\">1</text>\
         <text x=\"240\" y=\"302\" text-anchor=\"middle\">score of {}</text><text x=\"100\" y=\"274\" text-anchor=\"end\">0</text>\
         <text x=\"100\" y=\"18\" text-anchor=\"end\">1</text><text transform=\"translate(84 140) rotate(-90)\" text-anchor=\"middle\">score of {}</text></svg>",
        escaped(&tally.models[0].name),
        escaped(&tally.models[1].name)
    );
    out
}

/// A bar a stretch: flips up above the line, flips down below it, as shares.
fn times(tally: &Comparison) -> String {
    if tally.by_time.is_empty() {
        return "<p class=\"faint\">No record has a time.</p>".to_owned();
    }
    let share = |count: u64, cell: &Flips| count as f64 / cell.records.max(1) as f64;
    let cells = || tally.by_time.iter().map(|bucket| &bucket.flips);
    let most = cells().map(|cell| share(cell.up, cell).max(share(cell.down, cell))).fold(1e-9, f64::max);
    let width = (980.0 / tally.by_time.len() as f64).min(60.0);
    let mut out = format!(
        "<svg viewBox=\"0 0 1020 220\" role=\"img\" aria-label=\"share of flips by time\">\
         <text x=\"0\" y=\"14\">{:.2} %</text><text x=\"0\" y=\"190\">{:.2} %</text>\
         <line class=\"axis\" x1=\"40\" x2=\"1020\" y1=\"100\" y2=\"100\"/>",
        most * 100.0,
        most * 100.0
    );
    for (at, bucket) in tally.by_time.iter().enumerate() {
        let (x, cell) = (40.0 + at as f64 * width, &bucket.flips);
        let (up, down) = (share(cell.up, cell) / most * 88.0, share(cell.down, cell) / most * 88.0);
        let title = format!(
            "{}: {} comments, {} up, {} down",
            tally.unit.bucket_name(bucket.start),
            grouped(cell.records),
            grouped(cell.up),
            grouped(cell.down)
        );
        let bar = (width - 1.5).max(0.6);
        let _ = write!(
            out,
            "<g><title>{title}</title><rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{bar:.1}\" height=\"{up:.1}\" fill=\"var(--up)\"/>\
             <rect x=\"{x:.1}\" y=\"100\" width=\"{bar:.1}\" height=\"{down:.1}\" fill=\"var(--down)\"/></g>",
            100.0 - up
        );
    }
    // A name wherever there is room for one.
    let every = (tally.by_time.len() as f64 * 110.0 / 980.0).ceil().max((110.0 / width).ceil()) as usize;
    for (at, bucket) in tally.by_time.iter().enumerate().step_by(every.max(1)) {
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"212\">{}</text>",
            40.0 + at as f64 * width,
            tally.unit.bucket_name(bucket.start)
        );
    }
    let [up, down] = way_names(tally);
    let _ = write!(
        out,
        "</svg><p class=\"faint\">Share of comments that flip <span class=\"up\">{}</span> (above) and <span \
         class=\"down\">{}</span> (below).</p>",
        escaped(&up),
        escaped(&down)
    );
    out
}

fn table(rows: &[(String, Flips)], tally: &Comparison) -> String {
    if rows.is_empty() {
        return "<p class=\"faint\">Nothing to tell.</p>".to_owned();
    }
    let most = rows.iter().map(|(_, cell)| cell.share()).fold(1e-9, f64::max);
    let [up, down] = way_names(tally);
    let mut out = format!(
        "<table><tr><th></th><th>comments</th><th>flips</th><th></th><th>{}</th><th>{}</th></tr>",
        escaped(&up),
        escaped(&down)
    );
    for (name, cell) in rows {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{:.2} %</td><td style=\"width:90px\"><svg viewBox=\"0 0 90 12\"><rect \
             width=\"{:.1}\" height=\"12\" rx=\"2\" fill=\"var(--bar)\"/></svg></td><td class=\"up\">{}</td><td \
             class=\"down\">{}</td></tr>",
            escaped(name),
            grouped(cell.records),
            cell.share() * 100.0,
            cell.share() / most * 90.0,
            grouped(cell.up),
            grouped(cell.down)
        );
    }
    out + "</table>"
}

fn examples(tally: &Comparison) -> String {
    if tally.examples.is_empty() {
        return "<p class=\"faint\">No score changes.</p>".to_owned();
    }
    let mut out = format!(
        "<table><tr><th>change</th><th>{}</th><th>{}</th><th>stars</th><th>product</th><th style=\"text-align:left\">comment</th></tr>",
        escaped(&tally.models[0].name),
        escaped(&tally.models[1].name)
    );
    for example in &tally.examples {
        example_row(&mut out, example);
    }
    out + "</table>"
}

fn example_row(out: &mut String, example: &Example) {
    let colour = if example.change > 0.0 { "up" } else { "down" };
    let _ = write!(
        out,
        "<tr><td class=\"{colour}\">{:+.3}</td><td>{:.3}<br><span class=\"faint\">{}</span></td><td>{:.3}<br><span \
         class=\"faint\">{}</span></td><td>{}</td><td>{}</td><td class=\"text\">{}<br><span class=\"faint\">{}</span></td></tr>",
        example.change,
        example.scores[0],
        escaped(&example.labels[0]),
        example.scores[1],
        escaped(&example.labels[1]),
        example.rating.map_or_else(String::new, |stars| stars.to_string()),
        escaped(example.product.as_deref().unwrap_or_default()),
        escaped(&example.text),
        escaped(&example.source)
    );
}
