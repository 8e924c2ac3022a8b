//! Pairs of sentences that differ in the order of what they say: a bag of words cannot tell them apart, the network must.

use super::RetrainError;
use super::comment::Comment;
use super::measure::judge;
use nunchi_engine::Engine;
use serde::Serialize;
use std::path::Path;

/// Written by hand for this project: the same words, and the last one decides. First the positive sentence.
const BUILT_IN: [[&str; 2]; 24] = [
    ["별로지만 추천해요", "추천하지만 별로예요"],
    ["비싸지만 만족해요", "만족하지만 비싸요"],
    ["배송은 느렸지만 품질이 좋아요", "품질은 좋지만 배송이 너무 느려요"],
    ["처음엔 실망했는데 쓸수록 좋아요", "처음엔 좋았는데 쓸수록 실망이에요"],
    ["싫었는데 이제는 좋아요", "좋았는데 이제는 싫어요"],
    ["포장은 엉망이지만 제품은 최고예요", "제품은 최고라는데 포장이 엉망이에요"],
    ["작지만 튼튼해요", "튼튼하지만 너무 작아요"],
    ["디자인은 별로지만 성능은 훌륭해요", "성능은 훌륭한데 디자인이 정말 별로예요"],
    ["불편할 줄 알았는데 편해요", "편할 줄 알았는데 불편해요"],
    ["나쁠 줄 알았는데 좋네요", "좋을 줄 알았는데 나쁘네요"],
    ["예전 것은 고장났는데 이번 것은 튼튼해요", "예전 것은 튼튼했는데 이번 것은 고장났어요"],
    ["다른 건 별로였는데 이건 좋아요", "다른 건 좋았는데 이건 별로예요"],
    ["냄새가 났지만 금방 빠져서 만족해요", "만족했지만 냄새가 안 빠져서 못 쓰겠어요"],
    ["환불하려다가 써 보니 마음에 들어요", "마음에 들어서 샀다가 써 보고 환불했어요"],
    ["비싸서 망설였는데 사길 잘했어요", "잘 샀다고 생각했는데 비싸기만 하고 별로예요"],
    ["후기는 나쁜데 저는 만족합니다", "후기는 좋은데 저는 실망했습니다"],
    ["설명서는 불친절하지만 사용은 쉬워요", "사용은 쉽다더니 설명서도 불친절하고 어려워요"],
    ["얇아서 걱정했는데 따뜻해요", "따뜻하대서 샀는데 얇고 추워요"],
    ["색은 다르지만 예뻐요", "예쁘지만 색이 완전 달라서 반품해요"],
    ["고민했는데 안 샀으면 후회할 뻔했어요", "고민하다 샀는데 후회하고 있어요"],
    ["기대 안 했는데 생각보다 훌륭해요", "훌륭하대서 기대했는데 생각보다 못해요"],
    ["소음이 있지만 청소는 잘 돼요", "청소는 되는데 소음이 심해서 못 쓰겠어요"],
    ["사이즈가 커서 교환했더니 딱 맞고 좋아요", "딱 맞고 좋대서 샀는데 커서 교환했어요"],
    [
        "상담원은 불친절했지만 제품은 마음에 쏙 들어요",
        "제품은 마음에 드는데 상담원이 불친절해서 다시는 안 사요",
    ],
];

/// A pair of sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The sentences.
    pub texts: [String; 2],
    /// Their classes, where somebody said so.
    pub classes: [Option<usize>; 2],
    /// What the pair shows.
    pub category: String,
}

/// How often the sentences of pairs are judged right.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    /// What the pairs show.
    pub category: String,
    /// Pairs with a label on both sides.
    pub labelled: usize,
    /// Pairs of which both are judged right, by the current model and by the candidate.
    pub right: [usize; 2],
    /// Pairs without labels on both sides.
    pub unlabelled: usize,
    /// Those of them whose two sentences get different labels, by the current model and by the candidate.
    pub told_apart: [usize; 2],
}

/// The pairs that are part of nunchi; they are in Korean, and about two labels.
pub fn built_in() -> Vec<Pair> {
    let pair = |[good, bad]: [&str; 2]| Pair {
        texts: [good.to_owned(), bad.to_owned()],
        classes: [Some(1), Some(0)],
        category: "order".to_owned(),
    };
    BUILT_IN.map(pair).to_vec()
}

