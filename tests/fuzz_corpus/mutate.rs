//! Mutations of a corpus, the same ones in every run. Much less clever than libFuzzer, which sees what code is reached.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Longest input in bytes.
const MAX_INPUT: usize = 64 << 10;

/// Makes inputs from seeds.
pub struct Mutator<'s> {
    seeds: &'s [Vec<u8>],
    dictionary: &'static [&'static str],
    random: ChaCha8Rng,
}

impl<'s> Mutator<'s> {
    /// Inputs from `seeds`, with words of `dictionary` in them.
    pub fn new(seeds: &'s [Vec<u8>], dictionary: &'static [&'static str]) -> Self {
        Mutator { seeds, dictionary, random: ChaCha8Rng::seed_from_u64(0x6e75_6e63) }
    }

    /// The next input: a seed with one to four changes.
    pub fn next(&mut self) -> Vec<u8> {
        let mut input = self.seed().to_vec();
        for _ in 0..self.random.random_range(1..=4) {
            self.change(&mut input);
        }
        input.truncate(MAX_INPUT);
        input
    }

    fn seed(&mut self) -> &'s [u8] {
        &self.seeds[self.random.random_range(0..self.seeds.len())]
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.random_range(0..=input.len());
        // Ranges are short mostly; a long one leaves little of the seed.
        let most = if self.random.random_ratio(1, 8) { input.len() } else { 16 };
        let end = (at + self.random.random_range(0..=most)).min(input.len());
        match self.random.random_range(0..9) {
            0 if at < input.len() => input[at] ^= 1 << self.random.random_range(0..8),
            1 if at < input.len() => {
                const TELLING: [u8; 12] = *b"\0\x01\x7f\x80\xff\"\\{}[],";
                input[at] = TELLING[self.random.random_range(0..TELLING.len())];
            }
            2 => drop(input.drain(at..end)),
            3 => {
                let piece = input[at..end].to_vec();
                let times = [1, 2, 200][self.random.random_range(0..3)];
                drop(input.splice(at..at, piece.repeat(times)));
            }
            4 => input.truncate(at),
            5 => {
                let other = self.seed();
                let from = self.random.random_range(0..=other.len());
                let to = self.random.random_range(from..=other.len());
                drop(input.splice(at..end, other[from..to].iter().copied()));
            }
            6 | 7 if !self.dictionary.is_empty() => {
                let word = self.dictionary[self.random.random_range(0..self.dictionary.len())];
                let end = if self.random.random() { at } else { end };
                drop(input.splice(at..end, word.bytes()));
            }
            _ => self.change_number(input, at),
        }
    }

    /// Replaces the next number in digits after `at`.
    fn change_number(&mut self, input: &mut Vec<u8>, at: usize) {
        let Some(start) = input[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else {
            return;
        };
        let end =
            input[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(input.len(), |n| start + n);
        const NUMBERS: [&str; 10] = [
            "0",
            "1",
            "-1",
            "255",
            "65536",
            "2147483648",
            "9223372036854775807",
            "18446744073709551616",
            "1e400",
            "0.5",
        ];
        let number = NUMBERS[self.random.random_range(0..NUMBERS.len())];
        drop(input.splice(start..end, number.bytes()));
    }
}
