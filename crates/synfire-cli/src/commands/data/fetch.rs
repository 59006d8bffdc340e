//! `synfire data fetch`.

use super::{Error, thousands};
use crate::console::Console;
use crate::pace::Pace;
use clap::Args;
use indicatif::ProgressBar;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use synfire_data::Locations;
use synfire_data::fetch::{FetchError, Fetched, Options, Remote, RemoteFile, Step, Then, fetch, find};
use synfire_report::text::duration;

/// Download a data set to where it is looked for.
///
/// Sizes and hashes are checked before anything is used; mirrors are tried in turn. After Ctrl-C or a lost connection the
/// same command goes on where it was. What is there already stays. `synfire data list` names the sets.
///
/// The set becomes a folder in --data-dir, else in SYNFIRE_DATA, else in the user's cache folder: the first that can be
/// written.
#[derive(Args)]
pub(super) struct Fetch {
    /// Data set.
    #[arg(value_name = "SET")]
    set: String,
    /// Folder of data sets; it is made if need be.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Keep archives beside what is unpacked from them.
    #[arg(long)]
    keep_archives: bool,
    /// Only print what would be fetched, and from where.
    #[arg(long)]
    list_urls: bool,
}

impl Fetch {
    pub(super) fn run(self, console: &Console) -> Result<(), Error> {
        let remote = find(&self.set)?;
        if self.list_urls {
            list(remote, console);
            return Ok(());
        }
        let root = root(remote, self.data_dir.as_deref())?;
        console.note(format!("{} into {}", remote.set, root.join(remote.set).display()));
        let options = Options { keep_archives: self.keep_archives, ..Options::default() };
        let mut progress = Progress::new(console);
        let result = fetch(remote, &root, &options, &mut |step| progress.show(step));
        progress.clear();
        let fetched = result.map_err(|error| with_command(error, remote, self.data_dir.as_deref()))?;
        tell(remote, &fetched, console);
        let found = Locations::new(self.data_dir.as_deref())?.holding(remote.set);
        if let Some(other) = found.filter(|found| *found != root.join(remote.set)) {
            let (other, root) = (other.display(), root.display());
            console
                .note(format!("warning: {other} is found first; --data-dir {root} means what was fetched"));
        }
        Ok(())
    }
}

/// The folder that a set's own is put into: one where the set is whole already, if there is one.
fn root(remote: &Remote, explicit: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(folder) = explicit {
        let failed = |e| Error::failed(format!("cannot create --data-dir {}: {e}", folder.display()));
        fs::create_dir_all(folder).map_err(failed)?;
        return Ok(folder.to_owned());
    }
    let locations = Locations::new(None)?;
    for folder in locations.folders() {
        // What is wrong with a set in a folder is told where that folder is chosen.
        if remote.is_whole(folder).unwrap_or(false) {
            return Ok(folder.clone());
        }
    }
    Ok(locations.first_writable()?.to_owned())
}

/// An error that asks for a further call says how to make it.
fn with_command(error: FetchError, remote: &Remote, data_dir: Option<&Path>) -> Error {
    match error {
        FetchError::ByHand { .. } => {
            let folder = data_dir.map_or_else(String::new, |dir| format!(" --data-dir {}", dir.display()));
            Error::failed(format!("{error}:\n     synfire data fetch {}{folder}", remote.set))
        }
        other => other.into(),
    }
}

fn list(remote: &Remote, console: &Console) {
    for file in remote.files {
        console.say(about(file));
        file.urls().iter().for_each(|url| console.say(format!("  {url}")));
        if let Some(page) = remote.by_hand {
            console.say(format!("  by hand: {page}"));
        }
        let unpacked = match file.then {
            Then::Unpack(unpack) => Some(unpack.folder),
            Then::Keep => None,
        };
        console.json(&serde_json::json!({
            "set": remote.set, "file": file.name, "size": file.size, "md5": file.md5, "sha256": file.sha256,
            "urls": file.urls(), "by_hand": remote.by_hand, "unpacked_to": unpacked,
        }));
    }
}

/// A file with what is known of it, on one line.
fn about(file: &RemoteFile) -> String {
    let size =
        file.size.map_or_else(|| "size not known".to_string(), |size| format!("{} bytes", thousands(size)));
    let hashes = [("MD5", file.md5), ("SHA-256", file.sha256)];
    let hashes = hashes.iter().filter_map(|(kind, hash)| Some(format!(", {kind} {}", (*hash)?)));
    format!("{}: {size}{}", file.name, hashes.collect::<String>())
}

fn tell(remote: &Remote, fetched: &Fetched, console: &Console) {
    let folder = fetched.folder.display();
    console.say(match fetched.placed {
        0 => format!("{} is there already: {folder}", remote.set),
        _ => format!("{}, {} bytes downloaded: {folder}", remote.set, thousands(fetched.received)),
    });
    console.json(&serde_json::json!({
        "event": "done", "set": remote.set, "folder": fetched.folder, "received": fetched.received,
        "placed": fetched.placed,
    }));
}

