//! The network as a graph of ONNX operators.
//!
//! Gate orders differ: PyTorch (and our files) keep a GRU's as r, z, n and an LSTM's as i, f, g, o; ONNX wants z, r, h and
//! i, o, f, c. ONNX's GRU with `linear_before_reset` is ours.

use super::proto::{AttributeProto, FLOAT, GraphProto, INT32, INT64, NodeProto, TensorProto, ValueInfoProto};
use crate::Model;
use crate::rnn::{Cell, Dense, Direction, HeadKind, Layer, Pooling};
use ndarray::{ArrayView1, ArrayView2};
use std::collections::HashSet;

/// The graph of `model`; the module above describes its inputs and outputs.
pub(super) fn graph(model: &Model) -> GraphProto {
    let mut builder = Builder::default();
    let (shape, network) = (&model.network.shape, &model.network);
    builder.table("embedding", network.embedding.view());
    builder.integers("axis_0", &[0]);
    builder.integers("axis_1", &[1]);
    builder.integers("axis_2", &[2]);
    builder.node("Gather", &["embedding", "ids"], &["x0"], vec![AttributeProto::int("axis", 0)]);
    if shape.bidirectional || shape.pooling != Pooling::Last {
        builder.lengths();
    }
    for (index, layer) in network.layers.iter().enumerate() {
        builder.layer(index, layer, shape.cell, shape.hidden);
    }
    let states = format!("x{}", network.layers.len());
    builder.pool(&states, shape.pooling, shape.bidirectional, shape.hidden, shape.features());
    builder.table("head.weight", network.head.weight.view());
    builder.elements("head.bias", &[network.head.bias.len()], network.head.bias.iter().copied());
    builder.elements("temperature", &[], [model.temperature]);
    builder.node(
        "Gemm",
        &["features", "head.weight", "head.bias"],
        &["raw"],
        vec![AttributeProto::int("transB", 1)],
    );
    builder.node("Div", &["raw", "temperature"], &["logit"], Vec::new());
    match shape.head {
        HeadKind::Sigmoid => builder.node("Sigmoid", &["logit"], &["p"], Vec::new()),
        HeadKind::Softmax => {
            builder.node("Softmax", &["logit"], &["p"], vec![AttributeProto::int("axis", 1)]);
        }
    }
    let mut output = vec![ValueInfoProto::tensor("p", FLOAT, &["B", &shape.outputs.to_string()])];
    if let Some(opinion) = &model.extension.opinion {
        builder.opinion(opinion);
        output.push(ValueInfoProto::tensor("opinion", FLOAT, &["B", "1"]));
    }
    let used: HashSet<&str> = builder.nodes.iter().flat_map(|node| &node.input).map(String::as_str).collect();
    let tensors = builder.tensors.iter().filter(|tensor| used.contains(tensor.name.as_str()));
    GraphProto {
        name: "nunchi".to_owned(),
        initializer: tensors.cloned().collect(),
        node: builder.nodes.clone(),
        input: vec![
            ValueInfoProto::tensor("ids", INT64, &["T", "B"]),
            ValueInfoProto::tensor("last", INT64, &["B"]),
        ],
        output,
    }
}

/// Nodes and constants so far.
#[derive(Default)]
struct Builder {
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
}

impl Builder {
    fn node(&mut self, kind: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<AttributeProto>) {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.nodes.push(NodeProto {
            input: names(inputs),
            output: names(outputs),
            name: format!("{kind}_{}", self.nodes.len()),
            op_type: kind.to_owned(),
            attribute,
        });
    }

    fn elements(&mut self, name: &str, dimensions: &[usize], values: impl IntoIterator<Item = f32>) {
        self.tensors.push(TensorProto {
            dims: dimensions.iter().map(|&size| size as i64).collect(),
            data_type: FLOAT,
            name: name.to_owned(),
            raw_data: values.into_iter().flat_map(f32::to_le_bytes).collect(),
        });
    }

    fn table(&mut self, name: &str, table: ArrayView2<'_, f32>) {
        self.elements(name, table.shape(), table.iter().copied());
    }

