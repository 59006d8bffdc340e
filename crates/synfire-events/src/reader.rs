//! Reading recordings of any size.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::formats::{Decoder, Fault, HEAD, SIMULATED};
use crate::{Event, EventError, Format, Recording, Sensor};

/// Bytes that are read at once.
const PIECE: usize = 1 << 18;
/// The largest record. A length that a damaged file states must not take all memory.
const MOST: usize = 1 << 28;

/// A recording that is read piece by piece, so that its size does not matter.
///
/// ```no_run
/// let mut reader = synfire_events::Reader::open("recording.raw".as_ref())?;
/// while let Some(events) = reader.next_events()? {
///     println!("{} more events", events.len());
/// }
/// # Ok::<(), synfire_events::EventError>(())
/// ```
pub struct Reader {
    file: Option<PathBuf>,
    input: Box<dyn Read + Send>,
    format: Format,
    simulated: bool,
    decoder: Box<dyn Decoder>,
    /// What was read and not yet decoded is `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where `buffer[start]` lies in the file.
    offset: u64,
    /// Bytes that the next record needs.
    next: usize,
    /// Nothing is left to be read; nothing to be decoded either.
    ended: bool,
    done: bool,
    events: Vec<Event>,
}

impl Reader {
    /// Opens a file, whose format is seen from its content.
    ///
    /// # Errors
    /// When it cannot be read, has no format that is known, or a header that breaks it.
    pub fn open(path: &Path) -> Result<Self, EventError> {
        Self::open_as(path, None)
    }

