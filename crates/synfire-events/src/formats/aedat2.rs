//! AEDAT 2.0, the `.aedat` recordings of jAER, of which CIFAR10-DVS and MNIST-DVS are made (iniVation, *AEDAT 2.0*,
//! <https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-2.0.html>, and jAER's classes `DVS128` and
//! `DavisChip`, <https://github.com/SensorsINI/jaer>).
//!
//! Lines of text (see `aedat.rs`), then two words of 4 bytes for each event, most significant byte first: an address, and the
//! time in microseconds. What an address means depends on the camera:
//!
//! | | y | x | polarity | not a change of brightness |
//! |---|---|---|---|---|
//! | DVS128 | bits 14–8 | bits 7–1 | bit 0: 0 on, 1 off | any of bits 31–15: a special event, as of the input pin |
//! | DAVIS | bits 30–22 | bits 21–12 | bit 11: 1 on, 0 off | bit 31: a sample of a frame, or if bits 11–10 are set too of the inertial sensor; else bit 10: a special event |
//!
//! jAER asks for bits 31 and 15 of a DVS128's address alone; no DVS128 sets those between. iniVation's page describes what jAER
//! makes of such an address, where 1 is on and the first pixel at the lower left, not the bits that stand in it.
//!
//! A header that names no camera is taken to mean a DVS128, as files are that other programs than jAER wrote; one that names a
//! camera with other addresses is refused.
//!
//! # Orientation
//! Addresses count x from the right and y from the bottom. jAER, whose pictures have their first pixel at the lower left,
//! flips x and keeps y; here the first pixel is at the upper left, so that both are flipped, and pictures are upright as in
//! jAER. libcaer flips the same addresses of a DVS128 in the same way when it records AEDAT 3.1. Readers of Python differ;
//! with x and y as they stand in the address of a DVS128:
//!
//! | reader | column | row | its polarity 1 |
//! |---|---|---|---|
//! | here | 127 − x | 127 − y | on |
//! | SpikingJelly, `CIFAR10DVS` | 127 − y | 127 − x | on |
//! | Tonic, `read_dvs_128` | y | x | off |
//! | events-tfds, `data_io/aedat.py` | x | y | off |
//!
//! What SpikingJelly makes of CIFAR10-DVS is therefore this with columns and rows exchanged (`numpy.transpose` of a frame).
//!
//! # Time
//! Times are signed as the specification says, where Python's readers take them without sign. Their 32 bits turn after 71.6
//! minutes: an event is taken for the time that is nearest to the last one's, so that times may run backwards too.

use super::aedat::{Camera, DVS128, Header, origin_lines};
use super::{Decoded, Decoder, EncodeError, Encoder, Fault, Output, ask_for_step, nearest_time, no_rest};
use crate::{Event, Origin, Sensor};

/// The first line.
const MARK: &str = "#!AER-DAT2.0";
/// The last line of a header by jAER.
const LAST: &str = "End Of ASCII Header";
/// Bytes of an event.
const RECORD: usize = 8;

/// Whether a file that begins with `head` is one.
pub(crate) fn matches(head: &[u8], _: u64) -> bool {
    head.starts_with(MARK.as_bytes())
}

pub(crate) fn begin(head: &[u8]) -> Result<(usize, Box<dyn Decoder>), Fault> {
    let header = Header::read(head, MARK, LAST)?;
    let camera = match header.field("AEChip").or_else(|| header.field("HardwareInterface")) {
        None => &DVS128,
        Some((at, name)) => Camera::named(name).ok_or_else(|| {
            Fault::new(at, "a DVS128, or a DAVIS128, 208, 240, 346 or 640", format!("{name:?}"))
        })?,
    };
    let sensor = header.sensor().unwrap_or(camera.sensor);
    Ok((
        header.len,
        Box::new(Records { layout: Layout::of(camera), sensor, last: None, passed_over: [0; 3] }),
    ))
}

/// What the bits of an address mean.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// The sensor of the camera.
    camera: Sensor,
    x_shift: u32,
    x_bits: u32,
    y_shift: u32,
    y_bits: u32,
    polarity_shift: u32,
    /// The polarity of an on event.
    on: u32,
    /// Set in what is no change of brightness.
    others: u32,
    /// Set in samples of frames and of the inertial sensor.
    samples: u32,
}

impl Layout {
    fn of(camera: &Camera) -> Self {
        if camera.is_davis() {
            Self {
                camera: camera.sensor,
                x_shift: 12,
                x_bits: 10,
                y_shift: 22,
                y_bits: 9,
                polarity_shift: 11,
                on: 1,
                others: 1 << 31 | 1 << 10,
                samples: 1 << 31,
            }
        } else {
            Self {
                camera: camera.sensor,
                x_shift: 1,
                x_bits: 7,
                y_shift: 8,
                y_bits: 7,
                polarity_shift: 0,
                on: 0,
                others: !0x7fff,
                samples: 0,
            }
        }
    }

