//! Reports for people: pages of one frame, one style and one kind of charts.
//!
//! - [`page`]: the frame and the parts of a page; escaping by construction.
//! - [`chart`]: axes, lines, bars.
//! - [`mod@format`]: numbers for people.
//! - [`models`]: the report on models (`nunchi evaluate --report`, `nunchi train`). The reports of `nunchi replay --compare`
//!   and `nunchi retrain`, which are about topics and versions, are in the product and use the same parts.

pub mod chart;
pub mod format;
pub mod models;
pub mod page;
#[cfg(test)]
mod well_formed;
