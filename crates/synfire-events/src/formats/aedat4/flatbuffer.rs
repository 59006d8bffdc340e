//! Reading of FlatBuffers, as much of it as this format needs (<https://flatbuffers.dev/internals/>).
//!
//! All numbers are little-endian; an offset counts from where it stands itself.
//!
//! | part | layout |
//! |---|---|
//! | buffer | u32 bytes that follow; u32 offset of the root table; 4 bytes identifier |
//! | table | i32 distance *back* to its vtable; then its fields' values, or u32 offsets of strings and vectors |
//! | vtable | u16 its own bytes; u16 the table's bytes; u16 for each field: where in the table it is, 0 if it is left out |
//! | vector, string | u32 elements; the elements |
//!
//! Every access is checked: the `flatbuffers` crate's tables are `unsafe` unless code that `flatc` generated has verified them.
//! A [`Fault`] counts its bytes from the buffer's start.

use crate::formats::Fault;

/// A table whose vtable lies within the buffer.
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: &'a [u8],
}

/// `N` bytes at `at`.
fn word<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Fault> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.copied().ok_or_else(|| outside(bytes, at, N))
}

/// What lies `offset`, a u32 at `at`, behind itself.
fn follow(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    Ok(at.saturating_add(u32::from_le_bytes(word(bytes, at)?) as usize))
}

#[cold]
fn outside(bytes: &[u8], at: usize, len: usize) -> Fault {
    Fault::new(at.min(bytes.len()), format!("{len} bytes within a FlatBuffer of {}", bytes.len()), "its end")
}

impl<'a> Table<'a> {
    /// The root table of a buffer that is all of `bytes`.
    pub(super) fn root(bytes: &'a [u8], identifier: &[u8; 4]) -> Result<Self, Fault> {
        let len = u32::from_le_bytes(word(bytes, 0)?);
        if len as usize != bytes.len() - 4 {
            return Err(Fault::new(
                0,
                format!("the length of a FlatBuffer of {} bytes", bytes.len() - 4),
                len.to_string(),
            ));
        }
        let found: [u8; 4] = word(bytes, 8)?;
        if found != *identifier {
            let expected = format!("the identifier {}", identifier.escape_ascii());
            return Err(Fault::new(8, expected, format!("\"{}\"", found.escape_ascii())));
        }
        let at = follow(bytes, 4)?;
        let back = i64::from(i32::from_le_bytes(word(bytes, at)?));
        let vtable = usize::try_from(at as i64 - back).map_err(|_| {
            Fault::new(at, "the distance to a vtable within the FlatBuffer", back.to_string())
        })?;
        let len = usize::from(u16::from_le_bytes(word(bytes, vtable)?));
        let vtable =
            bytes.get(vtable..vtable.saturating_add(len)).ok_or_else(|| outside(bytes, vtable, len))?;
        Ok(Self { bytes, at, vtable })
    }

    /// Where field `i` is, unless it is left out.
    fn field(&self, i: usize) -> Option<usize> {
        let offset = self.vtable.get(4 + 2 * i..)?.first_chunk()?;
        Some(u16::from_le_bytes(*offset))
            .filter(|offset| *offset != 0)
            .map(|offset| self.at + usize::from(offset))
    }

    /// The number in field `i`, of `N` bytes.
    pub(super) fn number<const N: usize>(&self, i: usize) -> Result<Option<[u8; N]>, Fault> {
        self.field(i).map(|at| word(self.bytes, at)).transpose()
    }

    /// The elements, of `size` bytes each, of the vector in field `i`: none if it is left out.
    pub(super) fn vector(&self, i: usize, size: usize) -> Result<&'a [u8], Fault> {
        let Some(field) = self.field(i) else { return Ok(&[]) };
        let at = follow(self.bytes, field)?;
        let len = (u32::from_le_bytes(word(self.bytes, at)?) as usize).saturating_mul(size);
        let elements = self.bytes[at + 4..].get(..len);
        elements.ok_or_else(|| outside(self.bytes, at + 4, len))
    }
}
