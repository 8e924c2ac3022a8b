//! What is claimed of a product or a part of it, and how it stands in a sentence.

use super::Writer;
use super::entry::Entry;
use super::inflect::{Link, Predicate, Style, with_particle};
use super::words::Sides;
use rand::Rng as _;

const VERY: [&str; 10] = ["정말", "진짜", "너무", "아주", "참", "꽤", "무척", "상당히", "굉장히", "엄청"];
const ON_THE_WHOLE: [&str; 7] =
    ["전체적으로", "결론적으로", "아무튼", "어쨌든", "솔직히", "전반적으로", "한마디로"];

/// Verdicts that are never in the past.
const TIMELESS: [&str; 3] = ["강추", "비추", "대만족"];

/// What is said of one thing.
pub(super) struct Claim {
    /// The part that it is said of; none where it is said of the whole.
    pub(super) subject: Option<&'static str>,
    pub(super) predicate: Predicate,
    /// Words like "very" may stand before it.
    pub(super) gradable: bool,
}

impl Writer {
    /// One of a list, or one of the opposite list denied.
    pub(super) fn draw(
        &mut self,
        good: &'static [Entry],
        bad: &'static [Entry],
        want: bool,
        denied: f64,
    ) -> (Predicate, bool) {
        let (same, opposite) = if want { (good, bad) } else { (bad, good) };
        if self.chance(denied) {
            let entry = self.pick(opposite);
            if entry.negatable {
                return (self.denied(&entry.predicate()), false);
            }
        }
        let predicate = self.pick(same).predicate();
        let gradable = !matches!(predicate, Predicate::Fixed(_));
        (predicate, gradable)
    }

    pub(super) fn denied(&mut self, predicate: &Predicate) -> Predicate {
        if predicate.is_short() && self.chance(0.45) {
            return predicate.denied_before();
        }
        let but = self.chance(0.25);
        predicate.denied_after(but)
    }

    /// Something about a part.
    pub(super) fn aspect(&mut self, good: bool) -> Claim {
        let aspects = self.pick(self.domain.aspects);
        let aspect = &aspects[self.rng.random_range(0..aspects.len())];
        let subject = Some(self.pick(aspect.nouns));
        let (predicate, gradable) = self.draw(aspect.good, aspect.bad, good, 0.25);
        Claim { subject, predicate, gradable }
    }

    pub(super) fn sides(&mut self, all: &'static [Sides]) -> &'static Sides {
        &all[self.rng.random_range(0..all.len())]
    }

    /// Something about the whole.
    pub(super) fn verdict(&mut self, good: bool) -> Claim {
        let sides = self.sides(self.domain.verdicts);
        let (predicate, gradable) = self.draw(sides.good, sides.bad, good, 0.2);
        Claim { subject: None, predicate, gradable }
    }

    /// What came of it.
    pub(super) fn event(&mut self, good: bool) -> Claim {
        let sides = self.sides(self.domain.events);
        Claim { subject: None, predicate: self.pick(sides.of(good)).predicate(), gradable: false }
    }

    /// A double denial: 안 예쁜 데가 없어요, or one of the list.
    pub(super) fn double(&mut self, good: bool) -> Claim {
        if self.chance(0.3) {
            let aspects = self.pick(self.domain.aspects);
            let aspect = &aspects[self.rng.random_range(0..aspects.len())];
            let predicate = self.pick(if good { aspect.good } else { aspect.bad }).predicate();
            if let (true, false, Some(adnominal)) =
                (predicate.is_short(), predicate.is_verb(), predicate.adnominal())
            {
                let nothing = self.pick(&["데가", "구석이", "게", "것이"]);
                let predicate = Predicate::Fixed(format!("안 {adnominal} {nothing} 없"));
                return Claim { subject: None, predicate, gradable: false };
            }
        }
        let sides = self.sides(self.domain.doubles);
        Claim { subject: None, predicate: self.pick(sides.of(good)).predicate(), gradable: false }
    }

    /// What decides a sentence.
    pub(super) fn outcome(&mut self, good: bool) -> Claim {
        match self.rng.random_range(0..20) {
            0..10 => self.verdict(good),
            10..15 => self.event(good),
            _ => self.double(good),
        }
    }

    /// A claim about a part or the whole that is a state of things, and can be expected or quoted.
    pub(super) fn state(&mut self, good: bool) -> Claim {
        loop {
            let claim = if self.chance(0.75) { self.aspect(good) } else { self.verdict(good) };
            let lasting = match &claim.predicate {
                Predicate::Fixed(stem) => stem.ends_with(['있', '없']),
                _ => true,
            };
            if lasting {
                return claim;
            }
        }
    }

    /// Subject and adverbs, with the space before the predicate. `marks` are the particles to choose from.
    pub(super) fn lead(&mut self, claim: &Claim, marks: &[(&str, &str)]) -> String {
        let mut lead = String::new();
        if let Some(subject) = claim.subject {
            let (consonant, vowel) = self.pick(marks);
            lead = with_particle(subject, consonant, vowel);
            lead.push(' ');
        }
        if claim.gradable && self.chance(0.3) {
            lead.push_str(self.pick(&VERY));
            lead.push(' ');
        }
        lead
    }

    pub(super) fn tense(&mut self, claim: &Claim) -> Predicate {
        let timeless = matches!(&claim.predicate, Predicate::Noun(word) if TIMELESS.contains(&word.as_str()));
        if !timeless && self.chance(0.3) { claim.predicate.past() } else { claim.predicate.clone() }
    }

    /// The claim as a clause before another.
    pub(super) fn before(&mut self, claim: &Claim, link: Link) -> String {
        let marks = [("은", "는"), ("은", "는"), ("은", "는"), ("이", "가"), ("", ""), ("도", "도")];
        let lead = self.lead(claim, &marks);
        lead + &self.tense(claim).linked(link)
    }

    /// The claim as the last clause.
    pub(super) fn last(&mut self, claim: &Claim) -> String {
        let marks = [("이", "가"), ("이", "가"), ("은", "는"), ("", "")];
        let lead = self.lead(claim, &marks);
        let style = self.style;
        lead + &self.tense(claim).ended(style)
    }

    /// The claim as what everything comes to.
    pub(super) fn conclusion(&mut self, claim: &Claim) -> String {
        let last = self.last(claim);
        if claim.subject.is_none() && self.chance(0.2) {
            return format!("{} {last}", self.pick(&ON_THE_WHOLE));
        }
        last
    }

    /// "I", as polite as the sentence.
    pub(super) fn i(&mut self) -> &'static str {
        match self.style {
            Style::Plain | Style::Casual | Style::Nominal => self.pick(&["난", "나는", "내가 보기엔"]),
            _ => self.pick(&["저는", "전", "제가 보기엔", "제 생각엔"]),
        }
    }
}
