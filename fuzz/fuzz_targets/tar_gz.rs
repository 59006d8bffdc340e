#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| synfire_fuzz::unpack_tar(data));
