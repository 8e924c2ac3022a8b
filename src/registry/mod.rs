//! Versions of the model in a store: a folder, S3, Google Cloud Storage or Azure.
//!
//! The layout (docs/REGISTRY.md): `versions/VERSION/{model.safetensors, manifest.json}`, the manifest last; the log
//! `promotions/00000042.json`; `aliases/v7.json`. Every object is written once and never changed, so readers need no locks,
//! and of two writers of one log entry exactly one wins (create-if-absent, which folders and object stores have alike).
//!
//! Always holds: what [`Store::load`] returns is what was published and, if it was promoted, what was promoted: size, SHA-256,
//! checksum, weights and golden comments are verified. VERSION, 12 digits, is for people; whole hashes decide (`identity.rs`). Never: a version without a manifest is served, a name from outside becomes part of a path
//! unchecked, an existing version is changed.

mod actor;
mod canary;
mod compare;
mod error;
mod folder;
mod follow;
mod follower;
mod identity;
mod log;
mod manifest;
mod mirror;
mod name;
mod objects;
mod promote;
mod prune;
mod publish;
mod refresh;
mod rollback;
mod shipped;
mod store;
mod verify;

pub use actor::actor;
pub use canary::CanaryThresholds;
pub use error::RegistryError;
pub use follow::{FollowSettings, ModelSlot, RefreshOutcome, load_current};
pub use follower::{Follower, Reload};
pub use log::{Action, Block, Entry, Log};
pub use manifest::{Data, DataFile, Gate, Manifest, Precision, TopicRange};
pub use mirror::TrafficMirror;
pub use name::{Name, Version};
pub use promote::PromotionNote;
pub use prune::Pruned;
pub use publish::{NewVersion, Published, hash_file};
pub use shipped::shipped;
pub use store::{Store, VersionListing};
pub use verify::VerificationResult;
