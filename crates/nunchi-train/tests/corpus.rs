//! Comments on disk: what goes into a corpus comes out of it, in windows, exactly once.

#![allow(clippy::unwrap_used)]

use nunchi_data::{CommentKey, CommentKeys};
use nunchi_train::corpus::{Corpus, CorpusError, NewRow, Row, RowOptions, Writer};
use proptest::prelude::*;
use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

/// A corpus of two sources, the second without labels; the text of a row is its number.
fn corpus(labeled: usize, unlabeled: usize, dropped: &[usize]) -> Corpus {
    let (mut writer, mut keys) = (Writer::new(None, 2).unwrap(), CommentKeys::default());
    let dropped: HashSet<CommentKey> = dropped.iter().map(|row| keys.key(&row.to_string())).collect();
    writer.begin_source(1.0);
    for row in 0..labeled + unlabeled {
        if row == labeled {
            writer.begin_source(2.0);
        }
        let text = row.to_string();
        let class = (row < labeled).then_some(u32::from(row % 4 == 0));
        let soft = (row % 3 == 0).then_some(0.25);
        writer.push(NewRow { text: &text, class, soft, key: keys.key(&text) }).unwrap();
    }
    let (corpus, left_out) = writer.finish(&dropped).unwrap();
    assert_eq!(left_out.iter().sum::<u64>() + corpus.len(), (labeled + unlabeled) as u64);
    corpus
}

fn all(windows: impl Iterator<Item = std::io::Result<Vec<Row>>>) -> Vec<Vec<Row>> {
    windows.map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_row_comes_once_an_epoch_and_the_order_is_the_seeds(
        labeled in 0..3_000_usize,
        unlabeled in 0..2_000_usize,
        dropped in proptest::collection::vec(0..5_000_usize, 0..40),
        window in 1..4_000_usize,
        seed in any::<u64>(),
        skipped in 0..8_usize,
    ) {
        let corpus = corpus(labeled, unlabeled, &dropped);
        let windows = all(corpus.windows(seed, 3, window));
        prop_assert!(windows.iter().all(|rows| !rows.is_empty()));

        let mut seen: Vec<Row> = windows.iter().flatten().cloned().collect();
        seen.sort_by_key(|row| row.index);
        prop_assert!(seen.iter().map(|row| row.index).eq(0..corpus.len()), "numbers have no gaps");
        let texts: HashSet<&str> = seen.iter().map(|row| row.text.as_str()).collect();
        let want: HashSet<String> =
            (0..labeled + unlabeled).filter(|row| !dropped.contains(row)).map(|row| row.to_string()).collect();
        prop_assert_eq!(texts, want.iter().map(String::as_str).collect::<HashSet<_>>());
        let in_order: Vec<Row> = corpus.rows().map(Result::unwrap).collect();
        prop_assert_eq!(&in_order, &seen);

        prop_assert_eq!(&all(corpus.windows(seed, 3, window)), &windows, "the same again");
        let lengths: Vec<usize> = corpus.windows(seed, 3, window).lengths().collect();
        prop_assert_eq!(&lengths, &windows.iter().map(Vec::len).collect::<Vec<_>>());
        prop_assert_eq!(corpus.windows(seed, 3, window).len(), windows.len());
        let mut rest = corpus.windows(seed, 3, window);
        rest.skip_windows(skipped);
        prop_assert_eq!(rest.lengths().sum::<usize>(), windows.iter().skip(skipped).map(Vec::len).sum::<usize>());
        prop_assert_eq!(&all(rest)[..], &windows[skipped.min(windows.len())..], "skipped is as read");
        if windows.len() > 8 {
            prop_assert_ne!(all(corpus.windows(seed, 4, window)), windows, "another epoch, another order");
        }
    }

    #[test]
    fn every_row_gets_its_soft_label(rows in 0..6_000_usize, dropped in proptest::collection::vec(0..6_000_usize, 0..40)) {
        let mut corpus = corpus(rows / 2, rows - rows / 2, &dropped);
        let fingerprint = corpus.fingerprint().to_owned();
        let score = |text: &str| text.parse::<f32>().unwrap() / 10_000.0;
        let mut rescored = 0;
        corpus.rescore(|texts| {
            rescored += texts.len();
            texts.iter().map(|text| score(text)).collect()
        }).unwrap();
        prop_assert_eq!(rescored as u64, corpus.len());
        for row in corpus.rows().map(Result::unwrap) {
            prop_assert_eq!(row.soft, Some(score(&row.text)));
            prop_assert_eq!(row.class.is_some(), row.source == 0);
        }
        prop_assert_eq!(corpus.fingerprint(), fingerprint);
    }
}

