//! Layers, shapes and parameters as a table.
