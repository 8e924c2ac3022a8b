//! The few of many items that are worth showing, in memory that does not grow.

/// The items with the highest keys, the highest first; of equal ones those that came first.
#[derive(Clone, Debug)]
pub struct Top<T> {
    limit: usize,
    items: Vec<(f64, T)>,
}

impl<T> Top<T> {
    /// Keeps `limit` items.
    pub fn new(limit: usize) -> Self {
        Top { limit, items: Vec::new() }
    }

    /// Keeps the item that `make` makes if its key is high enough; most items never are, and are not made.
    pub fn offer(&mut self, key: f64, make: impl FnOnce() -> T) {
        let place = self.items.partition_point(|(other, _)| *other >= key);
        if place < self.limit {
            self.items.insert(place, (key, make()));
            self.items.truncate(self.limit);
        }
    }

    /// As [`Top::offer`], but of items that `is_same` calls the same only the one with the highest key stays.
    pub fn offer_distinct(&mut self, key: f64, item: T, is_same: impl Fn(&T, &T) -> bool) {
        if let Some(known) = self.items.iter().position(|(_, other)| is_same(other, &item)) {
            if key <= self.items[known].0 {
                return;
            }
            self.items.remove(known);
        }
        self.offer(key, || item);
    }

    /// Whether an item with this key would be kept.
    pub fn takes(&self, key: f64) -> bool {
        self.items.len() < self.limit || self.items.last().is_some_and(|(lowest, _)| key > *lowest)
    }

    /// The items, the one with the highest key first.
    pub fn into_items(self) -> Vec<T> {
        self.items.into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_keys_stay_and_of_equal_ones_the_first() {
        let mut top = Top::new(3);
        for (key, item) in [(1.0, "a"), (3.0, "b"), (1.0, "c"), (2.0, "d"), (1.0, "e")] {
            assert_eq!(top.takes(key), !matches!(item, "e"), "{item}");
            top.offer(key, || item);
        }
        assert_eq!(top.into_items(), ["b", "d", "a"]);
    }

    #[test]
    fn of_the_same_item_the_highest_key_stays() {
        let mut top = Top::new(2);
        for (key, item) in [(1.0, "a"), (2.0, "a"), (1.5, "a"), (0.5, "b")] {
            top.offer_distinct(key, item, |one, other| one == other);
        }
        assert_eq!(top.items, [(2.0, "a"), (0.5, "b")]);
    }
}
