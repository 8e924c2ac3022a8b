//! What if: two models, the same records, one report.

use super::common::{Process, Write, random_model};
use super::{DAY, JANUARY, Place, last, partition};
use nunchi_engine::{Engine, LoadedModel};
use nunchi_model::Model;
use std::sync::Arc;

const COUNT: usize = 3_000;

/// Comments with stars, products and times.
fn fill(place: &Place) -> Vec<String> {
    let text = |id: usize| match id % 3 {
        0 => format!("{id}번째 구매인데 이번에도 <b>만족</b>해요"),
        1 => format!("배송이 <b>{id}</b>일이나 걸렸어요 다시는 안 사요"),
        _ => format!("그냥 <b>그래요</b> {id}"),
    };
    let texts: Vec<String> = (0..COUNT).map(text).collect();
    place.kafka.write(
        &place.topics.input,
        texts.iter().enumerate().map(|(id, text)| {
            let value = serde_json::json!({
                "id": id, "text": text, "rating": 1 + id % 5, "product_id": format!("P-{}", id % 7),
            });
            Write {
                partition: Some(partition(id)),
                timestamp: Some(JANUARY + (id % 40) as i64 * DAY),
                ..Write::value(value.to_string())
            }
        }),
    );
    place.kafka.write(&place.topics.input, [Write { timestamp: Some(JANUARY), ..Write::value(*b"poison") }]);
    texts
}

/// What a model says of all texts, by the engine alone.
fn scores(path: &str, texts: &[String]) -> Vec<f32> {
    let loaded = LoadedModel::new(Model::load(std::path::Path::new(path)).unwrap(), None).unwrap();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let predictions = Engine::new(Arc::new(loaded)).classify(&texts).unwrap();
    predictions.iter().map(|prediction| prediction.score).collect()
}

fn compare(place: &Place, more: &[&str]) -> Process {
    let mut arguments = vec!["replay", "--brokers", &place.kafka.bootstrap, "--topic", &place.topics.input];
    arguments.extend(more);
    Process::nunchi(&arguments)
}

#[test]
fn two_models_on_the_same_records() {
    let Some(place) = Place::new("compare") else { return };
    let texts = fill(&place);
    let models = [7, 8].map(|seed| random_model(place.folder.path(), seed).display().to_string());
    let (both, page) = (models.join(","), place.folder.path().join("report.html"));
    let page_path = page.display().to_string();
    let range = ["--from", "2026-01-01", "--to", "2026-02-01", "--late", "60d", "--compare", &both];
    let (status, objects, log) =
        compare(&place, &[&range[..], &["--json", "--html", &page_path]].concat()).end_with_objects();
    assert_eq!(status, Some(0), "{log}");
    let report = last(&objects, "compared");

    // Counted again, by the engine alone.
    let [before, after] = [0, 1].map(|side: usize| scores(&models[side], &texts));
    let within = || (0..COUNT).filter(|id| id % 40 < 31);
    let positive = |score: f32| (f64::from(score) * 1e6).round() >= 5e5;
    let up = within().filter(|&id| !positive(before[id]) && positive(after[id])).count();
    let down = within().filter(|&id| positive(before[id]) && !positive(after[id])).count();
    assert_eq!(report["all"]["records"], within().count());
    assert_eq!((&report["all"]["up"], &report["all"]["down"]), (&up.into(), &down.into()));
    assert!(up + down > 0, "these models agree on everything: the test shows nothing");
    assert_eq!((&report["dead_letters"], &report["complete"]), (&1.into(), &true.into()));
    let sum = |table: &str, of: &str| -> u64 {
        report[table].as_array().unwrap().iter().map(|row| row[of].as_u64().unwrap()).sum()
    };
    for table in ["by_product", "by_time", "by_length"] {
        assert_eq!(sum(table, "records"), within().count() as u64, "{table}");
        assert_eq!(sum(table, "flips"), (up + down) as u64, "{table}");
    }
    assert_eq!(report["by_time"].as_array().unwrap().len(), 31);
    let stars = |right: bool, id: &usize| match id % 5 {
        0 | 1 => !right,
        2 => false,
        _ => right,
    };
    let only_first = within()
        .filter(|&id| {
            id % 5 != 2 && positive(before[id]) != positive(after[id]) && stars(positive(before[id]), &id)
        })
        .count();
    assert_eq!(report["stars"]["paired"]["only_first"], only_first);
    assert_eq!(report["stars"]["records"], within().filter(|id| id % 5 != 2).count());
    let p = report["stars"]["p_value"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&p));
    let largest = within().map(|id| (after[id] - before[id]).abs()).fold(0.0, f32::max);
    let shown = report["examples"].as_array().unwrap();
    let shown = shown.iter().map(|example| example["change"].as_f64().unwrap().abs()).fold(0.0, f64::max);
    assert!((shown - f64::from(largest)).abs() < 1e-5, "{shown} {largest}");

    // The page stands alone, and what somebody wrote into a comment is no markup.
    let page = std::fs::read_to_string(page).unwrap();
    let addresses = page.matches("http").count();
    let names =
        page.matches("http-equiv").count() + page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
    assert!(page.contains("<svg") && !page.contains("<script") && addresses == names, "{}", &page[..500]);
    assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"));

    // For people at a terminal.
    let (status, text, log) = compare(&place, &range).end_with_out();
    assert_eq!(status, Some(0), "{log}");
    for word in ["flip (", "Largest changes", "By characters", "By day", "McNemar"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // Nothing was written down, and nobody joined a group.
    assert_eq!(place.kafka.committed(&place.topics.group, &place.topics.input, super::PARTITIONS), [0; 4]);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let Some(place) = Place::new("incomparable") else { return };
    let model = place.model();
    let one = format!("{model},no-such-model");
    let cases: &[(&[&str], &str)] = &[
        (&["--compare", &one], "no-such-model"),
        (&["--compare", &model], "two models"),
        (&["--compare", &one, "--to-topic", "a"], "--to-topic"),
        (&["--compare", &one, "--where-label", "positive"], "--where-label"),
        (&["--html", "a.html", "--to-topic", "a"], "--compare"),
    ];
    for (arguments, word) in cases {
        let (status, log) = compare(&place, arguments).end();
        assert_eq!(status, Some(64), "{arguments:?}: {log}");
        assert!(log.contains(word), "{arguments:?}: {log}");
    }
}
