//! Pictures of recordings: event frames, and events in space and time.
//!
//! Events shine: on events blue, off events orange, on a dark ground; where both are, the colours add. Many events at one
//! place make it brighter, ever more slowly.

use crate::{Event, Recording, Sensor};

/// An RGB picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 3]`.
    pub rgb: Vec<u8>,
}

type Colour = [f32; 3];
const GROUND: Colour = [0.055, 0.067, 0.10];
const LINE: Colour = [0.22, 0.26, 0.34];
const OFF: Colour = [1.0, 0.50, 0.16];
const ON: Colour = [0.28, 0.70, 1.0];

/// Light of both polarities that is summed up before it becomes colours.
struct Light {
    width: usize,
    height: usize,
    /// `[height, width, 2]`: off and on.
    shine: Vec<[f32; 2]>,
}

impl Light {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, shine: vec![[0.0; 2]; width * height] }
    }

    /// Adds light to a place between pixels, in shares to the four around it.
    fn add(&mut self, x: f32, y: f32, on: bool, light: f32) {
        let (left, top) = (x.floor(), y.floor());
        let (right_share, low_share) = (x - left, y - top);
        for (dy, row_share) in [(0, 1.0 - low_share), (1, low_share)] {
            for (dx, share) in [(0, 1.0 - right_share), (1, right_share)] {
                let (x, y) = (left as isize + dx, top as isize + dy);
                if (0..self.width as isize).contains(&x) && (0..self.height as isize).contains(&y) {
                    let pixel = &mut self.shine[y as usize * self.width + x as usize];
                    pixel[usize::from(on)] += light * share * row_share;
                }
            }
        }
    }

    /// The colour of a pixel over another.
    fn over(&self, pixel: usize, ground: Colour) -> Colour {
        let [off, on] = self.shine[pixel].map(|light| 1.0 - (-light).exp());
        [0, 1, 2].map(|c| (ground[c] * (1.0 - off.max(on)) + off * OFF[c] + on * ON[c]).min(1.0))
    }
}

impl Picture {
    fn new(width: usize, height: usize) -> Self {
        let mut picture = Self { width, height, rgb: vec![0; 3 * width * height] };
        (0..width * height).for_each(|pixel| picture.set(pixel, GROUND));
        picture
    }

    fn set(&mut self, pixel: usize, colour: Colour) {
        self.rgb[3 * pixel..][..3].copy_from_slice(&colour.map(|c| (255.0 * c).round() as u8));
    }

    /// Fills a rectangle, of which what is pasted on it leaves an edge.
    fn edge(&mut self, [x, y]: [usize; 2], [width, height]: [usize; 2]) {
        for row in y..y + height {
            (x..x + width).for_each(|column| self.set(row * self.width + column, LINE));
        }
    }

    /// Copies a smaller picture to a place.
    fn paste(&mut self, small: &Self, [x, y]: [usize; 2]) {
        for row in 0..small.height {
            let to = 3 * ((y + row) * self.width + x);
            self.rgb[to..][..3 * small.width]
                .copy_from_slice(&small.rgb[3 * row * small.width..][..3 * small.width]);
        }
    }
}

/// How a sensor is fitted into a picture: each of its pixels as a square of pixels, or a square of its pixels as one.
#[derive(Clone, Copy)]
struct Fit {
    sensor: Sensor,
    up: usize,
    down: usize,
}

impl Fit {
    /// As large as a width and a height allow, neither of them 0.
    fn new(sensor: Sensor, room: [usize; 2]) -> Self {
        let sides = [sensor.width, sensor.height].map(|side| usize::from(side).max(1));
        let up = (room[0] / sides[0]).min(room[1] / sides[1]).max(1);
        let down = sides[0].div_ceil(room[0]).max(sides[1].div_ceil(room[1]));
        Self { sensor, up, down }
    }

    /// Width and height in squares.
    fn squares(self) -> [usize; 2] {
        [self.sensor.width, self.sensor.height].map(|side| usize::from(side).div_ceil(self.down))
    }

    /// Width and height of the picture.
    fn size(self) -> [usize; 2] {
        self.squares().map(|side| side * self.up)
    }

    /// The events of one stretch as they lie on the sensor.
    fn frame(self, events: &[Event]) -> Picture {
        let [columns, rows] = self.squares();
        let mut light = Light::new(columns, rows);
        for event in events.iter().filter(|event| self.sensor.holds(event.x, event.y)) {
            let [x, y] = [event.x, event.y].map(|at| usize::from(at) / self.down);
            light.shine[y * columns + x][usize::from(event.on)] += 0.8;
        }
        let [width, height] = self.size();
        let mut picture = Picture::new(width, height);
        for y in 0..height {
            for x in 0..width {
                let colour = light.over(y / self.up * columns + x / self.up, GROUND);
                picture.set(y * width + x, colour);
            }
        }
        picture
    }
}

/// The earliest time and how long it is to the latest, in microseconds; at least one.
fn span(events: &[Event]) -> (i64, f32) {
    let first = events.iter().map(|event| event.t).min().unwrap_or(0);
    let last = events.iter().map(|event| event.t).max().unwrap_or(0);
    (first, last.abs_diff(first).max(1) as f32)
}

