//! Numbers as text.

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

/// `1,234,567`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let grouped = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    grouped.collect::<Vec<_>>().join(",")
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
        assert_eq!([0, 999, 1_000, 1_678_692].map(thousands), ["0", "999", "1,000", "1,678,692"]);
        assert_eq!([quoted("a,\"b\""), quoted("8C3-LI2")], ["\"a,\"\"b\"\"\"", "8C3-LI2"]);
        let read = [0.2, 59.4, 61.0, 3599.0, 3661.0, 90_000.0].map(duration);
        assert_eq!(read, ["0.2 s", "59 s", "1 min 01 s", "59 min 59 s", "1 h 01 min", "1 d 01 h"]);
    }
}
