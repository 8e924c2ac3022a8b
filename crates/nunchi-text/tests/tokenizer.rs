//! A tokenizer loses no text, keeps its bounds, and comes back from a model file the same.

use nunchi_text::{Scratch, TextError, Tokenizer, train};
use proptest::prelude::*;
use std::sync::LazyLock;

const COMMENTS: [&str; 12] = [
    "배송이 빨라요 정말 좋아요 ㅋㅋㅋㅋ",
    "별로지만 추천해요",
    "추천하지만 별로예요",
    "가격 대비 품질이 좋아요!!",
    "배송이 너무 느려요 ㅠㅠ",
    "포장이 꼼꼼하고 배송도 빨라요",
    "품질이 별로예요 다시는 안 사요",
    "good 👍 정말 좋아요 ♡",
    "생각보다 작아요 3개 샀는데 1개는 불량",
    "재구매 좋아요 또 살게요",
    "아이가 정말 좋아해요 ㅎㅎ",
    "사이즈가 작아요 교환했어요",
];

static SMALL: LazyLock<Tokenizer> = LazyLock::new(|| train(COMMENTS, 400).expect("the comments suffice"));

fn encode(tokenizer: &Tokenizer, text: &str, max_tokens: usize) -> (Vec<u32>, nunchi_text::Encoded) {
    let mut out = Vec::new();
    let encoded = tokenizer.encode(text, max_tokens, &mut Scratch::default(), &mut out);
    (out, encoded)
}

#[test]
fn training_twice_gives_the_same_pieces() {
    let again = train(COMMENTS, 400).unwrap();
    assert_eq!(again.to_parts(), SMALL.to_parts());
    assert!(SMALL.vocabulary() <= 400);
}

#[test]
fn training_finds_the_words_that_repeat() {
    let pieces: Vec<&str> = (0..SMALL.vocabulary() as u32).filter_map(|id| SMALL.piece(id)).collect();
    assert!(pieces.contains(&"정말"), "{pieces:?}");
    let (tokens, _) = encode(&SMALL, "정말", 128);
    assert_eq!(tokens.len(), 1);
}

#[test]
fn spaces_change_nothing() {
    for text in COMMENTS.iter().filter(|text| !text.starts_with("재구매 ")) {
        let joined: String = text.split(' ').collect();
        let apart: String = joined.chars().flat_map(|c| [c, ' ']).collect();
        assert_eq!(encode(&SMALL, &joined, 128).0, encode(&SMALL, text, 128).0, "{text}");
        assert_eq!(encode(&SMALL, &apart, 128).0, encode(&SMALL, text, 128).0, "{text}");
    }
}

#[test]
fn training_refuses_too_little() {
    for (texts, vocabulary, want) in
        [(&COMMENTS[..], 200, "too few"), (&[""][..], 400, "no words"), (&[], 400, "no words")]
    {
        let said = train(texts, vocabulary).unwrap_err().to_string();
        assert!(said.contains(want), "{said}");
    }
}

#[test]
fn nothing_that_people_write_is_unknown() {
    for text in [
        "ㅋㅋㅋ",
        "ㅠㅠ",
        "ㅇㅈ",
        "👍🏻😂🥲",
        "띄어쓰기없이붙여서썼어요",
        "so good 최고",
        "뷁",
        "中文",
        "1,000원",
        "<3 <M>",
        "\u{0}a",
    ] {
        let (tokens, encoded) = encode(&SMALL, text, 128);
        assert_eq!(encoded.unknown, 0, "{text:?}: {tokens:?}");
    }
}

#[test]
fn a_text_without_tokens_is_one_unknown_token() {
    for text in ["", "   ", "\u{200b}\u{7}", "\u{3164}"] {
        let (tokens, encoded) = encode(&SMALL, text, 128);
        assert_eq!(tokens, [SMALL.unknown()]);
        assert_eq!((encoded.tokens, encoded.unknown, encoded.truncated), (1, 1, false), "{text:?}");
        assert_eq!(SMALL.pieces(text, 128), [(SMALL.unknown(), String::new())]);
    }
}

