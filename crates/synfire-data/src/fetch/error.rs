//! Why a data set could not be fetched.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::set::thousands;

/// An error of fetching a data set.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No mirror gave the file.
    #[error("cannot download {file}:{}", every(refused))]
    Mirrors {
        /// The file's name.
        file: &'static str,
        /// What each mirror did, in the order they were tried.
        refused: Vec<Refused>,
    },
    /// A person has to download the file.
    #[error("{}", by_hand(set, place, *size, *md5, page))]
    ByHand {
        /// The data set.
        set: &'static str,
        /// Where the file goes.
        place: PathBuf,
        /// Its size in bytes.
        size: Option<u64>,
        /// Its MD5.
        md5: Option<&'static str>,
        /// Where it is downloaded.
        page: &'static str,
    },
    /// Another file is where this one belongs.
    #[error("{} is another file: {reason}; move it away, and fetch again", file.display())]
    Other {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: Reason,
    },
    /// A folder is there, but not all of it.
    #[error(
        "{} is a part: expected {} files that end in {ending}, found {}; move it away to fetch all of it",
        folder.display(), thousands(*expected as u64), thousands(*found as u64)
    )]
    Partial {
        /// The folder.
        folder: PathBuf,
        /// How many files make it whole.
        expected: usize,
        /// How many there are.
        found: usize,
        /// What their names end in.
        ending: &'static str,
    },
    /// An archive is not what it should be.
    #[error("cannot unpack {}: expected {expected}, found {found}", archive.display())]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// What an archive of this set has.
        expected: String,
        /// What it has.
        found: String,
    },
    /// Somebody else is fetching the same file.
    #[error("{} is being written by another program: wait until it is done", file.display())]
    Busy {
        /// The file.
        file: PathBuf,
    },
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl FetchError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// What a mirror did instead of giving the file.
#[derive(Debug)]
pub struct Refused {
    /// The address.
    pub url: String,
    /// What was wrong.
    pub reason: Reason,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.reason)
    }
}

/// Why bytes are not taken for the file.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The server answered with another status than that of content.
    #[error("expected the file, found HTTP status {0}{hint}", hint = hint(*.0))]
    Status(u16),
    /// There were no bytes.
    #[error("expected the file, found 0 bytes")]
    Empty,
    /// There was a page for people.
    #[error("expected the file, found a web page that starts with {start:?}")]
    WebPage {
        /// Its beginning.
        start: String,
    },
    /// The size is another one.
    #[error("expected {} bytes, found {}{}", thousands(*expected), thousands(*found), if *more { " or more" } else { "" })]
    Size {
        /// The size it should have.
        expected: u64,
        /// The size announced or received.
        found: u64,
        /// Nothing was read after so many bytes.
        more: bool,
    },
    /// The content is another one.
    #[error("expected {kind} {expected}, found {found}")]
    Hash {
        /// Which hash.
        kind: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The connection ended before the file did.
    #[error("expected {}, found the end of the connection after {}{}", bytes(*expected), thousands(*received), because(why))]
    Dropped {
        /// The announced size.
        expected: Option<u64>,
        /// Bytes of the file so far.
        received: u64,
        /// What the connection said, if it did.
        why: String,
    },
    /// There was no answer.
    #[error("expected an answer, found: {0}")]
    Connection(String),
}

fn every(refused: &[Refused]) -> String {
    match refused {
        [] => " no address of it is known".to_owned(),
        [one] => format!(" {one}"),
        many => many.iter().map(|one| format!("\n  {one}")).collect(),
    }
}

fn by_hand(set: &str, place: &Path, size: Option<u64>, md5: Option<&str>, page: &str) -> String {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let known: Vec<String> =
        [size.map(|n| bytes(Some(n))), md5.map(|md5| format!("MD5 {md5}"))].into_iter().flatten().collect();
    let known = if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) };
    format!(
        "{set} has to be downloaded by hand, as its server gives it to browsers alone:\n  1. open {page}\n  2. download \
         {name}{known}\n  3. put it at {}\n  4. fetch again, which checks and unpacks it",
        place.display()
    )
}

fn bytes(size: Option<u64>) -> String {
    size.map_or_else(|| "the whole file".to_owned(), |n| format!("{} bytes", thousands(n)))
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

/// What servers mean by a status that is not an error by itself.
fn hint(status: u16) -> &'static str {
    match status {
        202 => " (the server wants to see a browser)",
        403 => " (forbidden)",
        404 | 410 => " (it is not there any more)",
        429 => " (too many requests: try again later)",
        _ => "",
    }
}
