//! The weights of a network, under PyTorch's names and in its layout.

use super::{Real, RnnError, Shape};
use ndarray::{Array1, Array2, ArrayD, ArrayViewD, ArrayViewMutD, Ix1, Ix2};

/// One direction of one recurrent layer (PyTorch's `weight_ih_l0` and so on).
#[derive(Clone, Debug, PartialEq)]
pub struct Direction<F: Real> {
    /// Input weights, `[gates * hidden, inputs]`.
    pub weight_ih: Array2<F>,
    /// Recurrent weights, `[gates * hidden, hidden]`.
    pub weight_hh: Array2<F>,
    /// Input bias, `[gates * hidden]`.
    pub bias_ih: Array1<F>,
    /// Recurrent bias, `[gates * hidden]`.
    pub bias_hh: Array1<F>,
}

/// One recurrent layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer<F: Real> {
    /// Reads from the first token to the last.
    pub forward: Direction<F>,
    /// Reads from the last token to the first, in bidirectional networks.
    pub backward: Option<Direction<F>>,
}

/// A fully connected layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense<F: Real> {
    /// Weights, `[outputs, inputs]`.
    pub weight: Array2<F>,
    /// Bias, `[outputs]`.
    pub bias: Array1<F>,
}

/// A whole network: embedding table, recurrent layers, head.
#[derive(Clone, Debug, PartialEq)]
pub struct Network<F: Real> {
    /// Its shape, which every array below has.
    pub shape: Shape,
    /// One row a token, `[vocabulary, embedding]`.
    pub embedding: Array2<F>,
    /// Recurrent layers, first to last.
    pub layers: Vec<Layer<F>>,
    /// The output layer.
    pub head: Dense<F>,
}

impl<F: Real> Direction<F> {
    /// A direction of zeros: `gates * hidden` rows.
    pub(super) fn zeros(rows: usize, inputs: usize, hidden: usize) -> Self {
        Direction {
            weight_ih: Array2::zeros((rows, inputs)),
            weight_hh: Array2::zeros((rows, hidden)),
            bias_ih: Array1::zeros(rows),
            bias_hh: Array1::zeros(rows),
        }
    }

    fn views(&self) -> [ArrayViewD<'_, F>; 4] {
        [
            self.weight_ih.view().into_dyn(),
            self.weight_hh.view().into_dyn(),
            self.bias_ih.view().into_dyn(),
            self.bias_hh.view().into_dyn(),
        ]
    }

    fn views_mut(&mut self) -> [ArrayViewMutD<'_, F>; 4] {
        [
            self.weight_ih.view_mut().into_dyn(),
            self.weight_hh.view_mut().into_dyn(),
            self.bias_ih.view_mut().into_dyn(),
            self.bias_hh.view_mut().into_dyn(),
        ]
    }
}

impl<F: Real> Layer<F> {
    /// A layer of zeros for layer `index` of `shape`.
    pub(super) fn zeros(shape: &Shape, index: usize) -> Self {
        let direction =
            || Direction::zeros(shape.cell.gates() * shape.hidden, shape.inputs(index), shape.hidden);
        Layer { forward: direction(), backward: shape.bidirectional.then(direction) }
    }

    /// The forward direction, then the backward one if there is one.
    pub fn directions(&self) -> impl Iterator<Item = &Direction<F>> {
        std::iter::once(&self.forward).chain(&self.backward)
    }

    /// As [`Layer::directions`], to be changed.
    pub fn directions_mut(&mut self) -> impl Iterator<Item = &mut Direction<F>> {
        std::iter::once(&mut self.forward).chain(&mut self.backward)
    }
}

impl<F: Real> Network<F> {
    /// A network whose weights are all zero.
    ///
    /// # Errors
    /// A shape that describes no network.
    pub fn zeros(shape: Shape) -> Result<Self, RnnError> {
        shape.check()?;
        Ok(Network {
            shape,
            embedding: Array2::zeros((shape.vocabulary, shape.embedding)),
            layers: (0..shape.layers).map(|index| Layer::zeros(&shape, index)).collect(),
            head: Dense {
                weight: Array2::zeros((shape.outputs, shape.features())),
                bias: Array1::zeros(shape.outputs),
            },
        })
    }