#[test]
fn labels_that_stand_alone_get_no_soft_label() {
    let (mut writer, mut keys) = (Writer::new(None, 2).unwrap(), CommentKeys::default());
    for distillation_weight in [None, Some(0.0), Some(0.5)] {
        writer.begin_source(1.0);
        writer.set_options(RowOptions { distillation_weight, ..RowOptions::default() });
        for row in 0..700 {
            let text = format!("{distillation_weight:?} {row}");
            let class = (row % 7 > 0).then_some(row % 2);
            writer.push(NewRow { text: &text, class, soft: None, key: keys.key(&text) }).unwrap();
        }
    }
    let (mut corpus, _) = writer.finish(&HashSet::new()).unwrap();
    let mut scored = HashSet::new();
    corpus
        .rescore(|texts| {
            scored.extend(texts.iter().map(|text| (*text).to_owned()));
            texts.iter().map(|text| text.len() as f32 / 1_000.0).collect()
        })
        .unwrap();
    assert_eq!((corpus.to_rescore(), scored.len()), (1_500, 1_500));
    for row in corpus.rows().map(Result::unwrap) {
        let is_alone = row.class.is_some() && row.options.distillation_weight == Some(0.0);
        assert_eq!(scored.contains(&row.text), !is_alone, "{}", row.text);
        assert_eq!(row.soft, (!is_alone).then_some(row.text.len() as f32 / 1_000.0));
    }
}

#[test]
fn windows_are_about_as_large_as_asked_and_mixed() {
    let corpus = corpus(100_000, 0, &[]);
    let windows = all(corpus.windows(1, 1, 10_000));
    assert_eq!(windows.len(), 10);
    for rows in &windows {
        assert!((9_500..=10_500).contains(&rows.len()), "{}", rows.len());
        let mean = rows.iter().map(|row| row.index as f64).sum::<f64>() / rows.len() as f64;
        // 40 blocks of a uniform distribution: the deviation of the mean is 100,000 / √12 / √40 = 4,600.
        assert!((mean - 50_000.0).abs() < 4.0 * 4_600.0, "{mean}");
        let neighbors = rows.windows(2).filter(|pair| pair[0].index.abs_diff(pair[1].index) == 1).count();
        assert!(neighbors < 20, "{neighbors} neighbors of the file are neighbors still");
    }
}

#[test]
fn classes_balance_within_a_source_and_the_mean_weight_is_one() {
    let (mut writer, mut keys) = (Writer::new(None, 2).unwrap(), CommentKeys::default());
    let mut push = |writer: &mut Writer, text: &str, class| {
        writer.push(NewRow { text, class, soft: None, key: keys.key(text) }).unwrap();
    };
    writer.begin_source(3.0);
    for row in 0..8 {
        push(&mut writer, "a", Some(u32::from(row < 6)));
    }
    writer.begin_source(1.0);
    push(&mut writer, "b", Some(0));
    push(&mut writer, "b", Some(1));
    writer.begin_source(1.0);
    push(&mut writer, "c", None);
    let corpus = writer.finish(&HashSet::new()).unwrap().0;
    assert_eq!((corpus.len(), corpus.labeled()), (11, 10));
    assert_eq!(corpus.classes(), [3, 7]);
    let rows: Vec<Row> = corpus.rows().map(Result::unwrap).collect();
    let sum = |source, class| -> f32 {
        rows.iter().filter(|row| (row.source, row.class) == (source, class)).map(|row| row.weight).sum()
    };
    assert!((sum(0, Some(0)) - sum(0, Some(1))).abs() < 1e-5);
    let labeled = sum(0, Some(0)) + sum(0, Some(1)) + sum(1, Some(0)) + sum(1, Some(1));
    assert!((labeled / 10.0 - 1.0).abs() < 1e-6, "{labeled}");
    // Eight rows of weight 3 and two of weight 1.
    assert!((sum(0, Some(0)) / sum(1, Some(0)) - 12.0).abs() < 1e-4);
    assert!((sum(2, None) - sum(1, Some(0))).abs() < 1e-6);
}

