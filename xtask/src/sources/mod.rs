//! Reads the Rust sources of the repository and measures them.

pub mod functions;
pub mod imports;
pub mod lexer;
pub mod limits;
pub mod statements;
mod tests_in;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A Rust file.
pub struct Source {
    /// The path from the root of the repository, with `/` between folders.
    pub path: String,
    /// The text.
    pub text: String,
}

/// A file of the product, and the lines of it that are tests.
pub struct Product {
    /// The file.
    pub source: Source,
    /// The lines that belong to items with `#[cfg(test)]`, counted from 1.
    pub test_lines: BTreeSet<usize>,
}

impl Product {
    /// The folder below `crates`, or `xtask`.
    pub fn crate_name(&self) -> &str {
        let path = self.source.path.as_str();
        let path = path.strip_prefix("crates/").unwrap_or(path);
        path.split('/').next().unwrap_or(path)
    }

    /// Returns the tokens outside items with `#[cfg(test)]`.
    pub fn tokens(&self) -> Vec<lexer::Token<'_>> {
        let mut tokens = lexer::tokens(&self.source.text);
        tokens.retain(|token| !self.test_lines.contains(&token.line));
        tokens
    }

    /// The number of lines with code outside items with `#[cfg(test)]`.
    pub fn lines_of_code(&self) -> usize {
        let tokens = self.tokens();
        let lines = |token: &lexer::Token<'_>| token.line..=token.last_line();
        let code = tokens.iter().filter(|token| token.is_code());
        code.flat_map(lines).collect::<BTreeSet<_>>().len()
    }

    /// The number of lines outside items with `#[cfg(test)]`.
    pub fn lines(&self) -> usize {
        self.source.text.lines().count() - self.test_lines.len()
    }
}

/// The root of the repository.
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Returns the Rust files below a folder of the repository, sorted by path.
pub fn rust_files(folder: &str) -> io::Result<Vec<Source>> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths)?;
    paths.sort();
    paths.into_iter().map(read).collect()
}

/// Returns the files of the product, sorted by path: `crates/*/src` and `xtask/src`.
///
/// The test kit, tests and the conformance suite of the store are left out.
pub fn product() -> io::Result<Vec<Product>> {
    let mut sources = rust_files("crates")?;
    sources.extend(rust_files("xtask/src")?);
    sources.retain(|source| is_product(&source.path));
    let mut files: Vec<_> = sources.into_iter().map(product_file).collect();
    let tests: BTreeSet<_> = files
        .iter()
        .flat_map(|(product, modules)| {
            let folder = module_folder(&product.source.path);
            modules
                .iter()
                .map(move |module| format!("{folder}/{module}"))
        })
        .collect();
    files.retain(|(product, _)| {
        let path = &product.source.path;
        !tests
            .iter()
            .any(|test| *path == format!("{test}.rs") || path.starts_with(&format!("{test}/")))
    });
    Ok(files.into_iter().map(|(product, _)| product).collect())
}

/// A file, and the modules that it declares for tests only.
fn product_file(source: Source) -> (Product, Vec<String>) {
    let tests = tests_in::tests_in(&lexer::tokens(&source.text));
    let product = Product {
        source,
        test_lines: tests.lines,
    };
    (product, tests.modules)
}

fn is_product(path: &str) -> bool {
    let has_part = |part: &str| path.contains(&format!("/{part}/"));
    let is_file = |name: &str| path.ends_with(&format!("/{name}"));
    has_part("src")
        && !path.starts_with("crates/testkit/")
        && !path.starts_with("crates/store/src/conformance")
        && !has_part("tests")
        && !is_file("tests.rs")
        && !is_file("testing.rs")
}

/// The folder in which the modules lie that a file declares.
pub(crate) fn module_folder(path: &str) -> String {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    match file {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", file.trim_end_matches(".rs")),
    }
}

fn read(path: PathBuf) -> io::Result<Source> {
    let text = fs::read_to_string(&path)?;
    let path = path.strip_prefix(root()).unwrap_or(&path);
    Ok(Source {
        path: path.to_string_lossy().replace('\\', "/"),
        text,
    })
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
