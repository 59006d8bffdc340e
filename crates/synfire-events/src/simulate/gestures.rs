//! Eleven gestures of a moving shape, told apart by order in time alone.
//!
//! Ten of them are five pairs, of which one is the other run backwards; the eleventh goes there and back. Shape, size, place,
//! speed, and whether the shape is brighter or darker than its background are drawn for each recording, so that neither the
//! places of the events nor their polarities tell the class: a network must see what comes first. (In DVS128 Gesture, whose
//! number of classes this is, much is told by where an arm is.)

use std::f32::consts::TAU;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::camera::uniform;
use super::{CameraSettings, Scene};
use crate::Sensor;

/// The sensor of the recordings: as DVS128's frames are after the usual reduction.
pub const SENSOR: Sensor = Sensor { width: 64, height: 64 };

/// The camera they are made for: as contrasts are low, it responds to a change of a tenth.
#[must_use]
pub fn camera() -> CameraSettings {
    CameraSettings { threshold_on: 0.1, threshold_off: 0.1, ..CameraSettings::default() }
}

/// What the shape does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Gesture {
    Clockwise,
    Anticlockwise,
    Rightwards,
    Leftwards,
    Downwards,
    Upwards,
    Nearing,
    Receding,
    SpinningClockwise,
    SpinningAnticlockwise,
    ThereAndBack,
}

