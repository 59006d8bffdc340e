//! Text tables, an event a line, as `.csv` and `.txt` files hold them.
//!
//! | | |
//! |---|---|
//! | columns | parted by semicolons, else commas, else blanks or tabs, whichever is in the first line |
//! | first line | may name them: t (or ts, timestamp, time), x, y and p (or pol, polarity, on), in any order and beside others; the names may be in quotes, or behind a comment mark, as `numpy.savetxt` writes them |
//! | without names | four columns; t, x, y, p unless x, y, t, p or x, y, p, t alone has times that never fall and polarities in the lines at the start of the file |
//! | x, y | whole numbers, also written as `3.0` or, as `numpy.savetxt` does unasked, `3.0e+00` |
//! | polarity | 1 is on, 0 or -1 off; pandas' `True` and `False` too |
//! | time | microseconds; seconds, if one at the start of the file has a fraction, rounded to microseconds |
//! | comments | lines that begin with `#` or `%`, wherever they stand, and empty lines |
//! | sensor | a comment `# sensor 34x34`, or `%geometry:34,34` as Metavision writes it, in front of the events; else it is not known |
//!
//! *The start of the file* is its first [`HEAD`] bytes. So are the text files of the Event Camera Dataset (Mueggler et al.,
//! *The event-camera dataset and simulator*, IJRR 36(2), 2017: lines `0.003811000 96 133 0`) and the CSV files of Metavision
//! (lines x, y, p, t).
//!
//! Written is the line `t,x,y,p` and a line of whole numbers for each event. The sensor is not written: a comment in the first
//! line would be the header to pandas.

use std::io::Write;

use super::table::{self, NONE, micros, misfit, places, quoted, whole};
use super::{Decoded, Decoder, EncodeError, Encoder, Fault, HEAD, Output};
use crate::{Event, Origin, Sensor};

/// The longest line: what has no lines must not take all memory.
const LONGEST: usize = 1 << 16;
/// Digits of a whole number: as many as fit into 64 bits whatever they are.
const DIGITS: usize = 18;
/// Lines that tell a table from other texts.
const TOLD_BY: usize = 100;

/// Whether a file that begins with `head` may be one: the first lines have to be events.
pub(crate) fn matches(head: &[u8], _: u64) -> bool {
    Table::begin(head).is_ok_and(|(start, table)| {
        let mut events = lines(whole_lines(head), start).filter(|(_, line)| !is_comment(line)).peekable();
        events.peek().is_some() && events.take(TOLD_BY).all(|(_, line)| table.event(line).is_ok())
    })
}

pub(crate) fn begin(head: &[u8]) -> Result<(usize, Box<dyn Decoder>), Fault> {
    let (start, table) = Table::begin(head)?;
    Ok((start, Box::new(table)))
}

/// `head` without a line that goes on behind it.
fn whole_lines(head: &[u8]) -> &[u8] {
    match head.iter().rposition(|byte| *byte == b'\n') {
        Some(last) if head.len() >= HEAD => &head[..=last],
        _ => head,
    }
}

/// The lines from `at` on, without blanks around them, and where each begins.
fn lines(text: &[u8], at: usize) -> impl Iterator<Item = (usize, &[u8])> + Clone {
    text[at..].split_inclusive(|byte| *byte == b'\n').scan(at, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line.trim_ascii()))
    })
}

/// Whether there is no event in a line.
fn is_comment(line: &[u8]) -> bool {
    matches!(line.first(), None | Some(b'#' | b'%'))
}

/// What parts the columns.
#[derive(Clone, Copy, Debug)]
enum Separator {
    Byte(u8),
    /// One or more.
    Blanks,
}

impl Separator {
    fn of(line: &[u8]) -> Self {
        [b';', b','].into_iter().find(|byte| line.contains(byte)).map_or(Self::Blanks, Self::Byte)
    }

    fn fields(self, line: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
        let parts = move |byte: &u8| match self {
            Self::Byte(separator) => *byte == separator,
            Self::Blanks => matches!(byte, b' ' | b'\t'),
        };
        let is_one = move |field: &&[u8]| matches!(self, Self::Byte(_)) || !field.is_empty();
        line.split(parts).filter(is_one).map(<[u8]>::trim_ascii)
    }
}

