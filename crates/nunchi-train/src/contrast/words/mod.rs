//! What sentences are made of: kinds of things that are bought or seen, their aspects, and what people say of them.
//!
//! Written by hand. Not one sentence of `samples/pairs.tsv` can be made from them (a test of the generator looks).

use super::entry::Entry;

mod screen;
mod shop;

/// A part of a product and what can be said of it.
#[derive(Debug)]
pub(super) struct Aspect {
    /// Its names.
    pub(super) nouns: &'static [&'static str],
    /// Praise.
    pub(super) good: &'static [Entry],
    /// Blame.
    pub(super) bad: &'static [Entry],
}

/// What is said of the whole, for and against.
#[derive(Debug)]
pub(super) struct Sides {
    pub(super) good: &'static [Entry],
    pub(super) bad: &'static [Entry],
}

impl Sides {
    /// The list of one polarity.
    pub(super) fn of(&self, good: bool) -> &'static [Entry] {
        if good { self.good } else { self.bad }
    }
}

/// A kind of product.
#[derive(Debug)]
pub(super) struct Domain {
    /// What one does with it to judge it, in the past: 샀, 봤.
    pub(super) act: &'static str,
    /// What it is compared with.
    pub(super) rivals: &'static [&'static str],
    /// How first impressions are called.
    pub(super) early: &'static [&'static str],
    /// How later ones are called.
    pub(super) later: &'static [&'static str],
    /// What may stand before everything and says nothing of the prediction.
    pub(super) openings: &'static [&'static str],
    /// Its parts: lists that several kinds share.
    pub(super) aspects: &'static [&'static [Aspect]],
    /// Verdicts on the whole.
    pub(super) verdicts: &'static [Sides],
    /// What happened: predictions without a word of opinion.
    pub(super) events: &'static [Sides],
    /// Denials of a denial, and denials of the only good or bad that could be.
    pub(super) doubles: &'static [Sides],
}

/// All kinds.
pub(super) const DOMAINS: [&Domain; 5] =
    [&shop::GOODS, &shop::CLOTHES, &shop::FOOD, &screen::FILMS, &screen::GAMES];

#[cfg(test)]
mod tests {
    use super::super::inflect::Style;
    use super::*;
    use crate::hangul::closed;
    use std::collections::HashSet;

    fn entries(good: bool) -> Vec<&'static Entry> {
        let mut entries: Vec<&Entry> = Vec::new();
        for domain in DOMAINS {
            let sides = domain.verdicts.iter().chain(domain.events).chain(domain.doubles);
            entries.extend(sides.flat_map(|sides| sides.of(good)));
            for aspect in domain.aspects.iter().copied().flatten() {
                entries.extend(if good { aspect.good } else { aspect.bad });
            }
        }
        entries
    }

    #[test]
    fn there_are_many_words_of_each_polarity_and_none_is_of_both() {
        let words = |good: bool| -> HashSet<String> {
            entries(good).iter().map(|entry| entry.predicate().ended(Style::Polite)).collect()
        };
        let (good, bad) = (words(true), words(false));
        assert!(good.len() >= 120 && bad.len() >= 120, "{} good, {} bad", good.len(), bad.len());
        // Little noise is good and little food is bad; much food is good.
        let both: Vec<_> =
            good.intersection(&bad).filter(|word| !["적어요", "없어요"].contains(&word.as_str())).collect();
        assert!(both.is_empty(), "{both:?}");
    }

    #[test]
    fn every_form_belongs_to_its_stem() {
        for entry in entries(true).into_iter().chain(entries(false)) {
            let predicate = entry.predicate();
            let polite = predicate.ended(Style::Polite);
            assert!(polite.ends_with('요'), "{polite}");
            // ㅆ or ㅄ, as 샀 and 없.
            let fixed = predicate.past().ended(Style::Plain);
            assert!(fixed.ends_with('다'), "{fixed}");
            let stem = fixed.strip_suffix('다').unwrap_or_default();
            assert!(closed(stem), "{fixed}");
            let nominal = predicate.ended(Style::Nominal);
            assert!(closed(&nominal), "{nominal}");
            if let Some(adnominal) = predicate.adnominal() {
                assert!(closed(&adnominal), "{adnominal}");
            }
        }
    }
}
