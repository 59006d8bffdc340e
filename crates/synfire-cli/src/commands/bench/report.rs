//! What `synfire bench` prints.

use super::case::{Case, Trained};
use crate::commands::percent;
use crate::console::Console;
use serde_json::{Value, json};
use std::time::Duration;
use synfire::device::{description, memory_taken};
use synfire::net::Density;
use synfire::speed::{Profile, Speed};
use synfire_kernels::conv::Way;
use synfire_kernels::isa::Isa;
use synfire_kernels::peak;

/// Prints what was measured; `memory` is the peak in MiB.
pub(super) fn print(
    console: &Console,
    case: &Case,
    densities: &[Density],
    speed: &Speed,
    memory: Option<f64>,
    profile: Option<&Profile>,
) {
    let Case { name, net, load, .. } = case;
    let (batch, steps) = (load.labels.len(), load.input.steps());
    let [train, train_least, train_most] = speed.train.samples_per_s();
    let [infer, infer_least, infer_most] = speed.infer.samples_per_s();
    let device = description(net.device());
    let taken = memory_taken(net.device()).map(|bytes| bytes as f64 / f64::from(1 << 20));
    let (shown, what) = taken.map_or((memory, "peak memory"), |taken| (Some(taken), "device memory"));
    console.say(format!(
        "{name}, B {batch}, T {steps}, {}{}: train {train:.1} samples/s ({train_least:.1}–{train_most:.1}, {} steps), \
         infer {infer:.1} ({infer_least:.1}–{infer_most:.1}){}",
        net.precision,
        device.as_ref().map_or(String::new(), |device| format!(", {device}")),
        speed.train.steps(),
        shown.map_or(String::new(), |memory| format!(", {what} {memory:.0} MiB")),
    ));
    if !densities.is_empty() {
        console.say(format!(
            "  {:<18} {:>7}  {:<9} {:<9} {:<9}",
            "input of", "not 0", "forward", "input's", "weights'"
        ));
    }
    for one in densities {
        let [forward, weights] = [one.forward, one.weight_gradient].map(Way::name);
        let input = one.input_gradient.map_or("–", Way::name);
        let share = percent(one.share);
        console.say(format!("  {:<18} {share:>7}  {forward:<9} {input:<9} {weights:<9}", one.module));
    }
    let density = |one: &Density| {
        json!({
            "module": one.module, "share": one.share, "forward": one.forward.name(),
            "input_gradient": one.input_gradient.map(Way::name), "weight_gradient": one.weight_gradient.name(),
        })
    };
    let densities: Vec<Value> = densities.iter().map(density).collect();
    let mut line = json!({
        "net": name, "batch_size": batch, "time_steps": steps, "method": net.lif.method.name(),
        "norm": net.norm.to_string(), "loss": case.loss.to_string(), "precision": net.precision.name(),
        "threads": rayon::current_num_threads(), "isa": Isa::detect().name(),
        "train_samples_per_s": train, "train_slowest_fastest": [train_least, train_most],
        "train_steps": speed.train.steps(),
        "infer_samples_per_s": infer, "infer_slowest_fastest": [infer_least, infer_most],
        "first_loss": speed.first_loss, "peak_rss_mib": memory, "input_density": densities,
        "device": device.as_deref().unwrap_or("cpu"), "device_memory_mib": taken,
    });
    if let Some(trained) = &case.trained {
        console.say(weights(trained));
        line["checkpoint"] = json!(trained.checkpoint.display().to_string());
        line["dataset"] = json!(trained.dataset);
        line["test_accuracy"] = json!(trained.summary.as_ref().map(|(_, summary)| summary.test_accuracy));
    }
    if let Some(profile) = profile {
        let peak = peak::all_threads(Isa::detect(), net.precision);
        console.say(table(profile, peak));
        line["profile"] = profile_json(profile, peak);
    }
    console.json(&line);
}

/// Where the weights are from and what the network can do with them.
fn weights(trained: &Trained) -> String {
    let accuracy = trained.summary.as_ref().map_or(String::new(), |(file, summary)| {
        let (accuracy, samples) = (percent(summary.test_accuracy), summary.test_samples);
        format!(", test accuracy {accuracy} of {samples} samples ({})", file.display())
    });
    format!("  weights of {} ({}){accuracy}", trained.checkpoint.display(), trained.dataset)
}

/// A kernel's name, calls, milliseconds and, if it is made of multiplications, FLOP/s: the first three of one step.
type Row = (&'static str, f64, f64, Option<f64>);

fn rows(profile: &Profile) -> Vec<Row> {
    let steps = profile.steps as f64;
    let ms = |time: Duration| 1e3 * time.as_secs_f64() / steps;
    let kernels = profile.kernels.iter().map(|(kind, spent)| {
        let flops = (spent.macs > 0).then(|| 2.0 * spent.macs as f64 / spent.time.as_secs_f64().max(1e-9));
        (kind.name(), spent.calls as f64 / steps, ms(spent.time), flops)
    });
    kernels.chain([("rest", 0.0, ms(profile.rest()), None)]).collect()
}

fn step_ms(profile: &Profile) -> f64 {
    1e3 * profile.time.as_secs_f64() / profile.steps as f64
}

fn table(profile: &Profile, peak: f64) -> String {
    let step = step_ms(profile);
    let mut table = format!(
        "  {:<36} {:>6} {:>10} {:>9} {:>9} {:>9}",
        "kernels of a training step", "calls", "ms", "of step", "GFLOP/s", "of peak"
    );
    for (name, calls, ms, flops) in rows(profile) {
        let rate = flops
            .map_or(String::new(), |flops| format!(" {:>9.0} {:>9}", 1e-9 * flops, percent(flops / peak)));
        table += &format!("\n  {name:<36} {calls:>6.0} {ms:>10.2} {:>9}{rate}", percent(ms / step));
    }
    table += &format!("\n  {:<36} {:>6} {step:>10.2} {:>9} {:>9.0}", "step; peak", "", "", 1e-9 * peak);
    table
}

fn profile_json(profile: &Profile, peak: f64) -> Value {
    let kernel = |(name, calls, ms, flops): Row| {
        json!({
            "kernel": name, "calls": calls, "ms": ms, "gflops": flops.map(|flops| 1e-9 * flops),
            "share_of_peak": flops.map(|flops| flops / peak),
        })
    };
    let kernels: Vec<Value> = rows(profile).into_iter().map(kernel).collect();
    json!({ "steps": profile.steps, "step_ms": step_ms(profile), "peak_gflops": 1e-9 * peak, "kernels": kernels })
}

/// The most memory this process has had so far, in MiB, where the system tells.
pub(super) fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
