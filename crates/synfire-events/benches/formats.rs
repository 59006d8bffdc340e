//! How fast recordings are decoded, on one core: an item is an event.
//!
//! ```text
//! cargo bench -p synfire-events --bench formats [-- FORMAT]
//! ```
//!
//! Two million events as a moving edge makes them: a few in a microsecond, neighbours among them. They are read from memory
//! piece by piece, as [`synfire_events::Reader`] reads a file. That what is read is right is what the tests are for.

use std::io::Cursor;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use synfire_events::{Event, Format, Reader, Recording, Sensor, to_bytes};

const EVENTS: u32 = 2_000_000;

fn main() {
    divan::main();
}

#[divan::bench(args = Format::all())]
fn read(bencher: Bencher, format: Format) {
    let hash = |i: u32| (i ^ (i >> 7)).wrapping_mul(2_654_435_761) >> 7;
    let event = |i: u32| Event {
        t: i64::from(i / 4),
        x: (hash(i / 8) % 26 + i % 8) as u16,
        y: (hash(i / 8 + 99) % 34) as u16,
        on: hash(i / 8) % 2 == 0,
    };
    let sensor = Sensor { width: 34, height: 34 };
    let recording = Recording { sensor, events: (0..EVENTS).map(event).collect() };
    let bytes: Arc<[u8]> =
        to_bytes(format, &recording).expect("every format has room for these events").into();
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let input = Box::new(Cursor::new(bytes.clone()));
        let mut reader = Reader::new(input, bytes.len() as u64, Some(format)).expect("what was written");
        let mut events = 0;
        while let Some(more) = reader.next_events().expect("what was written") {
            events += more.len();
        }
        assert_eq!(events, EVENTS as usize);
    });
}
