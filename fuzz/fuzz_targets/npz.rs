#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| synfire_fuzz::decode(Some(synfire_events::Format::Npz), data));
