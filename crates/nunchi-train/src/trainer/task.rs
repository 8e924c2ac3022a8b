//! What to train on, and which training it is.

use super::settings::Settings;
use crate::corpus::Corpus;
use nunchi_data::EncodedSet;
use nunchi_engine::backprop::Backprop;
use nunchi_model::rnn::Network;
use nunchi_text::Tokenizer;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a fingerprint is made of, to be changed with it.
const FINGERPRINT: &[u8] = b"nunchi training 2";

/// What to train on, and how.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The comments.
    pub corpus: &'a Corpus,
    /// What cuts them into tokens.
    pub tokenizer: &'a Tokenizer,
    /// Longer comments keep their first tokens.
    pub max_tokens: usize,
    /// What epochs are compared on.
    pub dev: &'a [EncodedSet],
    /// How.
    pub settings: &'a Settings,
    /// What else a checkpoint must agree with: the versions of the teachers that gave the soft labels.
    pub teachers: &'a str,
    /// Where checkpoints are kept, if they are, and how often one is written; for the caller to remove when training is finished.
    pub checkpoint: Option<(&'a Path, Duration)>,
    /// Set to interrupt training: it ends after the step at hand, and a checkpoint holds what was trained.
    pub stop: &'a AtomicBool,
}

impl Task<'_> {
    /// What a checkpoint must agree with to go on from.
    pub(super) fn fingerprint(&self, network: &Network<f32>) -> String {
        use sha2::{Digest, Sha256};
        let settings = serde_json::to_string(self.settings).expect("settings are plain data");
        let mut hash = Sha256::new();
        for part in [
            FINGERPRINT,
            settings.as_bytes(),
            self.corpus.fingerprint().as_bytes(),
            self.teachers.as_bytes(),
            &self.tokenizer.to_parts().1,
            format!("{:?} {}", network.shape, self.max_tokens).as_bytes(),
            Backprop::best().precision().name().as_bytes(),
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        // Weights to begin with: a few of them are enough.
        for value in network.embedding.iter().take(4_096).chain(&network.head.weight) {
            hash.update(value.to_le_bytes());
        }
        nunchi_model::hex(&hash.finalize()[..16])
    }

    /// Whether training is to end now.
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
