//! The command `synfire`.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod allocator;
mod commands;
mod console;
mod out_of_memory;
mod pace;
mod ranks;
mod stop;

use clap::{Parser, Subcommand, value_parser};
use console::Console;
use std::process::ExitCode;

/// Train deep spiking neural networks with BPSTA and its baselines.
#[derive(Parser)]
#[command(name = "synfire", version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print results as JSON, one object a line, and nothing else.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// Print only results, no progress and no notes.
    #[arg(long, short, global = true, help_heading = EVERYWHERE)]
    quiet: bool,
    /// CPU threads [default: RAYON_NUM_THREADS, else one for each core]. They change speed, never a result.
    #[arg(long, global = true, value_name = "N", help_heading = EVERYWHERE,
          value_parser = value_parser!(u16).range(1..=i64::from(MOST_THREADS)))]
    threads: Option<u16>,
}

/// Far above any machine's cores, far below what exhausts it.
const MOST_THREADS: u16 = 1024;
const EVERYWHERE: &str = "Options of every command";
const EXAMPLES: &str = "\
Examples:
  synfire train                                   the built-in digits, some seconds
  synfire data fetch mnist                        download MNIST
  synfire train mnist --epochs 5                  MNIST from where it was fetched to
  synfire train nmnist --recipe paper             the paper's recipe, unchanged
  synfire train --resume runs/digits              go on where a run was stopped
  synfire eval runs/digits --time-steps 1,2,4,8   accuracy against time steps
  synfire infer runs/digits image.png             the class of an image
  synfire energy runs/digits                      operations, spikes, and their energy
  synfire compare digits --seeds 3                stbp, bpsa and bpsta beside each other
  synfire report runs/digits                      a page of it: curves, spikes, energy, mistakes
  synfire net describe nmnist                     layers, shapes, parameters, MACs
  synfire export nir runs/digits -o digits.nir    the network for simulators and chips
  synfire import pytorch net.pt nmnist -o net.safetensors
                                                  a network from PyTorch
  synfire devices                                 the CPU and GPUs that --device can name
  synfire data show recording.raw -o film.gif     what an event camera saw

`synfire COMMAND --help` explains a command.
Exit code: 0 done, 1 failed, 2 called wrongly, 130 stopped by Ctrl-C, 143 by SIGTERM.";

#[derive(Subcommand)]
enum Command {
    Train(Box<commands::train::Train>),
    Eval(commands::eval::Eval),
    Infer(commands::infer::Infer),
    Energy(commands::energy::EnergyArguments),
    Compare(Box<commands::compare::Compare>),
    Report(commands::report::ReportArguments),
    Import(commands::import::Import),
    Export(commands::export::Export),
    Net(commands::net::Net),
    Data(commands::data::Data),
    Verify(commands::verify::Verify),
    Bench(commands::bench::Bench),
    Devices(commands::devices::Devices),
}

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    allocator::keep();
    let arguments = Arguments::parse();
    let trains = matches!(arguments.command, Command::Train(_) | Command::Compare(_));
    let console = Console::new(arguments.json, arguments.quiet, trains);
    out_of_memory::quiet();
    match out_of_memory::told(|| run(arguments, &console)) {
        Ok(code) => code,
        Err(error) => {
            console.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: Arguments, console: &Console) -> Result<ExitCode, commands::Error> {
    if let Some(threads) = arguments.threads.map_or_else(threads_from_environment, |n| Ok(Some(n)))? {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global();
        pool.map_err(|e| commands::Error::failed(format!("cannot start {threads} threads: {e}")))?;
    }
    // A name that SYNFIRE_ISA gets wrong is told here, not from within a kernel.
    synfire_kernels::isa::Isa::from_env()
        .map_err(|e| commands::Error::usage(format!("environment variable SYNFIRE_ISA: {e}")))?;
    match arguments.command {
        Command::Train(train) => train.run(console),
        Command::Eval(eval) => eval.run(console),
        Command::Infer(infer) => infer.run(console),
        Command::Energy(energy) => energy.run(console),
        Command::Compare(compare) => compare.run(console),
        Command::Report(report) => report.run(console),
        Command::Import(import) => import.run(console),
        Command::Export(export) => export.run(console),
        Command::Net(net) => net.run(console),
        Command::Data(data) => data.run(console),
        Command::Verify(verify) => verify.run(console),
        Command::Bench(bench) => bench.run(console),
        Command::Devices(devices) => devices.run(console),
    }
}

/// What RAYON_NUM_THREADS asks for; rayon itself passes over what it cannot read.
fn threads_from_environment() -> Result<Option<u16>, commands::Error> {
    const NAME: &str = "RAYON_NUM_THREADS";
    match std::env::var_os(NAME).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => match value.to_str().and_then(|text| text.parse().ok()) {
            Some(threads @ 1..=MOST_THREADS) => Ok(Some(threads)),
            _ => Err(commands::Error::usage(format!(
                "environment variable {NAME} = {}: expected a number from 1 to {MOST_THREADS}",
                value.display()
            ))),
        },
    }
}
