//! Things from shops: household goods, clothes, food.

use super::super::entry::{Entry, bieup, done, full, ha, noun};
use super::{Aspect, Domain};

mod sayings;

use sayings::{CLOTHES_EVENTS, DOUBLES, EVENTS, FOOD_EVENTS, GOODS_EVENTS, VERDICTS};

pub(super) const GOOD: Entry = full("좋", ["좋아요", "좋았", "좋은", "좋음"]);
pub(super) const BAD: Entry = full("나쁘", ["나빠요", "나빴", "나쁜", "나쁨"]);
pub(super) const SOPHISTICATED: Entry = full("세련되", ["세련돼요", "세련됐", "세련된", "세련됨"]);
pub(super) const OUTSTANDING: Entry = full("뛰어나", ["뛰어나요", "뛰어났", "뛰어난", "뛰어남"]);
pub(super) const INFERIOR: Entry = full("떨어지", ["떨어져요", "떨어졌", "떨어지는", "떨어짐"]);
pub(super) const MANY: Entry = full("많", ["많아요", "많았", "많은", "많음"]);
pub(super) const FEW: Entry = full("적", ["적어요", "적었", "적은", "적음"]);
pub(super) const FAST: Entry = full("빠르", ["빨라요", "빨랐", "빠른", "빠름"]);
pub(super) const SLOW: Entry = full("느리", ["느려요", "느렸", "느린", "느림"]);
pub(super) const ANNOYING: Entry = full("거슬리", ["거슬려요", "거슬렸", "거슬리는", "거슬림"]);
pub(super) const WORTHLESS: Entry = done("형편없");
pub(super) const PLEASING: Entry =
    full("마음에 들", ["마음에 들어요", "마음에 들었", "마음에 드는", "마음에 듦"]);
pub(super) const ANGERING: Entry =
    full("화가 나", ["화가 나요", "화가 났", "화가 나는", "화가 남"]).never_denied();
pub(super) const IRRITATING: Entry =
    full("짜증 나", ["짜증 나요", "짜증 났", "짜증 나는", "짜증 남"]).never_denied();
const PRETTY: Entry = full("예쁘", ["예뻐요", "예뻤", "예쁜", "예쁨"]);
const ROUGH: Entry = full("거칠", ["거칠어요", "거칠었", "거친", "거칢"]);
const NONE: Entry = done("없");

/// Everything that is delivered.
const SERVICE: &[Aspect] = &[
    Aspect {
        nouns: &["배송", "택배", "배달"],
        good: &[FAST, ha("신속"), ha("정확")],
        bad: &[
            SLOW,
            full("늦", ["늦어요", "늦었", "늦은", "늦음"]),
            full("더디", ["더뎌요", "더뎠", "더딘", "더딤"]),
        ],
    },
    Aspect {
        nouns: &["포장", "포장 상태"],
        good: &[
            ha("꼼꼼"),
            ha("깔끔"),
            ha("완벽"),
            full("야무지", ["야무져요", "야무졌", "야무진", "야무짐"]),
        ],
        bad: &[ha("허술"), ha("엉성"), ha("부실"), ha("지저분"), done("성의 없")],
    },
    Aspect {
        nouns: &["가격", "값"],
        good: &[ha("저렴"), ha("착"), noun("합리적"), full("싸", ["싸요", "쌌", "싼", "쌈"])],
        bad: &[full("비싸", ["비싸요", "비쌌", "비싼", "비쌈"]), bieup("부담스러"), ha("과")],
    },
    Aspect {
        nouns: &["직원 응대", "상담", "문의 답변", "고객센터", "판매자"],
        good: &[ha("친절"), ha("상냥"), done("성의 있")],
        bad: &[ha("불친절"), ha("무성의"), bieup("퉁명스러")],
    },
];

const LOOKS: &[Aspect] = &[
    Aspect {
        nouns: &["디자인", "모양", "생김새"],
        good: &[PRETTY, SOPHISTICATED, bieup("고급스러"), full("멋지", ["멋져요", "멋졌", "멋진", "멋짐"])],
        bad: &[
            bieup("촌스러"),
            ha("조잡"),
            ha("밋밋"),
            full("싸 보이", ["싸 보여요", "싸 보였", "싸 보이는", "싸 보임"]),
        ],
    },
    Aspect {
        nouns: &["색상", "색감", "색"],
        good: &[PRETTY, full("곱", ["고와요", "고왔", "고운", "고움"]), ha("화사"), ha("은은")],
        bad: &[ha("칙칙"), bieup("촌스러"), ha("얼룩덜룩")],
    },
];

