//! `synfire verify`.

use super::{DeviceArgument, Error, precision_on};
use crate::console::Console;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use synfire::ops::{Implementation, set_implementation};
use synfire::train::PrecisionChoice;
use synfire::verify::{Check, verify_file, verify_own};
use synfire_data::Locations;

/// Check this build on this machine against golden files.
///
/// Golden files hold exact expectations computed in double precision: neurons alone, whole networks (forward, every
/// gradient, AdamW steps) and the losses of training runs. Compared is a step as training takes it. Without a file, the
/// project's own set is checked. Exits with 1 if a difference exceeds its tolerance.
#[derive(Args)]
pub(crate) struct Verify {
    /// Golden files (safetensors).
    #[arg(value_name = "GOLDEN")]
    files: Vec<PathBuf>,
    /// What computes on the CPU: the kernels, or the portable operations that kernels are tested against.
    #[arg(long, default_value = "kernels", value_parser = ["kernels", "portable"])]
    ops: String,
    /// What convolutions multiply: f32, bf16 (to wider tolerances), or auto (bf16 where the device has it).
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    precision: PrecisionChoice,
    /// Folder of data sets, for the training runs among the files.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgument,
}

impl Verify {
    pub(crate) fn run(self, console: &Console) -> Result<ExitCode, Error> {
        let device = self.device.open()?;
        let data = Locations::new(self.data_dir.as_deref())?;
        if self.ops == "portable" {
            set_implementation(Implementation::Portable);
        }
        let precision = precision_on(self.precision, &device)?;
        let row = |check: [&str; 5]| {
            let [file, name, difference, tolerance, verdict] = check;
            format!("{file:<20} {name:<48} {difference:>12} {tolerance:>12}  {verdict}")
        };
        console.say(row(["file", "check", "difference", "tolerance", ""]));
        let mut failed = 0;
        let mut total = 0;
        let mut print = |checks: Vec<Check>| {
            for check in checks {
                let verdict = if check.passed() { "ok" } else { "FAILED" };
                let (difference, tolerance) =
                    (format!("{:.2e}", check.difference), format!("{:.2e}", check.tolerance));
                console.say(row([&check.file, &check.name, &difference, &tolerance, verdict]));
                console.json(&serde_json::json!({
                    "file": check.file, "check": check.name, "difference": check.difference,
                    "tolerance": check.tolerance, "passed": check.passed(),
                }));
                failed += usize::from(!check.passed());
                total += 1;
            }
        };
        if self.files.is_empty() {
            print(verify_own(&device, precision)?);
        }
        for file in &self.files {
            print(verify_file(file, &device, &data, precision)?);
        }
        console.say(format!("{} checks passed, {failed} failed", total - failed));
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
