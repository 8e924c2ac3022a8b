//! Settings: defaults < file < environment (`NUNCHI__SECTION__KEY`) < flags. Unknown keys are errors, all errors are
//! reported at once (exit status 64), and secrets are never shown.

mod catalog;
mod layers;
mod load;
mod log_filter;
pub(crate) mod mistakes;
mod settings;

pub use layers::Flag;
pub use load::{Effective, Loaded, load};
pub use log_filter::LOG_LEVELS;
pub use mistakes::{ConfigErrors, Mistake, Origin};
pub use settings::*;
