//! The simulated N-MNIST beside the published one: the same digits, seen by a real camera and a simulated one.

use std::path::PathBuf;
use synfire_events::{FrameSpec, Recording, read, to_frames};
use synfire_real_data::{folder, real};

/// Real recordings, and the number of MNIST's training image that each was made of.
fn recordings() -> Vec<(PathBuf, usize)> {
    let classes = std::fs::read_dir(folder().join("nmnist/Train")).unwrap();
    let files = classes.flat_map(|class| std::fs::read_dir(class.unwrap().path()).unwrap());
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    // Recordings are numbered from 1 in the order of MNIST's images.
    let number = |file: &PathBuf| file.file_stem().unwrap().to_str().unwrap().parse::<usize>().unwrap() - 1;
    files.into_iter().step_by(8).map(|file| (number(&file), file)).map(|(n, file)| (file, n)).collect()
}

/// Where the events are, summed over time and polarity, and brought to mean 0 and length 1.
fn heat(recording: &Recording) -> Vec<f64> {
    let mut frame = vec![0.0; 2 * 34 * 34];
    to_frames(recording, &FrameSpec::new(1), &mut frame).unwrap();
    let (off, on) = frame.split_at(34 * 34);
    let sums: Vec<f64> = off.iter().zip(on).map(|(a, b)| f64::from(a + b)).collect();
    let mean = sums.iter().sum::<f64>() / sums.len() as f64;
    let length = sums.iter().map(|x| (x - mean).powi(2)).sum::<f64>().sqrt();
    sums.iter().map(|x| (x - mean) / length).collect()
}

#[test]
#[cfg_attr(
    not(all(mnist, nmnist)),
    ignore = "needs the data sets mnist and nmnist, in a folder that SYNFIRE_DATA names"
)]
fn simulated_recordings_are_like_the_published_ones() {
    let simulated = real("nmnist-simulated").train;
    let (mut events, mut on, mut in_saccade) = ([0; 2], [0; 2], [[0_u32; 3]; 2]);
    let recordings = recordings();
    let mut heats = [Vec::new(), Vec::new()];
    for (file, number) in &recordings {
        let pair = [read(file).unwrap(), simulated.recording(*number).unwrap().unwrap()];
        for (which, recording) in pair.iter().enumerate() {
            events[which] += recording.events.len();
            on[which] += recording.events.iter().filter(|event| event.on).count();
            for event in &recording.events {
                in_saccade[which][(event.t / 105_000).min(2) as usize] += 1;
            }
            heats[which].push(heat(recording));
        }
    }
    let correlation =
        |i: usize, j: usize| -> f64 { heats[0][i].iter().zip(&heats[1][j]).map(|(a, b)| a * b).sum() };
    let count = recordings.len();
    let alike: f64 = (0..count).map(|i| correlation(i, i)).sum();
    // Recordings lie in the order of their classes.
    let other: f64 = (0..count).map(|i| correlation(i, (i + count / 2) % count)).sum();
    let n = recordings.len() as f64;
    let (alike, other) = (alike / n, other / n);
    let share = [0, 1].map(|which| on[which] as f64 / events[which] as f64);
    println!(
        "{n} digits; events {events:?}, on {share:.3?}, correlation {alike:.3}, of others {other:.3}, {in_saccade:?}"
    );
    assert!((0.85..1.15).contains(&(events[1] as f64 / events[0] as f64)), "{events:?}");
    assert!((share[0] - share[1]).abs() <= 0.05, "{share:?}");
    // Where events are: the same digit is much more alike than another.
    assert!(alike >= 0.6 && alike >= other + 0.2, "{alike} {other}");
    // When: each saccade has its part.
    for (found, simulated) in in_saccade[0].iter().zip(in_saccade[1]) {
        let parts = [f64::from(*found) / events[0] as f64, f64::from(simulated) / events[1] as f64];
        assert!((parts[0] - parts[1]).abs() <= 0.06, "{parts:?}");
    }
}
