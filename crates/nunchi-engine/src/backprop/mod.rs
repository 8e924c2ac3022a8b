//! Forward and backward passes for training, at the machine's speed: the mathematics of [`nunchi_model::rnn`] with products on
//! 16-bit tiles where the CPU has them, gates over vectors, and memory that is reused from step to step.
//!
//! A step's weights are packed once ([`Weights`]) and shared by all threads; each shard of a batch has a [`Pass`] of its
//! own. Always holds: a shard's gradients depend on the shard and the weights alone, not on the thread or on what other
//! threads do. Tested against [`nunchi_model::rnn`] for every cell, direction and depth.

mod direction;
mod dropout;
mod gates;
mod threads;

pub use dropout::DropoutMasks;
pub use threads::{on_threads, spread};

pub use super::kernel::{Matrix, PackedMatrix, ProductScratch, Products, Session};

use direction::{Context, Packed, Scratch, Trace};
use ndarray::{Array2, ArrayView2};
use nunchi_model::Precision;
use nunchi_model::rnn::{Batch, Cell, Dense, Layer, Network, Shape};
use pulp::Arch;

/// How passes are computed on this CPU.
#[derive(Clone, Copy, Debug)]
pub struct Backprop {
    products: Products,
    arch: Arch,
}

/// A network's recurrent weights, packed for the passes of one step.
#[derive(Debug, Default)]
pub struct Weights {
    layers: Vec<Vec<Packed>>,
}

/// Buffers that a pass keeps for its objective.
const MAX_SPARE: usize = 8;

/// One pass over a shard: what the forward pass leaves for the backward pass, and its memory.
#[derive(Debug, Default)]
pub struct Pass {
    batch: Batch,
    /// Token ids, packed.
    tokens: Vec<u32>,
    layers: Vec<LayerPass>,
    /// All states of the last layer, `[tokens, features]`.
    states: Vec<f32>,
    /// The gradient that reaches a layer's states from above, and that of its input.
    arriving: Vec<f32>,
    of_input: Vec<f32>,
    features: usize,
    scratch: Scratch,
    spare: Vec<Vec<f32>>,
}

#[derive(Debug, Default)]
struct LayerPass {
    /// What the layer read, after dropout, `[tokens, inputs]`.
    input: Vec<f32>,
    /// One a direction.
    traces: Vec<Trace>,
}

/// The gradients of one shard.
#[derive(Clone, Debug)]
pub struct ShardGradients {
    /// Of the recurrent layers.
    pub layers: Vec<Layer<f32>>,
    /// Of the head.
    pub head: Dense<f32>,
    /// Which token each row of `embedding` belongs to; a token may come several times.
    pub tokens: Vec<u32>,
    /// Of the embeddings that were read, `[tokens, embedding]`.
    pub embedding: Vec<f32>,
}

impl ShardGradients {
    /// No gradients yet.
    pub fn new(network: &Network<f32>) -> Self {
        let zeros = Network::<f32>::zeros(Shape { vocabulary: 1, ..network.shape })
            .expect("the shape of a network describes one");
        ShardGradients { layers: zeros.layers, head: zeros.head, tokens: Vec::new(), embedding: Vec::new() }
    }

    /// Sets all to zero.
    pub fn clear(&mut self) {
        for direction in self.layers.iter_mut().flat_map(Layer::directions_mut) {
            direction.weight_ih.fill(0.0);
            direction.weight_hh.fill(0.0);
            direction.bias_ih.fill(0.0);
            direction.bias_hh.fill(0.0);
        }
        self.head.weight.fill(0.0);
        self.head.bias.fill(0.0);
        self.tokens.clear();
        self.embedding.clear();
    }
}

impl Default for Backprop {
    fn default() -> Self {
        Self::best()
    }
}

impl Backprop {
    /// The fastest way on this CPU: 16-bit products where it has tiles for them.
    pub fn best() -> Self {
        Backprop { products: Products::best(), arch: Arch::new() }
    }

    /// Products in f32.
    pub fn f32() -> Self {
        Backprop { products: Products::f32(), arch: Arch::new() }
    }