    /// Every tensor under its PyTorch name, in the order of [`Shape::tensors`].
    pub fn tensors(&self) -> Vec<(String, ArrayViewD<'_, F>)> {
        let mut views = vec![self.embedding.view().into_dyn()];
        for direction in self.layers.iter().flat_map(Layer::directions) {
            views.extend(direction.views());
        }
        views.push(self.head.weight.view().into_dyn());
        views.push(self.head.bias.view().into_dyn());
        self.shape.tensors().into_iter().map(|(name, _)| name).zip(views).collect()
    }

    /// As [`Network::tensors`], to be changed.
    pub fn tensors_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, F>)> {
        let names = self.shape.tensors().into_iter().map(|(name, _)| name);
        let mut views = vec![self.embedding.view_mut().into_dyn()];
        for direction in self.layers.iter_mut().flat_map(Layer::directions_mut) {
            views.extend(direction.views_mut());
        }
        views.push(self.head.weight.view_mut().into_dyn());
        views.push(self.head.bias.view_mut().into_dyn());
        names.zip(views).collect()
    }

    /// A network of `shape` whose tensors `lookup` finds by name; its argument has the required dimensions.
    ///
    /// # Errors
    /// What `lookup` answers; [`RnnError::Shape`] for a shape that describes no network and
    /// [`RnnError::Dimensions`] where a tensor has other dimensions than the shape requires.
    pub fn from_tensors<E: From<RnnError>>(
        shape: Shape,
        mut lookup: impl FnMut(&str, &[usize]) -> Result<ArrayD<F>, E>,
    ) -> Result<Self, E> {
        shape.check()?;
        let mut found = Vec::new();
        for (name, dimensions) in shape.tensors() {
            let tensor = lookup(&name, &dimensions)?;
            if tensor.shape() != dimensions {
                return Err(
                    RnnError::Dimensions { name, want: dimensions, got: tensor.shape().to_vec() }.into()
                );
            }
            found.push(tensor);
        }
        Ok(Self::assemble(shape, found))
    }

    /// Puts tensors together that have the dimensions and the order of [`Shape::tensors`].
    fn assemble(shape: Shape, tensors: Vec<ArrayD<F>>) -> Self {
        let mut tensors = tensors.into_iter();
        let mut next = || tensors.next().expect("the shape lists exactly these tensors");
        let embedding = matrix(next());
        let mut layers = Vec::with_capacity(shape.layers);
        for _ in 0..shape.layers {
            let mut direction = || Direction {
                weight_ih: matrix(next()),
                weight_hh: matrix(next()),
                bias_ih: vector(next()),
                bias_hh: vector(next()),
            };
            let forward = direction();
            layers.push(Layer { forward, backward: shape.bidirectional.then(direction) });
        }
        Network { shape, embedding, layers, head: Dense { weight: matrix(next()), bias: vector(next()) } }
    }

    /// The same network in another precision.
    pub fn cast<G: Real>(&self) -> Network<G> {
        let cast = |tensor: ArrayViewD<'_, F>| tensor.mapv(|value| G::from_f64(value.as_f64()));
        Network::<G>::assemble(
            self.shape,
            self.tensors().into_iter().map(|(_, tensor)| cast(tensor)).collect(),
        )
    }
}

fn matrix<F: Real>(tensor: ArrayD<F>) -> Array2<F> {
    let standard = if tensor.is_standard_layout() { tensor } else { tensor.as_standard_layout().to_owned() };
    standard.into_dimensionality::<Ix2>().expect("checked against the shape: two dimensions")
}

fn vector<F: Real>(tensor: ArrayD<F>) -> Array1<F> {
    let standard = if tensor.is_standard_layout() { tensor } else { tensor.as_standard_layout().to_owned() };
    standard.into_dimensionality::<Ix1>().expect("checked against the shape: one dimension")
}
