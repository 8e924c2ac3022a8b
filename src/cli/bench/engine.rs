//! `nunchi bench engine`: the engine alone, on the networks and sequences that the peers are measured with.
//!
//! Pin it to one core (`taskset -c 0`) and alternate with the peers: machines drift.

use super::state_dict::{f32_tensor, read, read_network, u32_tensor};
use crate::cli::exit::ExitStatus;
use crate::cli::printer::outln;
use anyhow::{Context, ensure};
use nunchi_engine::{Packed, Scratch};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Flags of `nunchi bench engine`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder with `sequences.safetensors`, and for each network `NAME.safetensors` (PyTorch's names) and
    /// `NAME.expected` (the right probabilities)
    dir: PathBuf,
    /// Networks to measure
    #[arg(long, value_delimiter = ',', default_value = "M1,M2,M3,M4")]
    models: Vec<String>,
    /// Kernel to use instead of the best one for this CPU
    #[arg(long)]
    kernel: Option<String>,
    /// Sequences of a batch; they are sorted by length within it
    #[arg(long, default_value_t = 2_048, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Measured rounds, after one to warm up; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print a JSON object for each network
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let sequences = Sequences::read(&args.dir.join("sequences.safetensors"))?;
    for name in &args.models {
        let network = read_network(&args.dir.join(format!("{name}.safetensors")))?;
        let want = read(&args.dir.join(format!("{name}.expected")))?;
        let want = f32_tensor(&SafeTensors::deserialize(&want)?, "probability")?;
        let packed = Packed::new(&network, args.kernel.as_deref().map(str::parse).transpose()?)?;
        let result = measure(&packed, &sequences, &want, &args)?;
        if args.json {
            outln!(
                "{}",
                serde_json::json!({
                    "engine": "nunchi", "model": name, "kernel": packed.kernel().name(), "precision": packed.precision(),
                    "sequences_per_s": result.rate.round(), "spread": (result.spread * 1e3).round() / 1e3,
                    "max_error": result.max_error,
                })
            );
        } else {
            outln!(
                "{name} {:>9.0} sequences/s, {:>9.0} per CPU second (spread {:.1} %, largest error {:.1e}, {}, {})",
                result.rate,
                result.cpu_rate,
                result.spread * 100.0,
                result.max_error,
                packed.kernel(),
                packed.precision()
            );
        }
    }
    Ok(ExitStatus::Done)
}

/// The sequences to classify.
pub(super) struct Sequences {
    tokens: Vec<u32>,
    lengths: Vec<u32>,
}

impl Sequences {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = read(path)?;
        let file =
            SafeTensors::deserialize(&bytes).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Sequences { tokens: u32_tensor(&file, "tokens")?, lengths: u32_tensor(&file, "lengths")? })
    }

    /// The first `count` sequences.
    pub(super) fn first(&self, count: usize) -> Vec<Vec<u32>> {
        let mut rest = &self.tokens[..];
        let take = |&length: &u32| {
            let (tokens, later) = rest.split_at(length as usize);
            rest = later;
            tokens.to_vec()
        };
        self.lengths.iter().take(count).map(take).collect()
    }

    /// Batches of `window` sequences: tokens and lengths.
    fn batches(&self, window: usize) -> Vec<(&[u32], &[u32])> {
        let mut rest = &self.tokens[..];
        let mut batches = Vec::new();
        for lengths in self.lengths.chunks(window) {
            let (tokens, later) = rest.split_at(lengths.iter().map(|&length| length as usize).sum());
            rest = later;
            batches.push((tokens, lengths));
        }
        batches
    }
}

/// What was measured.
struct Measured {
    /// Sequences a second.
    rate: f64,
    /// Sequences a second of this thread's time on the CPU: independent of the load of other processes.
    cpu_rate: f64,
    /// (longest - shortest) / median time.
    spread: f64,
    /// Largest error of a probability.
    max_error: f64,
}

fn measure(packed: &Packed, sequences: &Sequences, want: &[f32], args: &Args) -> anyhow::Result<Measured> {
    ensure!(
        want.len() == sequences.lengths.len(),
        "the expected probabilities and the sequences differ in number"
    );
    let batches = sequences.batches(args.window as usize);
    let (mut scratch, mut logits, mut max_error, mut answers) =
        (Scratch::default(), Vec::new(), 0.0f64, want);
    for (tokens, lengths) in &batches {
        packed.logits(tokens, lengths, &mut scratch, &mut logits);
        let (now, later) = answers.split_at(lengths.len());
        answers = later;
        for (logit, want) in logits.iter().zip(now) {
            let error = (1.0 / (1.0 + (-f64::from(*logit)).exp()) - f64::from(*want)).abs();
            max_error = if error.is_nan() { f64::INFINITY } else { max_error.max(error) };
        }
    }
    let (mut seconds, mut cpu_seconds) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let (begin, cpu_begin) = (Instant::now(), cpu_time());
        for (tokens, lengths) in &batches {
            packed.logits(tokens, lengths, &mut scratch, &mut logits);
        }
        seconds.push(begin.elapsed().as_secs_f64());
        cpu_seconds.push(cpu_time() - cpu_begin);
    }
    seconds.sort_by(f64::total_cmp);
    cpu_seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    Ok(Measured {
        rate: sequences.lengths.len() as f64 / median,
        cpu_rate: sequences.lengths.len() as f64 / cpu_seconds[cpu_seconds.len() / 2],
        spread: (seconds[seconds.len() - 1] - seconds[0]) / median,
        max_error,
    })
}

/// Seconds that this thread has run, as Linux counts them; 0 elsewhere.
fn cpu_time() -> f64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    statistics.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}
