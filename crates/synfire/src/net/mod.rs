//! Networks from layer strings.
//!
//! [`NetSpec`] is a parsed layer string, [`Plan`] adds sizes, [`Net`] adds parameters and runs.

mod finite;
mod layers;
mod named;
mod parameter;
mod pass;
mod plan;
mod spec;
mod state;

pub use finite::NonFinite;
pub use layers::{EPS, MOMENTUM};
pub use named::{NAMED, NamedNet, named};
pub use parameter::{Buffer, Parameter};
pub use pass::{Density, Flow, Input, Norm, Operands, Pass, Record, Recorded};
pub use plan::{Plan, PlannedLayer, module_number};
pub use spec::{LayerSpec, NetError, NetSpec, Readout};
pub use state::StateError;

use crate::ops::{self, Lif, Pool, Pooling, Precision};
use crate::parallel;
use burn::tensor::{Device, Gradients, Tensor};
use layers::{ConvNorm, Init, Linear, LinearBlock, Parameters, ReadoutLayer, Residual};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A layer with its parameters.
#[derive(Debug, Clone)]
enum Layer {
    Conv { block: Box<ConvNorm>, relu: bool },
    Residual(Box<Residual>),
    Pool(Pooling, usize),
    Dropout(f32),
    Linear(LinearBlock),
    Readout(ReadoutLayer),
}

impl Layer {
    /// What has parameters in it.
    fn owner(&mut self) -> Option<&mut dyn Parameters> {
        match self {
            Self::Conv { block, .. } => Some(block.as_mut()),
            Self::Residual(block) => Some(block.as_mut()),
            Self::Linear(block) => Some(&mut block.linear),
            Self::Readout(readout) => Some(&mut readout.linear),
            Self::Pool(..) | Self::Dropout(_) => None,
        }
    }
}

/// A spiking network: it owns parameters and running statistics, and no state of its neurons, which lives
/// within one forward pass.
#[derive(Debug, Clone)]
pub struct Net {
    plan: Plan,
    /// The neurons' constants and method.
    pub lif: Lif,
    /// Those of voting neurons.
    pub voters: Lif,
    /// Over which values batch norm takes its statistics in training.
    pub norm: Norm,
    /// What convolutions multiply.
    pub precision: Precision,
    layers: Vec<Layer>,
    device: Device,
}

impl Net {
    /// A network with PyTorch's default initialisation drawn from `seed`.
    pub fn new(plan: Plan, lif: Lif, seed: u64, device: &Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut init = Init { rng: &mut rng, device };
        let name = |module: usize| format!("layers.{module}");
        let relu = plan.relu;
        let layers = plan
            .layers
            .iter()
            .map(|layer| {
                let (module, from) = (layer.module, layer.input[0]);
                match layer.spec {
                    LayerSpec::Conv { channels, kernel, stride } => {
                        let names = [name(module), name(module + 1)];
                        let block = ConvNorm::new(names, [from, channels], kernel, stride, relu, &mut init);
                        Layer::Conv { block: Box::new(block), relu }
                    }
                    LayerSpec::Residual { channels, stride } => Layer::Residual(Box::new(Residual::new(
                        &name(module),
                        [from, channels],
                        stride,
                        relu,
                        &mut init,
                    ))),
                    LayerSpec::Pool { kind, size } => Layer::Pool(kind, size),
                    LayerSpec::Dropout { probability } => Layer::Dropout(probability),
                    LayerSpec::Linear { outputs } => {
                        let linear = Linear::new(&name(module), from, outputs, &mut init);
                        Layer::Linear(LinearBlock { linear, relu })
                    }
                    LayerSpec::Readout { kind, voters } => {
                        let linear = Linear::new(&name(module), from, voters * plan.classes, &mut init);
                        Layer::Readout(ReadoutLayer { linear, kind, voters, classes: plan.classes })
                    }
                }
            })
            .collect();
        Self {
            plan,
            lif,
            voters: lif,
            norm: Norm::default(),
            precision: Precision::default(),
            layers,
            device: device.clone(),
        }
    }

