//! How fast N-MNIST recordings become frames, on one core.
//!
//! `cargo run --release -p synfire-data --example nmnist_speed [DATA_FOLDER]`
//!
//! Reads every training recording, counts it into 16 frames, checks that the frames hold as many events as the file,
//! and prints millions of events per second, the best of ten passes; files come from the operating system's cache.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use synfire_data::{FrameSpec, Framing, Locations, open};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1);
    let set = open("nmnist", &Locations::new(folder.as_deref().map(Path::new))?)?;
    set.notes.iter().for_each(|note| println!("{note}"));
    for framing in [Framing::Count, Framing::Time] {
        let frames = FrameSpec { framing, ..FrameSpec::default() };
        let mut out = vec![0.0; set.train.sample_len(&frames)];
        let mut events = 0.0;
        let mut best = Duration::MAX;
        for pass in 0..10 {
            let mut elapsed = Duration::ZERO;
            for i in 0..set.train.len() {
                let start = Instant::now();
                set.train.load(i, &frames, &mut out)?;
                elapsed += start.elapsed();
                if pass == 0 {
                    events += out.iter().map(|&count| f64::from(count)).sum::<f64>();
                }
            }
            best = best.min(elapsed);
        }
        let rate = events / best.as_secs_f64() / 1e6;
        println!("16 frames by {framing}: {events} events, {rate:.1} million events/s");
    }
    Ok(())
}
