//! Settings: defaults < file < environment (`NUNCHI__SECTION__KEY`) < flags. Unknown keys are errors, all errors are
//! reported at once (exit status 64), and secrets are never shown.

mod clients;
mod mistakes;
mod properties;
mod settings;

pub use clients::ClientProperties;
pub use mistakes::{Mistake, Mistakes, Origin};
pub use settings::*;
