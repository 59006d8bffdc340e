//! Fetching data sets from servers that do all that servers do. Nothing leaves this machine.

mod archives;
mod downloads;
mod refusals;
mod server;
mod tables;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use synfire_data::fetch::{FetchError, Fetched, Options, Patience, Remote, RemoteFile, Step, Then, fetch};
use tempfile::TempDir;

/// A set of one file, `data.bin` of this content.
fn remote_of(content: &[u8], mirrors: &[String]) -> RemoteFile {
    RemoteFile {
        name: "data.bin",
        size: Some(content.len() as u64),
        md5: None,
        sha256: Some(leak(Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect())),
        mirrors: mirrors.iter().map(|url| leak(url.clone())).collect::<Vec<_>>().leak(),
        then: Then::Keep,
    }
}

/// Tables of data sets are part of the program, those of tests are made while it runs.
fn leak(text: String) -> &'static str {
    text.leak()
}

/// A folder of data sets, and what was observed while one was fetched into it.
struct Place {
    root: TempDir,
    log: Vec<String>,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), log: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("set").join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Names in the set's folder.
    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.path().join("set")) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn fetch(&mut self, file: RemoteFile) -> Result<Fetched, FetchError> {
        self.fetch_with(file, &quick())
    }

    fn fetch_with(&mut self, file: RemoteFile, options: &Options) -> Result<Fetched, FetchError> {
        let remote = Remote { set: "set", files: vec![file].leak(), by_hand: None };
        let log = &mut self.log;
        fetch(&remote, self.root.path(), options, &mut |step| {
            log.push(match step {
                Step::There { .. } => "there".into(),
                Step::Asking { from, .. } => format!("asking from {from}"),
                Step::Again { reason, .. } => format!("again: {reason}"),
                Step::Refused(refused) => format!("refused: {}", refused.reason),
                Step::Placed { .. } => "placed".into(),
                _ => return,
            });
        })
    }
}

/// Options under which a test takes no longer than its server.
fn quick() -> Options {
    let millis = Duration::from_millis;
    Options {
        keep_archives: false,
        patience: Patience { attempts: 3, pause: millis(1), connect: millis(2000), silence: millis(2000) },
    }
}

/// Bytes that no two pieces of are alike.
fn content(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}
