use super::*;
use crate::replay::{Plan, Request, Target};
use crate::well_formed::{HOSTILE, read_markup};
use jiff::Timestamp;
use nunchi_engine::Prediction;
use nunchi_eval::comparison::{ComparedComment, ComparedModel};

/// Comments of a shop whose every text is hostile.
fn hostile_comparison() -> Comparison {
    let model = || ComparedModel { name: HOSTILE.to_owned(), version: HOSTILE.to_owned() };
    let labels = ["-", "+"].map(|sign| format!("{HOSTILE}{sign}")).to_vec();
    let mut comparison = Comparison::new([model(), model()], labels);
    for row in 0..40_u16 {
        let scores = [f32::from(row) / 40.0, f32::from(row * 7 % 40) / 40.0];
        let predictions = scores.map(|score| Prediction {
            label: usize::from(score >= 0.5),
            score,
            ..Prediction::default()
        });
        comparison.add(&ComparedComment {
            text: &format!("{HOSTILE} {row}"),
            id: Some(HOSTILE),
            rating: Some(1 + (row % 5) as u8),
            product: Some(&format!("{HOSTILE} {}", row % 3)),
            timestamp_ms: Some(i64::from(row) * 3_600_000),
            source: &HOSTILE,
            predictions: [&predictions[0], &predictions[1]],
        });
    }
    comparison.finish();
    comparison
}

fn report(comparison: Comparison) -> Report {
    let request = Request {
        topic: HOSTILE.to_owned(),
        partitions: None,
        from: None,
        to: None,
        late_ms: 0,
        model: HOSTILE.to_owned(),
        labels: None,
        target: Target::Report,
    };
    let plan = Plan {
        format: 1,
        id: HOSTILE.to_owned(),
        request,
        shares: Vec::new(),
        planned_at: Timestamp::UNIX_EPOCH,
        completed_at: None,
    };
    Report {
        plan,
        retention_gaps: Vec::new(),
        complete: false,
        dead_letters: 1,
        tombstones: 2,
        outside: 3,
        seconds: 4.0,
        comparison,
    }
}

#[test]
fn no_text_of_the_page_becomes_markup() {
    let page = page(&report(hostile_comparison()));
    let (elements, text) = read_markup(&page);
    for forbidden in ["script", "img", "link", "iframe", "object", "a"] {
        assert!(!elements.iter().any(|element| element == forbidden), "a <{forbidden}>");
    }
    assert!(text.matches(HOSTILE).count() > 60, "{text}");
    assert!(!text.contains("&lt;") && !text.contains("&amp;"), "nothing is escaped twice");
    for heading in
        ["Against the stars", "Which way", "How the score", "Both scores", "Flips by hour", "Largest"]
    {
        assert!(text.contains(heading), "no `{heading}`");
    }
}

#[test]
fn a_comparison_of_nothing_has_a_page() {
    let model = |name: &str| ComparedModel { name: name.to_owned(), version: name.to_owned() };
    let labels = ["negative", "positive"].map(str::to_owned).to_vec();
    let mut nothing = Comparison::new([model("a"), model("b")], labels);
    nothing.finish();
    let (_, text) = read_markup(&page(&report(nothing)));
    for words in ["No label flips.", "No record has a time.", "Nothing to show.", "No score changes."] {
        assert!(text.contains(words), "no `{words}`");
    }
}