#[test]
fn a_sample_has_its_size_and_every_part_of_the_corpus() {
    let corpus = corpus(3_000, 1_000, &[7]);
    let sample = |count, seed| -> Vec<usize> {
        corpus.sample(count, seed).map(|text| text.unwrap().parse().unwrap()).collect()
    };
    let some = sample(1_000, 1);
    assert_eq!(some.len(), 1_000);
    assert!(some.is_sorted() && some.windows(2).all(|pair| pair[0] != pair[1]));
    let late = some.iter().filter(|&&row| row >= 3_000).count();
    assert!((150..350).contains(&late), "{late} of the last quarter");
    assert_eq!(some, sample(1_000, 1));
    assert_ne!(some, sample(1_000, 2));
    assert_eq!(sample(10_000, 1).len(), 3_999);
}

#[test]
fn other_data_has_another_fingerprint() {
    let fingerprint =
        |labeled, unlabeled, dropped: &[usize]| corpus(labeled, unlabeled, dropped).fingerprint().to_owned();
    let one = fingerprint(600, 10, &[]);
    assert_eq!(one, fingerprint(600, 10, &[]));
    for other in [fingerprint(601, 10, &[]), fingerprint(600, 11, &[]), fingerprint(600, 10, &[3])] {
        assert_ne!(one, other);
    }
}

#[test]
fn too_few_scores_and_a_missing_folder_are_errors() {
    let mut corpus = corpus(10, 0, &[]);
    let error = corpus.rescore(|_| vec![0.5; 9]).unwrap_err().to_string();
    assert_eq!(error, "10 comments got 9 scores");
    let error = Writer::new(Some(Path::new("no/such/folder")), 2).unwrap_err();
    assert!(matches!(error, CorpusError::Folder { .. }));
    let error = error.to_string();
    assert!(error.contains("no/such/folder") && error.contains("--temp-dir"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_corpus() {
    /// Kilobytes in use now that no file backs.
    fn used() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
    let before = used();
    let begin = Instant::now();
    let (mut writer, mut keys) = (Writer::new(None, 2).unwrap(), CommentKeys::default());
    writer.begin_source(1.0);
    for row in 0..1_000_000 {
        let text = format!("{row} 배송이 빨라서 좋았는데 품질은 그냥 그래요");
        writer.push(NewRow { text: &text, class: Some(row % 2), soft: None, key: keys.key(&text) }).unwrap();
    }
    let corpus = writer.finish(&HashSet::from([CommentKey::from_bits(0)])).unwrap().0;
    let written = used();
    let mut most = written;
    let mut rows = 0;
    for window in corpus.windows(1, 1, 10_000) {
        rows += window.unwrap().len();
        most = most.max(used());
    }
    assert_eq!(rows, 1_000_000);
    println!(
        "1,000,000 rows in {:.1} s: {} kB before, {written} kB after writing, at most {most} kB while reading",
        begin.elapsed().as_secs_f64(),
        before
    );
    // Other tests run in this process at the same time: the bound is wide. The texts alone are 63 MB.
    assert!(most < before + 30_000, "{before} kB before, {most} kB at most");
}
