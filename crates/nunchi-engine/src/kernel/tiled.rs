//! The driver of kernels with tiles: packs weights into tiles, table rows into pairs, and hands out the steps of
//! [`super::tiles`].
//!
//! Weights and the states that products read are bf16; sums, gates and the states that are handed on are f32. A state row
//! holds both: `units` elements in f32, then the same in bf16 in the room of half as many.

use super::curve::Curve;
use super::layout::Layout;
use super::tiles::{
    BLOCK, GROUPS, Group, INPUTS, PANEL, Routines, Run, SEGMENTS, SUMS, Segment, StepArgs, TILE,
};
use super::{
    Aligned, CellWeights, Input, Kernel, KernelKind, ROW_BLOCK, Recurrence, Scratch, Session, Source, Step,
};
use half::bf16;
use nunchi_model::Precision;
use nunchi_model::rnn::Cell;

/// A kernel that is made of a CPU's [`Routines`].
#[derive(Debug)]
pub(super) struct Tiled {
    pub kind: KernelKind,
    pub routines: &'static Routines,
    pub available: fn() -> bool,
    /// Makes this thread's tiles ready.
    pub enter: fn() -> Session,
}

impl Kernel for Tiled {
    fn kind(&self) -> KernelKind {
        self.kind
    }

    fn precision(&self) -> Precision {
        Precision::Bf16
    }

    fn available(&self) -> bool {
        (self.available)()
    }

    fn row(&self, _cell: Cell, hidden: usize) -> usize {
        let units = hidden.next_multiple_of(PANEL);
        units + units / 2
    }

    fn batch_rows(&self, _row: usize) -> usize {
        // Measured: with more, the products' inputs no longer stay in L1 beside the weights that stream through it.
        BLOCK
    }

    fn enter(&self) -> Session {
        (self.enter)()
    }

    fn pack(&self, weights: &CellWeights<'_>) -> Box<dyn Recurrence> {
        // The routines below are called on the strength of this.
        assert!(self.available(), "a kernel is chosen only where the CPU can run it");
        Box::new(Packed::new(weights, self.routines))
    }
}

/// What the columns of a group are: a gate, summed over the input, over the state, or over both.
#[derive(Clone, Copy, Debug)]
struct Columns {
    gate: usize,
    input: bool,
    state: bool,
}

/// One direction of one layer.
#[derive(Debug)]
struct Packed {
    layout: Layout,
    has_cell: bool,
    steps: [Run; 2],
    groups: Vec<Columns>,
    /// Directions of the layer below; 0 where the table stands for it.
    directions: usize,
    /// By panel, group, products (the input's first), vector: tiles of `[16 pairs of inputs, 16 columns, 2]`.
    weights: Aligned<u16>,
    /// `[panels, groups, PANEL]`
    bias: Aligned<f32>,
    /// Pairs of the two units that share a lane, `[vocabulary, panels, gates, PANEL]`.
    table: Aligned<i16>,
    scale: Aligned<f32>,
    vocabulary: usize,
    /// The state before the first step.
    zeros: Aligned<f32>,
    sigmoid: Curve,
    tanh: Curve,
}

impl Packed {
    fn new(weights: &CellWeights<'_>, routines: &'static Routines) -> Self {
        let layout = Layout::new(weights, PANEL, false);
        let directions = match weights.source {
            Source::Tokens(_) => 0,
            Source::States { directions, .. } => directions,
        };
        let groups = groups(weights.cell, directions > 0);
        let kind = match weights.cell {
            Cell::Simple => 0,
            Cell::Gru => 1,
            Cell::Lstm => 2,
            Cell::Bag => unreachable!("a bag of words has no recurrent layer"),
        };
        let (table, scale) = table(&layout, weights);
        let vocabulary = match weights.source {
            Source::Tokens(embedding) => embedding.nrows(),
            Source::States { .. } => 0,
        };
        // As `routines!` has them: states first, then the table.
        let [states, tokens] = routines.steps[kind];
        Packed {
            has_cell: weights.cell == Cell::Lstm,
            steps: [states, tokens],
            weights: pack(&layout, weights, &groups, directions),
            bias: bias(&layout, weights, &groups),
            groups,
            directions,
            table,
            scale,
            vocabulary,
            zeros: Aligned::zeros(layout.units),
            layout,
            sigmoid: Curve::sigmoid(),
            tanh: Curve::tanh(),
        }
    }

