//! A run's state on disk: a safetensors file beside the model, written anew and renamed, so that a kill at any moment leaves the
//! old one or the new one, whole.
//!
//! Always holds: a run that goes on from a checkpoint comes to the weights of an undisturbed one, bit by bit.

use super::cursor::TrainingCursor;
use crate::optimizer::{Average, Moments, Optimizer};
use ndarray::{ArrayD, IxDyn};
use nunchi_model::rnn::{Network, RnnError, Shape};
use nunchi_model::{atomic_write_private, hex};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The layout of the file, and what its fingerprint is made of. 1 (which had no such entry) rested on the standard library's
/// hasher, whose algorithm changes with the compiler.
const FORMAT: &str = "2";
/// The entry that says whether all the others are what was written.
const CHECKSUM: &str = "checksum";

/// Why a checkpoint cannot be written or used.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// No room.
    #[error(
        "the disk is full: the checkpoint {0} is the last good one; make room and run the same command again, it goes on from there"
    )]
    Full(PathBuf),
    /// No room, and nothing from before.
    #[error(
        "the disk is full: the checkpoint {0} cannot be written, and there is no earlier one; make room and run the same command again"
    )]
    FullBeforeFirst(PathBuf),
    /// It cannot be written or read.
    #[error("cannot {verb} the checkpoint {path}: {reason}")]
    Io {
        /// `write` or `read`.
        verb: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// It belongs to another training.
    #[error(
        "{0} is the checkpoint of another training (other data, settings or program): --restart begins anew"
    )]
    Other(PathBuf),
    /// Another version of the program wrote it.
    #[error(
        "the checkpoint {path} was written by another version of nunchi (format {found}, this version reads {FORMAT}): \
         end that training with the version that began it, or begin anew with --restart"
    )]
    Version {
        /// Where.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// It is damaged.
    #[error("the checkpoint {0} is damaged ({1}): --restart begins anew")]
    Damaged(PathBuf, String),
}

/// A run's state.
pub(super) struct Checkpoint {
    pub network: Network<f32>,
    pub optimizer: State,
    pub cursor: TrainingCursor,
    pub best: Option<Network<f32>>,
}

/// An optimizer's state.
pub(super) struct State {
    embedding: Moments,
    dense: Vec<Moments>,
    average: Option<(Network<f32>, f64, Vec<f64>)>,
    steps: i32,
}

