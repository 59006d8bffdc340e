//! Where the time of a training step goes.

use super::{Load, Times, Training};
use crate::loss::Loss;
use crate::net::{Net, NonFinite};
use crate::ops::clock::{self, Kind, Spent};
use std::collections::BTreeMap;
use std::time::Duration;

/// The time of some training steps, and of the kernels in them.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// How many steps.
    pub steps: usize,
    /// The time of them all.
    pub time: Duration,
    /// What the kernels took of it. The rest is the optimiser, dropout, the loss, and memory that is set or moved.
    pub kernels: BTreeMap<Kind, Spent>,
}

impl Profile {
    /// The time that no kernel took.
    pub fn rest(&self) -> Duration {
        let kernels = self.kernels.values().map(|spent| spent.time).sum();
        self.time.saturating_sub(kernels)
    }
}

/// Profiles training steps of `net` for `time`, as [`measure`](super::measure) does them.
///
/// The clock of the kernels is one for the process: no other network may run meanwhile.
///
/// # Errors
/// If a value becomes NaN or infinite.
///
/// # Panics
/// If the load's shape is not the network's.
pub fn profile(net: &mut Net, load: &Load, loss: Loss, time: Duration) -> Result<Profile, NonFinite> {
    let mut training = Training::new(load, loss);
    let mut warm = false;
    let times = Times::measure(load.labels.len(), time, || {
        training.step(net)?;
        if !std::mem::replace(&mut warm, true) {
            clock::start();
        }
        Ok(())
    });
    let kernels = clock::stop();
    let times = times?;
    let time = times.seconds.iter().sum();
    Ok(Profile { steps: times.steps(), time: Duration::from_secs_f64(time), kernels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Plan;
    use crate::ops::Lif;
    use burn::tensor::Device;

    #[test]
    fn every_kernel_of_a_step_is_counted() {
        let device = Device::flex();
        let plan = Plan::new(&"4C3-MP2-6C3-LI1".parse().unwrap(), [2, 6, 6], 10, true).unwrap();
        let load = Load::synthetic(&plan, 3, 2, &device);
        let mut net = Net::new(plan, Lif::default(), 0, &device);
        let profile = profile(&mut net, &load, Loss::CrossEntropy, Duration::ZERO).unwrap();
        let steps = profile.steps as u64;
        // Other tests of this process may run kernels meanwhile.
        let spent = |kind| profile.kernels[&kind];
        for (kind, calls) in [
            (Kind::ConvForward, 2),
            (Kind::ConvInputGrad, 1),
            (Kind::ConvWeightGrad, 2),
            (Kind::BlockStatistics, 2),
            (Kind::BlockForward, 2),
            (Kind::BlockBackward, 2),
            (Kind::Linear, 3),
        ] {
            assert!(spent(kind).calls >= calls * steps, "{kind:?}: {:?}", spent(kind));
        }
        let macs = 3 * 2 * (36 * 4 * 2 * 9 + 9 * 6 * 4 * 9);
        assert!(spent(Kind::ConvForward).macs >= macs * steps);
    }
}
