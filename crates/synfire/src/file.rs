//! Files that are whole or absent, and named tensors in them.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Why a file of ours could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The content is not what it should be.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
    },
}

impl FileError {
    /// What makes an error of a failed `action`, such as `read`, on `path`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// The error of a file that is not what it should be.
    pub fn content(path: &Path, problem: impl Into<String>) -> Self {
        Self::Content { path: path.to_path_buf(), problem: problem.into() }
    }
}

/// Writes `bytes` beside `path`, syncs and renames: at any moment the file is the old one or the new one, whole. Threads that write to the
/// same path take turns.
///
/// # Errors
/// If the system refuses; the old file then stands.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    static TURNS: Mutex<()> = Mutex::new(());
    let _turn = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary).map_err(FileError::io("create", &temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(FileError::io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(FileError::io("put in place", path))?;
    // The rename itself lasts once the folder is synced; not every system can.
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty())
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Values and shape of a tensor on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values in row-major order.
    pub values: Vec<f32>,
}

/// Tensors by name.
pub type TensorMap = BTreeMap<String, HostTensor>;

/// A safetensors file: f32 tensors and text metadata.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TensorFile {
    /// The tensors.
    pub tensors: TensorMap,
    /// The header's metadata.
    pub metadata: BTreeMap<String, String>,
}

impl TensorFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or holds other than f32 tensors.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let bytes = fs::read(path).map_err(FileError::io("read", path))?;
        Self::parse(&bytes).map_err(|problem| FileError::content(path, problem))
    }

    /// Reads the bytes of a file; the error says what is wrong with them.
    ///
    /// # Errors
    /// If they are damaged or hold other than f32 tensors.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let damaged = |e| format!("not a sound safetensors file of {} bytes: {e}", bytes.len());
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(format!("tensor `{name}` is {:?}, expected F32", view.dtype()));
            }
            let values =
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            tensors.insert(name.to_string(), HostTensor { shape: view.shape().to_vec(), values });
        }
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(Self { tensors, metadata })
    }

    /// The bytes of the file. They depend on the content alone as long as there is at most one key of metadata
    /// (the format's writer keeps metadata unordered).
    ///
    /// # Errors
    /// If a tensor's shape does not fit its values.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let data: Vec<(&str, &[usize], Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, t)| {
                (name.as_str(), t.shape.as_slice(), t.values.iter().flat_map(|v| v.to_le_bytes()).collect())
            })
            .collect();
        let views = data
            .iter()
            .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| e.to_string())?;
        let metadata: HashMap<String, String> = self.metadata.clone().into_iter().collect();
        safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())
    }

    /// The tensor called `name`; the error names it.
    ///
    /// # Errors
    /// If there is none.
    pub fn get(&self, name: &str) -> Result<&HostTensor, String> {
        self.tensors.get(name).ok_or_else(|| format!("the tensor `{name}` is missing"))
    }

    /// The metadata under `key`; the error names it.
    ///
    /// # Errors
    /// If there is none.
    pub fn meta(&self, key: &str) -> Result<&str, String> {
        self.metadata
            .get(key)
            .map(String::as_str)
            .ok_or_else(|| format!("the header has no metadata `{key}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> TensorFile {
        let tensor = HostTensor { shape: vec![2, 2], values: vec![1.0, -2.5, f32::MIN_POSITIVE, 0.1] };
        TensorFile {
            tensors: BTreeMap::from([("a.weight".to_string(), tensor)]),
            metadata: BTreeMap::from([("kind".to_string(), "test".to_string())]),
        }
    }

    #[test]
    fn round_trip_and_atomic_replacement() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, &sample().to_bytes().unwrap()).unwrap();
        assert_eq!(TensorFile::read(&path).unwrap(), sample());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn damage_is_reported_not_panicked_on() {
        let bytes = sample().to_bytes().unwrap();
        for cut in 0..bytes.len() {
            assert!(TensorFile::parse(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut long = bytes.clone();
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(TensorFile::parse(&long).unwrap_err().contains("not a sound safetensors file"));
    }
}
