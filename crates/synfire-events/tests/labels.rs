//! The label tables of DVS128 Gesture: what they hold, how a recording is cut, and one test per malformed input.

use synfire_events::labels::{Interval, cut, parse, read};
use synfire_events::{Event, EventError, Recording, Sensor};

const NAMES: &str = "class,startTime_usec,endTime_usec";

fn interval(class: u8, start: i64, end: i64) -> Interval {
    Interval { class, start, end }
}

/// The line at fault, and the message, of a table with these lines behind its names.
fn told(lines: &str) -> (usize, String) {
    match parse(&format!("{NAMES}\n{lines}")).unwrap_err() {
        EventError::Labels { line, expected, found, .. } => (line, format!("{expected}, found {found}")),
        other => panic!("{other}"),
    }
}

#[test]
fn a_table_is_read() {
    let expected = [interval(1, 80_048_239, 85_092_709), interval(11, 0, 0)];
    for end in ["\n", "\r\n", "\n\n"] {
        let table = [NAMES, "1,80048239,85092709", " 11, 0 ,0", ""].join(end);
        assert_eq!(parse(&table).unwrap(), expected);
    }
    assert_eq!(parse(NAMES).unwrap(), []);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("user01_led_labels.csv");
    std::fs::write(&file, format!("{NAMES}\n1,2,3")).unwrap();
    assert_eq!(read(&file).unwrap(), [interval(1, 2, 3)]);
}

#[test]
fn a_recording_is_cut_from_the_start_up_to_the_end() {
    // Times that run backwards, and intervals that overlap, that are empty, and that nothing is in.
    let events = [5, 10, 19, 12, 20, 29].map(|t| Event { t, x: t as u16, y: 0, on: true }).to_vec();
    let recording = Recording { sensor: Sensor { width: 30, height: 1 }, events };
    let intervals = [interval(1, 10, 20), interval(2, 15, 30), interval(3, 12, 12), interval(4, 40, 50)];
    let parts = cut(&recording, &intervals);
    let times: Vec<Vec<i64>> =
        parts.iter().map(|part| part.events.iter().map(|event| event.t).collect()).collect();
    assert_eq!(times, [vec![10, 19, 12], vec![19, 20, 29], vec![], vec![]]);
    assert!(parts.iter().all(|part| part.sensor == recording.sensor));
}

#[test]
fn a_missing_line_of_names_is_told() {
    for (table, line) in [("", 1), ("\n\n1,2,3\n", 3), ("class,start,end\n1,2,3\n", 1)] {
        let error = parse(table).unwrap_err();
        assert!(matches!(error, EventError::Labels { line: found, .. } if found == line), "{error}");
        assert!(
            error.to_string().contains("expected the names class,startTime_usec,endTime_usec"),
            "{error}"
        );
    }
}

#[test]
fn a_malformed_line_is_told() {
    let cases = [
        ("1,2,3\nx,2,3", 3, "a class from 1 to 11, found \"x,2,3\""),
        ("0,2,3", 2, "a class from 1 to 11, found \"0,2,3\""),
        ("12,2,3", 2, "a class from 1 to 11, found \"12,2,3\""),
        ("-1,2,3", 2, "a class from 1 to 11, found \"-1,2,3\""),
        ("1,2.5,3", 2, "a time in microseconds, found \"1,2.5,3\""),
        ("1,2,", 2, "a time in microseconds, found \"1,2,\""),
        ("1,2,99999999999999999999", 2, "a time in microseconds, found \"1,2,99999999999999999999\""),
        ("1,3,2", 2, "an end that is not before the start, found \"1,3,2\""),
        ("1,2", 2, "three numbers, found \"1,2\""),
        ("\n1,2,3,4", 3, "three numbers, found \"1,2,3,4\""),
    ];
    for (lines, line, expected) in cases {
        assert_eq!(told(lines), (line, expected.to_owned()));
    }
}

#[test]
fn a_message_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("labels.csv");
    assert!(read(&file).unwrap_err().to_string().contains("labels.csv"));
    std::fs::write(&file, format!("{NAMES}\n1,3,2\n")).unwrap();
    let error = read(&file).unwrap_err().to_string();
    assert!(error.contains("labels.csv: in line 2 expected an end"), "{error}");
}
