//! The header of a `.npy` file.

use std::ops::Range;

use super::literal::{Literal, parse};
use super::number::Number;
use super::{MARK, is_npy};
use crate::formats::table::{self, quoted};
use crate::formats::{Fault, HEAD};

/// The longest record, so that what a header says of its padding does not take all memory.
const LONGEST: usize = 1 << 16;

/// What a header says of the array behind it.
#[derive(Debug)]
pub(in crate::formats) struct Header<'a> {
    /// Where the array begins.
    pub(in crate::formats) start: usize,
    /// Where the dictionary lies, for faults.
    at: usize,
    dictionary: &'a [u8],
    items: Items,
    shape: Vec<u64>,
    columns_first: bool,
}

/// What an array is of.
#[derive(Debug)]
enum Items {
    Numbers(Number),
    /// Records of this many bytes with t, x, y and polarity at these offsets.
    Records(usize, [(usize, Number); 4]),
}

/// Where the values of events lie in an array's records.
#[derive(Clone, Debug)]
pub(in crate::formats) struct Layout {
    /// Bytes of a record.
    pub(in crate::formats) stride: usize,
    /// Records.
    pub(in crate::formats) count: u64,
    /// Offset and type of t, x, y and polarity.
    pub(in crate::formats) fields: [(usize, Number); 4],
    /// Whether a time that is a float is in seconds.
    pub(in crate::formats) seconds: bool,
}

impl<'a> Header<'a> {
    /// Of the file that begins with `head`.
    pub(in crate::formats) fn parse(head: &'a [u8]) -> Result<Self, Fault> {
        let Range { start: at, end: start } = place(head)?;
        let dictionary = head[at..start].trim_ascii_end();
        let literal = parse(dictionary).map_err(|fault| Fault { at: fault.at + at, ..fault })?;
        let unfit = |expected: &str| Fault::new(at, expected, quoted(dictionary));
        let Literal::Dict(entries) = literal else { return Err(unfit("a dictionary")) };
        let entry =
            |key: &str| entries.iter().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value);
        let (Some(descr), Some(&Literal::Bool(columns_first)), Some(Literal::List(lens))) =
            (entry("descr"), entry("fortran_order"), entry("shape"))
        else {
            return Err(unfit("a dictionary with descr, fortran_order and shape"));
        };
        let len = |len: &Literal| if let Literal::Number(len) = len { Some(*len) } else { None };
        let shape = lens.iter().map(len).collect::<Option<_>>().ok_or_else(|| unfit("a shape of numbers"))?;
        let items = match descr {
            Literal::Text(name) => Items::Numbers(
                Number::named(name).ok_or_else(|| unfit("integers or floats of at most 64 bits"))?,
            ),
            Literal::List(fields) => records(fields).map_err(|expected| unfit(&expected))?,
            _ => return Err(unfit("a descr of a type or of fields")),
        };
        Ok(Self { start, at, dictionary, items, shape, columns_first })
    }

    fn unfit(&self, expected: &str) -> Fault {
        Fault::new(self.at, expected, quoted(self.dictionary))
    }

    /// As a table of events. `head` is what the header was parsed from, with the first records.
    pub(in crate::formats) fn layout(&self, head: &[u8]) -> Result<Layout, Fault> {
        let (stride, count, fields) = match (&self.items, &*self.shape) {
            (Items::Records(stride, fields), &[count]) => (*stride, count, *fields),
            (Items::Numbers(number), &[count, 4]) if !self.columns_first => {
                let width = number.width();
                let rows = head[self.start..].chunks_exact(4 * width);
                let rows = rows.map(|row| [0, 1, 2, 3].map(|i| number.value(&row[i * width..])));
                let order = table::order(rows).filter(|_| count > 0).ok_or_else(|| {
                    self.unfit("columns whose order is seen from times that never fall, or that have names")
                })?;
                (4 * width, count, order.map(|i| (i * width, *number)))
            }
            _ => {
                return Err(self.unfit(
                    "one dimension of records with fields t, x, y and p, or rows of four numbers in C order",
                ));
            }
        };
        let seconds = fraction(fields[0], stride, &head[self.start..]);
        Ok(Layout { stride, count, fields, seconds })
    }

    /// As one column, of this many numbers.
    pub(in crate::formats) fn column(&self) -> Result<(Number, u64), Fault> {
        match (&self.items, &*self.shape) {
            (Items::Numbers(number), &[count]) => Ok((*number, count)),
            _ => Err(self.unfit("one dimension of numbers")),
        }
    }
}

