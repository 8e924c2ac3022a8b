//! Things to see and to play: films and games.

use super::super::entry::{Entry, bieup, done, full, ha, noun};
use super::shop::{
    ANGERING, ANNOYING, BAD, FAST, FEW, GOOD, INFERIOR, IRRITATING, MANY, OUTSTANDING, PLEASING, SLOW,
    SOPHISTICATED, WORTHLESS,
};
use super::{Aspect, Domain, Sides};

const FUN: Entry = full("재미있", ["재미있어요", "재미있었", "재미있는", "재미있음"]);
const FUN_SHORT: Entry = full("재밌", ["재밌어요", "재밌었", "재밌는", "재밌음"]);
const DULL: Entry = full("재미없", ["재미없어요", "재미없었", "재미없는", "재미없음"]);

const STORY: &[Aspect] = &[
    Aspect {
        nouns: &["스토리", "줄거리", "이야기", "각본"],
        good: &[ha("탄탄"), bieup("흥미로"), ha("신선"), FUN],
        bad: &[ha("뻔"), ha("허술"), ha("엉성"), ha("지루"), ha("진부")],
    },
    Aspect {
        nouns: &["음악", "배경 음악", "노래"],
        good: &[GOOD, bieup("아름다"), bieup("감미로")],
        bad: &[bieup("시끄러"), bieup("촌스러"), ANNOYING],
    },
];

const SCREEN: &[Aspect] = &[
    Aspect {
        nouns: &["배우 연기", "연기", "배우들 호흡", "주연 연기"],
        good: &[ha("훌륭"), bieup("자연스러"), OUTSTANDING, noun("인상적")],
        bad: &[ha("어색"), full("어설프", ["어설퍼요", "어설펐", "어설픈", "어설픔"]), WORTHLESS, ha("과")],
    },
    Aspect {
        nouns: &["연출", "촬영", "편집"],
        good: &[SOPHISTICATED, ha("훌륭"), ha("섬세"), OUTSTANDING],
        bad: &[bieup("촌스러"), ha("산만"), ha("조잡"), done("성의 없")],
    },
    Aspect {
        nouns: &["영상", "화면", "장면들"],
        good: &[bieup("아름다"), ha("화려"), OUTSTANDING],
        bad: &[ha("조잡"), bieup("어지러"), ha("밋밋")],
    },
    Aspect {
        nouns: &["결말", "마무리", "반전"],
        good: &[noun("감동적"), ha("깔끔"), noun("인상적"), ha("완벽")],
        bad: &[ha("허무"), ha("황당"), ha("허술"), done("어이없")],
    },
    Aspect {
        nouns: &["대사", "대본"],
        good: &[done("재치 있"), full("와닿", ["와닿아요", "와닿았", "와닿는", "와닿음"]), ha("훌륭")],
        bad: &[
            ha("유치"),
            full("오글거리", ["오글거려요", "오글거렸", "오글거리는", "오글거림"]),
            ha("어색"),
        ],
    },
    Aspect {
        nouns: &["전개", "이야기 흐름"],
        good: &[FAST, bieup("매끄러"), ha("시원시원")],
        bad: &[SLOW, ha("답답"), full("늘어지", ["늘어져요", "늘어졌", "늘어지는", "늘어짐"]), ha("산만")],
    },
];

const PLAY: &[Aspect] = &[
    Aspect {
        nouns: &["그래픽", "캐릭터 디자인", "배경"],
        good: &[OUTSTANDING, bieup("아름다"), ha("훌륭"), bieup("귀여")],
        bad: &[ha("조잡"), INFERIOR, bieup("촌스러")],
    },
    Aspect {
        nouns: &["조작감", "타격감", "조작"],
        good: &[GOOD, bieup("부드러"), ha("훌륭")],
        bad: &[BAD, ha("뻑뻑"), ha("불편"), ha("어색")],
    },
    Aspect {
        nouns: &["최적화", "서버", "서버 상태"],
        good: &[ha("훌륭"), noun("안정적"), GOOD],
        bad: &[noun("엉망"), ha("불안정"), WORTHLESS, BAD],
    },
    Aspect {
        nouns: &["콘텐츠", "즐길 거리", "할 거리"],
        good: &[ha("풍부"), ha("다양"), MANY],
        bad: &[ha("부족"), ha("빈약"), FEW],
    },
    Aspect {
        nouns: &["난이도", "밸런스"],
        good: &[ha("적당"), ha("절묘")],
        bad: &[noun("엉망"), ha("들쭉날쭉")],
    },
    Aspect {
        nouns: &["번역", "한글화"],
        good: &[ha("완벽"), bieup("자연스러"), ha("훌륭")],
        bad: &[noun("엉망"), ha("어색"), noun("엉터리")],
    },
];

const VERDICTS: Sides = Sides {
    good: &[
        FUN,
        FUN_SHORT,
        bieup("만족스러"),
        ha("추천할 만"),
        noun("최고"),
        noun("강추"),
        ha("완벽"),
        bieup("사랑스러").never_denied(),
        PLEASING,
        done("후회가 없"),
        done("더 바랄 게 없"),
    ],
    bad: &[
        DULL,
        ha("지루"),
        bieup("실망스러"),
        noun("실망"),
        noun("최악"),
        bieup("돈이 아까"),
        bieup("시간이 아까"),
        ha("유치"),
        done("어이없"),
        noun("비추"),
        ANGERING,
        full(
            "추천하고 싶지 않",
            ["추천하고 싶지 않아요", "추천하고 싶지 않았", "추천하고 싶지 않은", "추천하고 싶지 않음"],
        )
        .never_denied(),
    ],
};

