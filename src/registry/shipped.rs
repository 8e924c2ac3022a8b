//! The model that is part of the binary: the one file of `models/` when it was built (see `build.rs`).

use nunchi_model::{Model, ModelError};

#[cfg(shipped_model)]
const BYTES: Option<&[u8]> = Some(include_bytes!(env!("NUNCHI_SHIPPED_MODEL")));
#[cfg(not(shipped_model))]
const BYTES: Option<&[u8]> = None;

/// The default model, read and verified like any other.
///
/// # Errors
/// [`ModelError::NoneShipped`] if the binary was built without a model.
pub fn shipped() -> Result<Model, ModelError> {
    Model::from_bytes(BYTES.ok_or(ModelError::NoneShipped)?)
}
