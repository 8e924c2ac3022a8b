//! The report that `nunchi train` writes beside the model.

use nunchi_data::LabeledSet;
use nunchi_eval::evaluation::{self, ModelUnderTest};
use nunchi_eval::history::History;
use nunchi_eval::report::models::{Report, Subject};
use nunchi_model::Model;
use std::path::{Path, PathBuf};

/// Measures the model as it was written, and writes `MODEL.report.html` and `MODEL.report.json` beside it.
pub(super) fn write(model: &Path, dev: &[LabeledSet], history: History) -> anyhow::Result<PathBuf> {
    let mut models = [ModelUnderTest::engine(Model::load(model)?)?];
    let seen = evaluation::observe_sets(&mut models, dev)?;
    let page = model.with_extension("report.html");
    Report::new(&[Subject { model: models[0].model(), history: Some(history) }], &seen).write(&page)?;
    Ok(page)
}
