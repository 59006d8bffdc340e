//! `synfire net`.

use super::Error;
use crate::console::Console;
use clap::{Args, Subcommand, value_parser};
use std::process::ExitCode;
use synfire::net::{NAMED, Plan, named};
use synfire::optim::OptimizerKind;
use synfire::train::{MOST_STEPS, Memory, PrecisionChoice, available_memory};

/// Networks: names, layers, sizes.
#[derive(Args)]
pub(crate) struct Net {
    #[command(subcommand)]
    command: NetCommand,
}

/// The language of layer strings.
const LAYERS: &str = "\
A layer string is layers joined by -, such as 32C3-MP2-64C3-AP2-LI10:
  nCk, nCkSs    convolution to n channels, odd kernel k, stride s; batch norm, ReLU, neurons
  nRB, nRBSs    residual block of two 3x3 convolutions to n channels, stride s
  MPk, APk      maximum or mean of windows of k x k
  DP, DPp       dropout with probability p, a half if none is given; one mask for all time steps
  nFC           fully connected layer to n values; ReLU, neurons
  VOTEn, LIn    last: n voting neurons, or n leaky integrators that do not fire, for each class
  LAYER*r       the layer, r times";

#[derive(Subcommand)]
enum NetCommand {
    /// The named networks and their layer strings.
    List,
    /// Layers, shapes, parameters and multiply-accumulates of a network, and the memory that training it takes.
    #[command(after_help = LAYERS)]
    Describe {
        /// Name or layer string.
        #[arg(value_name = "NAME|LAYERS")]
        net: String,
        /// Channels, height and width of the input [default: what the named network was made for].
        #[arg(long, value_name = "C,H,W", value_parser = shape)]
        input: Option<[usize; 3]>,
        /// Classes [default: what the named network was made for, else 10].
        #[arg(long, value_name = "N")]
        classes: Option<usize>,
        /// Leave the ReLU before the neurons out.
        #[arg(long)]
        no_relu: bool,
        #[command(flatten)]
        training: Training,
    },
}

/// What training would take: told with a batch size and a number of time steps.
#[derive(Args)]
#[command(next_help_heading = "Memory of training")]
struct Training {
    /// Samples per batch: tells how much memory training with AdamW takes at its peak.
    #[arg(short, long, value_name = "B", value_parser = value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// Time steps [default: 16].
    #[arg(short = 'T', long, value_name = "T", requires = "batch_size",
          value_parser = value_parser!(u32).range(1..=MOST_STEPS as i64))]
    time_steps: Option<u32>,
    /// What convolutions multiply: f32, bf16, or auto (bf16 where the processor has instructions for it).
    #[arg(long, value_name = "PRECISION", requires = "batch_size", default_value_t)]
    precision: PrecisionChoice,
    /// Inputs are frames, one for each time step [default: where they have two channels, else still images].
    #[arg(long, requires = "batch_size")]
    frames: bool,
}

