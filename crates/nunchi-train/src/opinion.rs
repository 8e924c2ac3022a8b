//! Learning whether a comment holds an opinion at all: logistic regression on the states of a finished network, which stays as it
//! is.
//!
//! Newton's method on a convex loss with an L2 penalty: one minimum, the same whatever the order of the texts, without a
//! learning rate to choose.

use ndarray::{Array1, Array2, Axis};
use nunchi_engine::{EngineError, Packed, Scratch};
use nunchi_model::Model;
use nunchi_model::rnn::Dense;

/// Texts that go through the network together.
const CHUNK: usize = 1_024;
/// Weight of the penalty against a mean loss of at most ln 2 a text, on features of variance 1.
const PENALTY: f64 = 1e-2;
/// Steps of Newton's method; about ten suffice.
const MAX_STEPS: usize = 60;
/// A step whose largest element is below this is the last.
const TOLERANCE: f64 = 1e-9;

/// What the output is to say of some texts.
#[derive(Clone, Debug)]
pub struct Lessons {
    /// The head's input for each text, `[texts, features]`.
    pub states: Array2<f64>,
    /// For each text the probability that it holds an opinion.
    pub targets: Vec<f64>,
    /// How much each text counts.
    pub weights: Vec<f64>,
}

impl Lessons {
    /// Texts without an opinion and texts with one; both kinds count the same altogether.
    pub fn of_two(without: &Array2<f64>, with: &Array2<f64>) -> Self {
        let states = ndarray::concatenate(Axis(0), &[without.view(), with.view()])
            .expect("the states of one network have the same width");
        let [none, some] = [without.nrows(), with.nrows()];
        let weight = |rows: usize| 0.5 / rows.max(1) as f64;
        Lessons {
            states,
            targets: [vec![0.0; none], vec![1.0; some]].concat(),
            weights: [vec![weight(none); none], vec![weight(some); some]].concat(),
        }
    }
}

/// The head's input of `model` for each text, `[texts, features]`, by the engine in full precision.
///
/// # Errors
/// None on a CPU that any kernel runs on.
pub fn states(model: &Model, texts: &[&str]) -> Result<Array2<f64>, EngineError> {
    let packed = Packed::new(&model.network, None)?;
    let width = model.network.shape.features();
    let mut all = Vec::with_capacity(texts.len() * width);
    let (mut scratch, mut part) = (Scratch::default(), Vec::new());
    for chunk in texts.chunks(CHUNK) {
        let tokens: Vec<Vec<u32>> = chunk.iter().map(|text| model.tokens(text)).collect();
        let lengths: Vec<u32> = tokens.iter().map(|tokens| tokens.len() as u32).collect();
        packed.features(&tokens.concat(), &lengths, &mut scratch, &mut part);
        all.extend(part.iter().map(|&value| f64::from(value)));
    }
    Ok(Array2::from_shape_vec((texts.len(), width), all).expect("one row of features a text"))
}

/// The logit of each row of `states`.
pub fn logits(opinion: &Dense<f32>, states: &Array2<f64>) -> Vec<f64> {
    let weights = opinion.weight.row(0).mapv(f64::from);
    states.dot(&weights).iter().map(|logit| logit + f64::from(opinion.bias[0])).collect()
}

/// Learns an output. With `start` it is drawn to these weights instead of to zero: for a network that changed a little.
///
/// States that are not numbers teach nothing: what comes out is then not finite, and no model file takes it.
pub fn learn(lessons: &Lessons, start: Option<&Dense<f32>>) -> Dense<f32> {
    let scale = Scale::of(lessons);
    let x = scale.scaled(&lessons.states);
    let prior = start.map_or_else(|| Array1::zeros(x.ncols()), |start| scale.weights_of(start));
    let mut theta = prior.clone();
    let mut loss = loss_at(&x, lessons, &theta, &prior);
    for _ in 0..MAX_STEPS {
        let Some(step) = newton(&x, lessons, &theta, &prior) else { break };
        // A full step nearly always; half as long where it would go too far.
        let found = (0..30).find_map(|halvings| {
            let next = &theta - &(&step * 0.5_f64.powi(halvings));
            let less = loss_at(&x, lessons, &next, &prior);
            (less <= loss).then_some((next, less))
        });
        let Some((next, less)) = found else { break };
        (theta, loss) = (next, less);
        if step.iter().all(|element| element.abs() < TOLERANCE) {
            break;
        }
    }
    scale.output(&theta)
}

/// Mean and deviation of each feature, so that the penalty weighs all of them equally.
struct Scale {
    mean: Array1<f64>,
    deviation: Array1<f64>,
}