#[test]
fn the_head_of_a_long_text_is_kept() {
    let text = "배송이 빨라요 ".repeat(1_000);
    let (all, encoded) = encode(&SMALL, &text, usize::MAX);
    assert!(!encoded.truncated && all.len() >= 2_000);
    for max in [1, 2, 3, 127, all.len() - 1, all.len(), all.len() + 1] {
        let (head, encoded) = encode(&SMALL, &text, max);
        assert_eq!(head, all[..max.min(all.len())]);
        assert_eq!(encoded.truncated, max < all.len());
    }
}

#[test]
fn the_best_cut_wins_over_the_first_or_longest() {
    // Cut by hand: ▁ab + c = -3, ▁a + bc = -2.
    let pieces =
        [("?", 1, 0.0), ("▁ab", 0, -1.0), ("c", 0, -2.0), ("▁a", 0, -1.0), ("bc", 0, -1.0), ("▁", 0, -9.0)];
    let mut data = vec![1, 2];
    data.extend((pieces.len() as u32).to_le_bytes());
    for (text, role, score) in pieces {
        data.push(role);
        data.extend(f32::to_le_bytes(score));
        data.extend((text.len() as u16).to_le_bytes());
        data.extend(text.as_bytes());
    }
    let tokenizer = Tokenizer::from_parts("unigram", &data, "nunchi-1").unwrap();
    assert_eq!(encode(&tokenizer, "abc", 9).0, [3, 4]);
    assert_eq!(encode(&tokenizer, "ab", 9).0, [1]);
    // Without byte pieces unknown characters in a row are one unknown token.
    let (tokens, encoded) = encode(&tokenizer, "뷁쉙c", 9);
    assert_eq!((tokens, encoded.unknown), (vec![5, 0, 2], 1));
    assert_eq!(tokenizer.pieces("뷁쉙c", 9), [(5, String::new()), (0, "뷁쉙".into()), (2, "c".into())]);
}

#[test]
fn unknown_names_are_refused() {
    let (kind, data, normalizer) = SMALL.to_parts();
    assert!(Tokenizer::from_parts(&kind, &data, &normalizer).is_ok());
    for (kind, normalizer) in [("wordpiece", "nunchi-1"), ("unigram", "nunchi-999")] {
        let error = Tokenizer::from_parts(kind, &data, normalizer).unwrap_err();
        assert!(matches!(error, TextError::Unknown { .. }), "{error}");
    }
    assert!(matches!(Tokenizer::from_parts(&kind, b"", &normalizer), Err(TextError::Damaged(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_text_keeps_the_bounds(text in any::<String>(), max in 1usize..40) {
        let (all, encoded) = encode(&SMALL, &text, usize::MAX);
        prop_assert!(!all.is_empty() && !encoded.truncated && encoded.tokens == all.len());
        prop_assert!(all.iter().all(|&id| (id as usize) < SMALL.vocabulary()));
        let (head, encoded) = encode(&SMALL, &text, max);
        prop_assert_eq!(&head[..], &all[..max.min(all.len())]);
        prop_assert_eq!(encoded.truncated, max < all.len());
    }

    #[test]
    fn the_pieces_are_the_normalized_text(text in "[가-힣ㅋㅠa-z0-9 뷁👍!]{0,40}|\\PC{0,20}", max in 1usize..60) {
        let normal = SMALL.normalizer().normalize(&text);
        let pieces = SMALL.pieces(&text, usize::MAX);
        prop_assert_eq!(pieces.iter().map(|(_, piece)| piece.as_str()).collect::<String>(), normal.clone());
        let (tokens, _) = encode(&SMALL, &text, usize::MAX);
        prop_assert_eq!(pieces.iter().map(|&(id, _)| id).collect::<Vec<_>>(), tokens);
        let head: String = SMALL.pieces(&text, max).into_iter().map(|(_, piece)| piece).collect();
        prop_assert!(normal.starts_with(&head));
    }

    #[test]
    fn scratch_and_output_carry_nothing_over(texts in proptest::collection::vec("[가-힣ㅋ a-z]{0,20}", 1..6)) {
        let (mut scratch, mut shared) = (Scratch::default(), Vec::new());
        let mut separate = Vec::new();
        for text in &texts {
            SMALL.encode(text, 128, &mut scratch, &mut shared);
            separate.extend(encode(&SMALL, text, 128).0);
        }
        prop_assert_eq!(shared, separate);
    }
}
