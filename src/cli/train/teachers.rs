//! Asks teachers what they think of the comments to train on.

use crate::engine::{Engine, Warm};
use crate::model::Model;
use crate::training::corpus::Corpus;
use anyhow::{Context, bail};
use std::path::PathBuf;
use std::sync::Arc;

/// Lets the mean of the teachers' probabilities (of their logits' mean, to be exact) be every comment's soft label.
pub fn ask(models: &[PathBuf], corpus: &mut Corpus) -> anyhow::Result<()> {
    if models.is_empty() {
        return Ok(());
    }
    let mut teachers = Vec::new();
    for path in models {
        let model = Model::load(path).with_context(|| format!("reading {}", path.display()))?;
        if model.labels.len() != 2 {
            bail!("{}: a teacher tells two classes apart, this one {}", path.display(), model.labels.len());
        }
        teachers.push(Engine::new(Arc::new(Warm::new(model, None)?)));
    }
    eprintln!("asking {} teachers about {} comments…", teachers.len(), corpus.len());
    let mut judgements = Vec::new();
    corpus
        .rescore(|texts| {
            let mut logits = vec![0.0_f32; texts.len()];
            for teacher in &mut teachers {
                teacher.classify(texts, &mut judgements);
                for (logit, judgement) in logits.iter_mut().zip(&judgements) {
                    let score = judgement.score.clamp(1e-6, 1.0 - 1e-6);
                    *logit += (score / (1.0 - score)).ln();
                }
            }
            let count = teachers.len() as f32;
            logits.into_iter().map(|logit| 1.0 / (1.0 + (-logit / count).exp())).collect()
        })
        .context("cannot keep what the teachers say")
}
