//! Korean predicates and their endings.
//!
//! What cannot be derived safely (contractions, irregular stems) stands in the word lists; what is derived here depends
//! only on the final consonant of a form that is given.

use crate::hangul::{PIEUP, closed, last_final, refinal};

const NIEUN: u32 = 4;
const RIEUL: u32 = 8;
const RIEUL_MIEUM: u32 = 10;

/// `word` and the particle that fits: `after_consonant` or `after_vowel`.
pub(super) fn with_particle(word: &str, after_consonant: &str, after_vowel: &str) -> String {
    format!("{word}{}", if closed(word) { after_consonant } else { after_vowel })
}

/// A predicate that can take endings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Predicate {
    /// An adjective or a verb in the present.
    Open { stem: String, polite: String, past: String, adnominal: String, nominal: String },
    /// A stem in ㅆ or ㅄ.
    Fixed(String),
    /// A noun with the copula.
    Noun(String),
}

/// How a sentence ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// 빨라요
    Polite,
    /// 빠릅니다
    Formal,
    /// 빠르다
    Plain,
    /// 빠름
    Nominal,
    /// 빨라
    Casual,
    /// 빠르네요
    Noticing,
    /// 빠르더라고요
    Recalling,
}

/// How a clause leads to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// 빠르지만
    But,
    /// 빠른데
    While,
    /// 빠르나
    Yet,
    /// 빠르고
    And,
    /// 빠르긴 한데
    Admitted,
    /// 빠르긴 하지만
    AdmittedBut,
}

impl Predicate {
    /// The same in the past.
    pub(super) fn past(&self) -> Predicate {
        Predicate::Fixed(match self {
            Predicate::Open { past, .. } => past.clone(),
            Predicate::Fixed(stem) => stem.clone(),
            Predicate::Noun(word) => with_particle(word, "이었", "였"),
        })
    }

    /// Denied with 안: 안 빨라요.
    pub(super) fn denied_before(&self) -> Predicate {
        match self {
            Predicate::Open { stem, polite, past, adnominal, nominal } => Predicate::Open {
                stem: format!("안 {stem}"),
                polite: format!("안 {polite}"),
                past: format!("안 {past}"),
                adnominal: format!("안 {adnominal}"),
                nominal: format!("안 {nominal}"),
            },
            other => other.clone(),
        }
    }

    /// Denied with 않다: 빠르지 않아요, or with `but` 빠르지는 않아요.
    pub(super) fn denied_after(&self, but: bool) -> Predicate {
        let Predicate::Open { stem, .. } = self else { return self.clone() };
        let ji = if but { "지는" } else { "지" };
        let ending = if self.is_verb() { "않는" } else { "않은" };
        Predicate::Open {
            stem: format!("{stem}{ji} 않"),
            polite: format!("{stem}{ji} 않아요"),
            past: format!("{stem}{ji} 않았"),
            adnominal: format!("{stem}{ji} {ending}"),
            nominal: format!("{stem}{ji} 않음"),
        }
    }

    /// Whether it is one short word, which sounds natural after 안.
    pub(super) fn is_short(&self) -> bool {
        matches!(self, Predicate::Open { stem, .. } if !stem.contains(' ') && stem.chars().count() <= 2)
    }

    /// Whether it is an action: its adnominal form ends in 는, and not because of 있다 or 없다.
    pub(super) fn is_verb(&self) -> bool {
        matches!(self, Predicate::Open { stem, adnominal, .. }
            if adnominal.ends_with('는') && !stem.ends_with(['있', '없', '밌']))
    }

    /// The form before a noun: 빠른, 없는, 최고인.
    pub(super) fn adnominal(&self) -> Option<String> {
        match self {
            Predicate::Open { adnominal, .. } => Some(adnominal.clone()),
            Predicate::Fixed(stem) if stem.ends_with(['있', '없']) => Some(format!("{stem}는")),
            Predicate::Fixed(_) => None,
            Predicate::Noun(word) => Some(format!("{word}인")),
        }
    }

    /// The form of what was expected: 빠를, 없을, 최고일.
    pub(super) fn expected(&self) -> String {
        match self {
            Predicate::Open { nominal, .. } => refinal(nominal, RIEUL),
            Predicate::Fixed(stem) => format!("{stem}을"),
            Predicate::Noun(word) => format!("{word}일"),
        }
    }

    /// The form that is quoted: 빠르다, 최고라.
    pub(super) fn quoted(&self) -> String {
        match self {
            Predicate::Noun(word) => with_particle(word, "이라", "라"),
            other => other.ended(Style::Plain),
        }
    }

