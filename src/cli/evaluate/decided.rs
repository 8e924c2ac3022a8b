//! What a precision leaves of the verdicts: how many are answered, how many of these are right, and why the others are unsure.

use nunchi_engine::Unsure;
use nunchi_eval::breakdown::{self, Answered};
use nunchi_eval::evaluation::Observations;
use nunchi_eval::metrics::Outcome;
use serde_json::{Value, json};

/// A name, how many comments, and a share of them.
pub(super) type Row = (String, usize, Option<f64>);

/// The object `precision` of a model's key figures.
pub(super) fn json(
    precision: f64,
    outcomes: &[Outcome],
    labels: &[String],
    seen: &Observations,
) -> serde_json::Result<Value> {
    let found = breakdown::answered(outcomes, labels);
    let object = |one: &Answered| {
        json!({
            "name": one.name, "records": one.records, "answered": one.share(), "right": one.precision(),
        })
    };
    let mut unsure = serde_json::Map::new();
    for reason in Unsure::ALL {
        let count = outcomes.iter().filter(|outcome| outcome.unsure == Some(reason)).count();
        unsure.insert(reason.name().to_owned(), count.into());
    }
    let mut all = json!({
        "target": precision, "answered": found[0].share(), "right": found[0].precision(), "unsure": unsure,
        "labels": found[1..].iter().map(object).collect::<Vec<_>>(),
    });
    if let Some(groups) = &seen.groups {
        let groups = breakdown::answered_by_group(outcomes, groups);
        all["groups"] = serde_json::to_value(groups.iter().map(object).collect::<Vec<_>>())?;
    }
    Ok(all)
}

/// The rows of the table: the share that is answered.
pub(super) fn answered(outcomes: &[Outcome], labels: &[String], seen: &Observations) -> Vec<Row> {
    rows(outcomes, labels, seen).into_iter().map(|one| (one.name.clone(), one.records, one.share())).collect()
}

/// The rows of the table: the share of the answered that is right.
pub(super) fn right(outcomes: &[Outcome], labels: &[String], seen: &Observations) -> Vec<Row> {
    rows(outcomes, labels, seen)
        .into_iter()
        .map(|one| (one.name.clone(), one.answered, one.precision()))
        .collect()
}

/// Over all, by label, by group.
fn rows(outcomes: &[Outcome], labels: &[String], seen: &Observations) -> Vec<Answered> {
    let mut rows = breakdown::answered(outcomes, labels);
    if let Some(groups) = &seen.groups {
        rows.extend(breakdown::answered_by_group(outcomes, groups));
    }
    rows
}
