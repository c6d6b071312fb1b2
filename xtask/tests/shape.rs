//! The shape of the code: short functions, files that import in one direction, statements written
//! once.
//!
//! Each limit is the figure that the repository has reached. Lower it when a test prints a better
//! figure, and never raise it. With `CERTGATE_TEST_PLACES=1`, `cargo test -p xtask` prints every
//! place.

use std::io::Write;

use xtask::sources::{self, functions, imports, statements};

/// The most lines of a function.
const FUNCTION_LINES_MAX: usize = 100;

/// The most groups of files inside a crate that import each other. One remains: the settings of the
/// server (`config/mod.rs`) are read by `config/layers.rs` into types that `mod.rs` declares.
const CYCLES_MAX: usize = 1;

/// The most statements that stand in the folders of both engines of the store.
const REPEATED_STATEMENTS_MAX: usize = 1;

/// Fails if a figure is above its limit, and prints it if it is below.
fn ratchet(rule: &str, figure: usize, limit: usize, places: &[String]) {
    let places = places.join("\n");
    assert!(
        figure <= limit,
        "{rule}: {figure}, the limit is {limit}. All of them:\n{places}"
    );
    // Unlike println!, this is shown for a test that passes.
    let mut output = std::io::stderr();
    if figure < limit {
        let _ = writeln!(
            output,
            "{rule}: {figure}, so the limit of {limit} can be lowered"
        );
    }
    if std::env::var_os("CERTGATE_TEST_PLACES").is_some() {
        let _ = writeln!(output, "{rule}:\n{places}");
    }
}

#[test]
fn functions_are_short() {
    let product = sources::product().expect("the sources");
    let longest: Vec<_> = functions::functions(&product)
        .into_iter()
        .take_while(|function| function.lines > 100)
        .map(|f| format!("{}:{}: {} has {} lines", f.path, f.line, f.name, f.lines))
        .collect();
    let lines = functions::functions(&product)
        .first()
        .map_or(0, |function| function.lines);
    ratchet(
        "lines of the longest function",
        lines,
        FUNCTION_LINES_MAX,
        &longest,
    );
}

#[test]
fn files_import_in_one_direction() {
    let product = sources::product().expect("the sources");
    let cycles: Vec<_> = imports::cycles(&product)
        .iter()
        .map(|group| group.join(" "))
        .collect();
    let rule = "groups of files in a crate that import each other";
    ratchet(rule, cycles.len(), CYCLES_MAX, &cycles);
}

#[test]
fn statements_are_written_once() {
    let product = sources::product().expect("the sources");
    let [one, other] = statements::ENGINES;
    let repeated: Vec<_> = statements::in_both(&product, one, other)
        .into_iter()
        .collect();
    let rule = "statements in the folders of both engines";
    ratchet(rule, repeated.len(), REPEATED_STATEMENTS_MAX, &repeated);
}
