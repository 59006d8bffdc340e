//! Downloads that come through, sooner or later.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use synfire_data::fetch::FetchError;

use crate::server::{Reply, Server};
use crate::{Place, content, quick, remote_of};

#[test]
fn a_file_arrives_whole_and_is_left_the_second_time() {
    let bytes = content(200_000);
    let served = bytes.clone();
    let server = Server::start(move |request| Reply::file(request, &served));
    let mut place = Place::new();
    let fetched = place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
    assert_eq!((fetched.received, fetched.placed), (200_000, 1));
    assert_eq!(fetched.folder, place.root.path().join("set"));
    assert!(fs::read(place.path("data.bin")).unwrap() == bytes);
    assert_eq!(place.names(), ["data.bin"]);
    let request = &server.requests()[0];
    assert!(request.header("user-agent").unwrap().starts_with("synfire/"));
    assert_eq!(request.header("accept-encoding"), Some("identity"));

    let fetched = place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
    assert_eq!((fetched.received, fetched.placed, server.requests().len()), (0, 0, 1));
    assert_eq!(place.log, ["asking from 0", "placed", "there"]);
}

#[test]
fn redirects_are_followed() {
    let bytes = content(3000);
    let served = bytes.clone();
    let server = Server::start(move |request| match request.path() {
        "/data.bin" => Reply::new(302, b"").with("Location: /elsewhere"),
        _ => Reply::file(request, &served),
    });
    let mut place = Place::new();
    place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
    assert!(fs::read(place.path("data.bin")).unwrap() == bytes);
    assert_eq!(server.requests()[1].path(), "/elsewhere");
}

#[test]
fn a_mirror_may_be_a_folder() {
    let bytes = content(10);
    let served = bytes.clone();
    let server = Server::start(move |request| Reply::file(request, &served));
    let folder = server.url.replace("data.bin", "sets/");
    Place::new().fetch(remote_of(&bytes, &[folder])).unwrap();
    assert_eq!(server.requests()[0].path(), "/sets/data.bin");
}

#[test]
fn a_dropped_connection_is_continued() {
    let bytes = content(50_000);
    let served = bytes.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::file(request, &served).cut(20_000),
        _ => Reply::file(request, &served),
    });
    let mut place = Place::new();
    let fetched = place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
    assert_eq!(fetched.received, 50_000, "no byte twice");
    assert!(fs::read(place.path("data.bin")).unwrap() == bytes);
    let second = &server.requests()[1];
    assert_eq!((second.from(), second.header("if-range")), (Some(20_000), Some("\"version-1\"")));
}

#[test]
fn a_connection_that_ends_without_an_answer_is_tried_again() {
    let bytes = content(900);
    let served = bytes.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::new(0, b""),
        _ => Reply::file(request, &served),
    });
    let mut place = Place::new();
    place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
    assert!(place.log[1].starts_with("again: expected an answer, found: "), "{:?}", place.log);
}

#[test]
fn what_an_earlier_call_left_is_continued() {
    let bytes = content(9000);
    let served = bytes.clone();
    let server = Server::start(move |request| match request.number {
        0..3 => Reply::file(request, &served).cut(1000),
        _ => Reply::file(request, &served),
    });
    let mut place = Place::new();
    let error = place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap_err().to_string();
    assert!(error.contains("expected 9,000 bytes, found the end of the connection after 3,000"), "{error}");
    assert_eq!(place.names(), ["data.bin.part"]);
    let fetched = place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
    assert_eq!(fetched.received, 6000);
    assert_eq!(server.requests()[3].from(), Some(3000));
    assert_eq!(place.names(), ["data.bin"]);
    assert!(fs::read(place.path("data.bin")).unwrap() == bytes);
}

#[test]
fn another_mirror_goes_on_where_one_ended() {
    let bytes = content(9000);
    let (first, second) = (bytes.clone(), bytes.clone());
    let bad = Server::start(move |request| Reply::file(request, &first).cut(100));
    let good = Server::start(move |request| Reply::file(request, &second));
    let mut place = Place::new();
    let fetched = place.fetch(remote_of(&bytes, &[bad.url.clone(), good.url.clone()])).unwrap();
    assert_eq!((fetched.received, bad.requests().len()), (9000, 3));
    assert_eq!(good.requests()[0].from(), Some(300));
}

#[test]
fn a_server_that_ignores_ranges_starts_again() {
    let bytes = content(9000);
    let served = bytes.clone();
    let server = Server::start(move |_| Reply::new(200, &served));
    let mut place = Place::new();
    place.write("data.bin.part", &bytes[..4000]);
    let fetched = place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
    assert_eq!((fetched.received, server.requests()[0].from()), (9000, Some(4000)));
    assert!(fs::read(place.path("data.bin")).unwrap() == bytes);
}