    #[inline]
    fn event(&self, t: i64, address: u32) -> Event {
        let bits = |shift: u32, bits: u32| (address >> shift & ((1 << bits) - 1)) as u16;
        Event {
            t,
            x: flipped(bits(self.x_shift, self.x_bits), self.camera.width),
            y: flipped(bits(self.y_shift, self.y_bits), self.camera.height),
            on: address >> self.polarity_shift & 1 == self.on,
        }
    }

    fn address(&self, event: &Event) -> u32 {
        u32::from(flipped(event.x, self.camera.width)) << self.x_shift
            | u32::from(flipped(event.y, self.camera.height)) << self.y_shift
            | (u32::from(event.on) ^ self.on ^ 1) << self.polarity_shift
    }
}

/// A coordinate counted from the other side, and the way back. One outside of the side remains outside.
#[inline]
fn flipped(coordinate: u16, side: u16) -> u16 {
    (side - 1).wrapping_sub(coordinate)
}

/// Decodes events.
#[derive(Debug)]
struct Records {
    layout: Layout,
    sensor: Sensor,
    /// The time of the last event.
    last: Option<i64>,
    /// Special events, samples of frames and of the inertial sensor.
    passed_over: [u64; 3],
}

impl Records {
    /// Counts what is no change of brightness.
    fn other(&mut self, address: u32) {
        let kind = if address & self.layout.samples == 0 {
            0
        } else if address >> 10 & 3 != 3 {
            1
        } else {
            2
        };
        self.passed_over[kind] += 1;
    }
}

impl Decoder for Records {
    fn sensor(&self) -> Option<Sensor> {
        Some(self.sensor)
    }

    fn decode(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Decoded, Fault> {
        let (records, rest) = bytes.as_chunks::<RECORD>();
        events.reserve(records.len());
        let Self { layout, sensor, .. } = *self;
        let time = |[.., a, b, c, d]: [u8; RECORD]| i32::from_be_bytes([a, b, c, d]);
        let mut last = self.last.unwrap_or_else(|| records.first().map_or(0, |record| time(*record).into()));
        for (i, record) in records.iter().enumerate() {
            last = nearest_time(last, time(*record).cast_unsigned());
            let [a, b, c, d, ..] = *record;
            let address = u32::from_be_bytes([a, b, c, d]);
            if address & layout.others != 0 {
                self.other(address);
                continue;
            }
            let event = layout.event(last, address);
            if !sensor.holds(event.x, event.y) {
                let expected = format!("the address of a pixel of the {sensor} sensor");
                return Err(Fault::new(i * RECORD, expected, format!("{address:#010x}")));
            }
            events.push(event);
        }
        self.last = Some(last).filter(|_| self.last.is_some() || !records.is_empty());
        Ok(Decoded { bytes: bytes.len() - rest.len(), next: RECORD })
    }

    fn end(&mut self, rest: &[u8], _: &mut Vec<Event>) -> Result<(), Fault> {
        no_rest(rest, "an event of 8 bytes")
    }

    fn passed_over(&self) -> Vec<(&'static str, u64)> {
        let titles = ["special event", "sample of a frame", "sample of the inertial sensor"];
        titles.into_iter().zip(self.passed_over).collect()
    }
}

/// Writes the layout of the DVS128 for sensors of up to 128x128, of the smallest DAVIS for others up to 640x480. A sensor that is
/// not the camera's lies in the camera's upper left corner, and stands in a line of its own. The first time is signed and of 32
/// bits, the others are less than 2^31 µs from the one before.
pub(crate) fn encoder(origin: Origin, output: &mut dyn Output) -> Result<Box<dyn Encoder>, EncodeError> {
    let sensor = origin.sensor;
    let room =
        |camera: &&Camera| sensor.width <= camera.sensor.width && sensor.height <= camera.sensor.height;
    let camera = Camera::of(sensor).or_else(|| Camera::all().find(room));
    let Some(camera) = camera else {
        return Err(EncodeError::unfit(0, "a sensor of at most 640x480 pixels", sensor.to_string()));
    };
    let Camera { chip, .. } = camera;
    let lines = origin_lines(origin, Some(camera));
    write!(
        output,
        "{MARK}\r\n# This is a raw AE data file - do not edit\r\n# Data format is int32 address, int32 timestamp (8 bytes \
         total), repeated for each event\r\n# Timestamps tick is 1 us\r\n# AEChip: {chip}\r\n{lines}#{LAST}\r\n"
    )?;
    Ok(Box::new(ToRecords { layout: Layout::of(camera), last: None }))
}

struct ToRecords {
    layout: Layout,
    /// The time of the last event.
    last: Option<i64>,
}

impl Encoder for ToRecords {
    fn encode(&mut self, events: &[Event], output: &mut dyn Output) -> Result<(), EncodeError> {
        let mut bytes = Vec::with_capacity(events.len() * RECORD);
        for (i, event) in events.iter().enumerate() {
            ask_for_step(i, self.last, event.t, i32::MIN.into()..=i32::MAX.into())?;
            self.last = Some(event.t);
            bytes.extend(self.layout.address(event).to_be_bytes());
            bytes.extend((event.t as i32).to_be_bytes());
        }
        output.write_all(&bytes)?;
        Ok(())
    }
}
