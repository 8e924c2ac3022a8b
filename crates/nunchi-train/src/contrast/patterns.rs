//! How sentences are built. `good` is what the sentence says in the end.

use super::claims::Claim;
use super::inflect::{Link, Predicate, Style, with_particle};
use super::{LINKS, Writer, weighted};
use rand::Rng as _;

impl Writer {
    /// 배송이 느리지 않아요
    pub(super) fn alone(&mut self, good: bool) -> String {
        let claim = match self.rng.random_range(0..20) {
            0..7 => self.aspect(good),
            7..12 => self.verdict(good),
            12..16 => self.event(good),
            _ => self.double(good),
        };
        self.last(&claim)
    }

    /// 포장은 꼼꼼하지만 실망스러워요
    pub(super) fn contrast(&mut self, good: bool) -> String {
        let link = weighted(&mut self.rng, &LINKS);
        let (first, last) = if self.chance(0.8) {
            (self.aspect(!good), self.outcome(good))
        } else {
            (self.verdict(!good), self.verdict(good))
        };
        format!("{} {}", self.before(&first, link), self.conclusion(&last))
    }

    /// 배송은 빠르고 포장도 꼼꼼한데 후회돼요
    pub(super) fn contrast_of_several(&mut self, good: bool) -> String {
        let (first, second) = self.two_aspects(!good);
        let link = weighted(&mut self.rng, &LINKS);
        let last = self.outcome(good);
        format!(
            "{} {} {}",
            self.before(&first, Link::And),
            self.before(&second, link),
            self.conclusion(&last)
        )
    }

    pub(super) fn two_aspects(&mut self, good: bool) -> (Claim, Claim) {
        let first = self.aspect(good);
        loop {
            let second = self.aspect(good);
            if second.subject != first.subject {
                return (first, second);
            }
        }
    }

    /// 재료도 신선하고 마음에 들어요
    pub(super) fn agreement(&mut self, good: bool) -> String {
        let (first, second) = self.two_aspects(good);
        let last = if self.chance(0.5) { second } else { self.outcome(good) };
        format!("{} {}", self.before(&first, Link::And), self.last(&last))
    }

    /// 색감은 고와요. 하지만 돈이 아까워요
    pub(super) fn two_sentences(&mut self, good: bool) -> String {
        let first = if self.chance(0.8) { self.aspect(!good) } else { self.verdict(!good) };
        let last = self.outcome(good);
        let first = self.last(&first);
        let mut adverbs = vec!["하지만", "그런데", "근데", "그렇지만", "그러나"];
        if good {
            adverbs.extend(["그래도", "그래도"]);
        }
        let adverb = self.pick(&adverbs);
        let stop = self.pick(&[". ", ". ", " ", ", ", "~ "]);
        format!("{first}{stop}{adverb} {}", self.conclusion(&last))
    }

    /// 튼튼할 줄 알았는데 아니었어요; 느릴까 봐 걱정했는데 만족스러워요
    pub(super) fn expectation(&mut self, good: bool) -> String {
        let claim = self.state(!good);
        let lead = self.lead(&claim, &[("이", "가"), ("은", "는"), ("", "")]);
        let expected = claim.predicate.expected();
        if self.chance(0.5) {
            let hope = format!("{lead}{expected} 줄 알았는데");
            if self.chance(0.4) {
                let not = Predicate::Fixed("아니었".to_owned()).ended(self.style);
                let adverb = self.pick(&["", "전혀 ", "그게 "]);
                return format!("{hope} {adverb}{not}");
            }
            let last = self.outcome(good);
            return format!("{hope} {}", self.last(&last));
        }
        let feeling = if good {
            self.pick(&["까 봐 걱정했는데", "까 걱정했지만", "까 봐 망설였는데", "까 봐 반신반의했는데"])
        } else {
            self.pick(&[" 거라 믿었는데", " 거라고 기대했지만", " 거라 생각했는데", " 거란 말에 혹했는데"])
        };
        let last = self.outcome(good);
        format!("{lead}{expected}{feeling} {}", self.last(&last))
    }

    /// 바삭하다더니 반도 못 먹고 남겼어요
    pub(super) fn promise(&mut self, good: bool) -> String {
        let praised = !good || self.chance(0.6);
        let claim = self.state(praised);
        let lead = self.lead(&claim, &[("이", "가"), ("은", "는"), ("", "")]);
        let quoted = claim.predicate.quoted();
        let act = self.domain.act;
        let belief = match (good, praised) {
            (false, _) => self.pick(&["더니", "길래 {}는데", "는 말만 믿고 {}는데", "고 해서 {}더니"]),
            (true, true) => self.pick(&["더니 역시", "더니 정말", "길래 {}는데 역시", "고 해서 {}는데 과연"]),
            (true, false) => self.pick(&["길래 걱정했는데", "는 말이 있었지만", "고 해서 망설였는데"]),
        };
        let last = self.outcome(good);
        format!("{lead}{quoted}{} {}", belief.replace("{}", act), self.last(&last))
    }

    /// 무거운 것 빼고는 더 바랄 게 없어요
    pub(super) fn exception(&mut self, good: bool) -> String {
        let claim = self.aspect(!good);
        let Some(adnominal) = claim.predicate.adnominal() else { return self.contrast(good) };
        let lead = self.lead(&claim, &[("이", "가"), ("", "")]);
        let except = self.pick(&["것 빼고는", "거 빼고는", "점 말고는", "것만 빼면", "것 하나 빼면"]);
        let last = self.outcome(good);
        format!("{lead}{adnominal} {except} {}", self.last(&last))
    }

