//! Whether a network fits in this machine's memory.
//!
//! A network that does not would end in the system's out-of-memory killer, after minutes of swapping and without a
//! word. The needs are counted from below, so that nothing is refused that could run.

use super::error::ConfigError;
use crate::file::TensorMap;
use crate::net::Plan;
use crate::optim::OptimizerKind;
use sysinfo::{MemoryRefreshKind, System};

const VALUE: u128 = size_of::<f32>() as u128;
/// Bytes of an activation at least: it is bf16 where convolutions multiply that.
const ACTIVATION: u128 = 2;

/// Bytes that training needs at least: weights, gradients and AdamW's two moments, and what the backward pass keeps
/// of each layer at each time step.
fn training(plan: &Plan, optimizer: OptimizerKind, batch: usize, steps: usize) -> u128 {
    let kept: u128 = plan.layers.iter().map(|layer| values(layer.output)).sum();
    let each = match optimizer {
        OptimizerKind::AdamW => 4,
        // It may go without momentum.
        OptimizerKind::Sgd => 2,
    };
    VALUE * each * u128::from(plan.parameters()) + ACTIVATION * kept * batch as u128 * steps as u128
}

/// Bytes that inference needs at least: weights, and input and output of the largest layer.
fn inference(plan: &Plan, batch: usize, steps: usize) -> u128 {
    let largest = plan.layers.iter().map(|layer| values(layer.input) + values(layer.output)).max();
    let activations = largest.unwrap_or(0) * batch as u128 * steps as u128;
    VALUE * u128::from(plan.parameters()) + ACTIVATION * activations
}

fn values(shape: [usize; 3]) -> u128 {
    shape.iter().map(|&n| n as u128).product()
}

/// The memory of this machine, or of the group of processes (a container) it lets us use; `None` if it is not known.
fn available() -> Option<u128> {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    let whole = system.total_memory().saturating_add(system.total_swap());
    let group = system.cgroup_limits().map(|limits| limits.total_memory);
    Some(whole.min(group.unwrap_or(whole)).into()).filter(|&bytes| bytes > 0)
}

fn check(needed: u128, available: Option<u128>, batch: usize, steps: usize) -> Result<(), ConfigError> {
    match available {
        Some(available) if needed > available => {
            Err(ConfigError::Memory { needed: gib(needed), available: gib(available), batch, steps })
        }
        _ => Ok(()),
    }
}

fn gib(bytes: u128) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// Checks that `plan` can be trained on batches of `batch` samples over `steps` time steps.
///
/// # Errors
/// If it needs more memory than there is.
pub(crate) fn check_training(
    plan: &Plan,
    optimizer: OptimizerKind,
    batch: usize,
    steps: usize,
) -> Result<(), ConfigError> {
    check(training(plan, optimizer, batch, steps), available(), batch, steps)
}

/// Checks that `plan` can run batches of `batch` samples over `steps` time steps.
///
/// # Errors
/// If it needs more memory than there is.
pub fn check_inference(plan: &Plan, batch: usize, steps: usize) -> Result<(), ConfigError> {
    check(inference(plan, batch, steps), available(), batch, steps)
}

/// Checks that `state` may be that of `plan`'s network, before the network is made: a layer string that was tampered
/// with must not ask for more memory than its file has values.
///
/// # Errors
/// If it holds fewer values than the network has parameters.
pub(crate) fn check_held(plan: &Plan, state: &TensorMap) -> Result<(), String> {
    let held: u64 = state.values().map(|tensor| tensor.values.len() as u64).sum();
    match held < plan.parameters() {
        true => Err(format!("it holds {held} values, its network has {} parameters", plan.parameters())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(layers: &str) -> Plan {
        Plan::new(&layers.parse().unwrap(), [1, 8, 8], 10, true).unwrap()
    }

    #[test]
    fn needs_are_those_counted_by_hand() {
        let net = plan("2C3-LI1");
        // 18 weights, 2 biases, 2 scales, 2 shifts; 1280 weights and 10 biases
        assert_eq!(training(&net, OptimizerKind::AdamW, 3, 5), 4 * 4 * 1314 + 2 * (128 + 10) * 15);
        assert_eq!(training(&net, OptimizerKind::Sgd, 3, 5), 4 * 2 * 1314 + 2 * (128 + 10) * 15);
        assert_eq!(inference(&net, 3, 5), 4 * 1314 + 2 * (64 + 128) * 15);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_numbers() {
        let wide = training(&plan("60000C3-60000C3-LI1"), OptimizerKind::AdamW, 32, 4);
        let text = check(wide, Some(64 << 30), 32, 4).unwrap_err().to_string();
        assert!(text.contains("at least") && text.contains("64.0 GiB"), "{text}");
        assert!(check(1 << 40, None, 1, 1).is_ok(), "unknown memory refuses nothing");
        assert!(available().is_none_or(|bytes| bytes > 1 << 20));
    }
}
