//! Still images that move in front of the camera.

use std::f32::consts::PI;

use super::Scene;
use crate::Sensor;

/// A grey image.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    width: usize,
    height: usize,
    /// `[height, width]`, from 0 to 1.
    pixels: Vec<f32>,
}

impl Image {
    /// From pixels `[height, width]`, from 0 (black) to 1 (white).
    ///
    /// # Panics
    /// When there are more or fewer, or none.
    pub fn new(width: usize, height: usize, pixels: Vec<f32>) -> Self {
        assert!(width.checked_mul(height) == Some(pixels.len()) && !pixels.is_empty(), "pixels of an image");
        Self { width, height, pixels }
    }

    /// From a function of column and row.
    ///
    /// # Panics
    /// When there are no pixels.
    pub fn from_fn(width: usize, height: usize, brightness: impl Fn(f32, f32) -> f32) -> Self {
        let pixel = |i: usize| brightness((i % width) as f32, (i / width) as f32);
        Self::new(width, height, (0..width * height).map(pixel).collect())
    }

    /// The brightness between pixels, from the four around; the border goes on outside.
    fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x.clamp(0.0, (self.width - 1) as f32), y.clamp(0.0, (self.height - 1) as f32));
        let (left, top) = (x as usize, y as usize);
        let (right, below) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (across, down) = (x - left as f32, y - top as f32);
        let row = |y: usize| {
            let pixel = |x: usize| self.pixels[y * self.width + x];
            pixel(left) + across * (pixel(right) - pixel(left))
        };
        row(top) + down * (row(below) - row(top))
    }
}

/// An image that moves along a path, as one sees it in the middle of the sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Moving {
    image: Image,
    sensor: Sensor,
    /// Pixels of the sensor to one of the image.
    scale: f32,
    /// Corners of the path, in pixels of the sensor.
    path: Vec<[f32; 2]>,
    /// It comes to rest at each corner and is fastest in between; else its speed is constant.
    rests: bool,
    /// How long from a corner to the next, in microseconds.
    section_us: i64,
}

impl Moving {
    /// As N-MNIST was recorded (G. Orchard et al. 2015): at its own size on a 34x34 sensor, in three saccades of 100 ms along
    /// the sides of an isosceles triangle. There the camera moves, here the image does, the other way. The size of the triangle
    /// and the directions are those that the published recordings show.
    pub fn saccades(image: Image) -> Self {
        let path = vec![[1.6, 1.6], [0.0, -1.6], [-1.6, 1.6], [1.6, 1.6]];
        let sensor = Sensor { width: 34, height: 34 };
        Self { image, sensor, scale: 1.0, path, rests: true, section_us: 100_000 }
    }

    /// In the way that CIFAR10-DVS was recorded (H. Li et al. 2017): enlarged to fill a 128x128 sensor, smoothly along a
    /// closed loop of four straight sections, again and again: six loops of 200 ms.
    pub fn closed_loop(image: Image) -> Self {
        let sensor = Sensor { width: 128, height: 128 };
        let around = [[0.0, 0.0], [5.0, 5.0], [10.0, 0.0], [5.0, -5.0]];
        let corners = around.iter().cycle().take(6 * around.len() + 1);
        let path = corners.map(|[x, y]| [x - 5.0, *y]).collect();
        let scale = 128.0 / image.width.max(image.height) as f32;
        Self { image, sensor, scale, path, rests: false, section_us: 50_000 }
    }

    /// Where the image's middle is at a time, from the sensor's middle.
    fn place(&self, t_us: i64) -> [f32; 2] {
        let last = self.path.len() - 2;
        let section = usize::try_from(t_us / self.section_us).unwrap_or(0).min(last);
        let share = (t_us - section as i64 * self.section_us) as f32 / self.section_us as f32;
        let share = if self.rests { (1.0 - (PI * share).cos()) / 2.0 } else { share };
        let [from, to] = [self.path[section], self.path[section + 1]];
        [0, 1].map(|axis| from[axis] + share * (to[axis] - from[axis]))
    }
}

impl Scene for Moving {
    fn sensor(&self) -> Sensor {
        self.sensor
    }

    fn duration_us(&self) -> i64 {
        self.section_us * (self.path.len() - 1) as i64
    }

    fn interval_us(&self) -> i64 {
        let longest = self.path.windows(2).map(|ends| {
            let [x, y] = [0, 1].map(|axis| ends[1][axis] - ends[0][axis]);
            x.hypot(y)
        });
        // At its fastest, what comes to rest is faster by half of pi.
        (self.section_us as f32 / (PI * longest.fold(1.0, f32::max))) as i64
    }

    fn render(&self, t_us: i64, brightness: &mut [f32]) {
        let [dx, dy] = self.place(t_us);
        let width = usize::from(self.sensor.width);
        let middle = |len: usize| (len - 1) as f32 / 2.0;
        let from = |at: f32, sensor: u16, moved: f32, image: usize| {
            (at - middle(sensor.into()) - moved) / self.scale + middle(image)
        };
        for (y, row) in brightness.chunks_exact_mut(width).enumerate() {
            let y = from(y as f32, self.sensor.height, dy, self.image.height);
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = self.image.at(from(x as f32, self.sensor.width, dx, self.image.width), y);
            }
        }
    }
}
