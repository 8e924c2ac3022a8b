//! Splitting comments as people type them.

use super::*;

fn parts(text: &str) -> Vec<&str> {
    split(text).into_iter().map(|range| &text[range]).collect()
}

#[track_caller]
fn assert_parts(marked: &str) {
    let text = marked.replace('|', "");
    let want: Vec<&str> = marked.split('|').map(str::trim).collect();
    assert_eq!(parts(&text), want);
}

#[test]
fn sentences_end_with_marks_and_lines() {
    for marked in [
        "맛있어요!| 양도 많아요.| 또 살게요",
        "좋아요...| 근데 비싸요",
        "배송 빠름\n|포장 꼼꼼함\n\n|재구매 의사 있음",
        "별 3개 줍니다.|2kg인데| 1.5kg 왔어요",
        "www.example.com 에서 샀어요.| 좋네요",
        "1. 배송이 빨라요| 2. 포장이 예뻐요",
    ] {
        assert_parts(marked);
    }
}

#[test]
fn sentences_end_without_marks_too() {
    for marked in [
        "배송이 빨라요| 포장도 꼼꼼해요| 다음에 또 살게요",
        "품질이 좋습니다| 가격은 좀 비쌉니다",
        "재미있다| 그런데 너무 길다",
        "빨리 와서 좋았음| 박스는 찢어져 있음",
        "좋아요|배송빨라요|포장도꼼꼼해요",
        "색은예쁜데|사이즈가작아요",
    ] {
        assert_parts(marked);
    }
}

#[test]
fn clauses_that_contrast_are_parts() {
    for marked in [
        "별로지만| 추천해요",
        "맛은 있는데| 양이 적어요",
        "비싼데도| 또 사게 돼요",
        "디자인은 예쁘고| 성능은 별로예요",
        "좋네요| 하지만 무거워요",
    ] {
        assert_parts(marked);
    }
}

#[test]
fn what_only_looks_like_an_ending_is_none() {
    for whole in [
        "필요 없는 기능이 많아서 불편해요",
        "처음 샀을 때보다 다음 번이 더 좋아요",
        "최고 품질의 중고 제품입니다",
        "쓰다 보니 정이 가요",
        "예쁘고 튼튼해요",
        "보고 있으면 기분이 좋아요",
        "사고 싶어서 기다렸어요",
        "생각보다 훨씬 좋아요",
        "불편함 없이 잘 쓰고 있어요",
        "세 군데 다 돌아봤어요",
        "그런데 정말 좋아요",
        "도움 많이 됐어요",
    ] {
        assert_eq!(parts(whole), [whole]);
    }
}

#[test]
fn emoji_and_laughter_belong_to_what_they_follow() {
    for marked in [
        "좋아요 ㅋㅋㅋ| 배송은 느려요 ㅠㅠ",
        "예뻐요😊👍| 끈이 약해요😡",
        "예뻐요 👍🏻 ❤️| 끈이 약해요",
        "배송 빨라요ㅎㅎ|포장도 꼼꼼해요",
        "ㅋㅋㅋ 웃겨요",
        "👍👍👍",
        "!!! ???",
    ] {
        assert_parts(marked);
    }
}

#[test]
fn quotations_stay_whole() {
    for marked in [
        "\"환불 안 됩니다. 교환도요\" 라는 답변에 화났어요.| 다신 안 사요",
        "“정말 좋아요. 최고예요” 라고 남편이 그래요",
        // A quotation that never ends is none.
        "\"좋아요.| 빨라요.| 싸요",
    ] {
        assert_parts(marked);
    }
}

#[test]
fn any_text_is_split_into_parts_in_order_that_hold_all_of_it() {
    let mut texts: Vec<String> =
        ["", " ", "\n\n", "a", "좋", "요", "...", "ㅋ", "\u{200d}", "👨‍👩‍👧", "가.나.다.", "?좋아요"]
            .map(str::to_owned)
            .to_vec();
    texts.push("좋아요. ".repeat(1_000));
    texts.push("좋아요".repeat(5_000));
    texts.push("\"".repeat(3_000));
    // As large as a record may be, and nothing is looked at again for every word.
    texts.push("x".repeat(450_000) + &"가.".repeat(110_000));
    texts.push("\"a\" ".repeat(220_000));
    texts.push("가👍".repeat(120_000));
    texts.push("요\n".repeat(200_000));
    texts.push("ㅋ👍.요 ".repeat(2_000));
    let mut seed = 7_u64;
    let letters: Vec<char> = "요다음함지만는데고 \n.!?ㅋㅠ👍❤️\u{200d}\"“”하좋아a1~^".chars().collect();
    for length in 0..400 {
        let text = (0..length % 40)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                letters[(seed >> 33) as usize % letters.len()]
            })
            .collect();
        texts.push(text);
    }
    for text in texts {
        let found = split(&text);
        assert!(found.len() <= MAX_PARTS);
        assert_eq!(found.is_empty(), text.trim().is_empty());
        let mut end = 0;
        for part in &found {
            assert!(text[end..part.start].trim().is_empty(), "only white space is between parts: {text:?}");
            assert!(
                !text[part.clone()].is_empty() && text[part.clone()].trim() == &text[part.clone()],
                "{text:?}"
            );
            end = part.end;
        }
        assert!(text[end..].trim().is_empty(), "{text:?}");
    }
}

/// Comments with praise and complaint by the project's authors (`samples/sentences.tsv`).
#[test]
fn most_mixed_comments_are_split_where_their_author_did() {
    let samples = include_str!("../../../../samples/sentences.tsv");
    let rows: Vec<&str> = samples.lines().skip(1).filter_map(|line| Some(line.split_once('\t')?.1)).collect();
    assert_eq!(rows.len(), 150);
    let wrong: Vec<(&str, Vec<String>)> = rows
        .iter()
        .filter_map(|marked| {
            let text = marked.replace('|', "");
            let found: Vec<String> = parts(&text).into_iter().map(str::to_owned).collect();
            let want: Vec<&str> = marked.split('|').map(str::trim).collect();
            (found != want).then_some((*marked, found))
        })
        .collect();
    assert!(wrong.len() <= 7, "{} of 150 otherwise: {wrong:#?}", wrong.len());
}