    fn integers(&mut self, name: &str, values: &[i64]) {
        self.tensors.push(TensorProto {
            dims: vec![values.len() as i64],
            data_type: INT64,
            name: name.to_owned(),
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        });
    }

    /// `lengths` `[B]` (int32) out of `last`, which is `(length - 1) * B + b`; and `alive` `[T, B, 1]`, true where a token is.
    fn lengths(&mut self) {
        self.node("Shape", &["ids"], &["ids_shape"], Vec::new());
        let first =
            |from: i64| vec![AttributeProto::int("start", from), AttributeProto::int("end", from + 1)];
        self.node("Shape", &["ids"], &["steps"], first(0));
        self.node("Shape", &["ids"], &["rows"], first(1));
        self.integers("one", &[1]);
        self.node("Div", &["last", "rows"], &["last_step"], Vec::new());
        self.node("Add", &["last_step", "one"], &["lengths_64"], Vec::new());
        let to = vec![AttributeProto::int("to", i64::from(INT32))];
        self.node("Cast", &["lengths_64"], &["lengths"], to);
        self.tensors.push(TensorProto {
            dims: Vec::new(),
            data_type: INT64,
            name: "zero".to_owned(),
            raw_data: 0i64.to_le_bytes().to_vec(),
        });
        self.tensors.push(TensorProto {
            dims: Vec::new(),
            data_type: INT64,
            name: "step".to_owned(),
            raw_data: 1i64.to_le_bytes().to_vec(),
        });
        self.node("Squeeze", &["steps"], &["step_count"], Vec::new());
        self.node("Range", &["zero", "step_count", "step"], &["step_numbers"], Vec::new());
        self.node("Unsqueeze", &["step_numbers", "axis_1"], &["step_column"], Vec::new());
        self.node("Less", &["step_column", "lengths_64"], &["alive_table"], Vec::new());
        self.node("Unsqueeze", &["alive_table", "axis_2"], &["alive"], Vec::new());
    }

    /// From `x{index}` `[T, B, inputs]` to `x{index + 1}` `[T, B, directions * hidden]`.
    fn layer(&mut self, index: usize, layer: &Layer<f32>, cell: Cell, hidden: usize) {
        let name = |part: &str| format!("{part}{index}");
        let directions: Vec<&Direction<f32>> = layer.directions().collect();
        let (order, kind): (&[usize], &str) = match cell {
            Cell::Gru => (&[1, 0, 2], "GRU"),
            Cell::Lstm => (&[0, 3, 1, 2], "LSTM"),
            Cell::Simple | Cell::Bag => (&[0], "RNN"),
        };
        let rows = order.len() * hidden;
        let weights = |of: fn(&Direction<f32>) -> ArrayView2<'_, f32>| {
            directions.iter().flat_map(move |direction| reordered(of(direction), order, hidden))
        };
        let inputs = directions[0].weight_ih.ncols();
        let dimensions = [directions.len(), rows, inputs];
        self.elements(&name("W"), &dimensions, weights(|direction| direction.weight_ih.view()));
        let dimensions = [directions.len(), rows, hidden];
        self.elements(&name("R"), &dimensions, weights(|direction| direction.weight_hh.view()));
        let biases = directions.iter().flat_map(|direction| {
            [direction.bias_ih.view(), direction.bias_hh.view()]
                .into_iter()
                .flat_map(|bias| reordered_bias(bias, order, hidden))
        });
        self.elements(&name("B"), &[directions.len(), 2 * rows], biases);

