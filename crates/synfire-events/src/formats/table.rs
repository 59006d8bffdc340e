//! What tables of events, a row an event, have in common: the names and the order of their columns, and what is in them.
//!
//! Arrays of four are in the order t, x, y, polarity.

use crate::Event;

/// What the columns are called, whatever the case of the letters.
const NAMES: [&[&str]; 4] =
    [&["t", "ts", "timestamp", "time"], &["x"], &["y"], &["p", "pol", "polarity", "on"]];

/// Where t, x, y and polarity stand in tables that name no columns.
const ORDERS: [[usize; 4]; 3] = [[0, 1, 2, 3], [2, 0, 1, 3], [3, 0, 1, 2]];

/// What the values of a column are.
pub(super) const VALUES: [&str; 4] = [
    "a time in whole microseconds",
    "an x from 0 to 65534",
    "a y from 0 to 65534",
    "a polarity of 0 or 1, or of -1 or 1",
];

/// The largest x and y: a sensor that has it is 65535 wide, which is as much as [`crate::Sensor`] can tell.
const MAX_PIXEL: u64 = u16::MAX as u64 - 1;

/// In place of a value that is no whole number of 64 bits.
pub(super) const NONE: i64 = i64::MIN;

/// Where the columns stand among those named; else what was expected.
pub(super) fn places<'a>(names: impl Iterator<Item = &'a [u8]> + Clone) -> Result<[usize; 4], String> {
    let mut places = [0; 4];
    for (place, known) in places.iter_mut().zip(NAMES) {
        let is_it = |name: &[u8]| known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        let mut found = names.clone().enumerate().filter(|(_, name)| is_it(name)).map(|(i, _)| i);
        *place = match (found.next(), found.next()) {
            (Some(i), None) => i,
            _ => return Err(format!("columns t, x, y and p, one of them named {}", known.join(" or "))),
        };
    }
    Ok(places)
}

/// Where the columns stand by what is in them, unless that leaves a doubt. There is no common order: the text files of the
/// Event Camera Dataset have t, x, y, p; Tonic's former arrays, N-Caltech101's as used with event spike tensors and
/// ES-ImageNet in SpikingJelly x, y, t, p; Metavision's CSV files x, y, p, t. A time never falls, and a polarity has two
/// values; where the rows at the start of a file allow this of one order alone, it is that.
pub(super) fn order(rows: impl Iterator<Item = [f64; 4]> + Clone) -> Option<[usize; 4]> {
    let fits = |&[t, _, _, p]: &[usize; 4]| {
        rows.clone().map(|row| row[t]).is_sorted_by(|a, b| a <= b)
            && rows.clone().all(|row| [-1.0, 0.0, 1.0].contains(&row[p]))
    };
    let mut fitting = ORDERS.into_iter().filter(fits);
    fitting.next().filter(|_| fitting.next().is_none())
}

/// Seconds in whole microseconds, rounded, or [`NONE`].
pub(super) fn micros(seconds: f64) -> i64 {
    whole((seconds * 1e6).round())
}

/// A whole number, or [`NONE`]. What is as large as 2^53 has lost digits that a time needs.
pub(super) fn whole(value: f64) -> i64 {
    // A cast that saturates and back is a fraction of a call of `fract`.
    let number = value as i64;
    if number as f64 == value && number.unsigned_abs() < 1 << 53 { number } else { NONE }
}

/// Which columns hold what an event has.
#[inline]
fn fit([t, x, y, p]: [i64; 4]) -> [bool; 4] {
    // As unsigned numbers, those below 0 are above all others.
    [t != NONE, x as u64 <= MAX_PIXEL, y as u64 <= MAX_PIXEL, p.wrapping_add(1) as u64 <= 2]
}

/// Whether a row is an event, without a branch.
#[inline]
pub(super) fn is_event(row: [i64; 4]) -> bool {
    fit(row).into_iter().fold(true, |all, fits| all & fits)
}

/// The first column that does not hold what an event has.
pub(super) fn misfit(row: [i64; 4]) -> Option<usize> {
    fit(row).iter().position(|fits| !fits)
}

/// The event of a row, which is one where [`is_event`].
#[inline]
pub(super) fn event([t, x, y, p]: [i64; 4]) -> Event {
    Event { t, x: x as u16, y: y as u16, on: p == 1 }
}

/// Text of a file for a message, shortened.
pub(super) fn quoted(text: &[u8]) -> String {
    const LONGEST: usize = 80;
    let shown = String::from_utf8_lossy(&text[..text.len().min(LONGEST)]);
    format!("{shown:?}{}", if text.len() > LONGEST { " and more" } else { "" })
}
