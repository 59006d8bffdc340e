//! What AEDAT 2.0 and 3.1 have in common: the lines of text they begin with, and the cameras that these name.
//!
//! A line begins with `#` and ends with a line feed, mostly behind a carriage return. It is text: a byte below 32 that is no
//! tab tells events that begin with the byte of `#`, so that the line is none. Published readers, jAER's among them, take
//! any line for text that begins with `#` (or is UTF-8 as well), and warn that events may be lost so. A line that says that
//! it is the last one ends the header for certain: `#!END-HEADER` in AEDAT 3.1, `#End Of ASCII Header` in what jAER writes since
//! November 2016 (`AEDataFile.java`).
//!
//! | line | meaning |
//! |---|---|
//! | `#!AER-DAT2.0`, `#!AER-DAT3.1` | the first one |
//! | `# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128` | AEDAT 2.0: the class of jAER that knows the addresses, which tells the camera |
//! | `# HardwareInterface: DVS128-V1 0298` | AEDAT 2.0: what drove the camera, which tells it where no AEChip does |
//! | `#Source 1: DVS128` | AEDAT 3.1: the camera with the packets of this source; `#-Source` if what recorded them is not what wrote them |
//! | `# sensor 34x34` | written by this crate for a sensor that is no camera's; a comment to other readers |
//!
//! Sources: iniVation, *AEDAT File Formats*, <https://docs.inivation.com/software/software-advanced-usage/file-formats/>, and the
//! sizes in jAER's chip classes (<https://github.com/SensorsINI/jaer>).

use super::{Fault, HEAD, SIMULATED, csv};
use crate::{Origin, Sensor};

/// A camera.
pub(super) struct Camera {
    /// What its names contain, in lower case.
    parts: &'static [&'static str],
    pub(super) sensor: Sensor,
    /// Its class in jAER.
    pub(super) chip: &'static str,
    /// Its name in libcaer.
    pub(super) source: &'static str,
}

const fn camera(
    parts: &'static [&'static str],
    (width, height): (u16, u16),
    chip: &'static str,
    source: &'static str,
) -> Camera {
    Camera { parts, sensor: Sensor { width, height }, chip, source }
}

pub(super) const DVS128: Camera =
    camera(&["dvs128", "tmpdiff128"], (128, 128), "ch.unizh.ini.jaer.chip.retina.DVS128", "DVS128");

/// The cameras of the DAVIS family; those that most recordings are of come first, and are written. The converter aedat4to2
/// calls the second DAVI346.
static DAVIS: [Camera; 5] = [
    camera(&["davis240"], (240, 180), "eu.seebetter.ini.chips.davis.DAVIS240C", "DAVIS240C"),
    camera(&["davis346", "davi346"], (346, 260), "eu.seebetter.ini.chips.davis.Davis346blue", "DAVIS346B"),
    camera(&["davis640"], (640, 480), "eu.seebetter.ini.chips.davis.Davis640", "DAVIS640"),
    camera(&["davis208"], (208, 192), "eu.seebetter.ini.chips.davis.Davis208PixelParade", "DAVIS208"),
    camera(&["davis128"], (128, 128), "eu.seebetter.ini.chips.davis.Davis128", "DAVIS128"),
];

impl Camera {
    /// All of them, the DVS128 first.
    pub(super) fn all() -> impl Iterator<Item = &'static Self> {
        std::iter::once(&DVS128).chain(&DAVIS)
    }

    /// The camera that has this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        let name = name.to_ascii_lowercase();
        Self::all().find(|camera| camera.parts.iter().any(|part| name.contains(part)))
    }

    /// The first camera with this sensor.
    pub(super) fn of(sensor: Sensor) -> Option<&'static Self> {
        Self::all().find(|camera| camera.sensor == sensor)
    }

    /// Whether it is of the DAVIS family.
    pub(super) fn is_davis(&self) -> bool {
        self.source != DVS128.source
    }
}

/// The lines of text that a file begins with.
pub(super) struct Header<'a> {
    /// Each line without its end, and where it begins. Lines that are not UTF-8 are empty: none of them is asked for.
    lines: Vec<(usize, &'a str)>,
    /// Where what follows them begins.
    pub(super) len: usize,
    /// Whether the last one says so.
    pub(super) ended: bool,
}

impl<'a> Header<'a> {
    /// Of a file that begins with `head`, whose first line begins with `mark`, and whose last one may be `last`.
    pub(super) fn read(head: &'a [u8], mark: &str, last: &str) -> Result<Self, Fault> {
        if !head.starts_with(mark.as_bytes()) {
            return Err(Fault::new(0, format!("the line `{mark}`"), "another"));
        }
        let mut header = Self { lines: Vec::new(), len: 0, ended: false };
        while let Some(len) = line_len(&head[header.len..])
            && !header.ended
        {
            let line = &head[header.len..header.len + len];
            let line = str::from_utf8(line).unwrap_or_default().trim_end();
            header.lines.push((header.len, line));
            header.len += len;
            header.ended = line.get(1..).is_some_and(|text| text.trim_start().eq_ignore_ascii_case(last));
        }
        if header.len >= HEAD {
            return Err(Fault::new(
                header.len,
                format!("a header of less than {HEAD} bytes"),
                "more lines of text",
            ));
        }
        Ok(header)
    }

    /// What stands behind `#`, blanks, this keyword and a colon, and where the line begins.
    pub(super) fn field(&self, keyword: &str) -> Option<(usize, &'a str)> {
        self.lines.iter().find_map(|(at, line)| {
            let value = line.strip_prefix('#')?.trim_start().strip_prefix(keyword)?.strip_prefix(':')?;
            Some((*at, value.trim()))
        })
    }

    /// The number of each source, and the camera it is named after.
    pub(super) fn sources(&self) -> impl Iterator<Item = (i16, &'static Camera)> {
        self.lines.iter().filter_map(|(_, line)| {
            let source = line.strip_prefix("#Source ").or_else(|| line.strip_prefix("#-Source "))?;
            let (number, name) = source.split_once(':')?;
            Some((number.trim().parse().ok()?, Camera::named(name)?))
        })
    }

    /// The sensor that this crate wrote.
    pub(super) fn sensor(&self) -> Option<Sensor> {
        self.lines.iter().find_map(|(_, line)| csv::stated_sensor(line.as_bytes()))
    }
}

/// The length of the line at the start of `bytes`, if there is one. The file may end in it.
fn line_len(bytes: &[u8]) -> Option<usize> {
    bytes.strip_prefix(b"#")?;
    let control = bytes.iter().position(|&byte| byte < b' ' && byte != b'\t' && byte != b'\r');
    match control {
        Some(at) => (bytes[at] == b'\n').then_some(at + 1),
        None => Some(bytes.len()),
    }
}

/// The lines that tell a sensor which is not that of `camera`, and that a recording is simulated.
pub(super) fn origin_lines(Origin { sensor, simulated }: Origin, camera: Option<&Camera>) -> String {
    let sensor = match camera {
        Some(camera) if camera.sensor == sensor => String::new(),
        _ => format!("# sensor {sensor}\r\n"),
    };
    if simulated { format!("{sensor}# {SIMULATED}\r\n") } else { sensor }
}
