//! A model ready for inference.

use super::buffers::Buffers;
use super::kernel::{self, Kernel};
use super::packed::Packed;
use super::score::WrittenScore;
use super::{Decision, DecisionPolicy, EngineError, KernelKind};
use nunchi_model::{Model, Precision};

/// A model ready for inference: weights packed, tables built, golden comments checked. Shared by all threads.
#[derive(Debug)]
pub struct LoadedModel {
    model: Model,
    packed: Packed,
    decision: Option<Decision>,
}

impl LoadedModel {
    /// Packs `model` for `kernel`, or for the best one of this CPU whose precision the model allows
    /// ([`Model::allows`]) and with which its golden comments score as recorded.
    ///
    /// # Errors
    /// A kernel that the CPU lacks; golden comments that score otherwise.
    pub fn new(model: Model, kernel: Option<KernelKind>) -> Result<Self, EngineError> {
        let kernels = match kernel {
            Some(_) => vec![kernel::choose(kernel)?],
            None => kernel::by_default(|precision| model.allows(precision)),
        };
        let mut loaded = LoadedModel { packed: pack(&model, kernels[0]), model, decision: None };
        let mut checked = loaded.check_golden();
        for kernel in &kernels[1..] {
            // A kernel that does not hold is not chosen: lower precisions may not, nor the 16-bit tables of the faster kernels for
            // networks whose weights lie far apart. The last one computes in full precision: what fails there is wrong.
            if checked.is_ok() {
                break;
            }
            loaded.packed = pack(&loaded.model, *kernel);
            checked = loaded.check_golden();
        }
        checked.map(|()| loaded)
    }

    /// Says of its verdicts which are unsure by `policy`; of none without one.
    ///
    /// # Errors
    /// As [`Decision::new`].
    pub fn with_decision(mut self, policy: Option<DecisionPolicy>) -> Result<Self, EngineError> {
        self.decision = policy.map(|policy| Decision::new(&self.model, policy)).transpose()?;
        Ok(self)
    }

    /// What says which verdicts are unsure, if anything does.
    pub fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The packed network.
    pub fn packed(&self) -> &Packed {
        &self.packed
    }

    /// The kernel in use.
    pub fn kernel(&self) -> KernelKind {
        self.packed.kernel()
    }

    /// The precision of its products.
    pub fn precision(&self) -> Precision {
        self.packed.precision()
    }

    /// Every golden comment must score as recorded within the precision's bound, and get the same label unless the recorded
    /// score is within the bound of one half.
    fn check_golden(&self) -> Result<(), EngineError> {
        let texts: Vec<&str> = self.model.golden.iter().map(|golden| golden.text.as_str()).collect();
        let off = |index: usize, got: f64| {
            let golden = &self.model.golden[index];
            EngineError::Golden { text: golden.text.clone(), got, want: golden.score }
        };
        let (mut buffers, mut predictions) = (Buffers::default(), Vec::new());
        buffers.classify(&self.model, &self.packed, None, &texts, &mut predictions).map_err(|error| {
            match error {
                EngineError::NotANumber { index, .. } => off(index, f64::NAN),
                error => error,
            }
        })?;
        let bound = self.precision().bound();
        for (index, (golden, prediction)) in self.model.golden.iter().zip(predictions).enumerate() {
            let (got, want) = (f64::from(prediction.score), golden.score);
            // Written so that a score that is not a number fails.
            let near = (got - want).abs() <= bound;
            let same =
                || WrittenScore::new(prediction.score).label() == WrittenScore::new(want as f32).label();
            if !near || !((want - 0.5).abs() <= bound || same()) {
                return Err(off(index, got));
            }
        }
        Ok(())
    }
}

/// Packs the network of `model` for `kernel`, with all its outputs.
fn pack(model: &Model, kernel: &'static dyn Kernel) -> Packed {
    Packed::with(&model.network, kernel).with_opinion(model.extension.opinion.clone())
}
