//! Where data sets are looked for.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::DataError;

/// Folders that may hold data sets, each in a subfolder of the set's name (`mnist/`, `cifar-10/`, `nmnist/`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations(Vec<PathBuf>);

impl Locations {
    /// The places searched by default, in order: `explicit`; the environment variable `SYNFIRE_DATA`; `synfire/data`
    /// in the user's cache folder (`XDG_CACHE_HOME`, or `~/.cache`).
    ///
    /// # Errors
    /// When `explicit` is no folder: who named it does not want the data from elsewhere.
    pub fn new(explicit: Option<&Path>) -> Result<Self, DataError> {
        if let Some(folder) = explicit.filter(|folder| !folder.is_dir()) {
            return Err(DataError::NoFolder { folder: folder.to_owned() });
        }
        let folders = [
            explicit.map(Path::to_owned),
            variable("SYNFIRE_DATA"),
            cache_folder().map(|folder| folder.join("data")),
        ];
        Ok(Self(folders.into_iter().flatten().collect()))
    }

    /// Only these folders, in order.
    #[must_use]
    pub fn from_folders(folders: Vec<PathBuf>) -> Self {
        Self(folders)
    }

    /// The folders, in the order they are searched.
    #[must_use]
    pub fn folders(&self) -> &[PathBuf] {
        &self.0
    }

    /// The first folder that something can be written into, which is created if need be.
    ///
    /// # Errors
    /// When there is none.
    pub fn first_writable(&self) -> Result<&Path, DataError> {
        let mut reasons = Vec::new();
        for folder in &self.0 {
            match try_to_write(folder) {
                Ok(()) => return Ok(folder),
                Err(error) => reasons.push(format!("{}: {error}", folder.display())),
            }
        }
        Err(DataError::NotWritable { reasons })
    }

    /// The first folder of this data set there is.
    pub(crate) fn find(&self, set: &'static str, files: &'static str) -> Result<PathBuf, DataError> {
        self.holding(set).ok_or_else(|| DataError::SetNotFound { set, files, searched: self.0.clone() })
    }

    /// The first folder of this data set there is, or the one in it that its published archive unpacks to.
    pub(crate) fn find_unpacked(
        &self,
        set: &'static str,
        files: &'static str,
        archive_folder: &str,
    ) -> Result<PathBuf, DataError> {
        let folder = self.find(set, files)?;
        let inner = folder.join(archive_folder);
        Ok(if inner.is_dir() { inner } else { folder })
    }

    /// The first folder of this name in them that is not empty.
    #[must_use]
    pub fn holding(&self, name: &str) -> Option<PathBuf> {
        let something =
            |folder: &PathBuf| fs::read_dir(folder).is_ok_and(|mut inside| inside.next().is_some());
        self.0.iter().map(|folder| folder.join(name)).find(something)
    }
}

/// What an environment variable names.
fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The folder `synfire` in the user's cache folder: `XDG_CACHE_HOME`, or `~/.cache`.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    cache.map(|folder| folder.join("synfire"))
}

/// What may be written is known for certain only by doing it.
fn try_to_write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let trial = folder.join(format!(".synfire-{}", std::process::id()));
    drop(File::create(&trial)?);
    fs::remove_file(trial)
}
