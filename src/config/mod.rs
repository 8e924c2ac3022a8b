//! Settings: defaults < file < environment (`NUNCHI__SECTION__KEY`) < flags. Unknown keys are errors, all errors are
//! reported at once (exit status 64), and secrets are never shown.

mod catalog;
mod errors;
mod layers;
mod load;
mod log_filter;
mod settings;
mod value;

pub(crate) use errors::Origins;
pub use errors::{ConfigError, ConfigErrors, Origin};
pub use layers::Flag;
pub(crate) use load::read;
pub use load::{Effective, Loaded, load};
pub use log_filter::LOG_LEVELS;
pub use settings::*;
pub use value::Value;
pub(crate) use value::is_hidden;