    /// Its layers and sizes.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where its parameters live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Runs the network: what each class gets at each time step, `[T, B, classes]`. The mean over T is the output.
    ///
    /// Neurons hide values that are NaN or infinite. [`Input::check`] and [`Net::check`] find them before the pass,
    /// [`Pass::check`] those that came up in its linear layers; [`Step`](crate::train::Step) looks everywhere.
    ///
    /// # Panics
    /// If the input's channels, height or width are not the plan's.
    pub fn forward(&mut self, input: Input, pass: &mut Pass) -> Tensor<3> {
        pass.steps = input.steps;
        pass.lif = self.lif;
        pass.norm = self.norm;
        pass.precision = self.precision;
        let [_, h, w, c] = input.flow.values.dims();
        assert_eq!([c, h, w], self.plan.input, "the input's channels, height and width");
        let mut image = input.flow;
        let mut flat: Option<Flow<2>> = None;
        // Spikes can be noted down where they leave the neurons, not behind a pooling.
        let fused = !pass.ann && pass.record != Record::Spikes;
        let mut layers = self.layers.iter_mut().zip(&self.plan.layers).peekable();
        while let Some((layer, planned)) = layers.next() {
            if planned.flatten {
                flat = Some(flatten(&image));
            }
            let module = planned.module;
            match (layer, flat.take()) {
                (Layer::Conv { block, relu }, None) => {
                    pass.note_input(format!("layers.{module}"), &image, &block.shape(&image, pass));
                    let neurons = (module + 2 + usize::from(*relu)).to_string();
                    image = if fused {
                        let pool = match layers.next_if(|(next, _)| matches!(next, Layer::Pool(..))) {
                            Some((Layer::Pool(kind, side), _)) => kind.in_block(*side),
                            _ => Pool::None,
                        };
                        let bits = matches!(layers.peek(), Some((Layer::Conv { .. }, _)));
                        block.block(&image, pool, bits, pass, &neurons)
                    } else {
                        let current = block.forward(&image, pass);
                        pass.neurons(current, &neurons)
                    };
                }
                (Layer::Residual(block), None) => image = block.forward(&image, pass, module),
                (Layer::Pool(kind, size), None) => {
                    let pooled = ops::pool(image.clone().widened().values, *kind, *size, *size);
                    image = image.with(pooled);
                }
                (Layer::Dropout(p), None) => image = pass.dropout(image.widened(), *p),
                (Layer::Dropout(p), Some(row)) => flat = Some(pass.dropout(row, *p)),
                (Layer::Linear(block), Some(row)) => {
                    pass.note_row(format!("layers.{module}"), &row, planned.units());
                    flat = Some(block.forward(&row, pass, module));
                }
                (Layer::Readout(readout), Some(row)) => {
                    pass.note_row(format!("layers.{module}"), &row, planned.units());
                    pass.lif = self.voters;
                    let readout = readout.forward(&row, pass, module);
                    pass.watch(module, &readout);
                    return readout;
                }
                _ => unreachable!("the plan keeps image layers before flat ones"),
            }
        }
        unreachable!("the plan ends with a readout")
    }

    fn owners(&mut self) -> impl Iterator<Item = &mut dyn Parameters> {
        self.layers.iter_mut().filter_map(Layer::owner)
    }

    /// Every trained parameter, in the order of the layers.
    pub fn parameters(&mut self) -> Vec<&mut Parameter> {
        self.owners().flat_map(Parameters::parameters).collect()
    }

    /// Every running statistic, in the order of the layers.
    pub fn buffers(&mut self) -> Vec<&mut Buffer> {
        self.owners().flat_map(Parameters::buffers).collect()
    }

    /// Makes every parameter a leaf of the next backward pass.
    pub fn track(&mut self) {
        for (place, parameter) in self.parameters().into_iter().enumerate() {
            parameter.track();
            if !parameter.zero_gradient && parallel::weight().is_some() {
                ops::mark(parameter.value(), place);
            }
        }
    }

    /// Ends the tracking without gradients.
    pub(crate) fn untrack(&mut self) {
        self.parameters().into_iter().for_each(Parameter::untrack);
    }

    /// The gradient of each parameter, in the order of [`parameters`](Self::parameters), flat; ends the tracking.
    pub fn take_gradients(&mut self, gradients: &Gradients) -> Vec<Tensor<1>> {
        self.parameters()
            .into_iter()
            .map(|parameter| {
                let value = parameter.value();
                let gradient = if parameter.zero_gradient { None } else { value.grad(gradients) };
                parameter.untrack();
                gradient.unwrap_or_else(|| parameter.value().zeros_like())
            })
            .collect()
    }
}

/// One row per frame, in the order of channels, height, width as PyTorch flattens.
fn flatten(image: &Flow<4>) -> Flow<2> {
    let [frames, h, w, c] = image.values.dims();
    image.with(image.clone().widened().values.permute([0, 3, 1, 2]).reshape([frames, c * h * w]))
}
