//! From a layer string and an input shape to layers with sizes: what `synfire net describe` prints and what a
//! network is built from.

use super::spec::{LayerSpec, NetError, NetSpec, Readout};

/// Where a layer takes its name from: `layers.N` counts modules as PyTorch's `Sequential` would. A convolution
/// block is four modules (convolution, batch norm, ReLU, neuron), a pooling one, `nFC` linear, ReLU and neuron,
/// a readout linear, neuron and vote; the flattening before the first linear layer is one, a residual block one.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedLayer {
    /// What it is.
    pub spec: LayerSpec,
    /// Number of its first module.
    pub module: usize,
    /// Values are put in one row before this layer.
    pub flatten: bool,
    /// Channels, height and width of its input; a flat layer has height and width 1.
    pub input: [usize; 3],
    /// The same of its output.
    pub output: [usize; 3],
    /// Trained values.
    pub parameters: u64,
    /// Multiply-accumulates of one time step of one sample, as a dense network would do them.
    pub macs: u64,
}

impl PlannedLayer {
    /// Outputs of a linear layer, or of a readout, which has several for each class.
    pub fn units(&self) -> usize {
        self.parameters as usize / (self.input.iter().product::<usize>() + 1)
    }
}

/// A network's layers with their sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The layer string.
    pub spec: NetSpec,
    /// Channels, height and width of the input.
    pub input: [usize; 3],
    /// Classes.
    pub classes: usize,
    /// A ReLU stands before each hidden neuron.
    pub relu: bool,
    /// The layers.
    pub layers: Vec<PlannedLayer>,
}

/// Largest channels, height, width or number of classes: their products stay far from overflow.
const LARGEST: usize = 65_536;

impl Plan {
    /// Sizes every layer of `spec` for inputs `[C, H, W]`.
    ///
    /// # Errors
    /// If a layer's window or a size does not fit.
    pub fn new(spec: &NetSpec, input: [usize; 3], classes: usize, relu: bool) -> Result<Self, NetError> {
        let sound = |size: &usize| (1..=LARGEST).contains(size);
        if !input.iter().all(sound) || !sound(&classes) {
            return Err(NetError::Sizes { input, classes, most: LARGEST });
        }
        let mut layers = Vec::with_capacity(spec.layers.len());
        let (mut shape, mut module, mut flat) = (input, 0, false);
        let mut behind_pool = false;
        let image_layers =
            spec.layers.iter().rposition(|&layer| is_spatial(layer)).map_or(0, |last| last + 1);
        for (i, &layer) in spec.layers.iter().enumerate() {
            // A dropout behind the last pooling already works on the flat values, as in the released networks.
            let flatten = !flat
                && match layer {
                    LayerSpec::Linear { .. } | LayerSpec::Readout { .. } => true,
                    LayerSpec::Dropout { .. } => behind_pool && i >= image_layers,
                    _ => false,
                };
            if flatten {
                shape = [shape.iter().product(), 1, 1];
                flat = true;
            }
            if flat && is_spatial(layer) {
                return Err(spec.error(i, "works on images, but the layers before it made the values flat"));
            }
            let (output, modules, parameters, macs) =
                size(layer, shape, classes, relu).map_err(|problem| spec.error(i, problem))?;
            let first = module + usize::from(flatten);
            layers.push(PlannedLayer {
                spec: layer,
                module: first,
                flatten,
                input: shape,
                output,
                parameters,
                macs,
            });
            module = first + modules;
            behind_pool = matches!(layer, LayerSpec::Pool { .. });
            shape = output;
        }
        Ok(Self { spec: spec.clone(), input, classes, relu, layers })
    }

    /// The token of the layer that module `number` (as in `layers.N`) belongs to.
    pub fn layer_of(&self, number: &str) -> String {
        let number = number.split('.').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let found = self.layers.iter().rev().find(|layer| layer.module <= number);
        found.map(|layer| layer.spec.to_string()).unwrap_or_default()
    }

    /// What the network ends with.
    pub fn readout(&self) -> Readout {
        match self.spec.layers.last() {
            Some(LayerSpec::Readout { kind, .. }) => *kind,
            _ => unreachable!("the parser lets no network end otherwise"),
        }
    }

    /// Trained values of the whole network.
    pub fn parameters(&self) -> u64 {
        self.layers.iter().map(|layer| layer.parameters).fold(0, u64::saturating_add)
    }

    /// Multiply-accumulates of one time step of one sample.
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(|layer| layer.macs).fold(0, u64::saturating_add)
    }
}

/// The number in `layers.3` or `layers.3.conv1`, by which modules are in order; the largest of what has none.
pub fn module_number(name: &str) -> usize {
    name.split('.').nth(1).and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}

/// A product; what a layer string of absurd widths asks for becomes the largest number.
fn times(a: usize, b: usize) -> u64 {
    (a as u64).saturating_mul(b as u64)
}

