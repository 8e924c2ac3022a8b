//! The report that `nunchi train` leaves beside the model.

use crate::model::Model;
use crate::training::data::Columns;
use crate::training::evaluation::{self, Judge, Part};
use crate::training::examples::{Source, file_name};
use crate::training::history::History;
use crate::training::report::{Report, Subject};
use std::path::{Path, PathBuf};

/// The development data as the trainer chose on it: whole files, then what was held out of the training files.
pub(super) fn parts(dev: &[Source], held_from: &[Source], hold_out: usize) -> Vec<Part> {
    let whole = dev.iter().map(|source| Part::whole(&source.path));
    let held = held_from.iter().filter(|_| hold_out > 0).map(|source| Part {
        name: format!("{} (held out)", file_name(source)),
        path: source.path.clone(),
        every: hold_out,
    });
    whole.chain(held).collect()
}

/// Measures the model as it was written, and leaves `MODEL.report.html` and `MODEL.report.json` beside it.
pub(super) fn leave(
    model: &Path,
    parts: &[Part],
    columns: &Columns,
    history: History,
) -> anyhow::Result<PathBuf> {
    let mut judges = [Judge::engine(Model::load(model)?)?];
    let seen = evaluation::observe(&mut judges, parts, columns, |_| {})?;
    let page = model.with_extension("report.html");
    Report::new(&[Subject { model: judges[0].model(), history: Some(history) }], &seen).write(&page)?;
    Ok(page)
}
