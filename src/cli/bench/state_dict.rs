//! Networks as PyTorch saves them, without a tokenizer: what the peers are measured with.

use anyhow::{Context, bail, ensure};
use ndarray::ArrayD;
use nunchi_model::rnn::{Cell, HeadKind, Network, Pooling, RnnError, Shape};
use safetensors::{Dtype, SafeTensors};
use std::path::Path;

/// A network from a PyTorch state dict with one sigmoid neuron; its shape is read off the tensors.
pub(super) fn read_network(path: &Path) -> anyhow::Result<Network<f32>> {
    let bytes = read(path)?;
    let file = SafeTensors::deserialize(&bytes).with_context(|| format!("cannot read {}", path.display()))?;
    let dimensions = |name: &str| -> anyhow::Result<Vec<usize>> {
        Ok(file.tensor(name).with_context(|| format!("{} has no `{name}`", path.display()))?.shape().to_vec())
    };
    let (embedding, recurrent) = (dimensions("embedding.weight")?, dimensions("rnn.weight_hh_l0")?);
    ensure!(embedding.len() == 2 && recurrent.len() == 2, "the weights are matrices");
    let hidden = recurrent[1];
    let cell = match recurrent[0] / hidden.max(1) {
        1 => Cell::Simple,
        3 => Cell::Gru,
        4 => Cell::Lstm,
        gates => bail!("no cell has {gates} gates"),
    };
    let layers = (0..).take_while(|layer| file.tensor(&format!("rnn.weight_hh_l{layer}")).is_ok()).count();
    let shape = Shape {
        cell,
        vocabulary: embedding[0],
        embedding: embedding[1],
        hidden,
        layers,
        bidirectional: file.tensor("rnn.weight_hh_l0_reverse").is_ok(),
        pooling: Pooling::Last,
        head: HeadKind::Sigmoid,
        outputs: 1,
    };
    Network::from_tensors(shape, |name, dimensions| -> anyhow::Result<ArrayD<f32>> {
        let values = f32_tensor(&file, name)?;
        ArrayD::from_shape_vec(dimensions.to_vec(), values)
            .map_err(|_| RnnError::Shape(format!("`{name}` has another size than {dimensions:?}")).into())
    })
}

/// A file's bytes.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The elements of a tensor of 32-bit floats.
pub(super) fn f32_tensor(file: &SafeTensors<'_>, name: &str) -> anyhow::Result<Vec<f32>> {
    elements(file, name, Dtype::F32, f32::from_le_bytes)
}

/// The elements of a tensor of 32-bit integers, none negative.
pub(super) fn u32_tensor(file: &SafeTensors<'_>, name: &str) -> anyhow::Result<Vec<u32>> {
    let values = elements(file, name, Dtype::I32, i32::from_le_bytes)?;
    values
        .into_iter()
        .map(|value| u32::try_from(value).context("an element of the tensor is negative"))
        .collect()
}

fn elements<T>(
    file: &SafeTensors<'_>,
    name: &str,
    dtype: Dtype,
    convert: fn([u8; 4]) -> T,
) -> anyhow::Result<Vec<T>> {
    let tensor = file.tensor(name).with_context(|| format!("there is no tensor `{name}`"))?;
    ensure!(tensor.dtype() == dtype, "the tensor `{name}` is {:?} instead of {dtype:?}", tensor.dtype());
    Ok(tensor.data().chunks_exact(4).map(|b| convert([b[0], b[1], b[2], b[3]])).collect())
}
