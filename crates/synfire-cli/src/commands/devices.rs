//! `synfire devices`.

use super::Error;
use crate::console::Console;
use clap::Args;
use std::process::ExitCode;
use synfire::device::{Listed, list};
use synfire_kernels::isa::Isa;

/// List what this machine can compute on, and why something cannot be used.
///
/// Every device is tried with a small computation. What a build knows beside the CPU was chosen when it was built, by cargo's
/// features: cuda, wgpu (for --device webgpu), vulkan, metal.
#[derive(Args)]
pub(crate) struct Devices {}

impl Devices {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        for Listed { name, description, problem } in list() {
            let cpu = || format!("{} threads, {}", rayon::current_num_threads(), Isa::detect().name());
            let description = description.or_else(|| (name == "cpu").then(cpu));
            let problem = problem.map(|problem| problem.to_string());
            let shown = description.as_deref().or(problem.as_deref()).unwrap_or("usable");
            console.say(format!("{name:<10} {}", shown.replace('\n', "\n           ")));
            console.json(&serde_json::json!({
                "device": name, "usable": problem.is_none(), "description": description, "problem": problem,
            }));
        }
        Ok(ExitCode::SUCCESS)
    }
}