impl Gesture {
    /// All gestures, in the order of their labels.
    pub const ALL: [Self; 11] = [
        Self::Clockwise,
        Self::Anticlockwise,
        Self::Rightwards,
        Self::Leftwards,
        Self::Downwards,
        Self::Upwards,
        Self::Nearing,
        Self::Receding,
        Self::SpinningClockwise,
        Self::SpinningAnticlockwise,
        Self::ThereAndBack,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clockwise => "clockwise",
            Self::Anticlockwise => "anticlockwise",
            Self::Rightwards => "rightwards",
            Self::Leftwards => "leftwards",
            Self::Downwards => "downwards",
            Self::Upwards => "upwards",
            Self::Nearing => "nearing",
            Self::Receding => "receding",
            Self::SpinningClockwise => "spinning clockwise",
            Self::SpinningAnticlockwise => "spinning anticlockwise",
            Self::ThereAndBack => "there and back",
        }
    }

    /// How far along its course a gesture is, of 0 to 1, after a share of its time.
    fn course(self, share: f32) -> f32 {
        match self {
            Self::Clockwise
            | Self::Rightwards
            | Self::Downwards
            | Self::Nearing
            | Self::SpinningClockwise => share,
            Self::Anticlockwise
            | Self::Leftwards
            | Self::Upwards
            | Self::Receding
            | Self::SpinningAnticlockwise => 1.0 - share,
            Self::ThereAndBack => 1.0 - (2.0 * share - 1.0).abs(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Disc,
    Ring,
    Square,
    Triangle,
    Bar,
}

/// One performance of a gesture.
#[derive(Clone, Debug, PartialEq)]
pub struct Performance {
    gesture: Gesture,
    shape: Shape,
    /// Half of its extent, in pixels.
    size: f32,
    /// Where the middle of the course is, in pixels from the sensor's middle.
    middle: [f32; 2],
    /// Half the way of a straight course, or the radius of a round one, in pixels.
    reach: f32,
    /// Where on a circle, and how much turned, it begins, in radians.
    angle: f32,
    /// By how much a straight course is tilted, in radians.
    tilt: f32,
    /// Turns of a spin.
    turns: f32,
    duration_us: i64,
    background: f32,
    foreground: f32,
}

/// Where the shape is, how large and how much turned.
struct Pose {
    at: [f32; 2],
    size: f32,
    turned: f32,
}

impl Performance {
    /// Draws one. The same seed gives the same.
    pub fn new(gesture: Gesture, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut between = |from: f32, to: f32| from + (to - from) * uniform(&mut rng) as f32;
        let spins = matches!(gesture, Gesture::SpinningClockwise | Gesture::SpinningAnticlockwise);
        let size = if spins { between(8.0, 13.0) } else { between(4.5, 8.0) };
        let middle = [between(-5.0, 5.0), between(-5.0, 5.0)];
        let (reach, angle, tilt) = (between(12.0, 17.0), between(0.0, TAU), between(-0.3, 0.3));
        let (turns, duration) = (between(0.8, 1.3), between(0.7, 1.3));
        let (background, contrast) = (between(0.35, 0.65), between(0.2, 0.35));
        // A disc that spins does not change.
        let shapes: &[Shape] = match spins {
            true => &[Shape::Square, Shape::Triangle, Shape::Bar],
            false => &[Shape::Disc, Shape::Ring, Shape::Square, Shape::Triangle, Shape::Bar],
        };
        let random = rng.next_u64();
        Self {
            gesture,
            shape: shapes[(random >> 1) as usize % shapes.len()],
            size,
            middle,
            reach,
            angle,
            tilt,
            turns,
            duration_us: (duration * 1e6) as i64,
            background,
            foreground: background + if random & 1 == 1 { contrast } else { -contrast },
        }
    }

    fn pose(&self, t_us: i64) -> Pose {
        let course = self.gesture.course(t_us as f32 / self.duration_us as f32);
        let [x, y] = self.middle;
        let way = self.reach * (2.0 * course - 1.0);
        let (sin, cos) = self.tilt.sin_cos();
        let still = Pose { at: self.middle, size: self.size, turned: self.angle };
        match self.gesture {
            // Rows are counted downwards, so that growing angles go clockwise.
            Gesture::Clockwise | Gesture::Anticlockwise => {
                let (sin, cos) = (self.angle + TAU * course).sin_cos();
                Pose { at: [x + self.reach * cos, y + self.reach * sin], ..still }
            }
            Gesture::Rightwards | Gesture::Leftwards | Gesture::ThereAndBack => {
                Pose { at: [x + way * cos, y + way * sin], ..still }
            }
            Gesture::Downwards | Gesture::Upwards => Pose { at: [x - way * sin, y + way * cos], ..still },
            Gesture::Nearing | Gesture::Receding => Pose { size: self.size * (0.5 + 2.0 * course), ..still },
            Gesture::SpinningClockwise | Gesture::SpinningAnticlockwise => {
                Pose { turned: self.angle + self.turns * TAU * course, ..still }
            }
        }
    }
}

impl Shape {
    /// The distance from the edge of a shape of this size around the origin, negative inside.
    #[inline]
    fn distance(self, size: f32, x: f32, y: f32) -> f32 {
        let rectangle = |half_width: f32, half_height: f32| (x.abs() - half_width).max(y.abs() - half_height);
        match self {
            Shape::Disc => x.hypot(y) - size,
            Shape::Ring => (x.hypot(y) - 0.75 * size).abs() - 0.25 * size,
            Shape::Square => rectangle(0.8 * size, 0.8 * size),
            Shape::Bar => rectangle(size, 0.3 * size),
            // Three half-planes at half the size from the middle.
            Shape::Triangle => {
                let right = 0.866 * x - 0.5 * y;
                let left = -0.866 * x - 0.5 * y;
                right.max(left).max(y) - 0.5 * size
            }
        }
    }
}

impl Scene for Performance {
    fn sensor(&self) -> Sensor {
        SENSOR
    }

    fn duration_us(&self) -> i64 {
        self.duration_us
    }

    fn interval_us(&self) -> i64 {
        // The fastest point moves a turn and a third at 17 pixels in 0.7 s: half a pixel in 2.5 ms.
        2500
    }

    fn render(&self, t_us: i64, brightness: &mut [f32]) {
        let Pose { at: [x0, y0], size, turned } = self.pose(t_us);
        let (sin, cos) = turned.sin_cos();
        let width = usize::from(SENSOR.width);
        let [x0, y0] = [x0 + (width - 1) as f32 / 2.0, y0 + f32::from(SENSOR.height - 1) / 2.0];
        brightness.fill(self.background);
        // The corner of a square, and half a pixel of its edge.
        let reach = 1.2 * size + 1.0;
        let columns = (x0 - reach).max(0.0) as usize..((x0 + reach + 1.0).max(0.0) as usize).min(width);
        for (y, row) in brightness.chunks_exact_mut(width).enumerate() {
            let y = y as f32 - y0;
            if y.abs() > reach {
                continue;
            }
            for column in columns.clone() {
                let x = column as f32 - x0;
                let (along, across) = (cos * x + sin * y, cos * y - sin * x);
                let covered = (0.5 - self.shape.distance(size, along, across)).clamp(0.0, 1.0);
                row[column] += covered * (self.foreground - self.background);
            }
        }
    }
}