/// How often a bar's place is taken by lines.
const BETWEEN_LINES: Duration = Duration::from_secs(10);
/// How often a program is told.
const BETWEEN_EVENTS: Duration = Duration::from_secs(1);

/// What is drawn or written while a set is fetched.
struct Progress<'a> {
    console: &'a Console,
    bar: Option<ProgressBar>,
    /// What is counted, of which file.
    counted: (&'static str, &'static str),
    pace: Pace,
    /// When bytes were counted last, and how many there were.
    last: (Instant, u64),
    told: Instant,
}

impl<'a> Progress<'a> {
    fn new(console: &'a Console) -> Self {
        let now = Instant::now();
        Self { console, bar: None, counted: ("", ""), pace: Pace::new(5.0), last: (now, 0), told: now }
    }

    fn show(&mut self, step: Step<'_>) {
        match step {
            Step::Checking { file, done, total } => self.count(("checking", file), done, Some(total)),
            Step::Received { file, done, total } => self.count(("downloading", file), done, total),
            Step::Unpacking { file, done, total } => self.count(("unpacking", file), done, Some(total)),
            Step::Asking { file, url, from } => {
                let rest =
                    if from > 0 { format!(", from byte {} on", thousands(from)) } else { String::new() };
                self.say(format!("{file} from {url}{rest}"));
                self.tell(&serde_json::json!({ "event": "asking", "file": file, "url": url, "from": from }));
            }
            Step::Again { file, reason, pause } => {
                self.say(format!("{file}: {reason}; again in {}", duration(pause.as_secs_f64())));
                let reason = reason.to_string();
                self.tell(&serde_json::json!({ "event": "again", "file": file, "reason": reason }));
            }
            Step::Refused(refused) => {
                self.say(format!("refused: {refused}"));
                let (url, reason) = (&refused.url, refused.reason.to_string());
                self.tell(&serde_json::json!({ "event": "refused", "url": url, "reason": reason }));
            }
            Step::There { path } => {
                self.say(format!("{} is there already", path.display()));
                self.tell(&serde_json::json!({ "event": "there", "path": path }));
            }
            Step::Placed { path } => {
                self.say(path.display().to_string());
                self.tell(&serde_json::json!({ "event": "placed", "path": path }));
            }
            _ => {}
        }
    }

    /// A note, above no bar.
    fn say(&mut self, text: String) {
        self.clear();
        self.console.note(text);
    }

    fn tell(&self, event: &serde_json::Value) {
        self.console.json(event);
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.counted = ("", "");
    }

    fn count(&mut self, counted: (&'static str, &'static str), done: u64, total: Option<u64>) {
        let now = Instant::now();
        if self.counted != counted {
            self.clear();
            self.counted = counted;
            self.pace = Pace::new(5.0);
            self.last = (now, done);
            self.told = now;
        }
        let (what, file) = counted;
        let more = done.saturating_sub(self.last.1);
        self.pace.add(more as f64, (now - self.last.0).as_secs_f64());
        self.last = (now, done);
        if self.console.draws_bars() {
            self.draw(done, total);
        } else if now - self.told >= if self.console.notes() { BETWEEN_LINES } else { BETWEEN_EVENTS } {
            self.told = now;
            let rate = self.pace.rate();
            self.console.note(format!("{what} {file}: {}", counted_so_far(done, total, rate)));
            self.tell(&serde_json::json!({
                "event": what, "file": file, "done": done, "total": total, "bytes_per_second": rate,
            }));
        }
    }

    fn draw(&mut self, done: u64, total: Option<u64>) {
        let (what, file) = self.counted;
        let rate = self.pace.rate();
        let console = self.console;
        let bar = self.bar.get_or_insert_with(|| {
            let template = if total.is_some() { "{prefix} {bar:30} {msg}" } else { "{prefix} {msg}" };
            console.bar(total.unwrap_or(0), template).with_prefix(format!("{what} {file}"))
        });
        bar.set_position(done);
        bar.set_message(counted_so_far(done, total, rate));
    }
}

/// Bytes, rate and time left, for people.
fn counted_so_far(done: u64, total: Option<u64>, rate: f64) -> String {
    const MEGA: f64 = 1e6;
    let of = total.map_or_else(String::new, |total| format!(" of {:.1}", total as f64 / MEGA));
    let left = total.filter(|_| rate > 0.0).map(|total| total.saturating_sub(done) as f64 / rate);
    let left = left.map_or_else(String::new, |seconds| format!(", {} left", duration(seconds)));
    format!("{:.1}{of} MB, {:.1} MB/s{left}", done as f64 / MEGA, rate / MEGA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_reads_well() {
        assert_eq!(
            counted_so_far(1_500_000, Some(9_000_000), 500_000.0),
            "1.5 of 9.0 MB, 0.5 MB/s, 15 s left"
        );
        assert_eq!(counted_so_far(1_500_000, None, 0.0), "1.5 MB, 0.0 MB/s");
    }
}
