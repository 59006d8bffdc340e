//! How fast recordings are read, counted and cached: what `bench/data.py` runs beside other programs.
//!
//! ```text
//! cargo run --release -p synfire-data --example data_speed -- frames SET DATA_FOLDER
//!     reads every sample and counts it into 16 frames by event count, on one core
//! … -- decode FILE                     reads a recording, whole and in pieces, on one core
//! … -- cache SET DATA_FOLDER FOLDER    caches the frames of the training part, on all cores
//! … -- repeat FILE FORMAT OUT EVENTS   writes a recording again and again, one behind the other, up to so many events
//! ```
//!
//! Prints one line of JSON: events, seconds (the median of several passes, from the operating system's cache of files), and what other
//! programs compare results by: a hash of all frames, or sums over all events.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use sha2::{Digest, Sha256};
use synfire_data::{Cache, DataSet, FrameSpec, Locations, open};
use synfire_events::{Event, Reader, Recording, Writer, read};

type Answer = Result<String, Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    println!(
        "{}",
        match words[..] {
            ["frames", set, folder] => frames(&opened(set, folder)?)?,
            ["decode", file] => decode(file.as_ref())?,
            ["cache", set, data, folder] => cache(&opened(set, data)?, folder.as_ref())?,
            ["repeat", file, format, out, events] =>
                repeat(file.as_ref(), format, out.as_ref(), events.parse()?)?,
            _ => return Err("expected frames, decode, cache or repeat: see the top of the example".into()),
        }
    );
    Ok(())
}

fn opened(set: &str, folder: &str) -> Result<DataSet, Box<dyn Error>> {
    Ok(open(set, &Locations::new(Some(folder.as_ref()))?)?)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn frames(set: &DataSet) -> Answer {
    let spec = FrameSpec::default();
    let mut out = vec![0.0_f32; set.train.sample_len(&spec)];
    let (mut seconds, mut events, mut hash) = (Vec::new(), 0.0, Sha256::new());
    for pass in 0..11 {
        let mut elapsed = 0.0;
        for part in [&set.train, &set.test] {
            for i in 0..part.len() {
                let start = Instant::now();
                part.load(i, &spec, &mut out)?;
                elapsed += start.elapsed().as_secs_f64();
                // The first pass fills the cache of files and is not counted.
                if pass == 0 {
                    events += out.iter().map(|&count| f64::from(count)).sum::<f64>();
                    out.iter().for_each(|value| hash.update(value.to_le_bytes()));
                }
            }
        }
        if pass > 0 {
            seconds.push(elapsed);
        }
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!(r#"{{"events": {events}, "seconds": {}, "sha256": "{hash}"}}"#, median(seconds)))
}

fn decode(file: &Path) -> Answer {
    let (mut seconds, mut in_pieces) = (Vec::new(), Vec::new());
    let mut recording = read(file)?;
    for _ in 0..5 {
        let start = Instant::now();
        recording = read(file)?;
        seconds.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let mut reader = Reader::open(file)?;
        let mut events = 0;
        while let Some(more) = reader.next_events()? {
            events += more.len();
        }
        in_pieces.push(start.elapsed().as_secs_f64());
        assert_eq!(events, recording.events.len());
    }
    let Recording { events, .. } = recording;
    let sum = |of: fn(&Event) -> i64| events.iter().map(of).map(i128::from).sum::<i128>();
    let sums = [sum(|e| e.t), sum(|e| e.x.into()), sum(|e| e.y.into()), sum(|e| e.on.into())];
    let (seconds, in_pieces) = (median(seconds), median(in_pieces));
    let counted = events.len();
    Ok(format!(
        r#"{{"events": {counted}, "seconds": {seconds}, "seconds_in_pieces": {in_pieces}, "sums": {sums:?}}}"#
    ))
}

fn cache(set: &DataSet, folder: &Path) -> Answer {
    let cache = Cache::in_folder(folder.to_owned());
    let start = Instant::now();
    let all: Vec<usize> = (0..set.train.len()).collect();
    cache.frames(&set.train, &all, &set.name, &FrameSpec::default(), &mut |_, _| true)?;
    let seconds = start.elapsed().as_secs_f64();
    let bytes: u64 = cache.list()?.iter().map(|file| file.bytes).sum();
    Ok(format!(r#"{{"samples": {}, "seconds": {seconds}, "bytes": {bytes}}}"#, set.train.len()))
}

fn repeat(file: &Path, format: &str, out: &Path, most: usize) -> Answer {
    let Recording { sensor, mut events } = read(file)?;
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Err("no events".into()) };
    let (start, length) = (first.t, last.t - first.t + 1);
    events.iter_mut().for_each(|event| event.t -= start);
    let mut writer = Writer::create(out, format.parse()?, sensor)?;
    let mut written = 0;
    while written + events.len() <= most {
        writer.write(&events)?;
        written += events.len();
        events.iter_mut().for_each(|event| event.t += length);
    }
    writer.finish()?;
    let bytes = out.metadata()?.len();
    Ok(format!(r#"{{"events": {written}, "bytes": {bytes}}}"#))
}
