use super::*;
use crate::paired::Paired;
use std::collections::HashSet;

fn comparison() -> Comparison {
    let model = |name: &str| ComparedModel { name: name.to_owned(), version: name.to_owned() };
    Comparison::new([model("a"), model("b")], ["negative", "positive"].map(str::to_owned).to_vec())
}

fn add(comparison: &mut Comparison, text: &str, ms: i64, rating: Option<u8>, scores: [f32; 2]) {
    let predictions = scores.map(Prediction::of_two);
    comparison.add(&ComparedComment {
        text,
        id: None,
        rating,
        product: Some(&format!("P-{}", text.len())),
        timestamp_ms: Some(ms),
        source: &format_args!("comments/0/{ms}"),
        predictions: [&predictions[0], &predictions[1]],
    });
}

#[test]
fn flips_have_a_way_a_time_a_length_and_a_product() {
    let mut comparison = comparison();
    add(&mut comparison, "좋아요", 0, Some(5), [0.2, 0.9]);
    add(&mut comparison, "별로", 3_600_000, Some(1), [0.7, 0.1]);
    add(&mut comparison, "그냥 그래요 그래도 다음에 또 살게요", 3_600_001, Some(3), [0.6, 0.8]);
    add(&mut comparison, "별로", 5, None, [0.6, 0.4]);
    comparison.finish();
    assert_eq!(comparison.agreement.all, Flips { records: 4, flips: 3, up: 1, down: 2 });
    assert_eq!(comparison.agreement.label_counts, [vec![1, 3], vec![2, 2]]);
    let ways: Vec<_> = comparison.ways.iter().map(|way| (way.from.as_str(), way.records)).collect();
    assert_eq!(ways, [("positive", 2), ("negative", 1)]);
    assert_eq!(comparison.by_time.iter().map(|time| time.flips.flips).collect::<Vec<_>>(), [2, 1]);
    assert_eq!((comparison.by_length[0].flips.flips, comparison.by_length[1].flips.records), (3, 1));
    assert_eq!(comparison.by_product[0].flips.flips, 2);
    assert_eq!(comparison.products, 3);
    assert_eq!(comparison.stars.paired, Paired { only_second: 2, ..Paired::default() });
    assert_eq!(comparison.stars.undecided, 1);
    let changes: Vec<f64> = comparison.examples.iter().map(|example| example.change).collect();
    assert!((changes[0] - 0.7).abs() < 1e-6 && (changes[2] + 0.6).abs() < 1e-6, "{changes:?}");
    assert_eq!(comparison.examples[0].source, "comments/0/0");
}

#[test]
fn a_long_range_has_coarse_times_and_few_examples() {
    let mut comparison = comparison();
    for month in 0..30 {
        for day in 0..28 {
            add(
                &mut comparison,
                &format!("좋아요 {month} {}", day / 2 * 2),
                (month * 31 + day) * 86_400_000,
                None,
                [0.4, 0.5 + day as f32 / 100.0],
            );
        }
    }
    comparison.finish();
    assert_eq!(comparison.unit, TimeUnit::Month);
    assert!((30..=32).contains(&comparison.by_time.len()), "{}", comparison.by_time.len());
    assert_eq!(comparison.by_time.iter().map(|time| time.flips.records).sum::<u64>(), 840);
    assert_eq!(comparison.by_time[1].start.to_string(), "1970-02-01T00:00:00Z");
    assert_eq!(comparison.examples.len(), 10);
    assert!(comparison.examples.iter().all(|example| example.change > 0.36));
    let texts: HashSet<_> = comparison.examples.iter().map(|example| &example.text).collect();
    assert_eq!(texts.len(), 10, "each text once");
}

#[test]
fn the_json_has_the_names_that_others_read() {
    let mut comparison = comparison();
    add(&mut comparison, "좋아요", 0, Some(5), [0.2, 0.9]);
    comparison.finish();
    let json = serde_json::to_value(&comparison).unwrap();
    let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        "models labels all said ways change by_product products unit by_time by_length examples stars";
    assert_eq!(names.join(" "), expected);
    assert_eq!(json["models"][0], serde_json::json!({ "name": "a", "model": "a" }));
    assert_eq!(json["said"], serde_json::json!([[1, 0], [0, 1]]));
    let group = serde_json::json!({ "name": "P-9", "records": 1, "flips": 1, "up": 1, "down": 0 });
    assert_eq!(json["by_product"][0], group);
}

#[test]
fn what_models_are_sure_of_is_counted_where_they_decide() {
    let verdict = |score: f32, unsure: bool| Prediction {
        unsure: unsure.then_some(nunchi_engine::Unsure::Band),
        ..Prediction::of_two(score)
    };
    let pairs = [
        (verdict(0.9, false), verdict(0.95, false)),
        (verdict(0.9, false), verdict(0.05, false)),
        (verdict(0.6, true), verdict(0.05, false)),
        (verdict(0.6, true), verdict(0.4, true)),
    ];
    let agreement = |on: bool| {
        let mut agreement = counts::Agreement::new(2).with_decision(on);
        pairs.iter().for_each(|(first, second)| agreement.add([first, second]));
        agreement
    };
    let decided = agreement(true).decided.unwrap();
    assert_eq!((decided.unsure, decided.both_sure.records, decided.both_sure.flips), ([2, 1], 2, 1));
    assert_eq!(agreement(false).decided, None);
    assert!(serde_json::to_value(agreement(false)).unwrap().get("decided").is_none());
    assert_eq!(
        serde_json::to_value(agreement(true)).unwrap()["decided"]["unsure"],
        serde_json::json!([2, 1])
    );
}
