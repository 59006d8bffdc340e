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
}
