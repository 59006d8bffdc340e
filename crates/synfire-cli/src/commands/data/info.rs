//! `synfire data info`.

use super::{Error, Pieces, thousands};
use crate::console::Console;
use clap::Args;
use std::path::{Path, PathBuf};
use synfire_events::{EventError, Reader, Sensor, Statistics};

/// What is in recordings: format, sensor, events, times, polarities, and what may be wrong.
///
/// What kind of file FILE is, is seen from its content; files of any size take little memory. Of a damaged file what lies before
/// the damage is told. Exit code 1 where a file cannot be read to its end.
#[derive(Args)]
pub(super) struct Info {
    /// Recordings.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

impl Info {
    pub(super) fn run(self, console: &Console) -> Result<(), Error> {
        let mut failed = None;
        for (i, file) in self.files.iter().enumerate() {
            if i > 0 {
                console.say("");
            }
            let told = tell(file, console);
            // Every file is told of; the last error ends the program.
            if let Some(before) = told.err().and_then(|error| failed.replace(error)) {
                console.error(&before);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn tell(file: &Path, console: &Console) -> Result<(), Error> {
    let mut pieces = Pieces::open(file, true)?;
    let mut statistics = Statistics::default();
    while let Some(events) = pieces.next_events()? {
        statistics.add(events);
    }
    let Pieces { reader, damage, .. } = pieces;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let told = reader.sensor();
    let sensor = told.or(statistics.needed_sensor());
    let mut problems: Vec<String> = statistics.problems().iter().map(ToString::to_string).collect();
    if statistics.events == 0 && damage.is_none() {
        problems.push("there are no events".into());
    }
    if let Some(error) = &damage {
        problems.insert(0, format!("damaged: {}", without_file(error)));
    }
    say(file, bytes, &reader, (told.is_some(), sensor), &statistics, &problems, console);
    console.json(&serde_json::json!({
        "file": file, "bytes": bytes, "format": reader.format().name(),
        "width": sensor.map(|sensor| sensor.width), "height": sensor.map(|sensor| sensor.height),
        "sensor_in_file": told.is_some(), "simulated": reader.simulated(), "events": statistics.events, "on": statistics.on,
        "first_us": statistics.span.map(|[first, _]| first), "last_us": statistics.span.map(|[_, last]| last),
        "duration_us": statistics.duration(), "events_per_second": statistics.rate(),
        "active_pixels": statistics.active_pixels(),
        "passed_over": reader.passed_over().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "hot_pixels": statistics.hot_pixels().iter().map(|pixel| [pixel.x, pixel.y]).collect::<Vec<_>>(),
        "problems": problems,
    }));
    damage.map_or(Ok(()), |error| Err(error.into()))
}

fn say(
    file: &Path,
    bytes: u64,
    reader: &Reader,
    (in_file, sensor): (bool, Option<Sensor>),
    statistics: &Statistics,
    problems: &[String],
    console: &Console,
) {
    let line = |name: &str, text: String| console.say(format!("  {name:<12} {text}"));
    console.say(format!("{}: {}, {} bytes", file.display(), reader.format().title(), thousands(bytes)));
    if let Some(sensor) = sensor {
        let whence = if in_file { "" } else { ", as its events need; the file tells none" };
        line("sensor", format!("{sensor}{whence}"));
    }
    if reader.simulated() {
        line("origin", "simulated: no camera made it".into());
    }
    if statistics.events > 0 {
        let on = 100.0 * statistics.on as f64 / statistics.events as f64;
        line("events", format!("{}, {on:.1} % on", thousands(statistics.events)));
        let rate = statistics
            .rate()
            .map_or_else(String::new, |rate| format!(", {} events/s", thousands(rate as u64)));
        line("time", format!("{}{rate}", seconds(statistics.duration())));
        let [first, last] = statistics.span.expect("there are events");
        line("from, to", format!("{first} µs, {last} µs"));
    }
    if let (Some(active), Some(sensor), Some(busiest)) =
        (statistics.active_pixels(), sensor, statistics.busiest())
    {
        let all = u64::from(sensor.width) * u64::from(sensor.height);
        line(
            "pixels",
            format!(
                "{} of {} had events, most x {}, y {}: {}",
                thousands(active as u64),
                thousands(all),
                busiest.x,
                busiest.y,
                thousands(busiest.events.into())
            ),
        );
    }
    let passed_over: Vec<String> =
        reader.passed_over().iter().map(|(what, count)| format!("{what} ({})", thousands(*count))).collect();
    if !passed_over.is_empty() {
        line("passed over", passed_over.join(", "));
    }
    match problems {
        [] => line("problems", "none found".into()),
        some => some.iter().for_each(|problem| line("problem", problem.clone())),
    }
}

fn seconds(microseconds: u64) -> String {
    format!("{:.6} s", microseconds as f64 / 1e6)
}

/// What is wrong, without the file's name that stands above it already.
fn without_file(error: &EventError) -> String {
    match error {
        EventError::Malformed { offset, expected, found, .. } => {
            format!("at byte {offset} expected {expected}, found {found}")
        }
        other => other.to_string(),
    }
}