    /// "Even though": 빨라도.
    pub(super) fn conceded(&self) -> Option<String> {
        match self {
            Predicate::Open { polite, .. } => polite.strip_suffix('요').map(|casual| format!("{casual}도")),
            _ => None,
        }
    }

    /// "If": 빠르면, 좋으면, 마음에 들면.
    pub(super) fn supposed(&self) -> String {
        match self {
            Predicate::Open { nominal, .. } => match last_final(nominal) {
                RIEUL_MIEUM => format!("{}면", refinal(nominal, RIEUL)),
                _ => format!("{}면", refinal(nominal, 0)),
            },
            Predicate::Fixed(stem) => format!("{stem}으면"),
            Predicate::Noun(word) => with_particle(word, "이면", "면"),
        }
    }

    /// At the end of a sentence.
    pub(super) fn ended(&self, style: Style) -> String {
        match self {
            Predicate::Open { stem, polite, nominal, .. } => match style {
                Style::Polite => polite.clone(),
                Style::Casual => polite.strip_suffix('요').unwrap_or(polite).to_owned(),
                Style::Nominal => nominal.clone(),
                Style::Plain => self.plain(stem),
                Style::Formal => match last_final(stem) {
                    0 | RIEUL => format!("{}니다", refinal(stem, PIEUP)),
                    _ => format!("{stem}습니다"),
                },
                Style::Noticing if last_final(stem) == RIEUL => format!("{}네요", refinal(stem, 0)),
                Style::Noticing => format!("{stem}네요"),
                Style::Recalling => format!("{stem}더라고요"),
            },
            Predicate::Fixed(stem) => match style {
                // One does not recall what one did oneself.
                Style::Polite | Style::Recalling => format!("{stem}어요"),
                Style::Formal => format!("{stem}습니다"),
                Style::Plain => format!("{stem}다"),
                Style::Nominal => format!("{stem}음"),
                Style::Casual => format!("{stem}어"),
                Style::Noticing => format!("{stem}네요"),
            },
            Predicate::Noun(word) => match style {
                Style::Polite => with_particle(word, "이에요", "예요"),
                Style::Formal => format!("{word}입니다"),
                Style::Plain => with_particle(word, "이다", "다"),
                Style::Nominal => format!("{word}임"),
                Style::Casual => with_particle(word, "이야", "야"),
                Style::Noticing => with_particle(word, "이네요", "네요"),
                Style::Recalling => with_particle(word, "이더라고요", "더라고요"),
            },
        }
    }

    fn plain(&self, stem: &str) -> String {
        if !self.is_verb() {
            return format!("{stem}다");
        }
        match last_final(stem) {
            0 | RIEUL => format!("{}다", refinal(stem, NIEUN)),
            _ => format!("{stem}는다"),
        }
    }

