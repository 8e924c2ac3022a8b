//! Settings: defaults < file < environment (`NUNCHI__SECTION__KEY`) < flags. Unknown keys are errors, all errors are
//! reported at once (exit status 64), and secrets are never shown.

mod settings;

pub use settings::*;