const USE: &[Aspect] = &[
    Aspect {
        nouns: &["마감", "마무리", "만듦새"],
        good: &[ha("깔끔"), bieup("매끄러"), ha("꼼꼼"), ha("훌륭")],
        bad: &[ROUGH, noun("엉망"), ha("지저분"), ha("조악")],
    },
    Aspect {
        nouns: &["소음", "작동 소음"],
        good: &[FEW, done("거의 없")],
        bad: &[ha("심"), full("크", ["커요", "컸", "큰", "큼"]), ANNOYING],
    },
    Aspect {
        nouns: &["성능", "기능", "출력"],
        good: &[OUTSTANDING, ha("훌륭"), GOOD, ha("막강")],
        bad: &[INFERIOR, ha("부족"), ha("약"), WORTHLESS],
    },
    Aspect {
        nouns: &["배터리", "건전지"],
        good: &[full("오래 버티", ["오래 버텨요", "오래 버텼", "오래 버티는", "오래 버팀"]), ha("넉넉")],
        bad: &[
            full("금방 닳", ["금방 닳아요", "금방 닳았", "금방 닳는", "금방 닳음"]),
            full("빨리 떨어지", ["빨리 떨어져요", "빨리 떨어졌", "빨리 떨어지는", "빨리 떨어짐"]),
        ],
    },
    Aspect {
        nouns: &["내구성"], good: &[GOOD, OUTSTANDING, ha("훌륭")], bad: &[ha("약"), INFERIOR, BAD]
    },
    Aspect {
        nouns: &["설명서", "사용 설명"],
        good: &[ha("자세"), ha("친절"), bieup("알기 쉬")],
        bad: &[ha("부실"), ha("불친절"), ha("복잡")],
    },
    Aspect {
        nouns: &["무게"], good: &[bieup("가벼"), ha("적당")], bad: &[bieup("무거"), bieup("부담스러")]
    },
    Aspect {
        nouns: &["설치", "조립", "사용법", "조작법"],
        good: &[bieup("쉬"), ha("간단"), ha("간편")],
        bad: &[bieup("어려"), ha("복잡"), bieup("번거로"), bieup("까다로")],
    },
    Aspect {
        nouns: &["플라스틱 냄새", "기름 냄새"],
        good: &[NONE, done("전혀 없")],
        bad: &[ha("심"), ha("독"), ha("고약")],
    },
    Aspect {
        nouns: &["촉감", "감촉"],
        good: &[bieup("부드러"), ha("보들보들"), GOOD],
        bad: &[ha("까슬까슬"), ha("뻣뻣"), ROUGH],
    },
    Aspect {
        nouns: &["크기"],
        good: &[ha("적당"), full("알맞", ["알맞아요", "알맞았", "알맞은", "알맞음"])],
        bad: &[ha("애매"), ha("어중간")],
    },
];

const WEAR: &[Aspect] = &[
    Aspect {
        nouns: &["착용감", "입었을 때 느낌"],
        good: &[ha("편"), GOOD, ha("편안")],
        bad: &[ha("불편"), BAD, ha("답답")],
    },
    Aspect {
        nouns: &["원단", "옷감", "재질"],
        good: &[GOOD, ha("톡톡"), bieup("부드러"), ha("탄탄")],
        bad: &[full("얇", ["얇아요", "얇았", "얇은", "얇음"]), ROUGH, noun("싸구려"), ha("뻣뻣")],
    },
    Aspect {
        nouns: &["바느질", "박음질"],
        good: &[ha("꼼꼼"), ha("촘촘"), ha("깔끔")],
        bad: &[ha("엉성"), ha("삐뚤빼뚤"), ha("허술")],
    },
    Aspect {
        nouns: &["사이즈", "치수", "기장"],
        good: &[full("딱 맞", ["딱 맞아요", "딱 맞았", "딱 맞는", "딱 맞음"]), ha("정확"), ha("적당")],
        bad: &[ha("애매"), ha("들쭉날쭉"), noun("엉터리")],
    },
    Aspect {
        nouns: &["신축성", "쿠션감"], good: &[GOOD, ha("적당")], bad: &[NONE, ha("부족"), BAD]
    },
];

