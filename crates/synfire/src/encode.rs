//! Still images to one frame per time step.

use crate::net::Input;
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::str::FromStr;

/// How a still image becomes T frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// The image itself at every step: the first neuron layer makes the spikes. The paper's.
    #[default]
    Direct,
    /// Rate (Poisson) coding: at each step a pixel spikes with a probability of its intensity in 0..=1.
    Rate,
    /// Time to first spike: a pixel spikes once, the brighter the earlier, at step ⌊(1 - x)·T⌋; black never.
    Latency,
    /// Phase coding: the pixel's binary digits, one a step, the heaviest first; a spike at step t weighs
    /// 2^-(1 + t mod 8) (Kim et al. 2018). Eight steps carry an 8-bit image.
    Phase,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Rate => "rate",
            Self::Latency => "latency",
            Self::Phase => "phase",
        })
    }
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Direct, Self::Rate, Self::Latency, Self::Phase]
            .into_iter()
            .find(|encoding| encoding.to_string() == text)
            .ok_or_else(|| format!("unknown encoding `{text}`, expected direct, rate, latency or phase"))
    }
}

/// Binary digits of a pixel that phase coding sends, then sends again.
const PHASES: usize = 8;

impl Encoding {
    /// The frames of `pixels` in 0..=1, `[steps, pixels]`, or nothing for [`Direct`](Self::Direct), whose frames
    /// are all the image. `rng` is drawn from by rate coding alone. A value that is NaN or infinite is no intensity and
    /// is passed on as it is, for the network to refuse.
    pub fn frames(self, pixels: &[f32], steps: usize, rng: &mut ChaCha8Rng) -> Option<Vec<f32>> {
        let spike = |fires: bool| if fires { 1.0 } else { 0.0 };
        if self == Self::Direct {
            return None;
        }
        let mut value = |t: usize, x: f32| match self {
            _ if !x.is_finite() => x,
            Self::Direct => x,
            Self::Rate => spike(rng.random::<f32>() < x),
            Self::Latency => spike(x > 0.0 && first_spike(x, steps) == t),
            Self::Phase => {
                let phase = t % PHASES;
                let level = (x.clamp(0.0, 1.0) * 255.0).round() as u32;
                0.5f32.powi(1 + phase as i32) * spike(level >> (PHASES - 1 - phase) & 1 == 1)
            }
        };
        let mut out = Vec::with_capacity(pixels.len() * steps);
        for t in 0..steps {
            out.extend(pixels.iter().map(|&x| value(t, x)));
        }
        Some(out)
    }

    /// The network's input: still images `[B, C, H, W]` encoded over `steps`, frames `[B, T, C, H, W]` as they are.
    /// `rng` gives the random numbers of the i-th image.
    ///
    /// # Panics
    /// If `shape` is neither or does not fit the number of values.
    pub fn input(
        self,
        values: &[f32],
        shape: &[usize],
        steps: usize,
        rng: impl Fn(usize) -> ChaCha8Rng,
        device: &Device,
    ) -> Input {
        let tensor = |values: Vec<f32>, shape: [usize; 5]| {
            // [B, T, …] to [T, B, …]
            let frames = Tensor::<5>::from_data(TensorData::new(values, shape), device);
            Input::frames(frames.permute([1, 0, 2, 3, 4]))
        };
        match *shape {
            [n, c, h, w] if self == Self::Direct => {
                let images = TensorData::new(values.to_vec(), [n, c, h, w]);
                Input::constant(Tensor::from_data(images, device), steps)
            }
            [n, c, h, w] => {
                let encode = |(i, image)| self.frames(image, steps, &mut rng(i)).unwrap_or_default();
                let frames = values.chunks(c * h * w).enumerate().flat_map(encode).collect();
                tensor(frames, [n, steps, c, h, w])
            }
            [n, t, c, h, w] => tensor(values.to_vec(), [n, t, c, h, w]),
            _ => panic!("samples of shape {shape:?}: expected images [B, C, H, W] or frames [B, T, C, H, W]"),
        }
    }
}

fn first_spike(x: f32, steps: usize) -> usize {
    (((1.0 - x.clamp(0.0, 1.0)) * steps as f32) as usize).min(steps - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    fn frames(encoding: Encoding, pixels: &[f32], steps: usize) -> Vec<f32> {
        encoding.frames(pixels, steps, &mut ChaCha8Rng::seed_from_u64(1)).unwrap()
    }

    #[test]
    fn direct_needs_no_frames() {
        assert!(Encoding::Direct.frames(&[0.5], 4, &mut ChaCha8Rng::seed_from_u64(1)).is_none());
    }

    #[test]
    fn rate_fires_as_often_as_the_pixel_is_bright() {
        let x = vec![0.3; 1000];
        let spikes = frames(Encoding::Rate, &x, 20);
        let mean = spikes.iter().sum::<f32>() / spikes.len() as f32;
        assert!((mean - 0.3).abs() <= 0.02, "{mean}");
        assert!(spikes.iter().all(|&s| s == 0.0 || s == 1.0));
    }

    #[test]
    fn latency_fires_once_and_the_brighter_the_earlier() {
        let pixels = [1.0, 0.6, 0.01, 0.0];
        let spikes = frames(Encoding::Latency, &pixels, 4);
        let at = |i: usize| -> Vec<usize> { (0..4).filter(|t| spikes[t * 4 + i] == 1.0).collect() };
        assert_eq!((at(0), at(1), at(2), at(3)), (vec![0], vec![1], vec![3], vec![]));
    }

    #[test]
    fn phase_sums_to_the_pixel() {
        let spikes = frames(Encoding::Phase, &[200.0 / 255.0], 8);
        assert!((spikes.iter().sum::<f32>() - 200.0 / 256.0).abs() <= 1e-6);
    }
}
