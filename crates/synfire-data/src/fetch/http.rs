//! A request for the rest of a file, and what the answer to it means.

use std::io;
use std::time::Duration;

use ureq::http::HeaderMap;
use ureq::{Agent, Body, Error};

use super::{Patience, Reason};

/// Servers like to know who asks.
const USER_AGENT: &str = concat!("synfire/", env!("CARGO_PKG_VERSION"));

/// What a server gives.
pub(super) enum Answer {
    /// The file from its first byte.
    Whole { total: Option<u64>, body: Body },
    /// The file from the byte that was asked for.
    Rest { total: u64, body: Body },
    /// There is nothing after the byte that was asked for, which is the file's end.
    Complete,
    /// Another part of the file than the one that was asked for.
    OtherPart,
}

/// Why there is none.
pub(super) enum Failure {
    /// It may pass.
    Passing(Reason),
    /// It will not.
    Lasting(Reason),
}

pub(super) fn agent(patience: &Patience) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(USER_AGENT)
        // What is hashed is the file, not a form it travels in.
        .accept_encoding("identity")
        .timeout_connect(Some(patience.connect))
        .timeout_per_read(Some(patience.silence))
        .timeout_per_write(Some(patience.silence));
    // The time for an answer's head bounds servers that send it letter by letter.
    config
        .timeout_recv_response(Some(patience.silence.saturating_add(Duration::from_secs(1))))
        .build()
        .new_agent()
}

/// Asks for the file from byte `from` on; `validator` is what the server called the version that the bytes before it
/// are of, and becomes what it calls the one it gives.
pub(super) fn ask(
    agent: &Agent,
    url: &str,
    from: u64,
    validator: &mut Option<String>,
) -> Result<Answer, Failure> {
    let mut request = agent.get(url);
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
        if let Some(validator) = &validator {
            request = request.header("If-Range", validator);
        }
    }
    let response = request.call().map_err(failure)?;
    let status = response.status().as_u16();
    let (head, body) = response.into_parts();
    let text = |name| header(&head.headers, name);
    match status {
        200 | 206 => {
            if text("content-type")
                .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
            {
                return Err(Failure::Lasting(web_page(body)));
            }
            // A weak validator does not promise the same bytes.
            *validator = text("etag").filter(|tag| !tag.starts_with("W/")).map(str::to_owned);
            if status == 200 {
                return Ok(Answer::Whole {
                    total: text("content-length").and_then(|n| n.trim().parse().ok()),
                    body,
                });
            }
            match text("content-range").and_then(content_range) {
                Some((start, end, total)) if start == from && end + 1 == total && from > 0 => {
                    Ok(Answer::Rest { total, body })
                }
                _ => Ok(Answer::OtherPart),
            }
        }
        416 if from > 0 => match text("content-range").and_then(unsatisfied_range) {
            Some(total) if total == from => Ok(Answer::Complete),
            _ => Ok(Answer::OtherPart),
        },
        408 | 429 | 500..=599 => Err(Failure::Passing(Reason::Status(status))),
        _ => Err(Failure::Lasting(Reason::Status(status))),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// First byte, last byte and size of `bytes FIRST-LAST/SIZE`.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (start, end, total) = (number(start)?, number(end)?, number(total)?);
    (start <= end && end < total).then_some((start, end, total))
}

/// The size in `bytes */SIZE`.
fn unsatisfied_range(text: &str) -> Option<u64> {
    text.trim().strip_prefix("bytes */")?.trim().parse().ok()
}

/// No answer came. That passes if there was a connection; where nobody is there, as without a network, the next mirror is
/// tried at once.
fn failure(error: Error) -> Failure {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted, TimedOut, UnexpectedEof,
    };
    let passing = match &error {
        Error::Io(source) => matches!(
            source.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | Interrupted | TimedOut | UnexpectedEof
        ),
        Error::Timeout(_) | Error::Protocol(_) | Error::BodyStalled => true,
        _ => false,
    };
    let reason = Reason::Connection(error.to_string());
    if passing { Failure::Passing(reason) } else { Failure::Lasting(reason) }
}

fn web_page(body: Body) -> Reason {
    let mut start = Vec::new();
    // What cannot be read of a page that is refused does not matter.
    let _ = io::Read::read_to_end(&mut io::Read::take(body.into_reader(), 200), &mut start);
    if start.is_empty() { Reason::Empty } else { Reason::WebPage { start: shown(&start) } }
}

/// What a file's first bytes tell against it: a page for people in place of the file.
pub(super) fn looks_like_a_page(head: &[u8]) -> Option<Reason> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let starts =
        |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()));
    let page = ["<!doctype html", "<html", "<head", "<?xml", "<!--"].into_iter().any(starts);
    page.then(|| Reason::WebPage { start: shown(text) })
}

/// The beginning of a text, on one line.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_as_servers_write_them() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 9, 10)));
        for wrong in ["bytes 5-9/*", "bytes 9-5/10", "bytes 5-10/10", "items 5-9/10", "bytes 5/10", ""] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
        assert_eq!(unsatisfied_range("bytes */10"), Some(10));
        assert_eq!(unsatisfied_range("bytes 0-1/10"), None);
    }

    #[test]
    fn pages_are_known_by_their_first_bytes() {
        for page in [
            "<!DOCTYPE html><html>",
            "\n  <HTML lang=de>",
            "\u{feff}<!doctype HTML>",
            "<?xml version='1.0'?>",
        ] {
            assert!(looks_like_a_page(page.as_bytes()).is_some(), "{page}");
        }
        assert!(looks_like_a_page(b"\x1f\x8b\x08 <html>").is_none());
        assert!(looks_like_a_page(b"").is_none());
    }

    proptest! {
        #[test]
        fn no_header_panics(text in "\\PC{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (content_range(&text), unsatisfied_range(&text), looks_like_a_page(&bytes));
            prop_assert!(shown(&bytes).chars().count() <= 80);
        }

        #[test]
        fn ranges_round_trip(start in 0u64..1000, more in 0u64..1000, rest in 0u64..1000) {
            let (end, total) = (start + more, start + more + 1 + rest);
            let text = format!("bytes {start}-{end}/{total}");
            prop_assert_eq!(content_range(&text), Some((start, end, total)));
        }
    }
}
