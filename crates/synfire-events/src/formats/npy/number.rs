//! Numbers as NumPy stores them.

use std::slice::ChunksExact;

use crate::formats::table::{NONE, micros, whole};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Signed,
    Unsigned,
    Float,
}

/// A type of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::formats) struct Number {
    kind: Kind,
    /// Bytes of one: 1, 2, 4 or 8.
    width: usize,
    /// The most significant byte comes first.
    big: bool,
}

impl Number {
    /// The type that NumPy calls so, as `<i8`: byte order, kind, bytes. A boolean is a byte of 0 or 1.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        let &[order @ (b'<' | b'>' | b'|'), kind, width] = name else { return None };
        let kind = match (kind, width) {
            (b'i', b'1' | b'2' | b'4' | b'8') => Kind::Signed,
            (b'u', b'1' | b'2' | b'4' | b'8') | (b'b', b'1') => Kind::Unsigned,
            (b'f', b'4' | b'8') => Kind::Float,
            _ => return None,
        };
        Some(Self { kind, width: usize::from(width - b'0'), big: order == b'>' })
    }

    pub(in crate::formats) fn width(self) -> usize {
        self.width
    }

    /// The number at the start of `bytes`, as near as a float comes to it.
    pub(in crate::formats) fn value(self, bytes: &[u8]) -> f64 {
        let mut low = [0; 8];
        low[..self.width].copy_from_slice(&bytes[..self.width]);
        if self.big {
            low[..self.width].reverse();
        }
        let bits = u64::from_le_bytes(low);
        match self.kind {
            Kind::Signed => signed(bits, self.width) as f64,
            Kind::Unsigned => bits as f64,
            Kind::Float => float(bits, self.width),
        }
    }

    pub(in crate::formats) fn is_float(self) -> bool {
        self.kind == Kind::Float
    }

    /// The number at `offset` in each record of `stride` bytes, or [`NONE`] where it is not whole; a float in seconds
    /// becomes microseconds.
    pub(in crate::formats) fn read(
        self,
        seconds: bool,
        records: &[u8],
        stride: usize,
        offset: usize,
        out: &mut [i64],
    ) {
        let records = records.chunks_exact(stride);
        match self.width {
            1 => self.read_as::<1>(seconds, records, offset, out),
            2 => self.read_as::<2>(seconds, records, offset, out),
            4 => self.read_as::<4>(seconds, records, offset, out),
            _ => self.read_as::<8>(seconds, records, offset, out),
        }
    }

    /// [`Number::read`] where the width is known: a loop for each kind, so that none decides anything within it.
    fn read_as<const W: usize>(
        self,
        seconds: bool,
        records: ChunksExact<u8>,
        offset: usize,
        out: &mut [i64],
    ) {
        let fields = records.filter_map(|record| record.get(offset..)?.first_chunk::<W>());
        match self.kind {
            Kind::Signed => fill(self.big, fields, out, |bits| signed(bits, W)),
            Kind::Unsigned => fill(self.big, fields, out, |bits| i64::try_from(bits).unwrap_or(NONE)),
            Kind::Float if seconds => fill(self.big, fields, out, |bits| micros(float(bits, W))),
            Kind::Float => fill(self.big, fields, out, |bits| whole(float(bits, W))),
        }
    }
}

fn fill<'a, const W: usize>(
    big: bool,
    fields: impl Iterator<Item = &'a [u8; W]>,
    out: &mut [i64],
    value: impl Fn(u64) -> i64,
) {
    let bits = |field: [u8; W]| {
        let mut low = [0; 8];
        low[..W].copy_from_slice(&field);
        u64::from_le_bytes(low)
    };
    let pairs = out.iter_mut().zip(fields);
    if big {
        pairs.for_each(|(out, field)| {
            let mut field = *field;
            field.reverse();
            *out = value(bits(field));
        });
    } else {
        pairs.for_each(|(out, field)| *out = value(bits(*field)));
    }
}

/// The number of two's complement in the low `width` bytes.
fn signed(bits: u64, width: usize) -> i64 {
    let unused = 64 - 8 * width;
    (bits << unused) as i64 >> unused
}

/// The number of IEEE 754 in the low `width` bytes.
fn float(bits: u64, width: usize) -> f64 {
    if width == 4 { f32::from_bits(bits as u32).into() } else { f64::from_bits(bits) }
}