    /// Products in f32 by AVX2 alone, if this CPU has it: to measure what CPUs without more would do.
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        let arch = pulp::x86::V3::try_new().map_or_else(Arch::new, Arch::V3);
        #[cfg(not(target_arch = "x86_64"))]
        let arch = Arch::new();
        Some(Backprop { products: Products::avx2()?, arch })
    }

    /// Products in f32 by a library, as on CPUs that there is no kernel for.
    pub fn library() -> Self {
        Backprop { products: Products::library(), arch: Arch::new() }
    }

    /// The precision of the products' inputs.
    pub fn precision(&self) -> Precision {
        self.products.precision()
    }

    /// How elementwise work is spread over vectors.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Products on tiles of plain arrays.
    #[cfg(all(any(test, feature = "plain"), target_arch = "x86_64"))]
    pub fn plain_tiles() -> Self {
        Backprop { products: Products::plain_tiles(), arch: Arch::new() }
    }

    /// The matrix products.
    pub fn products(&self) -> &Products {
        &self.products
    }

    /// Makes this thread ready for passes and products, until the session is dropped.
    pub fn enter(&self) -> Session {
        self.products.enter()
    }

    /// Packs `network`'s recurrent weights, spread over `threads` threads.
    pub fn pack(&self, network: &Network<f32>, weights: &mut Weights, threads: usize) {
        weights.layers.resize_with(network.layers.len(), Vec::new);
        let mut jobs = Vec::new();
        for (layer, packed) in network.layers.iter().zip(&mut weights.layers) {
            packed.resize_with(network.shape.directions(), Packed::default);
            jobs.extend(packed.iter_mut().zip(layer.directions()).flat_map(|(packed, own)| packed.jobs(own)));
        }
        let products = &self.products;
        spread(threads, &mut jobs, |job| job.run(products));
    }

    /// Reads `sequences`: the states of the last layer then stand in `pass`.
    ///
    /// # Panics
    /// If a sequence is empty or a token is not below the vocabulary.
    pub fn forward(
        &self,
        session: &Session,
        network: &Network<f32>,
        weights: &Weights,
        sequences: &[&[u32]],
        dropout: &DropoutMasks,
        pass: &mut Pass,
    ) {
        let shape = &network.shape;
        let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.len()).collect();
        pass.batch = Batch::new(&lengths);
        pass.batch.pack(sequences, &mut pass.tokens);
        let total = pass.batch.total;
        embed(network, &pass.tokens, &mut pass.states);
        if shape.cell == Cell::Bag {
            dropout.apply(self.arch, 0, dropout.inputs, &mut pass.states);
        }
        pass.layers.resize_with(network.layers.len(), LayerPass::default);
        for (index, (layer, packed)) in network.layers.iter().zip(&weights.layers).enumerate() {
            let own = &mut pass.layers[index];
            std::mem::swap(&mut own.input, &mut pass.states);
            let share = if index == 0 { dropout.inputs } else { dropout.features };
            dropout.apply(self.arch, index as u32, share, &mut own.input);
            own.traces.resize_with(shape.directions(), Trace::default);
            for (side, ((weights, packed), trace)) in
                layer.directions().zip(packed).zip(&mut own.traces).enumerate()
            {
                let context = self.context(session, (weights, packed), shape.cell, &pass.batch, side == 1);
                context.forward(&own.input, trace, &mut pass.scratch);
            }
            join(&own.traces, shape.hidden, total, &mut pass.states);
        }
        pass.features = shape.features();
    }

    fn context<'a>(
        &'a self,
        session: &'a Session,
        (weights, packed): (&'a nunchi_model::rnn::Direction<f32>, &'a Packed),
        cell: Cell,
        batch: &'a Batch,
        reverse: bool,
    ) -> Context<'a> {
        Context { session, arch: self.arch, products: &self.products, cell, weights, packed, batch, reverse }
    }

    /// Back from the gradient of the last layer's states (`[tokens, features]`, see [`Pass::of_states`]) to every weight; the
    /// gradients are added to `gradients`, those of the embeddings appended. `dropout` as in the forward pass.
    pub fn backward(
        &self,
        session: &Session,
        network: &Network<f32>,
        weights: &Weights,
        dropout: &DropoutMasks,
        pass: &mut Pass,
        gradients: &mut ShardGradients,
    ) {
        let shape = &network.shape;
        let Pass { batch, tokens, layers, arriving, of_input, scratch, .. } = pass;
        for index in (0..network.layers.len()).rev() {
            let LayerPass { input, traces } = &mut layers[index];
            let inputs = shape.inputs(index);
            of_input.resize((batch.total * inputs).max(of_input.len()), 0.0);
            scratch.zeros(inputs);
            let stride = shape.hidden * shape.directions();
            let directions = network.layers[index].directions().zip(&weights.layers[index]);
            let gradient = gradients.layers[index].directions_mut();
            for (side, (((own, packed), gradient), trace)) in directions.zip(gradient).zip(traces).enumerate()
            {
                let context = self.context(session, (own, packed), shape.cell, batch, side == 1);
                let arriving = (&arriving[side * shape.hidden..], stride);
                context.backward(input, arriving, trace, gradient, of_input, scratch);
            }
            let share = if index == 0 { dropout.inputs } else { dropout.features };
            dropout.apply(self.arch, index as u32, share, &mut of_input[..batch.total * inputs]);
            std::mem::swap(arriving, of_input);
        }
        if shape.cell == Cell::Bag {
            dropout.apply(self.arch, 0, dropout.inputs, arriving);
        }
        gradients.tokens.extend_from_slice(tokens);
        gradients.embedding.extend_from_slice(&arriving[..batch.total * shape.embedding]);
    }
}