/// Writes a checkpoint.
pub(super) fn save(
    path: &Path,
    fingerprint: &str,
    network: &Network<f32>,
    optimizer: &Optimizer,
    best: Option<&Network<f32>>,
    cursor: &TrainingCursor,
) -> Result<(), CheckpointError> {
    let mut tensors: Vec<(String, Vec<usize>, Dtype, Vec<u8>)> = Vec::new();
    let floats = |values: &[f32]| bytemuck::cast_slice::<f32, u8>(values).to_vec();
    let mut add = |name: String, values: &[f32]| {
        tensors.push((name, vec![values.len()], Dtype::F32, floats(values)));
    };
    let mut networks = vec![("network", network)];
    networks.extend(optimizer.average.as_ref().map(|average| ("average", &average.network)));
    networks.extend(best.map(|best| ("best", best)));
    for (kind, network) in networks {
        for (name, tensor) in network.tensors() {
            add(format!("{kind}.{name}"), tensor.as_slice().expect("weights are in standard layout"));
        }
    }
    for (index, moments) in std::iter::once(&optimizer.embedding).chain(&optimizer.dense).enumerate() {
        add(format!("first.{index}"), &moments.first);
        add(format!("second.{index}"), &moments.second);
    }
    let doubles = |values: &[f64]| bytemuck::cast_slice::<f64, u8>(values).to_vec();
    if let Some(average) = &optimizer.average {
        tensors.push(("rows".to_owned(), vec![average.rows.len()], Dtype::F64, doubles(&average.rows)));
        tensors.push(("decayed".to_owned(), vec![1], Dtype::F64, doubles(&[average.decayed])));
    }
    let json = |value: serde_json::Result<String>| value.expect("plain data");
    let mut metadata: HashMap<String, String> = [
        ("format", FORMAT.to_owned()),
        ("fingerprint", fingerprint.to_owned()),
        ("shape", json(serde_json::to_string(&network.shape))),
        ("best.shape", best.map_or_else(String::new, |best| json(serde_json::to_string(&best.shape)))),
        ("cursor", json(serde_json::to_string(cursor))),
        ("steps", optimizer.steps.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let parts = tensors.iter().map(|(name, _, _, bytes)| (name.as_str(), bytes.as_slice()));
    let sum = checksum(&metadata, parts.collect());
    metadata.insert(CHECKSUM.to_owned(), sum);
    let views = tensors.iter().map(|(name, shape, kind, bytes)| {
        let view = TensorView::new(*kind, shape.clone(), bytes).expect("as many bytes as the shape says");
        (name.clone(), view)
    });
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|error| failed("write", path, io::Error::other(error)))?;
    // It holds comments.
    atomic_write_private(path, &bytes).map_err(|error| failed("write", path, error))
}

/// SHA-256 over every text and every tensor, sorted by name; each field is preceded by its length.
fn checksum(metadata: &HashMap<String, String>, mut tensors: Vec<(&str, &[u8])>) -> String {
    let mut fields: Vec<(&str, &[u8])> =
        metadata.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    fields.retain(|(name, _)| *name != CHECKSUM);
    fields.sort_unstable();
    tensors.sort_unstable_by_key(|(name, _)| *name);
    let mut hash = Sha256::new();
    for field in fields.iter().chain(&tensors).flat_map(|(name, bytes)| [name.as_bytes(), *bytes]) {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    hex(&hash.finalize())
}

fn failed(verb: &'static str, path: &Path, reason: io::Error) -> CheckpointError {
    match reason.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded if path.exists() => {
            CheckpointError::Full(path.to_owned())
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            CheckpointError::FullBeforeFirst(path.to_owned())
        }
        _ => CheckpointError::Io { verb, path: path.to_owned(), reason },
    }
}

/// The checkpoint at `path`, if there is one; of a run that began with `network`'s shape.
pub(super) fn load(
    path: &Path,
    fingerprint: &str,
    network: &Network<f32>,
) -> Result<Option<Checkpoint>, CheckpointError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path, error)),
    };
    let damaged = |what: String| CheckpointError::Damaged(path.to_owned(), what);
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
    let metadata = metadata.metadata().clone().unwrap_or_default();
    let text = |name: &str| metadata.get(name).cloned().ok_or_else(|| damaged(format!("no {name}")));
    let own = text("fingerprint")?;
    let found = metadata.get("format").map_or("1", String::as_str);
    if found != FORMAT {
        return Err(CheckpointError::Version { path: path.to_owned(), found: found.to_owned() });
    }
    if own != fingerprint {
        return Err(CheckpointError::Other(path.to_owned()));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let sum = {
        let views = file.tensors();
        checksum(&metadata, views.iter().map(|(name, tensor)| (name.as_str(), tensor.data())).collect())
    };
    if text(CHECKSUM)? != sum {
        return Err(damaged("its checksum is wrong".to_owned()));
    }
    let reader = Reader { file, path };
    let json = |name: &str| {
        text(name).and_then(|text| serde_json::from_str(&text).map_err(|error| damaged(error.to_string())))
    };
    let shape: Shape = json("shape")?;
    if shape.vocabulary != network.shape.vocabulary || shape.hidden != network.shape.hidden {
        return Err(CheckpointError::Other(path.to_owned()));
    }
    let cursor: TrainingCursor =
        serde_json::from_str(&text("cursor")?).map_err(|error| damaged(error.to_string()))?;
    let network = reader.network("network", shape)?;
    let best = match text("best.shape")?.as_str() {
        "" => None,
        _ => Some(reader.network("best", json("best.shape")?)?),
    };
    let average = match reader.doubles("rows") {
        Ok(rows) => Some((reader.network("average", shape)?, reader.doubles("decayed")?[0], rows)),
        Err(_) => None,
    };
    let count = network.tensors().len();
    let mut moments = (0..count).map(|index| {
        Ok(Moments {
            first: reader.floats(&format!("first.{index}"))?,
            second: reader.floats(&format!("second.{index}"))?,
        })
    });
    let embedding = moments.next().expect("a network has an embedding table")?;
    let dense = moments.collect::<Result<_, CheckpointError>>()?;
    let steps = text("steps")?.parse().map_err(|_| damaged("steps".to_owned()))?;
    Ok(Some(Checkpoint { network, optimizer: State { embedding, dense, average, steps }, cursor, best }))
}