    /// Opens a file of a format, or of one that is seen from its content.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_as(path: &Path, format: Option<Format>) -> Result<Self, EventError> {
        let io = |source| EventError::Io { file: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(io(std::io::ErrorKind::IsADirectory.into()));
        }
        // A name decides nothing but what is told of content that fits no format.
        let read = Self::begin(Box::new(file), metadata.len(), format, Format::of_name(path));
        let mut reader = read.map_err(|error| error.in_file(path))?;
        reader.file = Some(path.to_owned());
        Ok(reader)
    }

    /// Reads `len` bytes of a format, or of one that is seen from them.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn new(input: Box<dyn Read + Send>, len: u64, format: Option<Format>) -> Result<Self, EventError> {
        Self::begin(input, len, format, None)
    }

    fn begin(
        mut input: Box<dyn Read + Send>,
        len: u64,
        format: Option<Format>,
        otherwise: Option<Format>,
    ) -> Result<Self, EventError> {
        let io = |source| EventError::Io { file: PathBuf::from("the recording"), source };
        let mut buffer = Vec::new();
        input.by_ref().take(HEAD as u64).read_to_end(&mut buffer).map_err(io)?;
        if buffer.is_empty() {
            return Err(EventError::NoEvents { file: None, bytes: 0 });
        }
        let format = match format {
            Some(format) => format,
            None => {
                Format::detect(&buffer, len).or(otherwise).ok_or(EventError::UnknownContent { file: None })?
            }
        };
        let (start, decoder) = format.begin(&buffer).map_err(|fault| fault.in_format(format.title(), 0))?;
        Ok(Self {
            file: None,
            input,
            format,
            simulated: buffer[..start].windows(SIMULATED.len()).any(|text| text == SIMULATED.as_bytes()),
            decoder,
            end: buffer.len(),
            buffer,
            start,
            offset: start as u64,
            next: 1,
            ended: false,
            done: false,
            events: Vec::new(),
        })
    }

    /// The format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The sensor, as far as the file told up to now.
    pub fn sensor(&self) -> Option<Sensor> {
        self.decoder.sensor()
    }

    /// Whether the file says that no camera made it. Not all formats have room to say so; see
    /// [`Writer::create`](crate::Writer::create).
    pub fn simulated(&self) -> bool {
        self.simulated
    }

    /// What was passed over up to now because it is no change of brightness, such as `("trigger", 3)`.
    pub fn passed_over(&self) -> Vec<(&'static str, u64)> {
        self.decoder.passed_over().into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Bytes that were decoded.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next events, at least one; none behind the last.
    ///
    /// # Errors
    /// When the file cannot be read further, or breaks its format.
    pub fn next_events(&mut self) -> Result<Option<&[Event]>, EventError> {
        self.events.clear();
        while self.events.is_empty() && !self.done {
            self.step()?;
        }
        Ok(Some(&self.events[..]).filter(|events| !events.is_empty()))
    }

    /// Reads and decodes a piece, whose events stand behind those that are there; there is nothing behind an error.
    fn step(&mut self) -> Result<(), EventError> {
        self.decode_piece().map_err(|error| {
            self.done = true;
            match &self.file {
                Some(path) => error.in_file(path),
                None => error,
            }
        })
    }

    fn decode_piece(&mut self) -> Result<(), EventError> {
        let title = self.format.title();
        while self.end - self.start < self.next && !self.ended {
            self.fill()?;
        }
        let bytes = &self.buffer[self.start..self.end];
        if bytes.len() < self.next {
            self.done = true;
            return self
                .decoder
                .end(bytes, &mut self.events)
                .map_err(|fault| fault.in_format(title, self.offset));
        }
        // No more at once than what is read at once, so that the events of a piece are bounded.
        let bytes = &bytes[..bytes.len().min(self.next.max(PIECE))];
        let decoded = self.decoder.decode(bytes, &mut self.events);
        let decoded = decoded.map_err(|fault| fault.in_format(title, self.offset))?;
        if decoded.bytes == 0 && decoded.next <= bytes.len() {
            unreachable!("{title}: a decoder asks for {} bytes of the {} it has", decoded.next, bytes.len());
        }
        self.start += decoded.bytes;
        self.offset += decoded.bytes as u64;
        self.next = decoded.next.max(1);
        if self.next > MOST {
            let found = format!("one of {} bytes", self.next);
            let fault = Fault::new(0, format!("a record of at most {MOST} bytes"), found);
            return Err(fault.in_format(title, self.offset));
        }
        Ok(())
    }

    /// Reads more behind what is there.
    fn fill(&mut self) -> Result<(), EventError> {
        // What lies at the start need not be moved, so that a format which waits for its whole file is not moved each time.
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        // Grown with what is really there, whatever a damaged file says is coming.
        let room = self.end + PIECE;
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let read = self.input.read(&mut self.buffer[self.end..room]).map_err(|source| {
            let file = self.file.clone().unwrap_or_else(|| "the recording".into());
            EventError::Io { file, source }
        })?;
        self.ended = read == 0;
        self.end += read;
        Ok(())
    }

    /// All events that are left. Where the file tells no sensor, it is as large as the events need.
    ///
    /// # Errors
    /// As [`Reader::next_events`], and when there is no event.
    pub fn read_to_end(&mut self) -> Result<Recording, EventError> {
        self.events.clear();
        while !self.done {
            self.step()?;
        }
        let events = std::mem::take(&mut self.events);
        if events.is_empty() {
            return Err(EventError::NoEvents { file: self.file.clone(), bytes: self.offset });
        }
        let sensor = self.sensor().unwrap_or_else(|| Sensor::ONE.covering(&events));
        Ok(Recording { sensor, events })
    }

    /// The sensor: what the file tells, or as large as the events that are left need, which takes reading them.
    ///
    /// # Errors
    /// As [`Reader::next_events`].
    pub fn into_sensor(mut self) -> Result<Sensor, EventError> {
        let mut needed = Sensor::ONE;
        while self.sensor().is_none() {
            let Some(events) = self.next_events()? else { return Ok(needed) };
            needed = needed.covering(events);
        }
        Ok(self.sensor().unwrap_or(needed))
    }
}

/// Reads a whole recording, whose format is seen from its content.
///
/// # Errors
/// As [`Reader::open`] and [`Reader::read_to_end`].
pub fn read(path: &Path) -> Result<Recording, EventError> {
    Reader::open(path)?.read_to_end()
}