    /// Elements of a state row.
    fn row(&self) -> usize {
        self.layout.units + self.layout.units / 2
    }

    /// Products over one source of inputs.
    fn products(&self) -> usize {
        self.layout.units / INPUTS
    }

    /// What the routines rely on.
    fn check(&self, step: &Step<'_>) {
        let (elements, row) = (step.rows * self.row(), self.row());
        let whole = step.rows.next_multiple_of(ROW_BLOCK) * row;
        assert!(step.out.len() >= elements && step.state.is_none_or(|state| state.len() >= whole));
        assert!(!self.has_cell || step.cell.len() >= elements);
        match step.input {
            Input::Tokens { now, ahead } => {
                assert!(now.len() >= step.rows && self.directions == 0);
                let largest = now.iter().chain(ahead).copied().max().unwrap_or(0) as usize;
                assert!(largest < self.vocabulary, "token {largest} is not in the vocabulary");
            }
            Input::States(x) => assert!(self.directions > 0 && x.len() >= whole * self.directions),
        }
    }
}

/// The groups of a cell's columns. A GRU's reset gate multiplies what the state gives its candidate, but not what the
/// input gives: these are summed apart.
fn groups(cell: Cell, input: bool) -> Vec<Columns> {
    let mut groups: Vec<_> = (0..cell.gates()).map(|gate| Columns { gate, input, state: true }).collect();
    if cell == Cell::Gru && input {
        groups[2].state = false;
        groups.push(Columns { gate: 2, input: false, state: true });
    }
    assert!(groups.len() <= GROUPS);
    groups
}

/// The weights, tile by tile.
fn pack(layout: &Layout, weights: &CellWeights<'_>, groups: &[Columns], directions: usize) -> Aligned<u16> {
    let (hidden, units) = (layout.hidden, layout.units);
    let mut tiles = Vec::new();
    for panel in 0..units / PANEL {
        for group in groups {
            let mut source = |matrix: &ndarray::Array2<f32>, direction: usize| {
                for product in 0..units / INPUTS {
                    for vector in 0..2 {
                        tiles.extend((0..TILE).map(|place| {
                            let (pair, column, second) = (place / 32, place % 32 / 2, place % 2);
                            let unit = panel * PANEL + vector * 16 + column;
                            let input = product * INPUTS + pair * 2 + second;
                            let real = unit < hidden && input < hidden;
                            let at = || matrix[[group.gate * hidden + unit, direction * hidden + input]];
                            bf16::from_f32(if real { at() } else { 0.0 }).to_bits()
                        }));
                    }
                }
            };
            if group.input {
                (0..directions).for_each(|direction| source(&weights.weights.weight_ih, direction));
            }
            if group.state {
                source(&weights.weights.weight_hh, 0);
            }
        }
    }
    let mut packed = Aligned::zeros(tiles.len());
    packed.copy_from_slice(&tiles);
    packed
}

/// What the sums start from. Where a table stands for the input, it holds the input's biases.
fn bias(layout: &Layout, weights: &CellWeights<'_>, groups: &[Columns]) -> Aligned<f32> {
    let (input, state) = (layout.input_bias(weights), layout.state_bias(weights));
    let panels = layout.units / PANEL;
    let mut bias = Aligned::zeros(panels * groups.len() * PANEL);
    for (place, value) in bias.iter_mut().enumerate() {
        let (panel, group, unit) =
            (place / PANEL / groups.len(), place / PANEL % groups.len(), place % PANEL);
        let column = layout.column(groups[group].gate, panel * PANEL + unit);
        *value += if groups[group].input { input[column] } else { 0.0 };
        *value += if groups[group].state { state[column] } else { 0.0 };
    }
    bias
}

