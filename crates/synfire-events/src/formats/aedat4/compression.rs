//! What packets are compressed by.

use std::io::{self, Read};

use lz4_flex::frame::FrameDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;
use zstd::zstd_safe::DCtx;

use crate::formats::Fault;

/// The largest decompressed packet. A few bytes of a damaged file must not become any number of them.
const MOST: usize = 1 << 28;
/// Room for the first packet; the buffer is kept for later ones.
const ROOM: usize = 1 << 18;

/// The header's numbers: 0 none, 1 and 2 LZ4, 3 and 4 Zstandard. The higher ones are as the lower ones to who reads.
pub(super) const ZSTD: i32 = 3;

/// Decompresses packets, each a frame of its own.
pub(super) enum Decompressor {
    /// They are as they are.
    None,
    /// LZ4's frame format.
    Lz4(Vec<u8>),
    /// Zstandard's frame format.
    Zstd(DCtx<'static>, Vec<u8>),
}

impl Decompressor {
    /// The one of the header's number.
    pub(super) fn new(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 | 2 => Some(Self::Lz4(vec![0; ROOM])),
            3 | 4 => Some(Self::Zstd(DCtx::create(), vec![0; ROOM])),
            _ => None,
        }
    }

    /// What `packet` holds.
    pub(super) fn decompress<'a>(&'a mut self, packet: &'a [u8]) -> Result<&'a [u8], Fault> {
        let (name, buffer, read) = match self {
            Self::None => return Ok(packet),
            Self::Lz4(buffer) => {
                let read = fill(FrameDecoder::new(packet), buffer);
                ("LZ4", buffer, read)
            }
            Self::Zstd(context, buffer) => {
                let read = fill(ZstdDecoder::with_context(packet, context), buffer);
                ("Zstandard", buffer, read)
            }
        };
        match read {
            Ok(len) if len <= MOST => Ok(&buffer[..len]),
            Ok(_) => Err(Fault::new(0, format!("at most {MOST} bytes in a packet"), "more")),
            Err(error) => Err(Fault::new(0, format!("a whole {name} frame"), error.to_string())),
        }
    }
}

/// Reads all, but little more than [`MOST`] bytes. The buffer grows with what there is, whatever a frame's header says; it
/// is given whole, because Zstandard writes straight into one that has room for all of the frame.
fn fill(mut frame: impl Read, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut len = 0;
    while len <= MOST {
        if len == buffer.len() {
            buffer.resize((2 * len).min(MOST + 1), 0);
        }
        match frame.read(&mut buffer[len..])? {
            0 => break,
            read => len += read,
        }
    }
    Ok(len)
}
