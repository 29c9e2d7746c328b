//! The `skygate` binary.

fn main() {}