/// Whether a layer works on images.
fn is_spatial(layer: LayerSpec) -> bool {
    matches!(layer, LayerSpec::Conv { .. } | LayerSpec::Residual { .. } | LayerSpec::Pool { .. })
}

/// Output shape, modules, parameters and MACs of a layer.
fn size(
    layer: LayerSpec,
    [c, h, w]: [usize; 3],
    classes: usize,
    relu: bool,
) -> Result<([usize; 3], usize, u64, u64), String> {
    let conv = |from: usize, to: usize, kernel: usize, [h, w]: [usize; 2]| {
        let weights = times(from * to, kernel * kernel);
        // weights and bias, scale and shift of the batch norm
        (weights.saturating_add(3 * to as u64), weights.saturating_mul((h * w) as u64))
    };
    let strided = |stride: usize| [h, w].map(|n| (n - 1) / stride + 1);
    Ok(match layer {
        LayerSpec::Conv { channels, kernel, stride } => {
            let out = strided(stride);
            let (parameters, macs) = conv(c, channels, kernel, out);
            ([channels, out[0], out[1]], 3 + usize::from(relu), parameters, macs)
        }
        LayerSpec::Residual { channels, stride } => {
            let out = strided(stride);
            let mut parts = vec![conv(c, channels, 3, out), conv(channels, channels, 3, out)];
            if c != channels || stride != 1 {
                parts.push(conv(c, channels, 1, out));
            }
            let sum = |of: fn(&(u64, u64)) -> u64| parts.iter().map(of).fold(0, u64::saturating_add);
            ([channels, out[0], out[1]], 1, sum(|p| p.0), sum(|p| p.1))
        }
        LayerSpec::Pool { size, .. } => {
            if size > h || size > w {
                return Err(format!(
                    "its {size}x{size} window is larger than the {h}x{w} image that reaches it"
                ));
            }
            ([c, h / size, w / size], 1, 0, 0)
        }
        LayerSpec::Dropout { .. } => ([c, h, w], 1, 0, 0),
        LayerSpec::Linear { outputs } => {
            let weights = times(c, outputs);
            ([outputs, 1, 1], 2 + usize::from(relu), weights.saturating_add(outputs as u64), weights)
        }
        LayerSpec::Readout { voters, .. } => {
            let outputs = voters * classes;
            let weights = times(c, outputs);
            ([classes, 1, 1], 3, weights.saturating_add(outputs as u64), weights)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::named::{NAMED, named};
    use super::*;

    fn plan(layers: &str, input: [usize; 3], classes: usize) -> Result<Plan, NetError> {
        Plan::new(&layers.parse().unwrap(), input, classes, true)
    }

    #[test]
    fn a_dropout_between_image_layers_keeps_the_image() {
        let net = plan("8C3-MP2-DP-16C3-MP2-DP-LI1", [1, 8, 8], 10).unwrap();
        assert_eq!(
            net.layers.iter().map(|layer| layer.flatten).collect::<Vec<_>>(),
            [false, false, false, false, false, true, false]
        );
        assert_eq!(net.layers[2].output, [8, 4, 4]);
    }

    #[test]
    fn parameters_of_the_released_networks() {
        let count = |name: &str, classes| {
            let net = named(name).unwrap();
            plan(net.layers, net.input, classes).unwrap().parameters()
        };
        assert_eq!(count("nmnist", 10), 1_678_692);
        assert_eq!(count("cifar10", 10), 1_827_684);
        assert_eq!(count("dvs", 11), 6_609_646);
        assert_eq!(count("dvs", 10), 6_599_396);
    }

    #[test]
    fn every_named_network_fits_its_input() {
        for net in NAMED {
            plan(net.layers, net.input, net.classes).unwrap();
        }
    }

    #[test]
    fn modules_are_in_their_order() {
        assert!(module_number("layers.3") < module_number("layers.11.conv1"));
        assert_eq!(module_number("other"), usize::MAX);
    }

    #[test]
    fn modules_are_counted_as_in_the_released_code() {
        let modules = |layers, input| -> Vec<usize> {
            plan(layers, input, 10).unwrap().layers.iter().map(|l| l.module).collect()
        };
        assert_eq!(modules("8C3-MP2-16C3-AP2-VOTE2", [2, 10, 10]), [0, 4, 5, 9, 11]);
        // flattened before the dropout that follows a pooling
        assert_eq!(modules("8C3-AP2-DP-VOTE2", [2, 10, 10]), [0, 4, 6, 7]);
        assert_eq!(modules("8C3-DP-16FC-VOTE2", [2, 10, 10]), [0, 4, 6, 9]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let text = plan("8C3-MP2-MP8-LI1", [1, 8, 8], 10).unwrap_err().to_string();
        assert!(text.contains("layer 3") && text.contains("4x4"), "{text}");
        assert!(plan("8FC-8C3-LI1", [1, 8, 8], 10).unwrap_err().to_string().contains("flat"));
        assert!(plan("8C3-LI1", [1, 0, 8], 10).is_err());
    }
}