struct Reader<'a> {
    file: SafeTensors<'a>,
    path: &'a Path,
}

impl Reader<'_> {
    fn bytes(&self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        let tensor = self.file.tensor(name);
        let damaged = |error: safetensors::SafeTensorError| {
            CheckpointError::Damaged(self.path.to_owned(), error.to_string())
        };
        Ok(tensor.map_err(damaged)?.data().to_vec())
    }

    fn floats(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        Ok(bytemuck::pod_collect_to_vec(&self.bytes(name)?))
    }

    fn doubles(&self, name: &str) -> Result<Vec<f64>, CheckpointError> {
        Ok(bytemuck::pod_collect_to_vec(&self.bytes(name)?))
    }

    fn network(&self, kind: &str, shape: Shape) -> Result<Network<f32>, CheckpointError> {
        let found = Network::from_tensors(shape, |name, dimensions| {
            let values =
                self.floats(&format!("{kind}.{name}")).map_err(|error| InvalidNetwork(error.to_string()))?;
            ArrayD::from_shape_vec(IxDyn(dimensions), values)
                .map_err(|error| InvalidNetwork(error.to_string()))
        });
        found.map_err(|error: InvalidNetwork| CheckpointError::Damaged(self.path.to_owned(), error.0))
    }
}

/// What is wrong with a network in a checkpoint.
struct InvalidNetwork(String);

impl From<RnnError> for InvalidNetwork {
    fn from(error: RnnError) -> Self {
        InvalidNetwork(error.to_string())
    }
}

impl Optimizer {
    /// Goes on from another one's state.
    pub(super) fn restore(&mut self, state: State) {
        (self.embedding, self.dense, self.steps) = (state.embedding, state.dense, state.steps);
        if let (Some(own), Some((network, decayed, rows))) = (&mut self.average, state.average) {
            *own = Average { network, decayed, rows, decay: own.decay };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nunchi_model::rnn::{Cell, HeadKind, Pooling};
    use pulp::Arch;

    /// Keys of comments, and so fingerprints, were made by another hash: whether it is the same training cannot be known.
    #[test]
    fn a_checkpoint_of_an_earlier_version_is_refused_with_what_to_do() {
        let shape = Shape {
            cell: Cell::Bag,
            vocabulary: 4,
            embedding: 2,
            hidden: 0,
            layers: 0,
            bidirectional: false,
            pooling: Pooling::Mean,
            head: HeadKind::Sigmoid,
            outputs: 1,
        };
        let network = Network::<f32>::zeros(shape).unwrap();
        let optimizer = Optimizer::new(&network, 0.0, 1.0, 0.0, Arch::new());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.checkpoint");
        save(&path, "same", &network, &optimizer, None, &TrainingCursor::default()).unwrap();
        assert!(load(&path, "same", &network).unwrap().is_some());

        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let mut metadata = metadata.metadata().clone().unwrap();
        metadata.remove("format");
        std::fs::write(&path, safetensors::serialize(file.tensors(), Some(metadata)).unwrap()).unwrap();
        let Err(error) = load(&path, "same", &network) else { panic!("an old checkpoint was read") };
        let said = error.to_string();
        assert!(said.contains("another version of nunchi (format 1, this version reads 2)"), "{said}");
        assert!(said.contains("--restart"), "{said}");
    }
}