#[test]
fn a_file_that_changed_in_between_starts_again() {
    let bytes = content(9000);
    let served = bytes.clone();
    let server = Server::start(move |request| match (request.number, request.header("if-range")) {
        (0, _) => Reply::new(200, &[1; 9000]).with("ETag: \"old\"").cut(4000),
        (_, Some("\"old\"")) => Reply::new(200, &served),
        _ => Reply::new(404, b""),
    });
    let mut place = Place::new();
    place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
    assert!(fs::read(place.path("data.bin")).unwrap() == bytes);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_wrong_content_range_is_not_taken() {
    for range in ["bytes 0-8999/9000", "bytes 4001-8999/9000", "bytes 4000-8998/9000", "nonsense"] {
        let bytes = content(9000);
        let served = bytes.clone();
        let server = Server::start(move |request| match request.from() {
            Some(_) => Reply::new(206, &served[..100]).with(&format!("Content-Range: {range}")),
            None => Reply::new(200, &served),
        });
        let mut place = Place::new();
        place.write("data.bin.part", &bytes[..4000]);
        place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
        assert!(fs::read(place.path("data.bin")).unwrap() == bytes, "{range}");
        assert_eq!(server.requests().len(), 2, "{range}");
    }
}

#[test]
fn pieces_of_two_versions_are_fetched_once_more_in_one() {
    let bytes = content(9000);
    let served = bytes.clone();
    let server = Server::start(move |request| Reply::file(request, &served));
    let mut place = Place::new();
    place.write("data.bin.part", &[7; 4000]);
    place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
    assert_eq!(place.log, ["asking from 4000", "asking from 0", "placed"]);
    assert!(fs::read(place.path("data.bin")).unwrap() == bytes);
}

#[test]
fn a_part_that_cannot_be_the_beginning_is_not_used() {
    let bytes = content(9000);
    let served = bytes.clone();
    let server = Server::start(move |request| Reply::file(request, &served));
    for wrong in [9000, 9001, 20_000] {
        let mut place = Place::new();
        place.write("data.bin.part", &vec![1; wrong]);
        place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
        assert_eq!(place.log[0], "asking from 0", "{wrong}");
        assert!(fs::read(place.path("data.bin")).unwrap() == bytes);
    }
}

#[test]
fn a_part_that_is_complete_is_placed() {
    let bytes = content(9000);
    let served = bytes.clone();
    let server = Server::start(move |request| Reply::file(request, &served));
    let mut place = Place::new();
    place.write("data.bin.part", &bytes);
    assert_eq!(place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap().received, 0);
    assert_eq!((place.log.as_slice(), server.requests().len()), (&["placed".to_owned()][..], 0));
    // Where the table knows no size, the server says that nothing is left.
    let mut place = Place::new();
    place.write("data.bin.part", &bytes);
    let file = synfire_data::fetch::RemoteFile {
        size: None,
        ..remote_of(&bytes, std::slice::from_ref(&server.url))
    };
    assert_eq!(place.fetch(file).unwrap().received, 0);
    assert_eq!((place.names(), server.requests()[0].from()), (vec!["data.bin".to_owned()], Some(9000)));
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let bytes = content(9000);
    let served = bytes.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::new(503, b"busy"),
        1 => Reply::new(429, b"slowly"),
        _ => Reply::file(request, &served),
    });
    let mut place = Place::new();
    place.fetch(remote_of(&bytes, std::slice::from_ref(&server.url))).unwrap();
    assert!(place.log[1].starts_with("again: expected the file, found HTTP status 503"), "{:?}", place.log);
    assert!(place.log[3].contains("429 (too many requests"), "{:?}", place.log);
}

#[test]
fn a_silent_server_is_not_waited_for() {
    let bytes = content(900);
    let served = bytes.clone();
    let server = Server::start(move |request| {
        thread::sleep(Duration::from_millis(if request.number == 0 { 400 } else { 0 }));
        Reply::file(request, &served)
    });
    let mut options = quick();
    options.patience.silence = Duration::from_millis(100);
    let (begin, mut place) = (Instant::now(), Place::new());
    place.fetch_with(remote_of(&bytes, std::slice::from_ref(&server.url)), &options).unwrap();
    assert!(place.log[1].starts_with("again: expected an answer, found: timeout"), "{:?}", place.log);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn two_programs_do_not_write_one_file() {
    let mut place = Place::new();
    place.write("data.bin.part", b"");
    let other = fs::File::open(place.path("data.bin.part")).unwrap();
    other.lock().unwrap();
    let error = place.fetch(remote_of(b"abc", &["http://127.0.0.1:9/".into()])).unwrap_err();
    assert!(matches!(error, FetchError::Busy { .. }), "{error}");
}
