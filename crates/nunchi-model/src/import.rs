//! Networks that PyTorch trained, saved as safetensors.
//!
//! The tensors are found by what they are, whatever the modules were called: `*.weight_ih_l0` and its like are the
//! recurrent layers (an `nn.RNN`, `nn.GRU` or `nn.LSTM`), a `*.weight` with a `*.bias` is the head (an `nn.Linear`), a
//! `*.weight` without one the embedding (an `nn.Embedding`). The cell follows from the dimensions: 1, 3 or 4 blocks of
//! `hidden` rows.

use super::{Extension, Model, ModelError, SIGMOID_LABELS, file};
use crate::rnn::{Cell, HeadKind, Pooling, Shape};
use ndarray::{Axis, Slice};
use nunchi_text::Tokenizer;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

/// What a state dict lacks.
#[derive(Clone, Debug)]
pub struct Options {
    /// A name for people.
    pub name: String,
    /// Class names; `negative`, `positive` for one sigmoid, else the numbers from 1 unless given.
    pub labels: Option<Vec<String>>,
    /// Longer comments are cut.
    pub max_tokens: usize,
    /// How states become the head's input.
    pub pooling: Pooling,
    /// Divides the logits.
    pub temperature: f32,
}

/// A model of the network in `state_dict` (the content of a safetensors file) and `tokenizer`. Its golden comments are
/// [`super::EXAMPLES`]. Embedding rows beyond the tokenizer's last id can never be looked up and are left out.
///
/// # Errors
/// What is missing, superfluous or does not fit.
pub fn import(state_dict: &[u8], tokenizer: Tokenizer, options: Options) -> Result<Model, ModelError> {
    let damaged = |error: safetensors::SafeTensorError| ModelError::Damaged(error.to_string());
    let tensors = SafeTensors::deserialize(state_dict).map_err(damaged)?;
    let names = Names::find(&tensors)?;
    let shape = names.shape(&tensors, options.pooling)?;
    let renamed: Vec<(String, TensorView<'_>)> =
        tensors.tensors().into_iter().map(|(name, view)| (names.ours(&name), view)).collect();
    let mut network = file::network(shape, &renamed)?;
    let ids = tokenizer.vocabulary();
    if ids > shape.vocabulary {
        return Err(ModelError::Import(format!(
            "the tokenizer has {ids} tokens, but the embedding table has only {} rows; it is not the one that the \
             network was trained with",
            shape.vocabulary
        )));
    }
    network.embedding = network.embedding.slice_axis(Axis(0), Slice::from(..ids)).to_owned();
    network.shape.vocabulary = ids;
    let labels = options.labels.unwrap_or_else(|| match shape.head {
        HeadKind::Sigmoid => SIGMOID_LABELS.map(str::to_owned).to_vec(),
        HeadKind::Softmax if shape.outputs == 2 => SIGMOID_LABELS.map(str::to_owned).to_vec(),
        HeadKind::Softmax => (1..=shape.outputs).map(|class| class.to_string()).collect(),
    });
    Ok(Model {
        name: options.name,
        network,
        tokenizer,
        labels,
        max_tokens: options.max_tokens,
        temperature: options.temperature,
        golden: Model::example_golden(),
        report: serde_json::json!({ "imported": true }),
        extension: Extension::default(),
        version: String::new(),
        checksum: String::new(),
    })
}

/// What the modules are called in a state dict; `rnn` is absent for a bag of words.
struct Names {
    embedding: String,
    rnn: Option<String>,
    head: String,
}

impl Names {
    fn find(tensors: &SafeTensors<'_>) -> Result<Self, ModelError> {
        let mut names = tensors.names();
        names.sort_unstable();
        let one = |what: &str, found: Vec<&str>| match found.as_slice() {
            [one] => Ok((*one).to_owned()),
            _ => Err(ModelError::Import(format!(
                "it should hold exactly one {what}, but holds {} ({})",
                found.len(),
                names.join(", ").chars().take(300).collect::<String>()
            ))),
        };
        let modules = |suffix: &str| -> Vec<&str> {
            names.iter().filter_map(|name| name.strip_suffix(suffix)?.strip_suffix('.')).collect()
        };
        let with_bias = modules("bias");
        let (heads, embeddings) = modules("weight").into_iter().partition(|name| with_bias.contains(name));
        let recurrent = modules("weight_ih_l0");
        let rnn = if recurrent.is_empty() { None } else { Some(one("recurrent module", recurrent)?) };
        // The head first: without its bias it would be taken for an embedding.
        let head = one("linear layer with a bias", heads)?;
        Ok(Names { embedding: one("embedding", embeddings)?, rnn, head })
    }

    /// The name that a tensor has in a model file.
    fn ours(&self, name: &str) -> String {
        let modules =
            [(Some(&self.embedding), "embedding"), (self.rnn.as_ref(), "rnn"), (Some(&self.head), "head")];
        let rest = |module: &String| name.strip_prefix(module.as_str())?.strip_prefix('.').map(str::to_owned);
        modules
            .into_iter()
            .find_map(|(theirs, ours)| Some(format!("{ours}.{}", rest(theirs?)?)))
            .unwrap_or_else(|| name.to_owned())
    }

    fn shape(&self, tensors: &SafeTensors<'_>, pooling: Pooling) -> Result<Shape, ModelError> {
        let table = |name: String| -> Result<[usize; 2], ModelError> {
            let view = tensors.tensor(&name).map_err(|_| ModelError::MissingTensor(name.clone()))?;
            <[usize; 2]>::try_from(view.shape())
                .map_err(|_| ModelError::Import(format!("`{name}` is {:?}, not a table", view.shape())))
        };
        let [vocabulary, embedding] = table(format!("{}.weight", self.embedding))?;
        let [outputs, _] = table(format!("{}.weight", self.head))?;
        let head = if outputs == 1 { HeadKind::Sigmoid } else { HeadKind::Softmax };
        let bag = Shape {
            cell: Cell::Bag,
            vocabulary,
            embedding,
            hidden: 0,
            layers: 0,
            bidirectional: false,
            pooling,
            head,
            outputs,
        };
        let Some(rnn) = &self.rnn else { return Ok(bag) };
        let [rows, hidden] = table(format!("{rnn}.weight_hh_l0"))?;
        let cell =
            [Cell::Simple, Cell::Gru, Cell::Lstm].into_iter().find(|cell| cell.gates() * hidden == rows);
        let cell = cell.filter(|_| hidden > 0).ok_or_else(|| {
            ModelError::Import(format!(
                "`{rnn}.weight_hh_l0` is [{rows}, {hidden}]: no cell has such dimensions"
            ))
        })?;
        let there = |name: String| tensors.tensor(&name).is_ok();
        let layers = (0..).take_while(|layer| there(format!("{rnn}.weight_ih_l{layer}"))).count();
        let bidirectional = there(format!("{rnn}.weight_ih_l0_reverse"));
        Ok(Shape { cell, hidden, layers, bidirectional, ..bag })
    }
}
