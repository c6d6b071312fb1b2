//! The certgate executable.

fn main() {}
