//! `cargo xtask lines`: the size of the product.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use xtask::sources::{self, functions, statements};

/// Prints lines per crate, the longest function, and the statements that both engines repeat.
pub fn print() -> Result<ExitCode> {
    let product = sources::product()?;
    let mut crates: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for file in &product {
        for name in [file.crate_name(), "total"] {
            let (lines, code) = crates.entry(name).or_default();
            *lines += file.lines();
            *code += file.lines_of_code();
        }
    }
    let total = crates.remove("total");
    println!("  lines     code");
    for (name, (lines, code)) in crates
        .into_iter()
        .chain(total.map(|total| ("total", total)))
    {
        println!("{lines:>7}  {code:>7}  {name}");
    }
    if let Some(longest) = functions::functions(&product).first() {
        let functions::Function {
            path,
            name,
            line,
            lines,
        } = longest;
        println!("{lines:>7}  lines in the longest function: {name} at {path}:{line}");
    }
    let [one, other] = statements::ENGINES;
    let repeated = statements::in_both(&product, one, other);
    println!(
        "{:>7}  statements in the folders of both engines",
        repeated.len()
    );
    Ok(ExitCode::SUCCESS)
}
