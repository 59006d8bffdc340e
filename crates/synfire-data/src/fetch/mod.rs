//! Data sets from where they are published to where they are read.
//!
//! A [`Remote`] is a table of files: size, hashes, mirrors, and what is done with each. [`fetch`] brings them: it
//! goes on where an earlier call was stopped, tries mirror after mirror, and takes nothing for a file that has not its
//! size and its hashes. Nothing partial ever has a file's or a folder's final name: files are written as `NAME.part`
//! and archives unpacked into `FOLDER.unpacking`, and what is whole is renamed.
//!
//! ```no_run
//! use synfire_data::fetch::{Options, fetch, find};
//!
//! let remote = find("mnist")?;
//! let fetched = fetch(remote, "data".as_ref(), &Options::default(), &mut |_| ())?;
//! println!("{} bytes into {}", fetched.received, fetched.folder.display());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod digest;
mod download;
mod error;
mod http;
mod names;
mod part;
mod remote;
mod unpack;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use crate::registry::{find_remote as find, remotes};
pub use error::{FetchError, Reason, Refused};
pub use remote::{Archive, Remote, RemoteFile, Then, Unpack};
pub use unpack::unpack;

/// How a set is fetched.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Archives stay beside what was unpacked from them.
    pub keep_archives: bool,
    /// How long a server is waited for, and how often it is asked again.
    pub patience: Patience,
}

/// How long a server is waited for, and how often it is asked again.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Requests to a mirror that fail one after the other before the next mirror is tried; 0 is taken for 1.
    pub attempts: u32,
    /// The pause after the first of them; each further one is twice as long, to half a minute.
    pub pause: Duration,
    /// How long a connection may take to come about.
    pub connect: Duration,
    /// How long a connection may be silent.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { attempts: 5, pause: seconds(1), connect: seconds(20), silence: seconds(60) }
    }
}

/// What happens while a set is fetched.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// A file or folder is whole already, and left as it is.
    There {
        /// It.
        path: &'a Path,
    },
    /// Bytes that are here are compared with what they should be.
    Checking {
        /// The file's name.
        file: &'static str,
        /// Bytes compared.
        done: u64,
        /// Bytes there are.
        total: u64,
    },
    /// A mirror is asked.
    Asking {
        /// The file's name.
        file: &'static str,
        /// The address.
        url: &'a str,
        /// From which byte on.
        from: u64,
    },
    /// Bytes came.
    Received {
        /// The file's name.
        file: &'static str,
        /// Bytes there are now.
        done: u64,
        /// Bytes there will be, where that is known.
        total: Option<u64>,
    },
    /// The same mirror is asked again after a pause.
    Again {
        /// The file's name.
        file: &'static str,
        /// What went wrong.
        reason: &'a Reason,
        /// How long the pause is.
        pause: Duration,
    },
    /// A mirror is given up.
    Refused(&'a Refused),
    /// An archive is unpacked.
    Unpacking {
        /// The archive's name.
        file: &'static str,
        /// Its bytes that are done.
        done: u64,
        /// Its bytes.
        total: u64,
    },
    /// A file or folder is in its place.
    Placed {
        /// It.
        path: &'a Path,
    },
}

/// What a call of [`fetch`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The set's folder.
    pub folder: PathBuf,
    /// Bytes that came from servers.
    pub received: u64,
    /// Files and folders put in place; 0 where all were there.
    pub placed: usize,
}

/// Brings what `remote` lists into a folder of the set's name in `root`. What is there and whole stays; `observe`
/// hears what happens.
///
/// # Errors
/// When no mirror gives a file, a person has to download it, what is in a file's place is something else, an archive
/// is not what it should be, or the system refuses. What was placed before stays, and a further call goes on from
/// there.
pub fn fetch(
    remote: &Remote,
    root: &Path,
    options: &Options,
    observe: &mut dyn FnMut(Step<'_>),
) -> Result<Fetched, FetchError> {
    let folder = root.join(remote.set);
    fs::create_dir_all(&folder).map_err(FetchError::io("create", &folder))?;
    let mut fetched = Fetched { folder, received: 0, placed: 0 };
    for file in remote.files {
        if let Err(error) = fetched.add(remote, file, options, observe) {
            // An empty folder would hide a whole one elsewhere; one that a person is to fill stays.
            if !matches!(error, FetchError::ByHand { .. }) {
                let _ = fs::remove_dir(&fetched.folder);
            }
            return Err(error);
        }
    }
    Ok(fetched)
}

impl Fetched {
    /// Brings one file, and what is in it.
    fn add(
        &mut self,
        remote: &Remote,
        file: &RemoteFile,
        options: &Options,
        observe: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), FetchError> {
        let place = self.folder.join(file.name);
        if let Then::Unpack(unpack) = &file.then
            && unpack.is_whole(&self.folder)?
        {
            let path = self.folder.join(unpack.folder);
            observe(Step::There { path: if path.is_dir() { &path } else { &self.folder } });
            return Ok(());
        }
        let name = file.name;
        let there =
            file.is_at(&place, &mut |done, total| observe(Step::Checking { file: name, done, total }))?;
        if !there {
            if let (Some(page), []) = (remote.by_hand, file.mirrors) {
                let (size, md5) = (file.size, file.md5);
                return Err(FetchError::ByHand { set: remote.set, place, size, md5, page });
            }
            self.received += download::download(file, &place, &options.patience, observe)?;
        }
        let Then::Unpack(unpack) = &file.then else {
            self.placed += usize::from(!there);
            observe(if there { Step::There { path: &place } } else { Step::Placed { path: &place } });
            return Ok(());
        };
        let mut progress = |done, total| observe(Step::Unpacking { file: name, done, total });
        unpack::unpack(&place, unpack, &self.folder, &mut progress)?;
        self.placed += 1;
        observe(Step::Placed { path: &self.folder.join(unpack.folder) });
        if !options.keep_archives {
            fs::remove_file(&place).map_err(FetchError::io("remove", &place))?;
        }
        Ok(())
    }
}