impl Scale {
    fn of(lessons: &Lessons) -> Self {
        let total: f64 = lessons.weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let width = lessons.states.ncols();
        let (mut mean, mut square) = (Array1::<f64>::zeros(width), Array1::<f64>::zeros(width));
        for (row, weight) in lessons.states.rows().into_iter().zip(&lessons.weights) {
            mean.scaled_add(weight / total, &row);
        }
        for (row, weight) in lessons.states.rows().into_iter().zip(&lessons.weights) {
            let apart = &row - &mean;
            square.scaled_add(weight / total, &(&apart * &apart));
        }
        // A feature that never changes says nothing.
        let deviation = square.mapv(|variance| if variance > 1e-12 { variance.sqrt() } else { 1.0 });
        Scale { mean, deviation }
    }

    /// The features scaled, and beside them a column of ones for the bias.
    fn scaled(&self, states: &Array2<f64>) -> Array2<f64> {
        let mut x = Array2::ones((states.nrows(), states.ncols() + 1));
        for (mut out, row) in x.rows_mut().into_iter().zip(states.rows()) {
            let scaled = (&row - &self.mean) / &self.deviation;
            out.iter_mut().zip(&scaled).for_each(|(out, value)| *out = *value);
        }
        x
    }

    /// The weights on scaled features that are `opinion` on unscaled ones.
    fn weights_of(&self, opinion: &Dense<f32>) -> Array1<f64> {
        let weights = opinion.weight.row(0).mapv(f64::from);
        let bias = f64::from(opinion.bias[0]) + weights.dot(&self.mean);
        (&weights * &self.deviation).into_iter().chain([bias]).collect()
    }

    /// The inverse of [`Scale::weights_of`].
    fn output(&self, theta: &Array1<f64>) -> Dense<f32> {
        let width = self.mean.len();
        let weights: Array1<f64> =
            theta.iter().zip(&self.deviation).map(|(weight, by)| weight / by).collect();
        let bias = theta[width] - weights.dot(&self.mean);
        let weight = weights.mapv(|value| value as f32).into_shape_with_order((1, width));
        Dense { weight: weight.expect("one row"), bias: Array1::from_elem(1, bias as f32) }
    }
}

/// The mean loss and the penalty.
fn loss_at(x: &Array2<f64>, lessons: &Lessons, theta: &Array1<f64>, prior: &Array1<f64>) -> f64 {
    let rows = lessons.targets.iter().zip(&lessons.weights);
    let losses = x.dot(theta).into_iter().zip(rows).map(|(logit, (target, weight))| {
        // Cross entropy from the logit, without overflow.
        let loss = logit.max(0.0) - logit * target + (-logit.abs()).exp().ln_1p();
        weight * loss
    });
    let apart = theta - prior;
    let penalized = theta.len() - 1;
    let squares: f64 = apart.iter().take(penalized).map(|value| value * value).sum();
    losses.sum::<f64>() + 0.5 * PENALTY * squares
}

/// Newton's step; `None` if it is no number.
fn newton(
    x: &Array2<f64>,
    lessons: &Lessons,
    theta: &Array1<f64>,
    prior: &Array1<f64>,
) -> Option<Array1<f64>> {
    let probabilities = x.dot(theta).mapv(|logit| 1.0 / (1.0 + (-logit).exp()));
    let rows = || probabilities.iter().zip(&lessons.targets).zip(&lessons.weights);
    let errors: Array1<f64> = rows().map(|((p, target), weight)| weight * (p - target)).collect();
    let mut gradient = x.t().dot(&errors);
    let mut curved = x.clone();
    for (mut row, ((p, _), weight)) in curved.rows_mut().into_iter().zip(rows()) {
        row *= weight * p * (1.0 - p);
    }
    let mut hessian = x.t().dot(&curved);
    let bias = theta.len() - 1;
    for place in 0..bias {
        gradient[place] += PENALTY * (theta[place] - prior[place]);
        hessian[[place, place]] += PENALTY;
    }
    // The bias has no penalty; where all probabilities are 0 or 1 it would have no curvature either.
    hessian[[bias, bias]] += 1e-12;
    solve(hessian, gradient)
}