/// Reads a TSV with the columns `a`, `b`, `label_a`, `label_b`, `category`; a label is a name, a number or empty.
///
/// # Errors
/// A file that cannot be read, a column that is missing, a label that the model does not know.
pub fn read(path: &Path, labels: &[String]) -> Result<Vec<Pair>, RetrainError> {
    let wrong = |reason: String| RetrainError::file(path, reason);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .quoting(false)
        .flexible(true)
        .from_path(path)
        .map_err(|error| wrong(error.to_string()))?;
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let column = |name: &str| header.iter().position(|column| column.trim_start_matches('\u{feff}') == name);
    let needed = |name: &str| column(name).ok_or_else(|| wrong(format!("it has no column `{name}`")));
    let texts = [needed("a")?, needed("b")?];
    let classes = [column("label_a"), column("label_b")];
    let category = column("category");
    let mut pairs = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |place: usize| record.get(place).unwrap_or_default().trim();
        let class = |place: Option<usize>| -> Result<Option<usize>, RetrainError> {
            let name = place.map_or("", cell);
            if name.is_empty() {
                return Ok(None);
            }
            let by_number = || name.parse::<usize>().ok().filter(|&class| class < labels.len());
            let class = labels.iter().position(|label| label == name).or_else(by_number);
            class
                .map(Some)
                .ok_or_else(|| wrong(format!("line {line}: `{name}` is none of {}", labels.join(", "))))
        };
        pairs.push(Pair {
            texts: texts.map(|place| cell(place).to_owned()),
            classes: [class(classes[0])?, class(classes[1])?],
            category: category.map_or("", cell).to_owned(),
        });
    }
    if pairs.is_empty() {
        return Err(wrong("it holds no pairs".to_owned()));
    }
    Ok(pairs)
}

/// Judges `pairs` with both models; one tally a category, in the order in which they come.
pub fn tally(engines: [&mut Engine; 2], pairs: &[Pair]) -> Vec<Tally> {
    let comment = |text: &String| Comment { text: text.clone(), class: 0, id: None, time_ms: 0, stars: None };
    let comments: Vec<Comment> = pairs.iter().flat_map(|pair| pair.texts.iter().map(comment)).collect();
    let labels = engines.map(|engine| -> Vec<usize> {
        judge(engine, &comments).predictions.iter().map(|prediction| prediction.label).collect()
    });
    let mut tallies: Vec<Tally> = Vec::new();
    for (index, pair) in pairs.iter().enumerate() {
        let place = tallies.iter().position(|tally| tally.category == pair.category).unwrap_or_else(|| {
            tallies.push(Tally { category: pair.category.clone(), ..Tally::default() });
            tallies.len() - 1
        });
        let tally = &mut tallies[place];
        let said = [0, 1].map(|model: usize| [labels[model][2 * index], labels[model][2 * index + 1]]);
        if let [Some(first), Some(second)] = pair.classes {
            tally.labelled += 1;
            for (right, said) in tally.right.iter_mut().zip(said) {
                *right += usize::from(said == [first, second]);
            }
        } else {
            tally.unlabelled += 1;
            for (apart, said) in tally.told_apart.iter_mut().zip(said) {
                *apart += usize::from(said[0] != said[1]);
            }
        }
    }
    tallies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_pairs_is_read_with_and_without_labels() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.tsv");
        let labels = ["negative", "positive"].map(str::to_owned);
        let content =
            "a\tb\tlabel_a\tlabel_b\tcategory\n좋아요\t별로예요\tpositive\t0\tnegation\n하나\t둘\t\t\ttypo\n";
        std::fs::write(&path, content).unwrap();
        let pairs = read(&path, &labels).unwrap();
        assert_eq!(pairs[0].classes, [Some(1), Some(0)]);
        assert_eq!((pairs[1].classes, pairs[1].category.as_str()), ([None, None], "typo"));
        std::fs::write(&path, "a\tb\tlabel_a\n좋아요\t별로예요\tgreat\n").unwrap();
        assert!(read(&path, &labels).unwrap_err().to_string().contains("line 2: `great` is none of"));
        std::fs::write(&path, "a\tc\n").unwrap();
        assert!(read(&path, &labels).unwrap_err().to_string().contains("no column `b`"));
    }
}
