//! Predicates as they stand in the word lists: what cannot be derived safely (contractions, irregular stems) is given.

use super::inflect::Predicate;
use crate::hangul::{PIEUP, refinal};

/// A predicate as it stands in a word list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    root: &'static str,
    kind: Kind,
    /// Whether its denial means the opposite and sounds natural.
    pub(super) negatable: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// 깔끔 → 깔끔하다.
    Ha,
    /// 가벼 → 가볍다, 가벼워요.
    Bieup,
    /// All forms are given: polite, past stem, adnominal, nominal.
    Full([&'static str; 4]),
    /// Ends in ㅆ or ㅄ and takes every ending as it stands: 샀, 없, 못 쓰겠.
    Fixed,
    /// 최고 → 최고예요.
    Noun,
}

/// An adjective in -하다.
pub(super) const fn ha(root: &'static str) -> Entry {
    Entry { root, kind: Kind::Ha, negatable: true }
}

/// An adjective in -ㅂ다 that becomes -워요, without its ㅂ.
pub(super) const fn bieup(root: &'static str) -> Entry {
    Entry { root, kind: Kind::Bieup, negatable: true }
}

/// Any other predicate: stem, then polite form, past stem, adnominal form, nominal form.
pub(super) const fn full(root: &'static str, forms: [&'static str; 4]) -> Entry {
    Entry { root, kind: Kind::Full(forms), negatable: true }
}

/// A stem in ㅆ or ㅄ: what was done, what there is or is not, what one will not do.
pub(super) const fn done(root: &'static str) -> Entry {
    Entry { root, kind: Kind::Fixed, negatable: false }
}

/// A noun with the copula.
pub(super) const fn noun(root: &'static str) -> Entry {
    Entry { root, kind: Kind::Noun, negatable: false }
}

impl Entry {
    /// The same, but never denied.
    pub(super) const fn never_denied(self) -> Entry {
        Entry { negatable: false, ..self }
    }

    pub(super) fn predicate(&self) -> Predicate {
        let root = self.root;
        let open = |stem: String, polite: String, past: String, adnominal: String, nominal: String| {
            Predicate::Open { stem, polite, past, adnominal, nominal }
        };
        match self.kind {
            Kind::Ha => open(
                format!("{root}하"),
                format!("{root}해요"),
                format!("{root}했"),
                format!("{root}한"),
                format!("{root}함"),
            ),
            Kind::Bieup => open(
                refinal(root, PIEUP),
                format!("{root}워요"),
                format!("{root}웠"),
                format!("{root}운"),
                format!("{root}움"),
            ),
            Kind::Full(forms) => {
                let [polite, past, adnominal, nominal] = forms.map(str::to_owned);
                open(root.to_owned(), polite, past, adnominal, nominal)
            }
            Kind::Fixed => Predicate::Fixed(root.to_owned()),
            Kind::Noun => Predicate::Noun(root.to_owned()),
        }
    }
}
