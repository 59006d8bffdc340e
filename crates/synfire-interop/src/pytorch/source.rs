//! Where a state dict's tensors come from.

use super::Exported;
use super::export::KEY;
use half::{bf16, f16};
use pytorch_reader::{DType, PytorchReader};
use safetensors::tensor::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use synfire::file::FileError;

/// A tensor whose values are not read yet.
pub(super) struct Entry {
    pub(super) shape: Vec<usize>,
    values: Values,
}

enum Values {
    /// In a file of PyTorch.
    Lazy(pytorch_reader::Tensor),
    /// Bytes of a safetensors file.
    Bytes { file: Arc<Vec<u8>>, range: Range<usize>, kind: Dtype },
}

impl Entry {
    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values in row-major order.
    pub(super) fn values(&self) -> Result<Vec<f32>, String> {
        let unfit =
            |kind: &dyn std::fmt::Debug| format!("it holds {kind:?}, expected floating-point numbers");
        match &self.values {
            Values::Lazy(tensor) => {
                let bytes = tensor.read().map_err(|e| e.to_string())?;
                // What PyTorch's reader hands over is in the order of this machine.
                Ok(match tensor.dtype() {
                    DType::F32 => each(&bytes, f32::from_ne_bytes),
                    DType::F64 => each(&bytes, |b| f64::from_ne_bytes(b) as f32),
                    DType::F16 => each(&bytes, |b| f16::from_ne_bytes(b).to_f32()),
                    DType::BF16 => each(&bytes, |b| bf16::from_ne_bytes(b).to_f32()),
                    other => return Err(unfit(&other)),
                })
            }
            Values::Bytes { file, range, kind } => {
                let bytes = &file[range.clone()];
                Ok(match kind {
                    Dtype::F32 => each(bytes, f32::from_le_bytes),
                    Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
                    Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
                    Dtype::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
                    other => return Err(unfit(other)),
                })
            }
        }
    }
}

fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
}

type Opened = (BTreeMap<String, Entry>, Option<Exported>);

/// Opens a file by its content.
pub(super) fn open(path: &Path) -> Result<Opened, FileError> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(FileError::io("open", path))?;
    file.take(9).read_to_end(&mut head).map_err(FileError::io("read", path))?;
    // A safetensors file begins with a length of eight bytes and the brace of its header.
    if head.get(8) == Some(&b'{') { open_safetensors(path) } else { open_torch(path) }
}

fn open_torch(path: &Path) -> Result<Opened, FileError> {
    let reader = PytorchReader::new(path).map_err(|e| {
        FileError::content(path, format!("neither a checkpoint of PyTorch nor a safetensors file: {e}"))
    })?;
    let entries = reader.into_tensors().into_iter().map(|(name, tensor)| {
        let shape = tensor.shape().to_vec();
        (name, Entry { shape, values: Values::Lazy(tensor) })
    });
    Ok((entries.collect(), None))
}

fn open_safetensors(path: &Path) -> Result<Opened, FileError> {
    let bytes = Arc::new(fs::read(path).map_err(FileError::io("read", path))?);
    let damaged =
        |e| FileError::content(path, format!("not a sound safetensors file of {} bytes: {e}", bytes.len()));
    let (header_len, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let exported = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let exported = exported.map(|text| {
        serde_json::from_str(text)
            .map_err(|e| FileError::content(path, format!("its metadata `{KEY}` cannot be read: {e}")))
    });
    // Behind the length and the header.
    let first = header_len + 8;
    let entries = header.tensors().into_iter().map(|(name, info)| {
        let (from, to) = info.data_offsets;
        let values = Values::Bytes { file: bytes.clone(), range: first + from..first + to, kind: info.dtype };
        (name, Entry { shape: info.shape.clone(), values })
    });
    Ok((entries.collect(), exported.transpose()?))
}