impl Net {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        match self.command {
            NetCommand::List => {
                for net in NAMED {
                    console.say(format!("{:<14} {}\n{:14} {}", net.name, net.about, "", net.layers));
                    let line = serde_json::json!({
                        "name": net.name, "layers": net.layers, "input": net.input, "classes": net.classes,
                        "about": net.about,
                    });
                    console.json(&line);
                }
            }
            NetCommand::Describe { net, input, classes, no_relu, training } => {
                let plan = plan_of(&net, input, classes, !no_relu)?;
                describe(&plan, console);
                if let Some(batch) = training.batch_size {
                    tell_memory(&plan, batch as usize, &training, console);
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The network called `net`, or of that layer string, for an input `[C, H, W]` and so many classes.
pub(super) fn plan_of(
    net: &str,
    input: Option<[usize; 3]>,
    classes: Option<usize>,
    relu: bool,
) -> Result<Plan, Error> {
    let known = named(net);
    let layers = known.map_or(net, |known| known.layers);
    let spec = layers.parse().map_err(|e| Error::usage(format!("{e}")))?;
    let input = match (input, known) {
        (Some(given), _) => given,
        (None, Some(known)) => known.input,
        (None, None) => return Err(Error::usage("a layer string needs --input C,H,W, such as 1,28,28")),
    };
    let classes = classes.or(known.map(|known| known.classes)).unwrap_or(10);
    Plan::new(&spec, input, classes, relu).map_err(|e| Error::usage(e.to_string()))
}

/// Reads channels, height and width.
pub(super) fn shape(text: &str) -> Result<[usize; 3], String> {
    let sizes: Option<Vec<usize>> = text.split(',').map(|size| size.trim().parse().ok()).collect();
    let sizes = sizes.and_then(|sizes| <[usize; 3]>::try_from(sizes).ok());
    sizes.ok_or_else(|| "expected C,H,W (channels, height, width), such as 1,28,28".to_string())
}

fn describe(plan: &Plan, console: &Console) {
    let shape = |[c, h, w]: [usize; 3]| if (h, w) == (1, 1) { c.to_string() } else { format!("{c}x{h}x{w}") };
    console.say(plan.spec.to_string());
    let row = |cells: [&str; 6]| {
        let [module, layer, from, to, parameters, macs] = cells;
        format!("{module:>8}  {layer:<10} {from:>14} {to:>14} {parameters:>12} {macs:>14}")
    };
    console.say(row(["module", "layer", "input", "output", "parameters", "MACs/step"]));
    for layer in &plan.layers {
        console.say(row([
            &layer.module.to_string(),
            &layer.spec.to_string(),
            &shape(layer.input),
            &shape(layer.output),
            &layer.parameters.to_string(),
            &layer.macs.to_string(),
        ]));
        let line = serde_json::json!({
            "module": layer.module, "layer": layer.spec.to_string(), "input": layer.input, "output": layer.output,
            "parameters": layer.parameters, "macs": layer.macs,
        });
        console.json(&line);
    }
    let (parameters, macs) = (plan.parameters(), plan.macs());
    console.say(row(["", "total", "", "", &parameters.to_string(), &macs.to_string()]));
    console.json(&serde_json::json!({ "layer": "total", "parameters": parameters, "macs": macs }));
}

fn tell_memory(plan: &Plan, batch: usize, training: &Training, console: &Console) {
    let case = synfire::train::Training {
        optimizer: OptimizerKind::AdamW,
        batch,
        steps: training.time_steps.unwrap_or(16) as usize,
        precision: training.precision.here(),
        still: !training.frames && plan.input[0] != 2,
    };
    let memory = Memory::of_training(plan, &case);
    let mib = |bytes: u128| bytes as f64 / f64::from(1 << 20);
    let kind = if case.still { "still images" } else { "frames" };
    let (steps, precision) = (case.steps, case.precision);
    console.say(format!(
        "memory of training on {kind}, B {batch}, T {steps}, {precision}, in MiB, at its peak:"
    ));
    let parts = [
        ("weights and AdamW's moments", memory.weights),
        ("gradients", memory.gradients),
        ("activations and errors", memory.activations),
        ("packed weights or sums of a convolution", memory.workspace),
        ("program and gaps, about", memory.rest),
        ("total, about", memory.total()),
    ];
    for (part, bytes) in parts {
        console.say(format!("  {part:<41}{:>9.1}", mib(bytes)));
    }
    let available = available_memory();
    if let Some(available) = available.filter(|available| *available < memory.total()) {
        console.say(format!("that is more than the {:.1} MiB there are", mib(available)));
    }
    console.json(&serde_json::json!({
        "memory": "training", "batch_size": batch, "time_steps": steps, "precision": precision.name(),
        "still": case.still, "weights_mib": mib(memory.weights), "gradients_mib": mib(memory.gradients),
        "activations_mib": mib(memory.activations), "workspace_mib": mib(memory.workspace),
        "rest_mib": mib(memory.rest), "peak_mib": mib(memory.total()), "available_mib": available.map(mib),
    }));
}
