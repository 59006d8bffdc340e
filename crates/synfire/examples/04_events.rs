//! From events to frames to a network's answer over time.
//!
//! `cargo run --release -p synfire --example 04_events`

use burn::tensor::Device;
use std::error::Error;
use synfire::infer::answer;
use synfire::net::{Net, Plan};
use synfire::ops::Lif;
use synfire::train::TrainConfig;
use synfire_events::{Event, FrameSpec, Recording, Sensor, to_frames};

fn main() -> Result<(), Box<dyn Error>> {
    // A point that moves along the diagonal of a 16x16 sensor, leaving on events before and off events behind it.
    let events = (0..1000u16).map(|i| {
        let at = i / 64;
        Event { t: i64::from(i) * 50, x: at, y: at.saturating_sub(i % 2), on: i % 2 == 0 }
    });
    let recording = Recording { sensor: Sensor { width: 16, height: 16 }, events: events.collect() };
    let steps = 8;
    let mut frames = vec![0.0; steps * 2 * 16 * 16];
    to_frames(&recording, &FrameSpec::new(steps), &mut frames)?;

    let device = Device::flex();
    let plan = Plan::new(&"8C3-MP2-16C3-AP2-LI2".parse()?, [2, 16, 16], 3, true)?;
    let mut net = Net::new(plan, Lif::default(), 0, &device);
    let config = TrainConfig { time_steps: steps, ..TrainConfig::default() };
    let answer = answer(&mut net, &config, &frames, 0)?;
    println!(
        "untrained: class {} with certainty {:.2}, settled after step {} of {steps}",
        answer.class, answer.certainty, answer.settled_after
    );
    Ok(())
}