    /// Before another clause.
    pub(super) fn linked(&self, link: Link) -> String {
        match self {
            Predicate::Open { stem, adnominal, nominal, .. } => match link {
                Link::But => format!("{stem}지만"),
                Link::While => format!("{adnominal}데"),
                // 마음에 드나 reads as a question.
                Link::Yet if last_final(nominal) == RIEUL_MIEUM => format!("{stem}지만"),
                Link::Yet => format!("{}나", refinal(nominal, 0)),
                Link::And => format!("{stem}고"),
                Link::Admitted => format!("{stem}긴 한데"),
                Link::AdmittedBut => format!("{stem}긴 하지만"),
            },
            Predicate::Fixed(stem) => match link {
                Link::But | Link::AdmittedBut => format!("{stem}지만"),
                Link::While | Link::Admitted => format!("{stem}는데"),
                Link::Yet => format!("{stem}으나"),
                Link::And => format!("{stem}고"),
            },
            Predicate::Noun(word) => match link {
                // 최고이나 reads as "or".
                Link::But | Link::Yet => with_particle(word, "이지만", "지만"),
                Link::While => format!("{word}인데"),
                Link::And => format!("{word}이고"),
                Link::Admitted => format!("{word}이긴 한데"),
                Link::AdmittedBut => format!("{word}이긴 하지만"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Entry, bieup, done, full, ha, noun};
    use super::*;

    const STYLES: [Style; 7] = [
        Style::Polite,
        Style::Formal,
        Style::Plain,
        Style::Nominal,
        Style::Casual,
        Style::Noticing,
        Style::Recalling,
    ];
    const LINKS: [Link; 6] =
        [Link::But, Link::While, Link::Yet, Link::And, Link::Admitted, Link::AdmittedBut];

    fn all(entry: Entry) -> (Vec<String>, Vec<String>) {
        let predicate = entry.predicate();
        (
            STYLES.iter().map(|&style| predicate.ended(style)).collect(),
            LINKS.iter().map(|&link| predicate.linked(link)).collect(),
        )
    }

    #[test]
    fn adjectives_and_verbs_take_the_endings_of_a_grammar() {
        let (ends, links) = all(ha("깔끔"));
        assert_eq!(
            ends,
            ["깔끔해요", "깔끔합니다", "깔끔하다", "깔끔함", "깔끔해", "깔끔하네요", "깔끔하더라고요"]
        );
        assert_eq!(
            links,
            ["깔끔하지만", "깔끔한데", "깔끔하나", "깔끔하고", "깔끔하긴 한데", "깔끔하긴 하지만"]
        );
        let (ends, links) = all(bieup("가벼"));
        assert_eq!(ends[..5], ["가벼워요", "가볍습니다", "가볍다", "가벼움", "가벼워"]);
        assert_eq!(links[..4], ["가볍지만", "가벼운데", "가벼우나", "가볍고"]);
        let (ends, links) =
            all(full("마음에 들", ["마음에 들어요", "마음에 들었", "마음에 드는", "마음에 듦"]));
        assert_eq!(ends[1..4], ["마음에 듭니다", "마음에 든다", "마음에 듦"]);
        assert_eq!(ends[5..], ["마음에 드네요", "마음에 들더라고요"]);
        assert_eq!(links[..4], ["마음에 들지만", "마음에 드는데", "마음에 들지만", "마음에 들고"]);
        let (ends, _) = all(full("닳", ["닳아요", "닳았", "닳는", "닳음"]));
        assert_eq!(ends[1..3], ["닳습니다", "닳는다"]);
        let (ends, links) = all(full("재미있", ["재미있어요", "재미있었", "재미있는", "재미있음"]));
        assert_eq!(ends[1..3], ["재미있습니다", "재미있다"]);
        assert_eq!(links[1..3], ["재미있는데", "재미있으나"]);
    }

    #[test]
    fn what_was_done_and_what_something_is_take_theirs() {
        let (ends, links) = all(done("샀"));
        assert_eq!(ends, ["샀어요", "샀습니다", "샀다", "샀음", "샀어", "샀네요", "샀어요"]);
        assert_eq!(links[..4], ["샀지만", "샀는데", "샀으나", "샀고"]);
        let (ends, links) = all(noun("최고"));
        assert_eq!(
            ends,
            ["최고예요", "최고입니다", "최고다", "최고임", "최고야", "최고네요", "최고더라고요"]
        );
        assert_eq!(links[..4], ["최고지만", "최고인데", "최고지만", "최고이고"]);
        let (ends, links) = all(noun("실망"));
        assert_eq!(ends[..5], ["실망이에요", "실망입니다", "실망이다", "실망임", "실망이야"]);
        assert_eq!(links[0], "실망이지만");
        assert_eq!(noun("최고").predicate().past().ended(Style::Polite), "최고였어요");
        assert_eq!(noun("실망").predicate().past().ended(Style::Polite), "실망이었어요");
    }

    #[test]
    fn denials_are_adjectives_of_their_own() {
        let slow = full("느리", ["느려요", "느렸", "느린", "느림"]).predicate();
        assert_eq!(slow.denied_before().ended(Style::Polite), "안 느려요");
        assert_eq!(slow.denied_after(false).linked(Link::While), "느리지 않은데");
        assert_eq!(slow.denied_after(true).ended(Style::Formal), "느리지는 않습니다");
        let verb = full("오래가", ["오래가요", "오래갔", "오래가는", "오래감"]).predicate();
        assert!(verb.is_verb() && !slow.is_verb());
        assert_eq!(verb.ended(Style::Plain), "오래간다");
        assert_eq!(verb.denied_after(false).linked(Link::While), "오래가지 않는데");
        assert_eq!(verb.denied_after(false).ended(Style::Plain), "오래가지 않는다");
    }

    #[test]
    fn other_forms() {
        let light = bieup("가벼").predicate();
        assert_eq!((light.expected(), light.supposed()), ("가벼울".to_owned(), "가벼우면".to_owned()));
        assert_eq!(light.conceded().as_deref(), Some("가벼워도"));
        assert_eq!(light.quoted(), "가볍다");
        assert_eq!(noun("최고").predicate().quoted(), "최고라");
        assert_eq!(noun("걸작").predicate().quoted(), "걸작이라");
        let rough = full("거칠", ["거칠어요", "거칠었", "거친", "거칢"]).predicate();
        assert_eq!((rough.expected(), rough.supposed()), ("거칠".to_owned(), "거칠면".to_owned()));
        assert_eq!(done("쓸모없").predicate().adnominal().as_deref(), Some("쓸모없는"));
        assert_eq!(with_particle("배송", "은", "는"), "배송은");
        assert_eq!(with_particle("가격대", "은", "는"), "가격대는");
    }
}
