#![no_main]

#[path = "../laws.rs"]
#[expect(dead_code, reason = "each target has one of the laws")]
mod laws;

libfuzzer_sys::fuzz_target!(|input: &[u8]| laws::cel(input));
