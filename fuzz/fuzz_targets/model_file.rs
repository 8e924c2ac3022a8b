#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nunchi_fuzz::model_file::run(data));
