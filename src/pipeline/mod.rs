//! The worker and what surrounds it: source, sink, transactions, dead letters.
//!
//! A worker is a loop of five verbs: poll, decode, classify, produce, commit. It owns one consumer of the group, one
//! transactional producer and one judge, and shares nothing with the others.
