//! The engine's parts: what a token costs by kernel, cell and width, and what a batch's size does to it.
//!
//! ```sh
//! taskset -c 0 cargo bench --bench engine
//! ```
//!
//! Networks are random, sequences of 20 tokens; the best of five rounds counts, one thread.

use nunchi_engine::{Packed, Scratch, kernels};
use nunchi_model::rnn::{Cell, HeadKind, Network, Pooling, Shape};
use std::time::Instant;

/// Tokens of a sequence.
const LENGTH: u32 = 20;
/// Pieces of the vocabulary.
const VOCABULARY: usize = 16_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test --benches` runs this too: once through, quickly.
    let quick = std::env::args().any(|argument| argument == "--test") || cfg!(debug_assertions);
    let widths: &[usize] = if quick { &[32] } else { &[64, 128, 256, 512] };
    println!("batches of 2,048 sequences of {LENGTH} tokens: ns a token (GFLOP/s of its products)");
    for cell in [Cell::Simple, Cell::Gru, Cell::Lstm] {
        for &hidden in widths {
            print!("{:<7}{hidden:>4}", cell.name());
            let network = network(cell, hidden)?;
            for kernel in kernels() {
                let packed = Packed::new(&network, Some(kernel))?;
                let token = measure(&packed, if quick { 8 } else { 2_048 });
                let flop = (2 * cell.gates() * hidden * hidden) as f64;
                print!("  {kernel} {:.0} ({:.0})", token * 1e9, flop / token / 1e9);
            }
            println!();
        }
    }
    println!("GRU 256, ns a token by the sequences of a batch");
    let network = network(Cell::Gru, if quick { 32 } else { 256 })?;
    for kernel in kernels() {
        let packed = Packed::new(&network, Some(kernel))?;
        print!("{kernel:<12}");
        for sequences in if quick { &[1][..] } else { &[1, 4, 16, 64, 256, 2_048] } {
            print!("  {sequences}: {:.0}", measure(&packed, *sequences) * 1e9);
        }
        println!();
    }
    Ok(())
}

fn network(cell: Cell, hidden: usize) -> Result<Network<f32>, Box<dyn std::error::Error>> {
    let shape = Shape {
        cell,
        vocabulary: VOCABULARY,
        embedding: 128,
        hidden,
        layers: 1,
        bidirectional: false,
        pooling: Pooling::Last,
        head: HeadKind::Sigmoid,
        outputs: 1,
    };
    Ok(Network::random(shape, 1)?)
}

/// Seconds a token.
fn measure(packed: &Packed, sequences: u32) -> f64 {
    let tokens: Vec<u32> = (0..sequences * LENGTH)
        .map(|index| index.wrapping_mul(2_654_435_761) >> 7)
        .map(|token| token % VOCABULARY as u32)
        .collect();
    let lengths = vec![LENGTH; sequences as usize];
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    let repeats = (1 << 17) / tokens.len().max(1) + 1;
    let round = |scratch: &mut Scratch, out: &mut Vec<f32>| {
        let begin = Instant::now();
        for _ in 0..repeats {
            packed.logits(&tokens, &lengths, scratch, out);
        }
        begin.elapsed().as_secs_f64() / (repeats * tokens.len()) as f64
    };
    round(&mut scratch, &mut out);
    (0..5).map(|_| round(&mut scratch, &mut out)).fold(f64::INFINITY, f64::min)
}
