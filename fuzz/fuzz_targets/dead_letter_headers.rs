#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nunchi_fuzz::dead_letter_headers::run(data));
