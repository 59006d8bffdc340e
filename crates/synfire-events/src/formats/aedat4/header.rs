//! The header: a FlatBuffer, and in it the streams as XML.

use super::compression::Decompressor;
use super::flatbuffer::Table;
use crate::Sensor;
use crate::formats::{Fault, HEAD};

/// The first bytes of a file.
pub(super) const MARK: &[u8] = b"#!AER-DAT4.0\r\n";
/// Coordinates are i16.
pub(super) const LARGEST_SIZE: u16 = 1 << 15;

/// What the header tells.
pub(super) struct Header {
    /// Where the first packet begins.
    pub(super) end: usize,
    pub(super) compression: Decompressor,
    /// Where the data table begins, behind all packets.
    pub(super) table: Option<u64>,
    pub(super) streams: Vec<Stream>,
}

/// A stream of packets of one type.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) id: i32,
    /// The identifier of its FlatBuffers, such as `EVTS`.
    pub(super) of: String,
    size_x: Option<String>,
    size_y: Option<String>,
}

impl Header {
    pub(super) fn parse(head: &[u8]) -> Result<Self, Fault> {
        let buffer = head.strip_prefix(MARK).ok_or_else(|| {
            let found = head[..head.len().min(MARK.len())].escape_ascii();
            Fault::new(0, format!("\"{}\"", MARK.escape_ascii()), format!("\"{found}\""))
        })?;
        let start = MARK.len();
        let in_file = |fault: Fault| Fault { at: fault.at + start, ..fault };
        let cut = || {
            let expected = format!("a header that ends within the file's first {HEAD} bytes");
            Fault::new(start, expected, format!("none in {} bytes", head.len()))
        };
        let len = u32::from_le_bytes(*buffer.first_chunk().ok_or_else(cut)?) as usize;
        let buffer = buffer.get(..len.saturating_add(4)).ok_or_else(cut)?;
        let end = start + buffer.len();

        let table = Table::root(buffer, b"IOHE").map_err(in_file)?;
        let compression = table.number(0).map_err(in_file)?.map_or(0, i32::from_le_bytes);
        let position = table.number(1).map_err(in_file)?.map_or(-1, i64::from_le_bytes);
        let info = table.vector(2, 1).map_err(in_file)?;
        let info = str::from_utf8(info)
            .map_err(|_| Fault::new(start, "a description of the streams in UTF-8", "other bytes"))?;
        Ok(Self {
            end,
            compression: Decompressor::new(compression)
                .ok_or_else(|| Fault::new(start, "a compression from 0 to 4", compression.to_string()))?,
            table: match position {
                -1 => None,
                _ => Some(u64::try_from(position).ok().filter(|table| *table >= end as u64).ok_or_else(
                    || {
                        let expected = format!("-1 or a position of the data table from {end} on");
                        Fault::new(start, expected, position.to_string())
                    },
                )?),
            },
            streams: streams(info)?,
        })
    }
}

/// The streams that the description names.
///
/// It is a tree of nodes, written by a program: `<node name="…">` within each other, and in them `<attr key="…">value</attr>`.
/// These tags are all that is looked at: a few lines do that, in time proportional to the text, where a parser of all of
/// XML is larger than this format. In the node `outInfo` is a node for each stream, named by its id, with the attribute
/// `typeIdentifier`, and in that the node `info` with `sizeX` and `sizeY`.
fn streams(info: &str) -> Result<Vec<Stream>, Fault> {
    let mut streams: Vec<Stream> = Vec::new();
    let mut path = Vec::new();
    for part in info.split('<') {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        match tag.split_whitespace().next() {
            Some("node") if !tag.ends_with('/') => {
                path.push(attribute(tag, "name").unwrap_or_default());
                if let [.., "outInfo", id] = path[..] {
                    let id = id.parse().map_err(|_| {
                        Fault::new(MARK.len(), "a number as the id of a stream", format!("{id:?}"))
                    })?;
                    streams.push(Stream { id, ..Stream::default() });
                }
            }
            Some("/node") => {
                path.pop();
            }
            Some("attr") => {
                let (Some(stream), Some(key)) = (streams.last_mut(), attribute(tag, "key")) else { continue };
                match (&path[..], key) {
                    ([.., "outInfo", _], "typeIdentifier") => stream.of = text.to_owned(),
                    ([.., "outInfo", _, "info"], "sizeX") => stream.size_x = Some(text.to_owned()),
                    ([.., "outInfo", _, "info"], "sizeY") => stream.size_y = Some(text.to_owned()),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    Ok(streams)
}

/// The value of an attribute of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    // Between quotes are values, before each its name.
    let mut parts = tag.split('"');
    loop {
        let (before, value) = (parts.next()?, parts.next()?);
        let before = before.trim_end().strip_suffix('=')?;
        if before.split_whitespace().next_back() == Some(name) {
            return Some(value);
        }
    }
}

impl Stream {
    /// The sensor of a stream of events.
    pub(super) fn sensor(&self) -> Result<Sensor, Fault> {
        let size = |name: &str, text: &Option<String>| {
            let size = text.as_ref().and_then(|text| text.parse().ok());
            size.filter(|size| (1..=LARGEST_SIZE).contains(size)).ok_or_else(|| {
                let expected = format!("{name} of stream {} from 1 to {LARGEST_SIZE}", self.id);
                Fault::new(
                    MARK.len(),
                    expected,
                    text.as_deref().map_or("none".into(), |text| format!("{text:?}")),
                )
            })
        };
        Ok(Sensor { width: size("sizeX", &self.size_x)?, height: size("sizeY", &self.size_y)? })
    }
}
