//! Writing. The FlatBuffers are few and always have the same form, so that they are written as bytes.

use std::io::SeekFrom;

use zstd::bulk::Compressor;

use super::compression::ZSTD;
use super::header::{LARGEST_SIZE, MARK};
use super::{EVENT, PACKET_HEADER};
use crate::formats::{EncodeError, Encoder, Output, SIMULATED};
use crate::{Event, Origin, Sensor};

/// Events in a packet. Readers that look for a time decompress one packet or two.
const PACKET: usize = 8192;
/// The stream of the events.
const STREAM: i32 = 0;
/// Where in the header's FlatBuffer the position of the data table is.
const TABLE_POSITION: usize = 40;
/// The largest coordinate.
const MOST: u16 = LARGEST_SIZE - 1;

/// Writes any time, x and y up to 32,767, as one stream, compressed by Zstandard with checksums.
pub(crate) fn encoder(origin: Origin, output: &mut dyn Output) -> Result<Box<dyn Encoder>, EncodeError> {
    let (sensor, sizes) = (origin.sensor, 1..=LARGEST_SIZE);
    if !sizes.contains(&sensor.width) || !sizes.contains(&sensor.height) {
        let expected = format!("a sensor of 1 to {LARGEST_SIZE} columns and rows");
        return Err(EncodeError::unfit(0, expected, sensor.to_string()));
    }
    let mut compressor = Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?;
    compressor.include_checksum(true)?;
    let start = output.stream_position()?;
    let header = header(origin);
    output.write_all(MARK)?;
    output.write_all(&header)?;
    let at = (MARK.len() + header.len()) as u64;
    Ok(Box::new(ToPackets { compressor, start, at, packet: Vec::with_capacity(PACKET), table: Vec::new() }))
}

struct ToPackets {
    compressor: Compressor<'static>,
    /// Where in the output the file begins.
    start: u64,
    /// Where in the file the next packet begins.
    at: u64,
    /// The events of the packet that is not full yet.
    packet: Vec<Event>,
    table: Vec<Row>,
}

/// What the data table tells about a packet.
struct Row {
    /// Where in the file its content begins, behind its header.
    at: u64,
    /// Bytes of its content.
    size: i32,
    events: usize,
    earliest: i64,
    latest: i64,
}

impl Encoder for ToPackets {
    fn encode(&mut self, mut events: &[Event], output: &mut dyn Output) -> Result<(), EncodeError> {
        if let Some(i) = events.iter().position(|event| event.x.max(event.y) > MOST) {
            let found = format!("x {}, y {}", events[i].x, events[i].y);
            return Err(EncodeError::unfit(i, format!("x and y up to {MOST}"), found));
        }
        while !events.is_empty() {
            let (now, later) = events.split_at(events.len().min(PACKET - self.packet.len()));
            self.packet.extend_from_slice(now);
            if self.packet.len() == PACKET {
                self.write_packet(output)?;
            }
            events = later;
        }
        Ok(())
    }

    fn finish(&mut self, output: &mut dyn Output) -> Result<(), EncodeError> {
        if !self.packet.is_empty() {
            self.write_packet(output)?;
        }
        output.write_all(&self.compressor.compress(&data_table(&self.table))?)?;
        output.seek(SeekFrom::Start(self.start + (MARK.len() + TABLE_POSITION) as u64))?;
        output.write_all(&self.at.to_le_bytes())?;
        output.seek(SeekFrom::End(0))?;
        Ok(())
    }
}

impl ToPackets {
    fn write_packet(&mut self, output: &mut dyn Output) -> Result<(), EncodeError> {
        let mut buffer = vector_begin(b"EVTS", self.packet.len());
        buffer.reserve(self.packet.len() * EVENT);
        for event in &self.packet {
            buffer.extend(event.t.to_le_bytes());
            buffer.extend(event.x.to_le_bytes());
            buffer.extend(event.y.to_le_bytes());
            buffer.extend([event.on.into(), 0, 0, 0]);
        }
        let content = self.compressor.compress(&finish(buffer))?;
        // A packet's events are bounded, and so is what they are compressed to.
        let size = content.len() as i32;
        output.write_all(&STREAM.to_le_bytes())?;
        output.write_all(&size.to_le_bytes())?;
        output.write_all(&content)?;
        let times = || self.packet.iter().map(|event| event.t);
        self.table.push(Row {
            at: self.at + PACKET_HEADER as u64,
            size,
            events: self.packet.len(),
            earliest: times().min().unwrap_or_default(),
            latest: times().max().unwrap_or_default(),
        });
        self.at += (PACKET_HEADER + content.len()) as u64;
        self.packet.clear();
        Ok(())
    }
}