const TASTE: &[Aspect] = &[
    Aspect {
        nouns: &["맛", "국물 맛", "양념 맛"],
        good: &[
            GOOD,
            ha("훌륭"),
            full("깊", ["깊어요", "깊었", "깊은", "깊음"]),
            full("끝내주", ["끝내줘요", "끝내줬", "끝내주는", "끝내줌"]).never_denied(),
            full("기막히", ["기막혀요", "기막혔", "기막힌", "기막힘"]).never_denied(),
        ],
        bad: &[ha("이상"), ha("밍밍"), ha("느끼"), INFERIOR, WORTHLESS],
    },
    Aspect {
        nouns: &["양"], good: &[ha("넉넉"), ha("푸짐"), MANY], bad: &[FEW, ha("부족"), ha("야박")]
    },
    Aspect {
        nouns: &["식감", "씹는 맛"],
        good: &[ha("쫄깃"), ha("바삭"), bieup("부드러"), GOOD],
        bad: &[ha("퍽퍽"), ha("눅눅"), full("질기", ["질겨요", "질겼", "질긴", "질김"])],
    },
    Aspect {
        nouns: &["재료", "고기", "과일", "채소", "생선"],
        good: &[ha("신선"), ha("싱싱"), GOOD],
        bad: &[full("시원찮", ["시원찮아요", "시원찮았", "시원찮은", "시원찮음"]).never_denied(), ha("부실")],
    },
    Aspect {
        nouns: &["잡내", "비린 맛"],
        good: &[NONE, done("전혀 없")],
        bad: &[ha("심"), ha("역"), ha("고약")],
    },
    Aspect {
        nouns: &["향", "향기"],
        good: &[GOOD, ha("은은"), ha("그윽")],
        bad: &[ha("역"), ha("독"), noun("인공적")],
    },
    Aspect {
        nouns: &["매장", "가게"], good: &[ha("깨끗"), ha("깔끔")], bad: &[ha("지저분"), bieup("더러")]
    },
];

pub(in super::super) const GOODS: Domain = Domain {
    act: "샀",
    rivals: &["지난번에 산 것", "옛 모델", "이전 제품", "동생이 산 것", "다른 회사 것"],
    early: &["처음에는", "처음엔", "받았을 때는", "첫날은"],
    later: &["쓸수록", "써 볼수록", "두고 보니", "이제는"],
    openings: &[
        "어제 받았어요.",
        "처음 주문해 봤습니다.",
        "선물로 샀어요.",
        "한 달 써 봤어요.",
        "고민하다 샀습니다.",
    ],
    aspects: &[SERVICE, LOOKS, USE],
    verdicts: &[VERDICTS],
    events: &[EVENTS, GOODS_EVENTS],
    doubles: &[DOUBLES],
};

pub(in super::super) const CLOTHES: Domain = Domain {
    act: "샀",
    rivals: &["지난번에 산 것", "작년 상품", "동네 가게 것", "언니가 산 것"],
    early: &["처음에는", "걸려 있을 때는", "받았을 때는"],
    later: &["입을수록", "빨고 나니", "입어 보니", "이제는"],
    openings: &["어제 도착했어요.", "평소 M 입어요.", "겨울에 입으려고 샀습니다.", "두 번 입어 봤어요."],
    aspects: &[SERVICE, LOOKS, WEAR],
    verdicts: &[VERDICTS],
    events: &[EVENTS, CLOTHES_EVENTS],
    doubles: &[DOUBLES],
};

pub(in super::super) const FOOD: Domain = Domain {
    act: "시켰",
    rivals: &["지난번에 시킨 것", "시장에서 산 것", "옆 가게 것", "예전 것"],
    early: &["처음에는", "첫입에는", "봉지를 뜯을 때는"],
    later: &["먹을수록", "먹다 보니", "다 먹고 나니", "이제는"],
    openings: &["점심에 먹어 봤어요.", "처음 시켜 봤습니다.", "부모님과 먹었어요.", "캠핑 가서 먹었습니다."],
    aspects: &[SERVICE, TASTE],
    verdicts: &[VERDICTS],
    events: &[EVENTS, FOOD_EVENTS],
    doubles: &[DOUBLES],
};
