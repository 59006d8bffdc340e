//! How fast work goes, smoothed.

/// Work per second, in which what lies further back counts less.
pub(crate) struct Pace {
    half_life: f64,
    work: f64,
    seconds: f64,
}

impl Pace {
    /// A pace in which what lies `half_life` seconds back counts half.
    pub(crate) fn new(half_life: f64) -> Self {
        Self { half_life, work: 0.0, seconds: 0.0 }
    }

    /// So much work took so long.
    pub(crate) fn add(&mut self, work: f64, seconds: f64) {
        let kept = 0.5f64.powf(seconds / self.half_life);
        self.work = self.work * kept + work;
        self.seconds = self.seconds * kept + seconds;
    }

    /// Work per second; 0 before there was any.
    pub(crate) fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.work / self.seconds } else { 0.0 }
    }
}

/// A time for people: the two largest units.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        3600..86400 => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
        _ => format!("{} d {:02} h", whole / 86400, whole / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_pace_is_found_and_a_change_followed() {
        let mut pace = Pace::new(10.0);
        assert_eq!(pace.rate(), 0.0);
        (0..100).for_each(|_| pace.add(50.0, 0.5));
        assert!((pace.rate() - 100.0).abs() <= 1e-9);
        (0..10).for_each(|_| pace.add(200.0, 1.0));
        // ten seconds are a half-life
        assert!((140.0..170.0).contains(&pace.rate()), "{}", pace.rate());
        (0..100).for_each(|_| pace.add(200.0, 1.0));
        assert!((pace.rate() - 200.0).abs() <= 1.0);
    }

    #[test]
    fn durations_read_well() {
        let read = [0.2, 59.4, 61.0, 3599.0, 3661.0, 90_000.0].map(duration);
        assert_eq!(read, ["0.2 s", "59 s", "1 min 01 s", "59 min 59 s", "1 h 01 min", "1 d 01 h"]);
    }
}