/// Decodes lines.
#[derive(Debug)]
struct Table {
    separator: Separator,
    /// What each column is: the place in a row of t, x, y, polarity, if it is one of them.
    columns: Vec<Option<usize>>,
    /// Whether times are in seconds.
    seconds: bool,
    sensor: Option<Sensor>,
}

impl Table {
    /// Of the file that begins with `head`, and where its events begin in it.
    fn begin(head: &[u8]) -> Result<(usize, Self), Fault> {
        // Spreadsheets mark UTF-8.
        let start = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let head = whole_lines(head);
        let (mut sensor, mut columns) = (None, None);
        let mut lines = lines(head, start);
        let (at, first) = loop {
            match lines.next() {
                Some((at, line)) if !is_comment(line) => break (at, line),
                Some((_, comment)) => {
                    sensor = stated_sensor(comment).or(sensor);
                    columns = named(comment.get(1..).unwrap_or_default()).ok().or(columns);
                }
                None => return Err(Fault::new(head.len(), "lines of numbers", "the end of the first lines")),
            }
        };
        let separator = Separator::of(first);
        let has_numbers = separator
            .fields(first)
            .any(|field| matches!(field.first(), Some(b'0'..=b'9' | b'-' | b'+' | b'.')));
        let start = if has_numbers { at } else { lines.next().map_or(head.len(), |(next, _)| next) };
        let rows = self::lines(head, start).map(|(_, line)| line).filter(|line| !is_comment(line));
        let columns = match (has_numbers, columns) {
            (false, _) => named(first).map_err(|expected| Fault::new(at, expected, quoted(first)))?,
            (true, Some(columns)) => columns,
            (true, None) => {
                let numbers = rows.clone().map_while(|line| four(separator.fields(line)));
                columns_at(table::order(numbers).unwrap_or([0, 1, 2, 3]), 4)
            }
        };
        let time = columns.iter().position(|column| *column == Some(0)).unwrap_or(0);
        let is_fraction = |field: &[u8]| float(field).is_some_and(|time| time.fract().abs() > 0.0);
        let seconds = rows.clone().any(|line| separator.fields(line).nth(time).is_some_and(is_fraction));
        Ok((start, Self { separator, columns, seconds, sensor }))
    }

    /// The event of a line; else what was expected.
    fn event(&self, line: &[u8]) -> Result<Event, String> {
        let mut row = [NONE; 4];
        let mut columns = self.columns.iter();
        for field in self.separator.fields(line) {
            match columns.next() {
                Some(Some(0)) if self.seconds => row[0] = seconds(field),
                Some(Some(3)) => row[3] = polarity(field),
                Some(Some(column)) => row[*column] = number(field),
                Some(None) => {}
                None => return Err(format!("{} columns", self.columns.len())),
            }
        }
        if columns.next().is_some() {
            return Err(format!("{} columns", self.columns.len()));
        }
        match misfit(row) {
            None => Ok(table::event(row)),
            Some(column) => Err(table::VALUES[column].to_owned()),
        }
    }

    /// The event of a line at `at`, if there is one.
    fn line(&self, at: usize, line: &[u8], events: &mut Vec<Event>) -> Result<(), Fault> {
        if is_comment(line) {
            return Ok(());
        }
        let event = self.event(line).map_err(|expected| Fault::new(at, expected, quoted(line)))?;
        match self.sensor {
            Some(sensor) if !sensor.holds(event.x, event.y) => {
                Err(Fault::outside(at, sensor, event.x, event.y))
            }
            _ => {
                events.push(event);
                Ok(())
            }
        }
    }
}

impl Decoder for Table {
    fn sensor(&self) -> Option<Sensor> {
        self.sensor
    }

