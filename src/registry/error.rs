//! Errors of the model store.

use super::Version;
use super::log::Entry;
use nunchi_engine::EngineError;
use nunchi_model::ModelError;
use thiserror::Error;

/// Why an operation on the store failed.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The store's URL cannot be used.
    #[error("the store {url:?} cannot be used: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong, and what is accepted.
        reason: String,
    },
    /// No store was named.
    #[error("name the store: --store URL, NUNCHI__REGISTRY__URL, or [registry] url in --config FILE")]
    NoStore,
    /// The folder of the store is not there.
    #[error("there is no folder {0}; `nunchi models publish` makes a new store")]
    NoFolder(String),
    /// The store does not answer, or refuses the request.
    #[error("the store {url} is unavailable ({doing}): {reason}")]
    Unavailable {
        /// The store.
        url: String,
        /// What was tried.
        doing: String,
        /// The store's reason, shortened.
        reason: String,
    },
    /// Not the name of a version.
    #[error(
        "{0:?} is neither a VERSION (12 hex digits, or all 64 of the checksum), an alias such as v7, nor `current`; a file is \
         named with its folder, as in ./model.safetensors"
    )]
    InvalidName(String),
    /// The named version does not exist.
    #[error("the store has no version {0}; `nunchi models list` lists the versions")]
    UnknownVersion(Version),
    /// A version has no manifest (yet): of the log, of an alias, or just pruned.
    #[error("the store has no version {0}; `nunchi models list` lists the versions")]
    NoVersion(Version),
    /// Two models with one VERSION.
    #[error(
        "VERSION {version} is ambiguous: it is the beginning of {found} ({here}) and of {other} ({there}). One of the two was \
         put there on purpose: find out by whom, and remove versions/{version} from the store if it is the wrong one"
    )]
    Ambiguous {
        /// The 12 digits.
        version: Version,
        /// A whole hash, and where it is.
        found: String,
        /// Where it is.
        here: String,
        /// The other whole hash.
        other: String,
        /// Where that is.
        there: String,
    },
    /// No such alias.
    #[error("the store has no version with the alias v{0}; `nunchi models list` lists the versions")]
    UnknownAlias(u32),
    /// Nothing was promoted yet.
    #[error("the store {0} has no current version; `nunchi models promote VERSION` makes one")]
    NothingPromoted(String),
    /// What the store holds is not what was published.
    #[error("{what} in the store is damaged: {reason}")]
    Damaged {
        /// The object.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model is refused.
    #[error("version {version} is refused: {error}")]
    Model {
        /// Its name in the store.
        version: Version,
        /// Why.
        error: ModelError,
    },
    /// The model cannot be packed for this machine's kernel, or its golden scores do not hold there.
    #[error("version {version} is refused: {error}")]
    NotLoadable {
        /// Its name in the store.
        version: Version,
        /// Why.
        error: EngineError,
    },
    /// The file that was to be published is refused.
    #[error("this model cannot be published: {0}")]
    Refused(ModelError),
    /// The model that was to be published or verified does not run on a kernel as it should.
    #[error("this model cannot be published: {0}")]
    NotServable(EngineError),
    /// Another writer wrote the log's next entry first.
    #[error(
        "another writer was first: entry {number} of the promotion log is {action} of {version} by {who} ({why:?}). \
         Nothing was changed; check that entry, and repeat the command if it still applies",
        number = .0.number, who = .0.who, action = .0.action, version = .0.version, why = .0.why
    )]
    LostRace(Box<Entry>),
    /// A blocked version.
    #[error(
        "version {version} is blocked ({why:?}, entry {number} of the log); --force promotes it nevertheless"
    )]
    Blocked {
        /// The version.
        version: Version,
        /// Why it was blocked.
        why: String,
        /// By which entry.
        number: u64,
    },
    /// A version that did not pass the gate of its own training.
    #[error(
        "version {0} was published as rejected: it did not pass its gate; --force promotes it nevertheless"
    )]
    Rejected(Version),
    /// The version is current already.
    #[error("version {0} is current already")]
    AlreadyCurrent(Version),
    /// There is no version to roll back to.
    #[error(
        "there is no version to roll back to: the log has none before {0} that exists and is not blocked"
    )]
    NothingBefore(Version),
}

impl RegistryError {
    /// Whether an argument or a setting is wrong: trying again does not help.
    pub fn is_usage(&self) -> bool {
        match self {
            RegistryError::Url { .. }
            | RegistryError::NoStore
            | RegistryError::InvalidName(_)
            | RegistryError::UnknownVersion(_)
            | RegistryError::UnknownAlias(_) => true,
            RegistryError::NotLoadable { error, .. } => {
                matches!(
                    error,
                    EngineError::KernelUnknown(..)
                        | EngineError::KernelUnavailable(..)
                        | EngineError::NoCoverage { .. }
                        | EngineError::BandLabels { .. }
                )
            }
            _ => false,
        }
    }

    /// Whether the store cannot be reached now, and may be later. A damaged version does not count as an unavailable store.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, RegistryError::Unavailable { .. } | RegistryError::NoFolder(_))
    }
}
