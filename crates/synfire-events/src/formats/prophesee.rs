//! What the files of Prophesee's cameras have in common: the lines of text they begin with, and a clock whose high bits are
//! told apart from its low ones.
//!
//! | line | meaning |
//! |---|---|
//! | `% KEYWORD VALUE` | a fact about the file; keywords in any case |
//! | `% end` | the last line; older files have none, and end where a line does not begin with `% ` |
//!
//! | keyword | in | meaning |
//! |---|---|---|
//! | `evt 3.0` | RAW | the encoding of the events |
//! | `format EVT3;height=720;width=1280` | RAW | the same, and the sensor |
//! | `geometry 1280x720` | RAW | the sensor |
//! | `Width 640`, `Height 480` | RAW, DAT | the sensor |
//! | `plugin_name hal_plugin_gen41_evk3` | RAW | what drove the camera, which tells the sensor of older files |
//! | `Version 2` | DAT | the layout of its records |
//!
//! Sources: *RAW File Format*, <https://docs.prophesee.ai/stable/data/file_formats/raw.html>, and *DAT File Format*,
//! <https://docs.prophesee.ai/stable/data/file_formats/dat.html>.

use super::{EncodeError, Fault, SIMULATED};
use crate::{Origin, Sensor};

/// The sensor that a plugin's name tells, by a part of that name: its generation, or its product number from Gen 4.2 on.
const PLUGINS: [(&str, Sensor); 5] = [
    ("genx320", Sensor { width: 320, height: 320 }),
    ("gen3", Sensor { width: 640, height: 480 }),
    ("gen4", Sensor { width: 1280, height: 720 }),
    ("imx636", Sensor { width: 1280, height: 720 }),
    ("imx646", Sensor { width: 1280, height: 720 }),
];

/// The lines of text that a file begins with.
pub(super) struct Header<'a> {
    fields: Vec<Field<'a>>,
    /// Where what follows them begins.
    pub(super) len: usize,
}

/// A line of a header.
pub(super) struct Field<'a> {
    at: usize,
    keyword: &'a str,
    pub(super) value: &'a str,
}

impl Field<'_> {
    pub(super) fn fault(&self, expected: impl Into<String>) -> Fault {
        Fault::new(self.at, expected, format!("`% {} {}`", self.keyword, self.value))
    }
}

impl<'a> Header<'a> {
    /// Of a file that begins with `head`; without a line if it has none.
    pub(super) fn read(head: &'a [u8]) -> Self {
        let (mut fields, mut at) = (Vec::new(), 0);
        while let Some((line, len)) = text_line(&head[at..]) {
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            fields.push(Field { at, keyword, value: value.trim() });
            at += len;
            if keyword == "end" {
                break;
            }
        }
        Self { fields, len: at }
    }

    pub(super) fn field(&self, keyword: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.keyword.eq_ignore_ascii_case(keyword))
    }

    /// The encoding of the events, such as `3.0`.
    pub(super) fn encoding(&self) -> Option<&'a str> {
        let of_format = || match self.field("format")?.value.split(';').next()? {
            "EVT2" => Some("2.0"),
            "EVT3" => Some("3.0"),
            other => Some(other),
        };
        self.field("evt").map(|field| field.value).or_else(of_format)
    }

    /// Asks for an encoding, in words whose least significant byte comes first. The oldest headers tell no encoding, and are
    /// taken to mean it.
    fn ask_for(&self, encoding: &str) -> Result<(), Fault> {
        let stated = self.field("evt").or(self.field("format"));
        if let Some(field) = stated.filter(|_| self.encoding() != Some(encoding)) {
            return Err(field.fault(format!("the encoding EVT {encoding}")));
        }
        let big = |field: &&Field| field.value.split(';').any(|part| part == "endianness=big");
        match self.field("format").filter(big) {
            Some(field) => Err(field.fault("words of little endianness")),
            None => Ok(()),
        }
    }

    /// The sensor, as stated, or as the plugin's name tells.
    pub(super) fn sensor(&self) -> Result<Option<Sensor>, Fault> {
        let parse = |field: &Field, width: &str, height: &str| {
            let side = |text: &str| text.parse().ok().filter(|side| *side > 0);
            let sides = side(width).zip(side(height));
            let sensor = sides.map(|(width, height)| Sensor { width, height });
            sensor.ok_or_else(|| field.fault("a sensor of 1x1 to 65535x65535 pixels")).map(Some)
        };
        if let Some(field) = self.field("geometry") {
            let (width, height) = field.value.split_once('x').unwrap_or((field.value, ""));
            return parse(field, width, height);
        }
        if let Some(field) = self.field("format") {
            let part = |name| field.value.split(';').find_map(|part| part.strip_prefix(name));
            if let (Some(width), Some(height)) = (part("width="), part("height=")) {
                return parse(field, width, height);
            }
        }
        if let (Some(width), Some(height)) = (self.field("width"), self.field("height")) {
            return parse(width, width.value, height.value);
        }
        let plugin = self.field("plugin_name").map_or("", |field| field.value);
        Ok(PLUGINS.iter().find(|(part, _)| plugin.contains(part)).map(|(_, sensor)| *sensor))
    }
}