/// Events in space and time: time runs to the right, and the sensor is seen at a slant. `now`, a share of the time, shows the
/// sensor at that moment.
#[must_use]
pub fn space_time(recording: &Recording, [width, height]: [usize; 2], now: Option<f32>) -> Picture {
    let Recording { sensor, events } = recording;
    let (first, duration) = span(events);
    // Columns of the sensor go to the right and upwards, rows downwards.
    let (columns, rows) = (f32::from(sensor.width.max(1)), f32::from(sensor.height.max(1)));
    let margin = 12.0;
    let (slant, rise) = (0.55_f32, 0.35_f32);
    let unit = ((height as f32 - 2.0 * margin) / (rows + rise * columns))
        .min((width as f32 - 2.0 * margin) / (2.0 * slant * columns));
    let length = width as f32 - 2.0 * margin - unit * slant * columns;
    let place = |share: f32, x: f32, y: f32| {
        [margin + share * length + unit * slant * x, margin + unit * (rise * (columns - x) + y)]
    };
    let mut light = Light::new(width, height);
    // Few events are drawn large, and all are together as bright in the mean, however many there are.
    let pixels_each = (width * height) as f32 / events.len().max(1) as f32;
    let spread: &[f32] = if pixels_each > 25.0 { &[-0.6, 0.6] } else { &[0.0] };
    let each = (0.2 * pixels_each / (spread.len() * spread.len()) as f32).clamp(0.05, 1.2);
    for event in events {
        let share = event.t.abs_diff(first) as f32 / duration;
        let [x, y] = place(share, f32::from(event.x) + 0.5, f32::from(event.y) + 0.5);
        for dy in spread {
            spread.iter().for_each(|dx| light.add(x + dx, y + dy, event.on, each));
        }
    }
    let mut picture = Picture::new(width, height);
    let mut line = |from: [f32; 2], to: [f32; 2], colour: Colour| {
        let steps = (to[0] - from[0]).abs().max((to[1] - from[1]).abs()).ceil().max(1.0) as usize;
        for step in 0..=steps {
            let share = step as f32 / steps as f32;
            let [x, y] = [0, 1].map(|axis| (from[axis] + share * (to[axis] - from[axis])).round() as usize);
            if x < width && y < height {
                picture.set(y * width + x, colour);
            }
        }
    };
    let corners = [(0.0, 0.0), (columns, 0.0), (columns, rows), (0.0, rows)];
    for (i, (x, y)) in corners.into_iter().enumerate() {
        let (next_x, next_y) = corners[(i + 1) % 4];
        line(place(0.0, x, y), place(1.0, x, y), LINE);
        for share in [0.0, 1.0] {
            line(place(share, x, y), place(share, next_x, next_y), LINE);
        }
        if let Some(now) = now {
            line(place(now, x, y), place(now, next_x, next_y), [0.85, 0.88, 0.94]);
        }
    }
    for pixel in 0..width * height {
        let ground = [0, 1, 2].map(|c| f32::from(picture.rgb[3 * pixel + c]) / 255.0);
        picture.set(pixel, light.over(pixel, ground));
    }
    picture
}

/// `count` stretches of equally many events, one after the other; empty ones at the end where there are fewer events.
fn stretches(events: &[Event], count: usize) -> impl Iterator<Item = &[Event]> {
    let each = events.len().div_ceil(count.max(1)).max(1);
    (0..count).map(move |i| &events[(i * each).min(events.len())..((i + 1) * each).min(events.len())])
}

/// The most frames of a [`sheet`].
pub const MOST_IN_SHEET: usize = 64;

/// A picture for the eye: some frames of equally many events in rows, and all events in space and time under them.
#[must_use]
pub fn sheet(recording: &Recording, frames: usize) -> Picture {
    const WIDTH: usize = 1200;
    const GAP: usize = 6;
    let sensor = recording.sensor;
    let frames = frames.clamp(1, MOST_IN_SHEET);
    let in_row = frames.min(8);
    let room = (WIDTH - GAP) / in_row - GAP;
    let fit = Fit::new(sensor, [room, 2 * room]);
    let [across, down] = fit.size().map(|side| side + GAP);
    let width = WIDTH.max(GAP + in_row * across);
    let below = GAP + frames.div_ceil(in_row) * down;
    let cloud = space_time(recording, [width, width / 3], None);
    let mut picture = Picture::new(width, below + cloud.height);
    let left = (width - in_row * across + GAP) / 2;
    for (i, events) in stretches(&recording.events, frames).enumerate() {
        let [x, y] = [left + i % in_row * across, GAP + i / in_row * down];
        picture.edge([x - 1, y - 1], [across - GAP + 2, down - GAP + 2]);
        picture.paste(&fit.frame(events), [x, y]);
    }
    picture.paste(&cloud, [0, below]);
    picture
}

/// The pictures of a film: at each of `count` moments the events since the last one on the sensor, and beside them where that
/// is in space and time.
pub fn film(recording: &Recording, count: usize) -> impl Iterator<Item = Picture> {
    const HEIGHT: usize = 320;
    let sensor = recording.sensor;
    let fit = Fit::new(sensor, [2 * HEIGHT, HEIGHT]);
    let [frame_width, frame_height] = fit.size();
    let height = frame_height.max(HEIGHT);
    let (first, duration) = span(&recording.events);
    stretches(&recording.events, count).map(move |events| {
        let now = events.last().map_or(1.0, |event| event.t.abs_diff(first) as f32 / duration);
        let cloud = space_time(recording, [2 * height, height], Some(now));
        let mut picture = Picture::new(frame_width + cloud.width, height);
        picture.paste(&fit.frame(events), [0, (height - frame_height) / 2]);
        picture.paste(&cloud, [frame_width, 0]);
        picture
    })
}
