use super::*;
use crate::Normalizer;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn nunchi(text: &str) -> String {
    Normalizer::Nunchi3.normalize(text)
}

#[test]
fn what_buyers_did_not_write_is_gone() {
    for (text, want) in [
        ("배송<br>빨라요<br/>좋아요", "배송빨라요좋아요"),
        ("<p>좋아요</p>", "좋아요"),
        ("<span style=\"color: red; x:y\">좋아요</span>", "좋아요"),
        ("&lt;p&gt;좋아요&lt;/p&gt;", "좋아요"),
        ("&amp;lt;p&amp;gt;좋아요", "좋아요"),
        ("&lt;span style=&quot;color:red&quot; class=&quot;a&quot;&gt;좋아요", "좋아요"),
        ("＜br＞좋아요", "좋아요"),
        ("좋&nbsp;아&#50836;&#x21;", "좋아요!"),
        ("좋아요&#x1F600;", "좋아요😊"),
        ("배송\\r\\n빨라요\\n좋아요", "배송빨라요좋아요"),
        ("[포토리뷰] 재구매 좋아요", "좋아요"),
        ("<p>재구매 좋아요</p>", "좋아요"),
        ("재구매했어요", "재구매했어요"),
        ("좋아요 (2024-01-02 12:34:56 에 등록된 네이버 페이 구매평)", "좋아요"),
        ("k***님 좋아요", "좋아요"),
        ("aaaa****\t좋아요", "좋아요"),
        ("김*수님 감사합니다", "감사합니다"),
        ("좋아요 https://smartstore.naver.com/a?b=c&d=1. 추천", "좋아요.추천"),
        ("좋아요 WWW.naver.com 추천", "좋아요추천"),
        ("<img src=\"https://a.b/c.jpg\" alt=\"사진\">좋아요", "좋아요"),
        ("![리뷰](https://a.b/c.jpg)좋아요", "좋아요"),
        ("[사진 2장] 좋아요", "좋아요"),
    ] {
        assert_eq!(nunchi(text), want, "{text:?}");
    }
}

#[test]
fn what_people_type_stays() {
    for (text, want) in [
        ("<3", "<3"),
        (">.<", ">.<"),
        ("5<6", "5<6"),
        ("A<B 그리고 C>D", "a<b그리고c>d"),
        ("사이즈 <M> (좋아요)", "사이즈<m>(좋아요)"),
        ("R&D A&B", "r&da&b"),
        ("[최악의 후기]", "[최악의후기]"),
        ("씨** f*** good****", "씨**f***good***"),
        ("\\ㅇㅅㅇ/", "\\ㅇㅅㅇ/"),
        ("10:30에 옴... 3.5점", "10:30에옴...3.5점"),
        ("www", "www"),
        ("http 오류", "http오류"),
        ("♥★☞ ❤️👍🏽", "♥★☞❤👍"),
        ("1️점", "1점"),
    ] {
        assert_eq!(nunchi(text), want, "{text:?}");
    }
}

#[test]
fn emoji_are_classes_or_nothing() {
    for (text, want) in [
        ("좋아요📦", "좋아요"),
        ("📦", "."),
        ("🧡", "♥"),
        ("🧡좋아요", "좋아요"),
        ("좋아요 👨\u{200d}👩\u{200d}👧", "좋아요"),
        ("🇰🇷 1️⃣ 좋아요", "좋아요"),
        ("1️⃣", "."),
        ("😭😭😭", "ㅠㅠㅠ"),
        ("😂 🥰 🤬 👏🏻 🙅\u{200d}♀️", "ㅋㅋ😊😡👍👎"),
        ("", ""),
        ("\u{200b}", ""),
        ("https://a.b/c", ""),
    ] {
        assert_eq!(nunchi(text), want, "{text:?}");
    }
}

#[test]
fn words_keep_their_spaces() {
    let mut out = String::new();
    normalize("재구매  정말\t<br>좋아요 !", usize::MAX, Spaces::Kept, &mut out, &mut String::new());
    assert_eq!(out, "정말 좋아요 !");
}

#[test]
fn origins_are_the_original_s() {
    let source = |text: &str, part: &str| {
        let (normal, origins) = normalize_aligned(text, usize::MAX);
        assert_eq!(normal, nunchi(text), "{text:?}");
        let at = normal.find(part).unwrap();
        text[origins.source(at..at + part.len())].to_owned()
    };
    assert_eq!(source("<p>배송이  빨라요</p>", "이빨"), "이  빨");
    assert_eq!(source("&lt;b&gt;좋아요&#33;", "!"), "&#33;");
    assert_eq!(source("재구매 좋아요…", "..."), "…");
    assert_eq!(source("e\u{301}x", "é"), "e\u{301}");
    assert_eq!(source("ㅠㅠ😭", "ㅠㅠㅠ"), "ㅠㅠ😭");
    assert_eq!(source("<p>📦</p>", "."), "📦");
    assert_eq!(source("ＧＯＯＤ", "oo"), "ＯＯ");
}