/// The text behind `% ` in the line at the start of `bytes`, and the length of that line. Records may begin with the bytes
/// of `% ` where the header has no `% end`, but not go on as text.
fn text_line(bytes: &[u8]) -> Option<(&str, usize)> {
    let line = bytes.strip_prefix(b"% ")?;
    let control = line.iter().position(|&byte| byte < b' ' && byte != b'\t' && byte != b'\r');
    let len = control.unwrap_or(line.len());
    let ends = line.get(len).is_none_or(|&byte| byte == b'\n');
    let text = str::from_utf8(&line[..len]).ok().filter(|_| ends)?;
    Some((text.trim_ascii(), (len + 3).min(bytes.len())))
}

/// Whether a file that begins with `head` says that it is RAW of this encoding.
pub(super) fn is_raw(head: &[u8], encoding: &str) -> bool {
    Header::read(head).encoding() == Some(encoding)
}

/// Where the words of a RAW file of this encoding begin, and its sensor, if that is known.
pub(super) fn begin_raw(head: &[u8], encoding: &str) -> Result<(usize, Option<Sensor>), Fault> {
    let header = Header::read(head);
    header.ask_for(encoding)?;
    Ok((header.len, header.sensor()?))
}

/// Words of RAW files that are passed over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PassedOver {
    pub(super) triggers: u64,
    pub(super) others: u64,
    pub(super) reserved: u64,
    /// Events whose time or row is not known yet.
    pub(super) partial: u64,
}

impl PassedOver {
    /// As a [`super::Decoder`] tells it.
    pub(super) fn list(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("trigger", self.triggers),
            ("other word", self.others),
            ("word of a reserved type", self.reserved),
            ("event before the first time or row", self.partial),
        ]
    }
}

/// The header of a RAW file.
pub(super) fn raw_header(encoding: char, origin: Origin) -> String {
    let (sensor, note) = (origin.sensor, simulated_line(origin));
    let Sensor { width, height } = sensor;
    format!(
        "% evt {encoding}.0\n% format EVT{encoding};height={height};width={width}\n% geometry {sensor}\n{note}% end\n"
    )
}

/// The line that says so, where a recording is simulated.
pub(super) fn simulated_line(origin: Origin) -> String {
    if origin.simulated { format!("% {SIMULATED}\n") } else { String::new() }
}

/// Asks for a sensor whose columns and rows fit in `bits` bits.
pub(super) fn ask_for_sensor(sensor: Sensor, bits: u32) -> Result<(), EncodeError> {
    let most = 1_u16 << bits;
    if sensor.width > most || sensor.height > most {
        let expected = format!("a sensor of at most {most}x{most} pixels");
        return Err(EncodeError::unfit(0, expected, sensor.to_string()));
    }
    Ok(())
}

/// The longest step from an event's time to the next's that is written, in microseconds: 19 hours. Each turn of the clock
/// takes words, of which no damaged time may ask for without bound.
const MAX_STEP: u64 = 1 << 36;

/// The high bits of a camera's clock. A file tells them modulo a power of two, so that the clock turns; which turn a word
/// belongs to is told by the step from the last word, which is at least `-back` and less than `range - back`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    range: i64,
    back: i64,
    /// The high bits of the last word, with the turns in front of them.
    now: Option<i64>,
}

impl Clock {
    /// A clock that was not yet told.
    pub(super) const fn new(range: i64, back: i64) -> Self {
        Self { range, back, now: None }
    }

    /// Whether it was told.
    pub(super) fn runs(&self) -> bool {
        self.now.is_some()
    }

    /// Is told the high bits, and gives them with the turns in front of them.
    pub(super) fn read(&mut self, bits: i64) -> i64 {
        let now = self.now.map_or(bits, |now| {
            let step = (bits - now).rem_euclid(self.range);
            // Turns that no file is long enough to hold must not overflow either.
            let most = i64::MAX / (1 << 16);
            (now + if step < self.range - self.back { step } else { step - self.range }).clamp(-most, most)
        });
        self.now = Some(now);
        now
    }

    /// Gives the high bits that are to be written for it to come to `target`: none if it is there.
    pub(super) fn write(&mut self, target: i64, mut word: impl FnMut(i64)) {
        while self.now != Some(target) {
            let now = match self.now {
                None => target.clamp(0, self.range - 1),
                Some(now) => now + (target - now).clamp(-self.back, self.range - self.back - 1),
            };
            word(now.rem_euclid(self.range));
            self.now = Some(now);
        }
    }
}

/// Asks for a time that a clock can be brought to from the time before, or from 0.
pub(super) fn ask_for_time(index: usize, last: i64, t: i64) -> Result<(), EncodeError> {
    if last.abs_diff(t) > MAX_STEP {
        let expected = format!("a time at most {MAX_STEP} µs from {last} µs");
        return Err(EncodeError::unfit(index, expected, format!("{t} µs")));
    }
    Ok(())
}
