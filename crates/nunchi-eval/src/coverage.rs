//! What a model knows of itself, measured for its file: how often it is right at which confidence, and what its input looks like.

use nunchi_engine::Prediction;
use nunchi_engine::score::WrittenScore;
use nunchi_model::{ClassCoverage, Coverage, CoveragePoint, Histogram, Model, Reference};

/// Most points of a class: the share of the answered verdicts is then known within a quarter of a per cent.
const MAX_POINTS: usize = 400;
/// Longest comments of a bin, in characters.
const LENGTHS: [f64; 11] = [5.0, 10.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0, 200.0, 320.0, 640.0];
/// Bins of the share of tokens that spell a byte: none, then few to many.
const BYTE_PIECES: [f64; 7] = [0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7];
/// Bins of the score.
const SCORES: u32 = 20;

/// The coverage table for a model with `labels`: `predictions` are its own of comments whose classes are `classes`.
///
/// What the model says holds no opinion is counted, and in no class: nobody acts on it.
pub fn coverage(
    data: Vec<String>,
    labels: &[String],
    predictions: &[Prediction],
    classes: &[usize],
) -> Coverage {
    let mut verdicts: Vec<Vec<(WrittenScore, bool)>> = vec![Vec::new(); labels.len()];
    let mut no_opinion = 0;
    for (prediction, &class) in predictions.iter().zip(classes) {
        if prediction.is_without_opinion() {
            no_opinion += 1;
        } else {
            verdicts[prediction.label].push((prediction.confidence(), prediction.label == class));
        }
    }
    let comments = predictions.len().min(classes.len()) as u64;
    let classes = labels.iter().zip(verdicts).map(|(label, verdicts)| {
        let label = label.clone();
        ClassCoverage { label, points: points(verdicts) }
    });
    Coverage { data, comments, no_opinion, classes: classes.collect() }
}

/// The points of a class from the highest confidence down, at most [`MAX_POINTS`].
fn points(mut verdicts: Vec<(WrittenScore, bool)>) -> Vec<CoveragePoint> {
    verdicts.sort_by_key(|(confidence, _)| std::cmp::Reverse(*confidence));
    let step = verdicts.len().div_ceil(MAX_POINTS - 1).max(1);
    let (mut points, mut right, mut last) = (Vec::new(), 0, 0);
    for (at, (confidence, is_right)) in verdicts.iter().enumerate() {
        right += u64::from(*is_right);
        let answered = at + 1;
        // Verdicts of equal confidence are answered together.
        let ends = verdicts.get(answered).is_none_or(|(next, _)| next != confidence);
        if ends && (answered >= last + step || answered == verdicts.len()) {
            last = answered;
            points.push(CoveragePoint { confidence: confidence.value(), answered: answered as u64, right });
        }
    }
    points
}

/// The reference of `texts`, whose `predictions` are those of `model`.
pub fn reference(data: Vec<String>, model: &Model, texts: &[&str], predictions: &[Prediction]) -> Reference {
    let edges = (1..SCORES).map(|bin| f64::from(bin) / f64::from(SCORES));
    let (mut score, mut length) = (Histogram::new(edges), Histogram::new(LENGTHS));
    let mut byte_pieces = Histogram::new(BYTE_PIECES);
    let mut labels = vec![0; model.labels.len()];
    for (text, prediction) in texts.iter().zip(predictions) {
        score.count(WrittenScore::new(prediction.score).value());
        length.count(text.chars().count() as f64);
        let tokens = model.tokens(text);
        let bytes = tokens.iter().filter(|&&id| model.tokenizer.is_byte(id)).count();
        byte_pieces.count(bytes as f64 / tokens.len().max(1) as f64);
        labels[prediction.label] += 1;
    }
    let comments = texts.len().min(predictions.len()) as u64;
    Reference { data, comments, score, length, byte_pieces, labels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nunchi_engine::{Engine, LoadedModel};
    use nunchi_model::rnn::Cell;
    use nunchi_model::{Extension, WeightFormat, testing};
    use std::sync::Arc;

    fn labels() -> Vec<String> {
        ["negative", "positive"].map(str::to_owned).to_vec()
    }

    #[test]
    fn verdicts_are_counted_from_the_surest_down_by_their_label() {
        let of =
            |score: f32, opinion: f32| Prediction { opinion: Some(opinion), ..Prediction::of_two(score) };
        let predictions =
            [of(0.9, 0.9), of(0.9, 0.9), of(0.8, 0.9), of(0.1, 0.9), of(0.4, 0.5), of(0.99, 0.2)];
        let table = coverage(Vec::new(), &labels(), &predictions, &[1, 0, 1, 0, 1, 1]);
        assert_eq!((table.comments, table.no_opinion), (6, 1));
        let points = |class: usize| -> Vec<(f64, u64, u64)> {
            table.classes[class].points.iter().map(|&point| point.into()).collect()
        };
        // Equal scores are one point.
        assert_eq!(points(1), [(0.9, 2, 1), (0.8, 3, 2)]);
        assert_eq!(points(0), [(0.9, 1, 1), (0.6, 2, 1)]);
        assert_eq!(coverage(Vec::new(), &labels(), &[], &[]).comments, 0);
    }

    #[test]
    fn many_verdicts_make_a_table_of_bounded_size_that_a_model_takes() {
        let count = 30_000_u32;
        let predictions: Vec<Prediction> =
            (0..count).map(|row| Prediction::of_two((row as f32 + 0.5) / count as f32)).collect();
        let classes: Vec<usize> =
            (0..count).map(|row| usize::from(row % 7 < 3) ^ usize::from(row > 15_000)).collect();
        let table = coverage(vec!["dev".to_owned()], &labels(), &predictions, &classes);
        for class in &table.classes {
            assert!((300..=400).contains(&class.points.len()), "{}", class.points.len());
        }
        let answered: u64 = table.classes.iter().map(|class| class.points.last().unwrap().answered).sum();
        assert_eq!(answered, u64::from(count), "the last points hold all verdicts");
        let mut model = testing::model(Cell::Bag, 1);
        let texts = ["좋아요", "별로지만 추천해요", "😀 hello Ω", ""];
        let mut engine = Engine::new(Arc::new(LoadedModel::new(model.clone(), None).unwrap()));
        let looked_at = reference(Vec::new(), &model, &texts, &engine.classify(&texts).unwrap());
        assert_eq!((looked_at.comments, looked_at.length.counts.iter().sum::<u64>()), (4, 4));
        assert!(looked_at.byte_pieces.counts[0] < 4, "the emoji is spelled in bytes: {looked_at:?}");
        model.extension =
            Extension { coverage: Some(table), reference: Some(looked_at), ..Extension::default() };
        model.to_bytes(WeightFormat::F32).expect("what is measured passes every check of a model file");
    }
}