/// Whether a time in the whole records at the start of `bytes` has a fraction, as times in seconds have.
pub(in crate::formats) fn fraction((offset, number): (usize, Number), stride: usize, bytes: &[u8]) -> bool {
    number.is_float()
        && bytes.chunks_exact(stride).any(|record| number.value(&record[offset..]).fract().abs() > 0.0)
}

/// Where the dictionary lies.
fn place(head: &[u8]) -> Result<Range<usize>, Fault> {
    if !is_npy(head) {
        return Err(Fault::new(0, "the mark \\x93NUMPY", quoted(&head[..head.len().min(MARK.len())])));
    }
    let (at, len): (usize, u32) = match head[MARK.len()..] {
        [1, _, a, b, ..] => (10, u32::from_le_bytes([a, b, 0, 0])),
        [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([a, b, c, d])),
        [1..=3, ..] | [] => return Err(Fault::new(MARK.len(), "version and length of a header", "the end")),
        [version, ..] => {
            return Err(Fault::new(MARK.len(), "version 1, 2 or 3 of the format", version.to_string()));
        }
    };
    let end = at.saturating_add(len as usize);
    if end > head.len() {
        let found = format!("a header of {len} bytes in {}", head.len() - at);
        return Err(Fault::new(
            MARK.len() + 2,
            format!("a header in the first {HEAD} bytes of the file"),
            found,
        ));
    }
    Ok(at..end)
}

/// Where the columns lie in records of `fields`.
fn records(fields: &[Literal]) -> Result<Items, String> {
    let (mut names, mut types, mut stride) = (Vec::new(), Vec::new(), 0_usize);
    for field in fields {
        let (name, number, len) = field_of(field).ok_or("fields of a name and a type of known size")?;
        names.push(name);
        types.push((stride, number));
        stride = stride.saturating_add(len);
    }
    if stride > LONGEST {
        return Err(format!("records of at most {LONGEST} bytes"));
    }
    let [t, x, y, p] = table::places(names.iter().copied())?.map(|i| types[i]);
    let known = |(offset, number): (usize, Option<Number>)| Some((offset, number?));
    let (Some(t), Some(x), Some(y), Some(p)) = (known(t), known(x), known(y), known(p)) else {
        return Err("t, x, y and p that are integers or floats of at most 64 bits".to_owned());
    };
    Ok(Items::Records(stride, [t, x, y, p]))
}

/// A field's name, its type where that is a number, and its bytes: `(name, type)` or `(name, type, shape)`, where the
/// name may come with a title, and padding is a field without a name.
fn field_of<'a>(field: &Literal<'a>) -> Option<(&'a [u8], Option<Number>, usize)> {
    let Literal::List(parts) = field else { return None };
    let (name, of, shape) = match &parts[..] {
        [name, of] => (name, of, &[][..]),
        [name, of, Literal::List(shape)] => (name, of, &shape[..]),
        _ => return None,
    };
    let name = match name {
        Literal::Text(name) => name,
        Literal::List(names) => match &names[..] {
            [_, Literal::Text(name)] => name,
            _ => return None,
        },
        _ => return None,
    };
    let number = match of {
        Literal::Text(of) if shape.is_empty() => Number::named(of),
        _ => None,
    };
    let len = shape.iter().try_fold(size(of)?, |size, len| match len {
        Literal::Number(len) => size.checked_mul(usize::try_from(*len).ok()?),
        _ => None,
    })?;
    Some((name, number, len))
}

/// Bytes of a type, as `|S5`, `<U10` (four bytes a character), `<M8[us]`, or fields; not of objects, which are pickled.
fn size(of: &Literal) -> Option<usize> {
    match of {
        Literal::Text([_, kind, digits @ ..]) if *kind != b'O' => {
            let digits = digits.split(|byte| *byte == b'[').next()?;
            let len: usize = str::from_utf8(digits).ok()?.parse().ok()?;
            len.checked_mul(if *kind == b'U' { 4 } else { 1 })
        }
        Literal::List(fields) => {
            fields.iter().try_fold(0_usize, |sum, field| sum.checked_add(field_of(field)?.2))
        }
        _ => None,
    }
}
