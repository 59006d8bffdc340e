//! Servers that answer with something else, and what is told of it.

use std::fs;
use std::net::TcpListener;

use synfire_data::fetch::{FetchError, RemoteFile};

use crate::server::{Reply, Server};
use crate::{Place, content, remote_of};

/// The first mirror answers so, for ever; it is refused with these words, and the second mirror gives the file.
#[track_caller]
fn refused(answer: impl Fn() -> Reply + Clone + Send + Sync + 'static, told: &str) {
    let bytes = content(5000);
    let served = bytes.clone();
    let bad = Server::always(answer.clone());
    let good = Server::start(move |request| Reply::file(request, &served));
    let mut place = Place::new();
    let mirrors = [bad.url.clone(), good.url.clone()];
    place.fetch(remote_of(&bytes, &mirrors)).unwrap();
    assert!(
        place.log.iter().any(|line| line.starts_with("refused: ") && line.contains(told)),
        "{:?}",
        place.log
    );
    assert!(fs::read(place.path("data.bin")).unwrap() == bytes);
    assert_eq!(place.names(), ["data.bin"]);

    // Where nobody gives it, every address is told with its reason, and nothing stays.
    let again = Server::always(answer);
    let mut place = Place::new();
    let mirrors = [bad.url.clone(), again.url.clone()];
    let error = place.fetch(remote_of(&bytes, &mirrors)).unwrap_err();
    let FetchError::Mirrors { refused, .. } = &error else { panic!("{error}") };
    assert_eq!(refused.len(), 2);
    let text = error.to_string();
    assert!(text.starts_with("cannot download data.bin:\n  http://127.0.0.1:"), "{text}");
    assert!(
        mirrors.iter().all(|url| text.contains(url.as_str())) && text.matches(told).count() == 2,
        "{text}"
    );
    assert!(place.names().iter().all(|name| name == "data.bin.part"), "{:?}", place.names());
}

#[test]
fn no_bytes() {
    refused(|| Reply::new(200, b""), "expected the file, found 0 bytes");
    refused(|| Reply::endless(200, b""), "expected the file, found 0 bytes");
}

#[test]
fn a_page_by_its_type() {
    let page = || Reply::new(200, &content(5000)).with("Content-Type: text/html; charset=utf-8");
    refused(page, "found a web page that starts with");
}

#[test]
fn a_page_by_its_first_bytes() {
    let page = || Reply::endless(200, b"\n<!DOCTYPE HTML>\n<html><title>Sign in</title>");
    refused(page, "found a web page that starts with \"<!DOCTYPE HTML> <html><title>Sign in</title>\"");
}

#[test]
fn statuses_that_last() {
    refused(|| Reply::new(404, b"no"), "found HTTP status 404 (it is not there any more)");
    refused(|| Reply::new(403, b"no"), "found HTTP status 403 (forbidden)");
    refused(|| Reply::new(202, b""), "found HTTP status 202 (the server wants to see a browser)");
    refused(|| Reply::new(500, b"no"), "found HTTP status 500");
}

#[test]
fn other_bytes() {
    let other = || {
        let mut bytes = content(5000);
        bytes[1234] ^= 1;
        Reply::new(200, &bytes)
    };
    refused(other, "expected SHA-256 ");
}

#[test]
fn other_bytes_in_pieces() {
    let server = Server::start(|request| {
        let other = Reply::file(request, &[1; 5000]);
        if request.from().is_none() { other.cut(2000) } else { other }
    });
    let mut place = Place::new();
    let error = place.fetch(remote_of(&content(5000), std::slice::from_ref(&server.url))).unwrap_err();
    assert!(error.to_string().contains("expected SHA-256 "), "{error}");
    assert_eq!(
        (server.requests().len(), place.names().len()),
        (4, 0),
        "twice in two pieces, and nothing is left"
    );
}

#[test]
fn another_length() {
    refused(|| Reply::new(200, &content(4999)), "expected 5,000 bytes, found 4,999");
    refused(|| Reply::new(200, &content(6000)), "expected 5,000 bytes, found 6,000");
    refused(|| Reply::endless(200, &content(90_000)), "expected 5,000 bytes, found ");
}

#[test]
fn fewer_bytes_than_announced() {
    let short = || Reply::new(200, &content(5000)).cut(3000);
    let bytes = content(5000);
    let server = Server::always(short);
    let mut place = Place::new();
    let error = place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap_err().to_string();
    assert!(error.contains("expected 5,000 bytes, found the end of the connection after 3,000"), "{error}");
    assert_eq!((server.requests().len(), place.names()), (3, vec!["data.bin.part".to_owned()]));
}

#[test]
fn more_bytes_than_announced_are_not_read() {
    let server = Server::always(|| Reply { body: content(7000), ..Reply::new(200, &content(5000)) });
    let mut place = Place::new();
    place.fetch(remote_of(&content(5000), std::slice::from_ref(&server.url))).unwrap();
    assert_eq!(fs::read(place.path("data.bin")).unwrap().len(), 5000);
}

#[test]
fn a_page_does_not_cost_what_is_there() {
    let server = Server::always(|| Reply::endless(200, b"<html>later</html>"));
    let mut place = Place::new();
    let bytes = content(5000);
    place.write("data.bin.part", &bytes[..4000]);
    place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap_err();
    assert_eq!(fs::read(place.path("data.bin.part")).unwrap(), &bytes[..4000]);
}

#[test]
fn nobody_there() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut place = Place::new();
    let error = place.fetch(remote_of(b"abc", &[format!("http://{free}/x")])).unwrap_err().to_string();
    assert!(error.contains("expected an answer, found: "), "{error}");
    assert_eq!(place.log.iter().filter(|line| line.starts_with("asking")).count(), 1, "{:?}", place.log);
    assert!(!place.root.path().join("set").exists(), "an empty folder would hide a whole one elsewhere");
    let error = place.fetch(remote_of(b"abc", &["not an address".into()])).unwrap_err().to_string();
    assert!(error.contains("not an address"), "{error}");
    let error = place.fetch(remote_of(b"abc", &[])).unwrap_err().to_string();
    assert!(error.contains("no address of it is known"), "{error}");
}

#[test]
fn redirects_without_end() {
    refused(|| Reply::new(302, b"").with("Location: /data.bin"), "redirects");
}

#[test]
fn what_the_user_has_is_not_written_over() {
    let server = Server::always(|| Reply::new(200, b"abc"));
    let mut place = Place::new();
    place.write("data.bin", b"something else");
    let error = place.fetch(remote_of(b"abc", std::slice::from_ref(&server.url))).unwrap_err().to_string();
    assert!(error.contains("data.bin is another file: expected 3 bytes, found 14; move it away"), "{error}");
    assert_eq!(fs::read(place.path("data.bin")).unwrap(), b"something else");
    place.write("data.bin", b"abd");
    let md5 =
        RemoteFile { sha256: None, md5: Some("900150983CD24FB0D6963F7D28E17F72"), ..remote_of(b"abc", &[]) };
    let error = place.fetch(md5).unwrap_err().to_string();
    assert!(error.contains("expected MD5 900150983cd24fb0d6963f7d28e17f72, found "), "{error}");
    assert_eq!(server.requests().len(), 0);
}