const FILM_VERDICTS: Sides = Sides {
    good: &[
        noun("감동적"),
        noun("수작"),
        noun("큰 감동"),
        ha("볼만"),
        full("여운이 남", ["여운이 남아요", "여운이 남았", "여운이 남는", "여운이 남음"]),
        full("또 보고 싶", ["또 보고 싶어요", "또 보고 싶었", "또 보고 싶은", "또 보고 싶음"]),
        full("인상 깊", ["인상 깊어요", "인상 깊었", "인상 깊은", "인상 깊음"]),
        done("잘 봤"),
        done("시간 가는 줄 몰랐"),
    ],
    bad: &[
        noun("실패작"),
        ha("허무"),
        done("다시는 안 보겠"),
        done("괜히 봤"),
        full("보기 힘들", ["보기 힘들어요", "보기 힘들었", "보기 힘든", "보기 힘듦"]),
    ],
};

const GAME_VERDICTS: Sides = Sides {
    good: &[
        done("중독성 있"),
        noun("갓겜"),
        ha("할 만"),
        done("시간 가는 줄 모르겠"),
        full("계속하게 되", ["계속하게 돼요", "계속하게 됐", "계속하게 되는", "계속하게 됨"]),
    ],
    bad: &[
        noun("망겜"),
        done("할 게 없"),
        ha("답답"),
        IRRITATING,
        full("환불하고 싶", ["환불하고 싶어요", "환불하고 싶었", "환불하고 싶은", "환불하고 싶음"]),
    ],
};

const FILM_EVENTS: Sides = Sides {
    good: &[
        done("눈물이 났"),
        done("여운이 며칠을 갔"),
        done("극장을 다시 찾았"),
        done("한 번 더 예매했"),
        done("엄마랑 또 봤"),
        done("휴지 한 통을 다 썼"),
        done("원작까지 찾아 읽었"),
        done("다음 날 친구를 데려갔"),
    ],
    bad: &[
        done("중간에 껐"),
        done("졸다가 깼"),
        done("잠들어 버렸"),
        done("끝까지 못 봤"),
        done("시계만 봤"),
        done("팝콘만 먹다 왔"),
        done("자리를 떴"),
        done("두 시간을 버렸"),
    ],
};

const GAME_EVENTS: Sides = Sides {
    good: &[
        done("밤을 새웠"),
        done("친구들을 끌어들였"),
        done("모든 업적을 땄"),
        done("확장판까지 다 샀"),
        done("삼백 시간을 넘겼"),
        done("퇴근하면 바로 켜고 있"),
        done("세 번째 회차를 돌고 있"),
    ],
    bad: &[
        done("바로 지웠"),
        done("환불 신청했"),
        done("튕기기만 했"),
        done("저장 파일이 날아갔"),
        done("한 판 하고 접었"),
        done("로딩만 보다 껐"),
        done("멀미가 났"),
    ],
};

const DOUBLES: Sides = Sides {
    good: &[
        done("눈을 뗄 수가 없"),
        done("빠져들지 않을 수가 없"),
        done("추천하지 않을 수가 없"),
        done("졸 틈이 없"),
        done("빈틈이 없"),
        done("모자람이 없"),
        done("트집 잡을 게 없"),
        done("안 좋은 장면이 없"),
        done("시간이 안 아까웠"),
        done("실망할 일이 없"),
        done("안 웃을 수가 없"),
        done("나쁘다고 할 게 없"),
    ],
    bad: &[
        done("끝까지 참을 수가 없"),
        done("졸지 않을 수가 없"),
        done("하품을 안 할 수가 없"),
        done("웃긴 데가 없"),
        done("남는 게 없"),
        done("건질 게 없"),
        done("실망하지 않을 수가 없"),
        done("칭찬할 구석이 없"),
        done("재미있다고는 못 하겠"),
        done("추천할 수가 없"),
        done("좋게 볼 수가 없"),
    ],
};

pub(in super::super) const FILMS: Domain = Domain {
    act: "봤",
    rivals: &["전편", "감독의 전작", "드라마판", "옛날 영화"],
    early: &["처음에는", "초반에는", "시작할 때는"],
    later: &["갈수록", "뒤로 가니", "중반부터는", "다 보고 나니"],
    openings: &["주말에 봤어요.", "시사회로 봤습니다.", "혼자 봤음.", "가족과 봤어요."],
    aspects: &[STORY, SCREEN],
    verdicts: &[VERDICTS, FILM_VERDICTS],
    events: &[FILM_EVENTS],
    doubles: &[DOUBLES],
};

pub(in super::super) const GAMES: Domain = Domain {
    act: "해 봤",
    rivals: &["전작", "1편", "모바일판", "다른 게임"],
    early: &["처음에는", "초반에는", "튜토리얼 때는"],
    later: &["할수록", "하다 보니", "중반부터는", "이제는"],
    openings: &["세일할 때 샀어요.", "열 시간 해 봤습니다.", "친구랑 해 봄.", "출시 날 샀습니다."],
    aspects: &[STORY, PLAY],
    verdicts: &[VERDICTS, GAME_VERDICTS],
    events: &[GAME_EVENTS],
    doubles: &[DOUBLES],
};
