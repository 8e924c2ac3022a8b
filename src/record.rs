//! What comes in (a comment) and what goes out (a verdict). The exact forms are in `docs/RECORDS.md`.
