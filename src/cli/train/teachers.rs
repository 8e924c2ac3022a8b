//! Distillation: teachers give the training comments soft labels.

use crate::cli::printer::errln;
use anyhow::{Context, bail};
use nunchi_engine::{Engine, LoadedModel};
use nunchi_model::Model;
use nunchi_train::corpus::Corpus;
use std::path::PathBuf;
use std::sync::Arc;

/// Models whose predictions are distilled.
pub struct Teachers {
    engines: Vec<Engine>,
    versions: Vec<String>,
}

impl Teachers {
    /// Loads them: before anything else is done, so that an unsuitable one is refused at once.
    pub fn load(models: &[PathBuf]) -> anyhow::Result<Self> {
        let mut teachers = Teachers { engines: Vec::new(), versions: Vec::new() };
        for path in models {
            let model = Model::load(path).with_context(|| format!("reading {}", path.display()))?;
            if model.labels.len() != 2 {
                bail!(
                    "{}: a teacher must have two labels, this one has {}; name another model with --teacher",
                    path.display(),
                    model.labels.len()
                );
            }
            teachers.versions.push(model.version.clone());
            teachers.engines.push(Engine::new(Arc::new(LoadedModel::new(model, None)?)));
        }
        Ok(teachers)
    }

    /// Sets every comment's soft label to the teachers' ensemble: the sigmoid of the mean of their logits. Returns their
    /// versions; without a teacher nothing changes.
    pub fn label(mut self, corpus: &mut Corpus) -> anyhow::Result<Vec<String>> {
        let teachers = &mut self.engines;
        let count = teachers.len();
        if count == 0 {
            return Ok(self.versions);
        }
        let plural = if count == 1 { "" } else { "s" };
        errln!("computing soft labels of {} comments with {count} teacher{plural}…", corpus.to_rescore());
        let (mut predictions, mut failed) = (Vec::new(), None);
        let rescored = corpus.rescore(|texts| {
            let mut logits = vec![0.0_f32; texts.len()];
            for teacher in teachers.iter_mut() {
                // The closure cannot return an error: the first one is reported afterwards.
                if let Err(error) = teacher.classify_into(texts, &mut predictions) {
                    failed.get_or_insert(error);
                    continue;
                }
                for (logit, prediction) in logits.iter_mut().zip(&predictions) {
                    let score = prediction.score.clamp(1e-6, 1.0 - 1e-6);
                    *logit += (score / (1.0 - score)).ln();
                }
            }
            logits.into_iter().map(|logit| 1.0 / (1.0 + (-logit / count as f32).exp())).collect()
        });
        rescored.context("cannot store the teachers' soft labels")?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        Ok(self.versions)
    }
}
