//! The comments whose scores are written into every trained model, so that whoever loads it can check that it still
//! scores as it did when it was made.

/// Written by hand: plain ones, word order, sounds, jamo, emoji, mixed scripts, a shop's badge, no known word, nothing.
pub const COMMENTS: [&str; 18] = [
    "배송도 빠르고 품질도 좋아서 아주 만족합니다",
    "한 번 쓰고 고장 났어요. 돈이 아깝네요",
    "추천해요",
    "별로지만 추천해요",
    "추천하지만 별로예요",
    "색상이 화면이랑 완전 달라요 ㅠㅠ 반품합니다",
    "생각보다 가볍고 튼튼해요ㅎㅎ 재구매 의사 있습니다",
    "ㅋㅋㅋㅋㅋㅋ 이걸 돈 주고 팔다니",
    "가격 대비 그럭저럭 쓸 만해요",
    "냄새가 너무 심해서 못 쓰겠어요;;",
    "선물했는데 엄마가 정말 좋아하세요 😊👍",
    "AS 불친절, 포장 엉망. 다시는 안 삽니다!!!",
    "재구매 촉촉하고 향도 은은해서 매일 써요",
    "사이즈는 맞는데 재질이 얇아서 금방 해졌어요",
    "Good quality 굿굿 배송 fast",
    "기대 안 했는데 의외로 괜찮네요",
    "ㅇㄱㄹㅇ ㅂㅂㅂㄱ",
    "!",
];
