#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nunchi_fuzz::record_reader::run(data));
