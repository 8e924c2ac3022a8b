//! Data sets, trainer, schedule, evaluation.