impl Pass {
    /// How the sequences are packed.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// All states of the last layer, `[tokens, features]`, packed.
    pub fn states(&self) -> ArrayView2<'_, f32> {
        let rows = self.batch.total;
        ArrayView2::from_shape((rows, self.features), &self.states[..rows * self.features])
            .expect("one row of features a token")
    }

    /// A buffer of `len` elements of any value, for what an objective computes beside the passes. Large buffers that come and go
    /// would be mapped and cleared by the system every time: give it back with [`Pass::give`].
    pub fn take(&mut self, len: usize) -> Vec<f32> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.resize(len, 0.0);
        buffer
    }

    /// Takes a buffer back.
    pub fn give(&mut self, buffer: Vec<f32>) {
        // Not every objective takes as many as it gives.
        if self.spare.len() < MAX_SPARE {
            self.spare.push(buffer);
        }
    }

    /// Token ids, packed.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Sets the gradient of the states that [`Backprop::backward`] begins with, `[tokens, features]`.
    pub fn of_states(&mut self, gradient: Array2<f32>) {
        let (gradient, _) = gradient.into_raw_vec_and_offset();
        let before = std::mem::replace(&mut self.arriving, gradient);
        self.give(before);
    }

    /// A gradient of the states of zeros, to be filled and handed to [`Pass::of_states`].
    pub fn zero_states(&mut self) -> Array2<f32> {
        let (rows, columns) = (self.batch.total, self.features);
        let mut buffer = self.take(rows * columns);
        buffer.fill(0.0);
        Array2::from_shape_vec((rows, columns), buffer).expect("as long as rows times columns")
    }
}

fn embed(network: &Network<f32>, tokens: &[u32], states: &mut Vec<f32>) {
    let columns = network.shape.embedding;
    let table = network.embedding.as_slice().expect("weights are in standard layout");
    states.clear();
    states.reserve(tokens.len() * columns);
    for &token in tokens {
        states.extend_from_slice(&table[token as usize * columns..][..columns]);
    }
}

/// Puts the states of both directions side by side.
fn join(traces: &[Trace], hidden: usize, rows: usize, states: &mut Vec<f32>) {
    states.clear();
    match traces {
        [one] => states.extend_from_slice(&one.states[..rows * hidden]),
        _ => {
            states.reserve(rows * hidden * traces.len());
            for row in 0..rows {
                for trace in traces {
                    states.extend_from_slice(&trace.states[row * hidden..][..hidden]);
                }
            }
        }
    }
}
