//! Takes tokenizers over that others trained.