/// Solves `a x = b` for a symmetric positive definite `a` by Cholesky's decomposition; `None` if it is not one.
fn solve(mut a: Array2<f64>, mut b: Array1<f64>) -> Option<Array1<f64>> {
    let size = b.len();
    for column in 0..size {
        for row in column..size {
            let sum: f64 = (0..column).map(|k| a[[row, k]] * a[[column, k]]).sum();
            let value = a[[row, column]] - sum;
            if row == column {
                // Written so that what is not a number ends here.
                let is_positive = value > 0.0;
                if !is_positive {
                    return None;
                }
                a[[row, row]] = value.sqrt();
            } else {
                a[[row, column]] = value / a[[column, column]];
            }
        }
    }
    for row in 0..size {
        let sum: f64 = (0..row).map(|k| a[[row, k]] * b[k]).sum();
        b[row] = (b[row] - sum) / a[[row, row]];
    }
    for row in (0..size).rev() {
        let sum: f64 = (row + 1..size).map(|k| a[[k, row]] * b[k]).sum();
        b[row] = (b[row] - sum) / a[[row, row]];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nunchi_model::rnn::Cell;

    /// Two clouds of points that overlap: the second feature tells them apart, the first is noise, the third never changes.
    fn clouds(rows: usize, apart: f64) -> [Array2<f64>; 2] {
        let mut state = 7_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        [-apart, apart].map(|center| {
            Array2::from_shape_fn((rows, 3), |(_, column)| match column {
                0 => 10.0 * noise(),
                1 => center + noise() + noise(),
                _ => 0.25,
            })
        })
    }

    #[test]
    fn it_finds_what_tells_them_apart() {
        let [without, with] = clouds(400, 0.4);
        let opinion = learn(&Lessons::of_two(&without, &with), None);
        let found = |states: &Array2<f64>, has: bool| {
            let logits = logits(&opinion, states);
            logits.iter().filter(|&&logit| (logit > 0.0) == has).count() as f64 / logits.len() as f64
        };
        // Where they meet, 18 % of each are on the other's side.
        assert!(found(&without, false) > 0.78 && found(&with, true) > 0.78, "{opinion:?}");
        // Of the clouds' spread the first feature has ten times as much.
        assert!(opinion.weight[[0, 1]] > 1.0 && opinion.weight[[0, 0]].abs() < 0.1, "{opinion:?}");
        // Where one kind is rarer, both still count the same.
        let few = without.select(Axis(0), &(0..40).collect::<Vec<_>>());
        let opinion = learn(&Lessons::of_two(&few, &with), None);
        assert!(logits(&opinion, &without).iter().filter(|&&logit| logit < 0.0).count() > 300, "{opinion:?}");
    }

    #[test]
    fn the_loss_is_at_its_minimum_and_the_order_does_not_matter() {
        let [without, with] = clouds(200, 0.2);
        let lessons = Lessons::of_two(&without, &with);
        let opinion = learn(&lessons, None);
        let mut turned = lessons.clone();
        turned.states.invert_axis(Axis(0));
        turned.targets.reverse();
        turned.weights.reverse();
        let again = learn(&turned, None);
        for (one, other) in opinion.weight.iter().zip(&again.weight) {
            assert!((one - other).abs() < 1e-5, "{opinion:?} {again:?}");
        }
        let scale = Scale::of(&lessons);
        let (x, zero) = (scale.scaled(&lessons.states), Array1::zeros(4));
        let best = scale.weights_of(&opinion);
        let least = loss_at(&x, &lessons, &best, &zero);
        for place in 0..4 {
            for by in [-1e-2, 1e-2] {
                let mut moved = best.clone();
                moved[place] += by;
                assert!(loss_at(&x, &lessons, &moved, &zero) > least, "element {place}");
            }
        }
    }

    #[test]
    fn without_a_reason_it_stays_at_what_it_was() {
        let [without, with] = clouds(100, 0.3);
        let start = learn(&Lessons::of_two(&without, &with), None);
        let states = ndarray::concatenate(Axis(0), &[without.view(), with.view()]).unwrap();
        let targets: Vec<f64> =
            logits(&start, &states).iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
        let weights = vec![1.0 / targets.len() as f64; targets.len()];
        let same = learn(&Lessons { states, targets, weights }, Some(&start));
        for (one, other) in start.weight.iter().zip(&same.weight) {
            assert!((one - other).abs() < 1e-4, "{start:?} {same:?}");
        }
    }

    #[test]
    fn states_are_those_of_the_reference_network() {
        let model = nunchi_model::testing::model(Cell::Gru, 3);
        let texts = ["좋아요", "언제 배송되나요?", "", "별로지만 추천해요"];
        let tokens: Vec<Vec<u32>> = texts.iter().map(|text| model.tokens(text)).collect();
        let sequences: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
        let want = model.network.features(&sequences);
        let got = states(&model, &texts).unwrap();
        assert_eq!(got.dim(), want.dim());
        assert!(got.iter().zip(&want).all(|(got, want)| (got - f64::from(*want)).abs() < 1e-3));
        assert_eq!(states(&model, &[]).unwrap().nrows(), 0);
    }
}
