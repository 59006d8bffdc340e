//! From addresses to a file in its place.

use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::Duration;

use ureq::{Agent, Body};

use super::digest::CHUNK;
use super::http::{self, Answer, Failure};
use super::part::Part;
use super::{FetchError, Patience, Reason, Refused, RemoteFile, Step};

/// A web page shows within its first bytes.
const HEAD: usize = 512;
/// A connection that brought so much before it broke was worth it: the count of failures begins again.
const WORTHWHILE: u64 = 1 << 20;
/// Where neither the table nor the server says a size, nothing is read beyond this.
const LARGEST: u64 = 1 << 36;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a mirror's attempt ended.
enum End {
    Mirror(Failure),
    /// No mirror helps.
    Here(FetchError),
}

impl From<FetchError> for End {
    fn from(error: FetchError) -> Self {
        Self::Here(error)
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Mirror(failure)
    }
}

/// Downloads `file` to `place`: from the first mirror that gives it, on from what an earlier call left. The number of
/// bytes that came.
pub(super) fn download(
    file: &RemoteFile,
    place: &Path,
    patience: &Patience,
    observe: &mut dyn FnMut(Step<'_>),
) -> Result<u64, FetchError> {
    let name = file.name;
    let part =
        Part::open(file, place, &mut |done, total| observe(Step::Checking { file: name, done, total }))?;
    let mut download = Download { file, part, patience, observe, agent: http::agent(patience), received: 0 };
    if file.size == Some(download.part.len()) {
        match download.part.refused() {
            None => return download.part.finish().map(|()| 0),
            Some(_) => download.part.restart()?,
        }
    }
    let mut refused = Vec::new();
    for url in file.urls() {
        match download.try_mirror(&url) {
            Ok(()) => return download.part.finish().map(|()| download.received),
            Err(End::Here(error)) => {
                download.part.leave();
                return Err(error);
            }
            Err(End::Mirror(Failure::Passing(reason) | Failure::Lasting(reason))) => {
                let refusal = Refused { url, reason };
                (download.observe)(Step::Refused(&refusal));
                refused.push(refusal);
            }
        }
    }
    download.part.leave();
    Err(FetchError::Mirrors { file: name, refused })
}

struct Download<'a> {
    file: &'a RemoteFile,
    part: Part<'a>,
    patience: &'a Patience,
    observe: &'a mut dyn FnMut(Step<'_>),
    agent: Agent,
    received: u64,
}

impl Download<'_> {
    /// Tries one mirror until it has given the file, or has failed too often.
    fn try_mirror(&mut self, url: &str) -> Result<(), End> {
        let mut validator = None;
        let mut failures = 0;
        let mut in_one_piece = false;
        loop {
            let before = self.part.len();
            (self.observe)(Step::Asking { file: self.file.name, url, from: before });
            let reason = match self.attempt(url, &mut validator) {
                Ok(()) => match self.part.refused() {
                    None => return Ok(()),
                    Some(reason) => {
                        let patched = self.part.patched;
                        self.part.restart()?;
                        if !patched || in_one_piece {
                            return Err(Failure::Lasting(reason).into());
                        }
                        // Its pieces may be of two versions: once more, and hopefully in one piece.
                        in_one_piece = true;
                        validator = None;
                        continue;
                    }
                },
                Err(End::Mirror(Failure::Passing(reason))) => reason,
                Err(other) => return Err(other),
            };
            failures = if self.part.len() >= before.saturating_add(WORTHWHILE) { 1 } else { failures + 1 };
            if failures >= self.patience.attempts {
                return Err(Failure::Passing(reason).into());
            }
            let pause = self.patience.pause.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_PAUSE);
            (self.observe)(Step::Again { file: self.file.name, reason: &reason, pause });
            thread::sleep(pause);
        }
    }

    /// One request, and what it brings.
    fn attempt(&mut self, url: &str, validator: &mut Option<String>) -> Result<(), End> {
        match http::ask(&self.agent, url, self.part.len(), validator)? {
            Answer::Complete => Ok(()),
            Answer::Rest { total, body } => {
                self.expect_size(Some(total))?;
                self.part.patched = true;
                self.receive_from(Some(total), body.into_reader())
            }
            Answer::Whole { total, body } => self.receive_whole(total, body),
            Answer::OtherPart => {
                // It does not give ranges as it should; all of it then.
                self.part.restart()?;
                match http::ask(&self.agent, url, 0, validator)? {
                    Answer::Whole { total, body } => self.receive_whole(total, body),
                    _ => Err(Failure::Lasting(Reason::Connection(
                        "a part of the file, where all of it was asked for".into(),
                    ))
                    .into()),
                }
            }
        }
    }

    /// An announced size that differs from the table's is refused before anything is read.
    fn expect_size(&self, announced: Option<u64>) -> Result<(), End> {
        match (self.file.size, announced) {
            (_, Some(0)) => Err(Failure::Lasting(Reason::Empty).into()),
            (Some(expected), Some(found)) if expected != found => {
                Err(Failure::Lasting(Reason::Size { expected, found, more: false }).into())
            }
            _ => Ok(()),
        }
    }

    /// Takes the file from its beginning. What an earlier answer brought stays until this one is no web page.
    fn receive_whole(&mut self, total: Option<u64>, body: Body) -> Result<(), End> {
        self.expect_size(total)?;
        let mut reader = body.into_reader();
        let mut head = Vec::new();
        // What came before a connection broke is kept.
        let broken = reader.by_ref().take(HEAD as u64).read_to_end(&mut head).err();
        if let Some(reason) = http::looks_like_a_page(&head) {
            return Err(Failure::Lasting(reason).into());
        }
        if head.is_empty() && broken.is_none() {
            return Err(Failure::Lasting(Reason::Empty).into());
        }
        if !head.is_empty() {
            self.part.restart()?;
            self.take(&head, total)?;
        }
        match broken {
            Some(error) => Err(self.dropped(total, error.to_string())),
            None => self.receive_from(total, reader),
        }
    }

    fn receive_from(&mut self, total: Option<u64>, mut reader: impl Read) -> Result<(), End> {
        let size = total.or(self.file.size);
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) => return Err(self.dropped(size, error.to_string())),
            };
            self.take(&chunk[..n], size)?;
        }
        match size {
            Some(size) if self.part.len() < size => Err(self.dropped(Some(size), String::new())),
            _ => Ok(()),
        }
    }

    /// Writes what came, as long as it is not more than there can be.
    fn take(&mut self, bytes: &[u8], total: Option<u64>) -> Result<(), End> {
        let found = self.part.len() + bytes.len() as u64;
        let most = self.file.size.unwrap_or(LARGEST);
        if found > most {
            self.part.restart()?;
            return Err(Failure::Lasting(Reason::Size { expected: most, found, more: true }).into());
        }
        self.received += bytes.len() as u64;
        self.part.write(bytes)?;
        let total = total.or(self.file.size);
        (self.observe)(Step::Received { file: self.file.name, done: self.part.len(), total });
        Ok(())
    }

    fn dropped(&self, expected: Option<u64>, why: String) -> End {
        Failure::Passing(Reason::Dropped { expected, received: self.part.len(), why }).into()
    }
}
