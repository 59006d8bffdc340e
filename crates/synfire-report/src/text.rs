//! Numbers as text.

use synfire::compare::Spread;

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// A time for people: the two largest units.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        3600..86400 => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
        _ => format!("{} d {:02} h", whole / 86400, whole / 3600 % 24),
    }
}

/// Mean and standard deviation of fractions over seeds, in percent: `98.61 ± 0.42`.
pub fn spread(spread: &Spread) -> String {
    format!("{:.2}{}", 100.0 * spread.mean, deviation(spread))
}

/// The same of differences: `+0.31 ± 0.12`.
pub fn difference(spread: &Spread) -> String {
    format!("{:+.2}{}", 100.0 * spread.mean, deviation(spread))
}

/// Nothing of a single value, which has none.
fn deviation(spread: &Spread) -> String {
    if spread.n > 1 { format!(" ± {:.2}", 100.0 * spread.deviation) } else { String::new() }
}

/// A cell of comma-separated values.
pub fn quoted(cell: &str) -> String {
    let plain = !cell.contains([',', '"', '\n', '\r']);
    if plain { cell.to_string() } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(percent(0.98765), "98.77 %");
        let of = |n| Spread { n, mean: 0.9861, deviation: 0.0042 };
        assert_eq!(
            [spread(&of(1)), spread(&of(3)), difference(&of(3))],
            ["98.61", "98.61 ± 0.42", "+98.61 ± 0.42"]
        );
        assert_eq!([quoted("a,\"b\""), quoted("8C3-LI2")], ["\"a,\"\"b\"\"\"", "8C3-LI2"]);
        let read = [0.2, 59.4, 61.0, 3599.0, 3661.0, 90_000.0].map(duration);
        assert_eq!(read, ["0.2 s", "59 s", "1 min 01 s", "59 min 59 s", "1 h 01 min", "1 d 01 h"]);
    }
}