/// The input product of every token in 16-bit fixed point, the two units that share a lane next to each other, and the value of
/// one unit / 65,536 by column. The second of a pair is read together with the first one's bits below it, as a number of 32
/// bits: it is rounded so that both together are nearest.
fn table(layout: &Layout, weights: &CellWeights<'_>) -> (Aligned<i16>, Aligned<f32>) {
    let full = layout.table(weights);
    let columns = layout.columns();
    let mut largest = vec![0.0f32; columns];
    for row in full.chunks_exact(columns) {
        for (largest, value) in largest.iter_mut().zip(row) {
            *largest = largest.max(value.abs());
        }
    }
    // One less than what fits: rounding the second of a pair may go down by one.
    let limit = f32::from(i16::MAX) - 1.0;
    let mut scale = Aligned::zeros(columns);
    for (scale, largest) in scale.iter_mut().zip(&largest) {
        *scale = largest / limit / 65_536.0;
    }
    let per_value: Vec<f32> =
        largest.iter().map(|&largest| if largest > 0.0 { limit / largest } else { 0.0 }).collect();
    let mut table = Aligned::zeros(full.len());
    for (to, from) in table.chunks_exact_mut(columns).zip(full.chunks_exact(columns)) {
        for start in (0..columns).step_by(PANEL) {
            for lane in 0..16 {
                let (first, second) = (start + lane, start + 16 + lane);
                let low = (from[first] * per_value[first]).round() as i16;
                let below = f32::from(low as u16) / 65_536.0;
                to[start + 2 * lane] = low;
                to[start + 2 * lane + 1] = (from[second] * per_value[second] - below).round() as i16;
            }
        }
    }
    (table, scale)
}

impl Recurrence for Packed {
    fn step(&self, session: &Session, step: Step<'_>, scratch: &mut Scratch) {
        assert!(session.has_tiles(), "a step on tiles needs a session that has them");
        self.check(&step);
        let (units, row) = (self.layout.units, self.row());
        let products = self.products();
        // Where a row's elements in bf16 begin.
        let narrow = |rows: &[f32], at: usize| rows[at + units..].as_ptr().cast::<u16>();
        let empty = Segment { rows: std::ptr::null(), stride: 0, products };
        let mut segments = [empty; SEGMENTS];
        if let Input::States(x) = step.input {
            for (direction, segment) in segments.iter_mut().enumerate().take(self.directions) {
                segment.rows = narrow(x, direction * row);
                segment.stride = self.directions * row * size_of::<f32>();
            }
        }
        let mut end = self.directions;
        if let Some(state) = step.state {
            segments[end] = Segment { rows: narrow(state, 0), stride: row * size_of::<f32>(), products };
            end += 1;
        }
        let mut weights = 0;
        let mut groups = [Group::default(); GROUPS];
        for (group, columns) in groups.iter_mut().zip(&self.groups) {
            let sources = if columns.input { self.directions } else { 0 };
            let first = if columns.input { 0 } else { self.directions };
            let last = if columns.state { end } else { self.directions };
            *group = Group { first, end: last, weights };
            weights += (sources + usize::from(columns.state)) * products * 2 * TILE;
        }
        scratch.sums.resize(2 * self.groups.len() * SUMS);
        let (state, state_stride) = match step.state {
            Some(state) => (state.as_ptr(), row),
            None => (self.zeros.as_ptr(), 0),
        };
        let mut args = StepArgs {
            rows: step.rows,
            panels: units / PANEL,
            segments: &segments,
            groups: &groups[..self.groups.len()],
            weights: self.weights.as_ptr(),
            panel_weights: weights,
            bias: self.bias.as_ptr(),
            sums: scratch.sums.as_mut_ptr(),
            table: self.table.as_ptr(),
            scale: self.scale.as_ptr(),
            tokens: std::ptr::null(),
            ahead: std::ptr::null(),
            ahead_rows: 0,
            columns: self.layout.columns(),
            state,
            state_stride,
            cell: if self.has_cell { step.cell.as_mut_ptr() } else { std::ptr::null_mut() },
            out: step.out.as_mut_ptr(),
            row,
            units,
            sigmoid: &self.sigmoid,
            tanh: &self.tanh,
        };
        if let Input::Tokens { now, ahead } = step.input {
            (args.tokens, args.ahead, args.ahead_rows) = (now.as_ptr(), ahead.as_ptr(), ahead.len());
        }
        let from_table = usize::from(matches!(step.input, Input::Tokens { .. }));
        // SAFETY: `pack` saw that the CPU has the features, and the session proves that this thread has its tiles; `check` saw that
        // rows, states and inputs lie in their slices, padded to whole tiles, and tokens in the table.
        unsafe { self.steps[from_table](&args) };
    }
}