/// What cost grows with: nothing may take much longer than its length says. (A quadratic step over 300,000 bytes takes
/// minutes.)
#[test]
fn hostile_texts_take_linear_time() {
    let limit = Duration::from_secs(10);
    for part in [
        "<",
        "&",
        "<a ",
        "<a b=\"",
        "<p title='",
        "&amp;",
        "&#1",
        "&lt;",
        "&amp;lt;br",
        "(",
        "[",
        "(2",
        "[포토",
        "*",
        "a*",
        "김*",
        "\\",
        "\\u",
        "www.",
        "http://",
        "재구매 ",
        "[포토리뷰]",
        "<!--",
        "<!",
        "<br>",
        "<<br>br>",
        "\u{301}",
        "ᄒ",
        "ᅡ",
        "🧡",
        "👨\u{200d}",
        "🇰",
        "\u{fe0f}",
        "1\u{fe0f}\u{20e3}",
        "\u{200b}",
        "![](http",
        "…",
        "ﷺ",
        " ",
        "\0",
        "'",
        "<spanstyle",
        "a****",
        "://",
        "\u{20e3}",
        "【",
        "&#xD83D;",
        "\u{202e}",
        "￿",
    ] {
        let text = part.repeat(300_000 / part.len());
        let begin = Instant::now();
        let whole = nunchi(&text);
        assert!(begin.elapsed() < limit, "{part:?} takes {:?}", begin.elapsed());
        assert!(whole.len() <= text.len() * 11, "{part:?}");
        let mut head = String::new();
        normalize(&text, 1_000, Spaces::Dropped, &mut head, &mut String::new());
        assert!(head.len() >= whole.len().min(1_000), "{part:?}: {} of {}", head.len(), whole.len());
    }
}

#[test]
fn what_lies_behind_the_head_is_not_read() {
    for text in ["정말 좋아요 ".repeat(1_000_000), "가…".repeat(2_000_000), "&lt;p&gt;좋아요".repeat(500_000)]
    {
        let (mut out, mut spare) = (String::new(), String::new());
        let begin = Instant::now();
        for _ in 0..100 {
            normalize(&text, 8_000, Spaces::Dropped, &mut out, &mut spare);
        }
        // Reading all of them a hundred times would be a gigabyte.
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        assert!(out.len() >= 8_000 && out.len() < 100_000, "{}", out.len());
    }
}

/// Pieces of everything that is looked at, between letters.
fn trouble() -> impl Strategy<Value = String> {
    let parts = vec![
        "<",
        ">",
        "/",
        "b",
        "br",
        "p",
        "span",
        " ",
        "=",
        "\"",
        "'",
        "style",
        "&",
        "amp;",
        "lt;",
        "gt;",
        "#",
        "x",
        "3",
        "1",
        "#60;",
        "&lt;",
        "&amp;",
        "&nbsp;",
        "\\",
        "n",
        "u",
        "2764",
        "r",
        "[",
        "]",
        "(",
        ")",
        "포토",
        "리뷰",
        "사진",
        "재구매 ",
        "재구매",
        "2024-01-02",
        "등록된",
        "*",
        "**",
        "****",
        "님",
        "김",
        "k",
        "www",
        ".",
        "http",
        ":",
        "//",
        "a.b",
        "🧡",
        "📦",
        "👍",
        "🏽",
        "❤",
        "\u{200d}",
        "\u{fe0f}",
        "\u{20e3}",
        "🇰",
        "😭",
        "…",
        "ＡＢ",
        "＜",
        "；",
        "\u{301}",
        "e",
        "ᄒ",
        "ᅡ",
        "ᆫ",
        "ㅋㅋㅋㅋ",
        "ㅠ",
        "가",
        "좋아요",
        "!",
        "~",
        "İ",
        "ſ",
        "ﷺ",
        "\u{0}",
        "\u{202e}",
        "\u{3164}",
        "【",
        "】",
        "ㅋ",
        "aaaa",
    ];
    let one = prop_oneof![8 => proptest::sample::select(parts).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    proptest::collection::vec(one, 0..16).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn normalizing_twice_changes_nothing(text in trouble()) {
        let once = nunchi(&text);
        // Deeper nesting than the passes reach is possible, and not what chance makes.
        prop_assert_eq!(nunchi(&once), once.clone());
        prop_assert!(!once.contains(' ') && once.len() <= 11 * text.len());
    }

    #[test]
    fn origins_follow_the_text(text in trouble()) {
        let (normal, origins) = normalize_aligned(&text, usize::MAX);
        prop_assert_eq!(&normal, &nunchi(&text));
        for (at, c) in normal.char_indices() {
            let source = origins.source(at..at + c.len_utf8());
            prop_assert!(text.is_char_boundary(source.start) && text.is_char_boundary(source.end));
            prop_assert!(source.start < source.end);
        }
        prop_assert!(origins.source(0..normal.len()).end <= text.len());
    }

    #[test]
    fn a_head_is_the_head_of_the_whole(text in "[가-힣 !?ㅋ…]{0,200}", most in 1_usize..100) {
        let mut head = String::new();
        normalize(&text, most, Spaces::Dropped, &mut head, &mut String::new());
        prop_assert!(nunchi(&text).starts_with(&head) && head.len() >= most.min(nunchi(&text).len()));
    }

    #[test]
    fn a_plain_comment_is_what_it_was(text in "(재구매 )?[a-vA-V0-9 !?~,\t가-힣ㄱ-ㅣ‘’·♥♡★＃…Ａﾡ한éÉJ\u{30c}\u{301}\u{a0}½㎝]{0,30}") {
        prop_assert_eq!(nunchi(&text), Normalizer::Nunchi2.normalize(&text));
    }

    #[test]
    fn anything_can_be_normalized(text in any::<String>()) {
        let once = nunchi(&text);
        prop_assert_eq!(nunchi(&once), once.clone());
    }
}