    fn decode(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Decoded, Fault> {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        lines(&bytes[..whole], 0).try_for_each(|(at, line)| self.line(at, line, events))?;
        let rest = &bytes[whole..];
        if rest.len() > LONGEST {
            return Err(Fault::new(whole, format!("a line of at most {LONGEST} bytes"), quoted(rest)));
        }
        Ok(Decoded { bytes: whole, next: rest.len() + 1 })
    }

    /// The last line needs no end.
    fn end(&mut self, rest: &[u8], events: &mut Vec<Event>) -> Result<(), Fault> {
        lines(rest, 0).try_for_each(|(at, line)| self.line(at, line, events))
    }
}

/// What the columns are that a line names; else what was expected.
fn named(line: &[u8]) -> Result<Vec<Option<usize>>, String> {
    let unquoted =
        |name| <[u8]>::strip_suffix(name, b"\"").and_then(|name| name.strip_prefix(b"\"")).unwrap_or(name);
    let names = Separator::of(line).fields(line).map(unquoted);
    Ok(columns_at(places(names.clone())?, names.count()))
}

/// What each of `n` columns is, where t, x, y and polarity are at these places.
fn columns_at(places: [usize; 4], n: usize) -> Vec<Option<usize>> {
    (0..n).map(|column| places.iter().position(|place| *place == column)).collect()
}

/// The sensor that a comment tells.
pub(super) fn stated_sensor(comment: &[u8]) -> Option<Sensor> {
    let comment = str::from_utf8(comment).ok()?;
    let (width, height) = match comment.strip_prefix("%geometry:") {
        Some(sizes) => sizes.split_once(',')?,
        None => comment.strip_prefix('#')?.trim_start().strip_prefix("sensor ")?.split_once('x')?,
    };
    Some(Sensor { width: width.trim().parse().ok()?, height: height.trim().parse().ok()? })
}

fn float(field: &[u8]) -> Option<f64> {
    str::from_utf8(field).ok()?.parse().ok()
}

/// The numbers of a line that has four.
fn four<'a>(mut fields: impl Iterator<Item = &'a [u8]>) -> Option<[f64; 4]> {
    let mut next = || fields.next().and_then(float);
    let four = [next()?, next()?, next()?, next()?];
    fields.next().is_none().then_some(four)
}

/// Microseconds of a time in seconds, or [`NONE`].
fn seconds(field: &[u8]) -> i64 {
    float(field).map_or(NONE, micros)
}

/// 1, 0 or -1, or [`NONE`].
fn polarity(field: &[u8]) -> i64 {
    match field {
        b"True" => 1,
        b"False" => 0,
        _ => number(field),
    }
}

/// A whole number, whether or not it is written as a float, or [`NONE`].
fn number(field: &[u8]) -> i64 {
    match integer(field) {
        // Digits alone, but too many of them, are no float: it would lose some.
        NONE if field.iter().any(|byte| b".eE".contains(byte)) => float(field).map_or(NONE, whole),
        integer => integer,
    }
}

/// A whole number, or [`NONE`].
fn integer(field: &[u8]) -> i64 {
    let (negative, digits) = match field {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > DIGITS {
        return NONE;
    }
    let mut value = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return NONE;
        }
        value = value * 10 + i64::from(digit);
    }
    if negative { -value } else { value }
}

/// Writes the line of names. Any event fits whose time has at most 18 digits.
pub(crate) fn encoder(_: Origin, output: &mut dyn Output) -> Result<Box<dyn Encoder>, EncodeError> {
    output.write_all(b"t,x,y,p\n")?;
    Ok(Box::new(ToLines))
}

struct ToLines;

impl Encoder for ToLines {
    fn encode(&mut self, events: &[Event], output: &mut dyn Output) -> Result<(), EncodeError> {
        let mut text = Vec::new();
        for (i, Event { t, x, y, on }) in events.iter().enumerate() {
            if t.unsigned_abs() >= 10_u64.pow(DIGITS as u32) {
                let expected = format!("a time of at most {DIGITS} digits");
                return Err(EncodeError::unfit(i, expected, format!("{t} µs")));
            }
            writeln!(text, "{t},{x},{y},{}", u8::from(*on))?;
        }
        output.write_all(&text)?;
        Ok(())
    }
}