/// The first 32 bytes of a FlatBuffer whose root table has one field, a vector, up to its elements.
fn vector_begin(identifier: &[u8; 4], elements: usize) -> Vec<u8> {
    let mut buffer = Vec::new();
    buffer.extend([0; 4]); // 0: its length
    buffer.extend(16_u32.to_le_bytes()); // 4: to the root table
    buffer.extend(identifier);
    buffer.extend([0; 2]);
    buffer.extend([6_u16, 8, 4].map(u16::to_le_bytes).as_flattened()); // 14: its vtable
    buffer.extend(6_i32.to_le_bytes()); // 20: the root table
    buffer.extend(4_u32.to_le_bytes()); // 24: to the vector
    buffer.extend((elements as u32).to_le_bytes()); // 28
    buffer
}

/// Writes a FlatBuffer's length in front of it.
fn finish(mut buffer: Vec<u8>) -> Vec<u8> {
    let len = (buffer.len() - 4) as u32;
    buffer[..4].copy_from_slice(&len.to_le_bytes());
    buffer
}

/// The header of a file that has no data table yet.
fn header(origin: Origin) -> Vec<u8> {
    let Sensor { width, height } = origin.sensor;
    let source = if origin.simulated { SIMULATED } else { "synfire" };
    // What DV itself writes, which its readers look for.
    let info = format!(
        r#"<dv version="2.0">
    <node name="outInfo" path="/mainloop/Recorder/outInfo/">
        <node name="{STREAM}" path="/mainloop/Recorder/outInfo/{STREAM}/">
            <attr key="compression" type="string">ZSTD</attr>
            <attr key="originalModuleName" type="string">synfire</attr>
            <attr key="originalOutputName" type="string">events</attr>
            <attr key="typeDescription" type="string">Array of events (polarity ON/OFF).</attr>
            <attr key="typeIdentifier" type="string">EVTS</attr>
            <node name="info" path="/mainloop/Recorder/outInfo/{STREAM}/info/">
                <attr key="sizeX" type="int">{width}</attr>
                <attr key="sizeY" type="int">{height}</attr>
                <attr key="source" type="string">{source}</attr>
                <attr key="tsOffset" type="long">0</attr>
            </node>
        </node>
    </node>
</dv>
"#
    );
    let mut buffer = Vec::new();
    buffer.extend([0; 4]); // 0: its length
    buffer.extend(24_u32.to_le_bytes()); // 4: to the root table
    buffer.extend(b"IOHE");
    buffer.extend([0; 6]);
    buffer.extend([10_u16, 20, 4, 12, 8].map(u16::to_le_bytes).as_flattened()); // 18: its vtable
    buffer.extend(10_i32.to_le_bytes()); // 28: the root table
    buffer.extend(ZSTD.to_le_bytes()); // 32
    buffer.extend(12_u32.to_le_bytes()); // 36: to the string
    buffer.extend((-1_i64).to_le_bytes()); // TABLE_POSITION
    buffer.extend((info.len() as u32).to_le_bytes()); // 48: the string, which ends with a zero
    buffer.extend(info.as_bytes());
    buffer.push(0);
    finish(buffer)
}

/// The data table: for each packet a table with the fields 0 position, 1 stream and size, 2 elements, 3 earliest and 4
/// latest time.
fn data_table(rows: &[Row]) -> Vec<u8> {
    /// From one table to the next.
    const STEP: usize = 48;
    let mut buffer = vector_begin(b"FTAB", rows.len());
    let vtable = buffer.len() + 4 * rows.len();
    // Behind the vtable of 14 bytes, where the i64 from byte 12 of a table on have addresses that 8 divides.
    let first = (vtable + 14 - 4).next_multiple_of(8) + 4;
    for i in 0..rows.len() {
        let offset = first + STEP * i - buffer.len();
        buffer.extend((offset as u32).to_le_bytes());
    }
    buffer.extend([14_u16, 44, 12, 4, 20, 28, 36].map(u16::to_le_bytes).as_flattened());
    for (i, row) in rows.iter().enumerate() {
        let at = first + STEP * i;
        buffer.resize(at, 0);
        buffer.extend(((at - vtable) as i32).to_le_bytes());
        buffer.extend(STREAM.to_le_bytes());
        buffer.extend(row.size.to_le_bytes());
        buffer.extend(row.at.to_le_bytes());
        buffer.extend((row.events as u64).to_le_bytes());
        buffer.extend(row.earliest.to_le_bytes());
        buffer.extend(row.latest.to_le_bytes());
    }
    finish(buffer)
}