    /// 만족합니다. 다만 양이 적네요
    pub(super) fn afterthought(&mut self, good: bool) -> String {
        let verdict = self.verdict(good);
        let minor = self.aspect(!good);
        let adverb =
            if good { self.pick(&["다만", "단지"]) } else { self.pick(&["그나마", "그래도"]) };
        let verdict = self.last(&verdict);
        let lead = self.lead(&minor, &[("은", "는"), ("이", "가")]);
        let minor = minor.predicate.ended(self.style);
        format!("{verdict}. {adverb} {lead}{minor}")
    }

    /// 느려도 기분이 좋아요
    pub(super) fn concession(&mut self, good: bool) -> String {
        let claim = self.aspect(!good);
        let Some(conceded) = claim.predicate.conceded() else { return self.contrast(good) };
        let lead = self.lead(&claim, &[("이", "가"), ("은", "는"), ("", "")]);
        let last = self.outcome(good);
        format!("{lead}{conceded} {}", self.last(&last))
    }

    /// 처음에는 흡족했는데 쓸수록 불만스러워요
    pub(super) fn change(&mut self, good: bool) -> String {
        let (first, last) = (self.state(!good), self.state(good));
        let link = self.pick(&[Link::While, Link::While, Link::But]);
        let (early, later) = (self.pick(self.domain.early), self.pick(self.domain.later));
        let lead = self.lead(&first, &[("이", "가"), ("", "")]);
        let past = first.predicate.past().linked(link);
        let lead_of_last = self.lead(&last, &[("이", "가"), ("", "")]);
        let ended = last.predicate.ended(self.style);
        format!("{early} {lead}{past} {later} {lead_of_last}{ended}")
    }

    /// 다들 재미있다는데 저는 시간이 아까웠어요
    pub(super) fn others(&mut self, good: bool) -> String {
        let claim = self.state(!good);
        let who = self.pick(&["다들", "친구들은", "언니는", "사람들은", "후기에서는", "누구는", "형은"]);
        let lead = self.lead(&claim, &[("이", "가"), ("", "")]);
        let said = self.pick(&["는데", "지만", "고 하지만", "고들 하는데"]);
        let (i, verdict) = (self.i(), self.verdict(good));
        let lead_of_verdict = self.lead(&verdict, &[]);
        let ended = self.tense(&verdict).ended(self.style);
        format!("{who} {lead}{}{said} {i} {lead_of_verdict}{ended}", claim.predicate.quoted())
    }

    /// 포장 참 야무지네요. 쓰레기통에 버렸어요: praise that what happened makes true or ironic.
    pub(super) fn praise_and_event(&mut self, good: bool) -> String {
        let claim = self.aspect(true);
        let praise = claim.predicate.ended(Style::Noticing);
        let subject = claim.subject.unwrap_or_default();
        let praise = match self.pick(&["와", "이야", "참", "거참", "아주", "참으로"]) {
            cry @ ("와" | "이야") => format!("{cry} {subject} {praise}"),
            very => format!("{subject} {very} {praise}"),
        };
        let stop = self.pick(&[". ", "~ ", " ", "^^ "]);
        let event = self.event(good);
        format!("{praise}{stop}{}", self.last(&event))
    }

    /// 전작이 그래픽이 더 훌륭해요; 전작보다 그래픽이 더 훌륭해요
    pub(super) fn comparison(&mut self, good: bool) -> String {
        let rival = self.pick(self.domain.rivals);
        let rival_is_better = !good && self.chance(0.6);
        let claim = loop {
            let claim = self.aspect(good || rival_is_better);
            if claim.gradable {
                break claim;
            }
        };
        let rival =
            if rival_is_better { with_particle(rival, "이", "가") } else { format!("{rival}보다") };
        let subject = with_particle(claim.subject.unwrap_or_default(), "이", "가");
        let more = self.pick(&["더", "훨씬", "훨씬 더", "더욱"]);
        let ended = self.tense(&claim).ended(self.style);
        format!("{rival} {subject} {more} {ended}")
    }

    /// 누가 맛이 깊다고 했나요; 어디가 불편한 건지 모르겠어요
    pub(super) fn doubt(&mut self, good: bool) -> String {
        let claim = self.state(!good);
        let lead = self.lead(&claim, &[("이", "가"), ("", "")]);
        let question = self.pick(&["?", "?", "??", ""]);
        match claim.predicate.adnominal() {
            Some(adnominal) if self.chance(0.5) => {
                let why = self.pick(&["도대체 어디가", "대체 뭐가", "어떻게 이게"]);
                let doubt = self.pick(&["건가요", "거죠", "건지", "걸까요"]);
                let lead = if claim.subject.is_some() { lead } else { String::new() };
                format!("{why} {lead}{adnominal} {doubt}{question}")
            }
            _ => {
                let quoted = claim.predicate.quoted();
                let doubt = self.pick(&["했나요", "그러던가요", "했는지", "하는 거죠"]);
                format!("누가 {lead}{quoted}고 {doubt}{question}")
            }
        }
    }

    /// 포장이 꼼꼼했으면 좋았을 텐데 화가 나요; 느리면 어쩌나 했는데 잘 샀어요
    pub(super) fn wish(&mut self, good: bool) -> String {
        let claim = self.aspect(!good);
        let lead = self.lead(&claim, &[("이", "가"), ("", "")]);
        let last = self.outcome(good);
        let wish = if good {
            let fear = self.pick(&["어쩌나 했는데", "어떡하나 했는데", "반품하려 했는데"]);
            format!("{} {fear}", claim.predicate.supposed())
        } else {
            let hope = self.pick(&["좋았을 텐데", "했는데", "하고 바랐지만", "참았을 텐데"]);
            format!("{} {hope}", claim.predicate.past().supposed())
        };
        format!("{lead}{wish} {}", self.last(&last))
    }
}
