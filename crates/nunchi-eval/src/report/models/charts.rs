//! The charts of a report on models.

use super::super::chart::{Axis, Chart, HALF, SMALL, SQUARE, Unit, WIDE, color};
use super::super::format::{counted, grouped, percent};
use super::measures::SCORE_BINS;
use super::{ModelResult, Report};
use maud::Markup;

/// Weight of the newest point in the moving average of the loss.
const SMOOTHING: f64 = 0.12;

/// Training loss by step: every point thinly, and the moving average; `None` where no model has such points.
pub(super) fn loss(report: &Report) -> Option<Markup> {
    let runs = || {
        let points = |model: &ModelResult| model.history.as_ref().map(|history| history.points.clone());
        report.models.iter().enumerate().filter_map(move |(at, model)| Some((at, points(model)?)))
    };
    let last = runs().filter_map(|(_, points)| points.last().map(|point| point.step)).max()?;
    let losses = runs().flat_map(|(_, points)| points).map(|point| point.loss);
    // A few first steps must not make the rest a flat line.
    let mut sorted: Vec<f64> = losses.filter(|loss| loss.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let most = sorted[(sorted.len() * 995 / 1000).min(sorted.len().checked_sub(1)?)];
    let y = Axis::around(
        "training loss (nats)",
        Unit::Number,
        [sorted[0], most].into_iter(),
        [0.0, f64::INFINITY],
    );
    let x = Axis::new("steps", Unit::Number, 0.0, last as f64);
    let mut chart = Chart::new("training loss by step", HALF, x, y);
    for (at, points) in runs() {
        let class = color(at);
        chart.line(&format!("{class} thin"), points.iter().map(|point| [point.step as f64, point.loss]));
        let mut mean = None;
        let smooth = points.iter().filter(|point| point.loss.is_finite()).map(|point| {
            let before = mean.unwrap_or(point.loss);
            let now = before + SMOOTHING * (point.loss - before);
            mean = Some(now);
            [point.step as f64, now]
        });
        chart.line(class, smooth.collect::<Vec<_>>());
    }
    Some(chart.finish())
}

/// A line through the epochs of a run: model or group, name, points, the epoch that was kept.
struct Course {
    color: usize,
    name: String,
    points: Vec<[f64; 2]>,
    kept: usize,
}

/// Development accuracy by epoch: a line a model, of a single model a line a file; `None` where nothing is known.
pub(super) fn development(report: &Report, wide: bool) -> Option<(Markup, Vec<(usize, String)>)> {
    let mut courses = Vec::new();
    for (at, model) in report.models.iter().enumerate() {
        let Some(history) = &model.history else { continue };
        let groups = history.epochs.iter().map(|pass| pass.dev.len()).min().unwrap_or(0);
        let kept = history.kept_epoch;
        if report.models.len() == 1 && groups > 1 {
            courses.extend((0..groups).map(|group| Course {
                color: group,
                name: history.groups.get(group).cloned().unwrap_or_else(|| format!("file {}", group + 1)),
                points: history.epochs.iter().map(|pass| [pass.epoch as f64, pass.dev[group]]).collect(),
                kept,
            }));
        } else if groups > 0 {
            let scored = history.epochs.iter().filter_map(|pass| Some([pass.epoch as f64, pass.score()?]));
            courses.push(Course { color: at, name: model.name.clone(), points: scored.collect(), kept });
        }
    }
    let values = || courses.iter().flat_map(|course| course.points.iter());
    let last = values().map(|point| point[0]).fold(f64::NAN, f64::max);
    if last.is_nan() {
        return None;
    }
    let y = Axis::around(
        "balanced accuracy on development data",
        Unit::Percent,
        values().map(|point| point[1]),
        [0.0, 1.0],
    );
    // Epochs are whole: their names are written one by one, not as round numbers between them.
    let x = Axis::bare("epoch (ring: kept)", 0.6, last.max(2.0) + 0.4);
    let mut chart = Chart::new("development accuracy by epoch", if wide { WIDE } else { HALF }, x, y);
    let every = (last as usize).div_ceil(12).max(1);
    for epoch in (1..=last as usize).step_by(every) {
        chart.name(epoch as f64, &epoch.to_string());
    }
    for course in &courses {
        let class = color(course.color);
        chart.line(class, course.points.iter().copied());
        for point in &course.points {
            let title = format!("{}, epoch {}: {}", course.name, point[0], percent(point[1]));
            chart.dot(class, *point, 4.0, &title);
            if point[0] as usize == course.kept {
                chart.dot(&format!("{class} ring"), *point, 8.0, &title);
            }
        }
    }
    let names = courses.iter().map(|course| (course.color, course.name.clone())).collect();
    Some((chart.finish(), names))
}

/// ROC curves; `None` where one class alone leaves nothing to compare.
pub(super) fn roc(report: &Report) -> Option<Markup> {
    if report.models.iter().all(|model| model.roc.is_empty()) {
        return None;
    }
    let axis = |title| Axis::new(title, Unit::Percent, 0.0, 1.0);
    let mut chart = Chart::new("ROC curve", SQUARE, axis("false positive rate"), axis("true positive rate"));
    chart.line("ideal", [[0.0, 0.0], [1.0, 1.0]]);
    for (at, model) in report.models.iter().enumerate() {
        chart.line(color(at), model.roc.iter().copied());
        let height = 0.05 + 0.062 * (report.models.len() - 1 - at) as f64;
        chart.note([0.98, height], "end", &format!("{}: AUC {:.4}", model.name, model.metrics.auc));
    }
    Some(chart.finish())
}

/// Accuracy over confidence: on the diagonal 0.9 means 0.9.
pub(super) fn reliability(report: &Report) -> Markup {
    let least = 1.0 / report.data.labels.len().max(2) as f64;
    let bins = || report.models.iter().flat_map(|model| &model.reliability);
    let lowest = bins().map(|bin| bin.accuracy.min(bin.confidence)).fold(least, f64::min);
    let low = if lowest < least { (lowest * 20.0).floor() / 20.0 } else { least };
    let y = Axis::new("share of right predictions", Unit::Percent, low, 1.0);
    let mut chart = Chart::new(
        "reliability diagram",
        SQUARE,
        Axis::new("confidence: probability of the prediction", Unit::Percent, least, 1.0),
        y,
    );
    chart.line("ideal", [[least, least], [1.0, 1.0]]);
    for (at, model) in report.models.iter().enumerate() {
        let class = color(at);
        chart.line(class, model.reliability.iter().map(|bin| [bin.confidence, bin.accuracy]));
        for bin in &model.reliability {
            let title = format!(
                "{}: {}, confidence {}, right {}",
                model.name,
                counted(bin.records, "comment"),
                percent(bin.confidence),
                percent(bin.accuracy)
            );
            if report.models.len() == 1 {
                chart.whisker(class, bin.confidence, bin.accuracy_95);
            }
            // The area says how many comments there are.
            let share = bin.records as f64 / report.data.records.max(1) as f64;
            chart.dot(class, [bin.confidence, bin.accuracy], 3.0 + 11.0 * share.sqrt(), &title);
        }
    }
    chart.finish()
}

/// Accuracy by the comments' lengths, and pale bars for how many there are.
pub(super) fn lengths(report: &Report, wide: bool) -> Option<Markup> {
    let first = &report.models.first()?.lengths;
    let bins = || report.models.iter().flat_map(|model| &model.lengths);
    let most = first.iter().map(|bin| bin.records).max()? as f64;
    let single = report.models.len() == 1;
    // Intervals of a few comments reach far: they must not make the rest a flat line.
    let room = if single { 0.04 } else { 0.01 };
    let ends = bins().flat_map(|bin| [bin.accuracy - room, bin.accuracy + room]);
    let y = Axis::around("accuracy", Unit::Percent, ends, [0.0, 1.0]);
    let (low, high) = y.ends();
    let x = Axis::bare("length in characters; bars: number of comments", 0.0, first.len() as f64);
    let mut chart = Chart::new("accuracy by length", if wide { WIDE } else { HALF }, x, y);
    for (at, bin) in first.iter().enumerate() {
        let top = low + (high - low) * 0.45 * bin.records as f64 / most;
        let title = format!("{} characters: {}", bin.name(), counted(bin.records, "comment"));
        chart.bar("ideal pale", [at as f64 + 0.14, at as f64 + 0.86], [low, top], &title);
        // In half the width every other name has room; the last one is always there.
        if wide || first.len() <= 9 || (first.len() - 1 - at).is_multiple_of(2) {
            chart.name(at as f64 + 0.5, &bin.name());
        }
    }
    for (index, model) in report.models.iter().enumerate() {
        let class = color(index);
        // All models classified the same comments: their bins are the same.
        let x = |at: usize| at as f64 + 0.5;
        chart.line(class, model.lengths.iter().enumerate().map(|(at, bin)| [x(at), bin.accuracy]));
        for (at, bin) in model.lengths.iter().enumerate() {
            if single {
                chart.whisker(class, x(at), bin.accuracy_95);
            }
            let title = format!(
                "{}, {} characters: {} of {}",
                model.name,
                bin.name(),
                percent(bin.accuracy),
                counted(bin.records, "comment")
            );
            chart.dot(class, [x(at), bin.accuracy], 4.0, &title);
        }
    }
    Some(chart.finish())
}

/// Risk against coverage: how often a model is wrong if only its most confident verdicts count.
pub(super) fn coverage(report: &Report, wide: bool) -> Option<Markup> {
    let risks = || report.models.iter().flat_map(|model| &model.coverage);
    let most = risks()
        .map(|one| one.risk)
        .fold(None, |most: Option<f64>, risk| Some(most.map_or(risk, |most| most.max(risk))))?;
    let lowest = risks().map(|one| one.coverage).fold(1.0, f64::min);
    let x = Axis::new("share of the comments that are kept, the most confident", Unit::Percent, lowest, 1.0);
    let y = Axis::new("share of wrong verdicts among them", Unit::Percent, 0.0, (most * 1.15).max(0.01));
    let mut chart = Chart::new("risk against coverage", if wide { WIDE } else { HALF }, x, y);
    for (at, model) in report.models.iter().enumerate() {
        chart.line(color(at), model.coverage.iter().map(|one| [one.coverage, one.risk]));
        for one in &model.coverage {
            let title = format!(
                "{}: {} kept (from {} on), {} wrong",
                model.name,
                percent(one.coverage),
                percent(one.confidence),
                percent(one.risk)
            );
            chart.dot(color(at), [one.coverage, one.risk], 4.0, &title);
        }
    }
    Some(chart.finish())
}

/// How a model's scores are distributed: one group upwards, the other downwards. Heights are square roots: most scores are near 0 or 1,
/// and the rest must stay visible.
pub(super) fn scores(model: &ModelResult, wide: bool) -> Markup {
    let [lower, upper] = &model.scores.groups;
    let root = |count: usize| (count as f64).sqrt();
    let highest = |counts: &[usize]| counts.iter().copied().max().map_or(1.0, root).max(1.0);
    let (down, up) = (highest(&lower.counts) * 1.12, highest(&upper.counts) * 1.12);
    let title = match model.scores.of {
        "positive" => format!("score: the probability of {}", upper.name),
        _ => "probability of the prediction".to_owned(),
    };
    let size = if wide { WIDE } else { SMALL };
    let y = Axis::bare("", -down, up);
    let mut chart = Chart::new("scores", size, Axis::new(&title, Unit::Number, 0.0, 1.0), y);
    let width = 1.0 / SCORE_BINS as f64;
    for at in 0..SCORE_BINS {
        let x = [at as f64 * width, (at + 1) as f64 * width];
        let title = |name: &str, count: usize| {
            format!("{name}, score {:.3} to {:.3}: {}", x[0], x[1], grouped(count))
        };
        chart.bar("good", x, [0.0, root(upper.counts[at])], &title(&upper.name, upper.counts[at]));
        chart.bar("bad", x, [-root(lower.counts[at]), 0.0], &title(&lower.name, lower.counts[at]));
    }
    chart.line("ideal", [[0.0, 0.0], [1.0, 0.0]]);
    chart.note([0.5, up * 0.86], "middle", &format!("{} ↑", upper.name));
    chart.note([0.5, -down * 0.97], "middle", &format!("{} ↓", lower.name));
    chart.finish()
}

/// Where each model's accuracy lies with 95 % certainty.
pub(super) fn accuracies(report: &Report) -> Markup {
    let values = report.models.iter().flat_map(|model| model.accuracy_95);
    let y = Axis::around("accuracy, with its 95 % interval", Unit::Percent, values, [0.0, 1.0]);
    let count = report.models.len() as f64;
    let mut chart = Chart::new("accuracy by model", WIDE, Axis::bare("", 0.0, count), y);
    for (at, model) in report.models.iter().enumerate() {
        let (x, class) = (at as f64 + 0.5, color(at));
        chart.whisker(class, x, model.accuracy_95);
        let accuracy = model.metrics.accuracy;
        chart.dot(class, [x, accuracy], 7.0, &format!("{}: {}", model.name, percent(accuracy)));
        chart.note([x + 0.02 * count, accuracy], "start", &percent(accuracy));
        chart.name(x, &model.name);
    }
    chart.finish()
}