        let mut attributes = vec![AttributeProto::int("hidden_size", hidden as i64)];
        if cell == Cell::Gru {
            attributes.push(AttributeProto::int("linear_before_reset", 1));
        }
        let (x, w, r, b, y) = (name("x"), name("W"), name("R"), name("B"), name("Y"));
        let next = format!("x{}", index + 1);
        if directions.len() == 1 {
            self.node(kind, &[&x, &w, &r, &b], &[&y], attributes);
            self.node("Squeeze", &[&y, "axis_1"], &[&next], Vec::new());
            return;
        }
        attributes.push(AttributeProto::string("direction", "bidirectional"));
        self.node(kind, &[&x, &w, &r, &b, "lengths"], &[&y], attributes);
        // [T, 2, B, hidden] to [T, B, 2 * hidden].
        let turned = name("turned");
        self.node("Transpose", &[&y], &[&turned], vec![AttributeProto::ints("perm", &[0, 2, 1, 3])]);
        let side_by_side = name("side_by_side");
        self.integers(&side_by_side, &[0, 0, 2 * hidden as i64]);
        self.node("Reshape", &[&turned, &side_by_side], &[&next], Vec::new());
    }

    /// From `states` `[T, B, features]` to `features` `[B, features]`.
    fn pool(&mut self, states: &str, kind: Pooling, bidirectional: bool, hidden: usize, features: usize) {
        match kind {
            Pooling::Last => self.last(states, bidirectional, hidden, features),
            Pooling::Mean => {
                self.elements("nothing", &[], [0.0]);
                self.node("Where", &["alive", states, "nothing"], &["kept"], Vec::new());
                let keep = vec![AttributeProto::int("keepdims", 0)];
                self.node("ReduceSum", &["kept", "axis_0"], &["sum"], keep);
                let to = vec![AttributeProto::int("to", i64::from(FLOAT))];
                self.node("Cast", &["lengths"], &["counts"], to);
                self.node("Unsqueeze", &["counts", "axis_1"], &["count_column"], Vec::new());
                self.node("Div", &["sum", "count_column"], &["features"], Vec::new());
            }
            Pooling::Max => {
                self.elements("nothing", &[], [f32::MIN]);
                self.node("Where", &["alive", states, "nothing"], &["kept"], Vec::new());
                let over = vec![AttributeProto::ints("axes", &[0]), AttributeProto::int("keepdims", 0)];
                self.node("ReduceMax", &["kept"], &["features"], over);
            }
        }
    }

    /// From `features` to `opinion` `[B, 1]`. The temperature is not its: it belongs to the score.
    fn opinion(&mut self, dense: &Dense<f32>) {
        self.table("opinion.weight", dense.weight.view());
        self.elements("opinion.bias", &[dense.bias.len()], dense.bias.iter().copied());
        let transposed = vec![AttributeProto::int("transB", 1)];
        let inputs = ["features", "opinion.weight", "opinion.bias"];
        self.node("Gemm", &inputs, &["opinion_logit"], transposed);
        self.node("Sigmoid", &["opinion_logit"], &["opinion"], Vec::new());
    }

    /// The forward state at the last token, and beside it the backward state at the first.
    fn last(&mut self, states: &str, bidirectional: bool, hidden: usize, features: usize) {
        self.integers("flat_shape", &[-1, features as i64]);
        self.node("Reshape", &[states, "flat_shape"], &["flat"], Vec::new());
        let rows = || vec![AttributeProto::int("axis", 0)];
        if !bidirectional {
            self.node("Gather", &["flat", "last"], &["features"], rows());
            return;
        }
        self.integers("middle", &[hidden as i64]);
        self.integers("end", &[features as i64]);
        self.node("Gather", &["flat", "last"], &["at_last"], rows());
        self.node("Slice", &["at_last", "axis_0", "middle", "axis_1"], &["forward"], Vec::new());
        self.node("Gather", &[states, "zero"], &["at_first"], rows());
        self.node("Slice", &["at_first", "middle", "end", "axis_1"], &["backward"], Vec::new());
        self.node("Concat", &["forward", "backward"], &["features"], vec![AttributeProto::int("axis", 1)]);
    }
}

/// The rows of `weights` `[gates * hidden, …]` with the gates in `order`.
fn reordered<'a>(
    weights: ArrayView2<'a, f32>,
    order: &'a [usize],
    hidden: usize,
) -> impl Iterator<Item = f32> + 'a {
    order
        .iter()
        .flat_map(move |&gate| gate * hidden..(gate + 1) * hidden)
        .flat_map(move |row| weights.row(row).to_vec())
}

fn reordered_bias<'a>(
    bias: ArrayView1<'a, f32>,
    order: &'a [usize],
    hidden: usize,
) -> impl Iterator<Item = f32> + 'a {
    order.iter().flat_map(move |&gate| (gate * hidden..(gate + 1) * hidden).map(move |row| bias[row]))
}
