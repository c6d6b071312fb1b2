//! The files of a crate that import each other.

use std::collections::{BTreeMap, BTreeSet};

use super::Product;
use super::lexer::{Kind, Token};

/// The path of a module inside its crate: no names for the crate itself.
type Module = Vec<String>;

/// Returns the groups of files that import each other, directly or through others of the group.
///
/// A file imports another one with `use` of a path that begins with `crate`, `self`, `super` or a
/// module of its own. A name that a module passes on with `pub use` is imported from the file that
/// defines it.
pub fn cycles(product: &[Product]) -> Vec<Vec<String>> {
    let mut crates: BTreeMap<&str, Vec<&Product>> = BTreeMap::new();
    for file in product {
        crates.entry(file.crate_name()).or_default().push(file);
    }
    crates.values().flat_map(|files| groups(files)).collect()
}

/// A file as its crate sees it.
struct File {
    path: String,
    definitions: BTreeSet<String>,
    imports: Vec<Import>,
}

/// One path of a `use` declaration; `*` is its last name if it imports everything.
struct Import {
    path: Vec<String>,
    name: String,
    is_passed_on: bool,
}

struct Crate {
    files: BTreeMap<Module, File>,
}

fn groups(files: &[&Product]) -> Vec<Vec<String>> {
    let house = Crate {
        files: files
            .iter()
            .filter(|file| {
                !file.source.path.ends_with("/src/main.rs") || files_without_library(files)
            })
            .map(|file| (module(&file.source.path), read(file)))
            .collect(),
    };
    let edges: BTreeMap<&Module, BTreeSet<Module>> = house
        .files
        .keys()
        .map(|module| (module, house.imported_by(module)))
        .collect();
    let reached: BTreeMap<&Module, BTreeSet<Module>> = house
        .files
        .keys()
        .map(|module| (module, reachable(&edges, module)))
        .collect();
    let mut groups = BTreeSet::new();
    for (from, targets) in &reached {
        let group: Vec<_> = targets
            .iter()
            .filter(|target| reached[target].contains(*from))
            .map(|target| house.files[target].path.clone())
            .collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

fn files_without_library(files: &[&Product]) -> bool {
    !files
        .iter()
        .any(|file| file.source.path.ends_with("/src/lib.rs"))
}

fn reachable(edges: &BTreeMap<&Module, BTreeSet<Module>>, from: &Module) -> BTreeSet<Module> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        for target in edges.get(module).into_iter().flatten() {
            if reached.insert(target.clone()) {
                next.push(target);
            }
        }
    }
    reached
}

impl Crate {
    /// The modules whose files a module imports from.
    fn imported_by(&self, module: &Module) -> BTreeSet<Module> {
        let imports = &self.files[module].imports;
        imports
            .iter()
            .filter(|import| !import.is_passed_on)
            .filter_map(|import| self.resolve(module, &import.path, 0))
            .filter(|target| target != module)
            .collect()
    }

    /// The module that defines the last name of a path; nothing for a path of another crate.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Module::new(),
            "self" => from.clone(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            _ => {
                rest = path;
                from.clone()
            }
        };
        let is_own = rest.len() < path.len();
        for (index, name) in rest.iter().enumerate() {
            if name == "super" {
                at.pop();
                continue;
            }
            let mut inner = at.clone();
            inner.push(name.clone());
            if self.files.contains_key(&inner) {
                at = inner;
                continue;
            }
            if index == 0 && !is_own {
                return None;
            }
            return self.defining(&at, name, depth);
        }
        self.files.contains_key(&at).then_some(at)
    }

    /// The module that defines a name that is found in `module`.
    fn defining(&self, module: &Module, name: &str, depth: usize) -> Option<Module> {
        let file = self.files.get(module)?;
        // Modules that pass names on to each other could go round in circles.
        if file.definitions.contains(name) || depth == 8 {
            return Some(module.clone());
        }
        let named = file.imports.iter().filter(|import| import.name == name);
        let all = file
            .imports
            .iter()
            .filter(|import| import.name == "*" && import.is_passed_on);
        for import in named.chain(all) {
            let path: Vec<_> = match import.name.as_str() {
                "*" => import
                    .path
                    .iter()
                    .cloned()
                    .chain([name.to_owned()])
                    .collect(),
                _ => import.path.clone(),
            };
            if let Some(target) = self.resolve(module, &path, depth + 1) {
                return Some(target);
            }
        }
        Some(module.clone())
    }
}

fn module(path: &str) -> Module {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let inside = inside.trim_end_matches(".rs");
    let mut names: Module = inside.split('/').map(str::to_owned).collect();
    if names
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        names.pop();
    }
    names
}

fn read(file: &Product) -> File {
    let mut tokens = file.tokens();
    tokens.retain(Token::is_code);
    let mut definitions = BTreeSet::new();
    let mut imports = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(next) = tokens
            .get(at + 1)
            .filter(|next| next.kind == Kind::Word || next.text == "{")
        else {
            continue;
        };
        match token.text {
            "struct" | "enum" | "trait" | "type" | "const" | "static" | "fn" | "union" => {
                definitions.insert(next.text.to_owned());
            }
            "macro_rules" => {}
            "use" => {
                let is_passed_on =
                    at > 0 && (tokens[at - 1].text == "pub" || tokens[at - 1].text == ")");
                let mut tree = Tree {
                    tokens: &tokens[at + 1..],
                    paths: Vec::new(),
                };
                tree.read(&[]);
                imports.extend(tree.paths.into_iter().map(|(path, name)| Import {
                    path,
                    name,
                    is_passed_on,
                }));
            }
            _ => {}
        }
    }
    File {
        path: file.source.path.clone(),
        definitions,
        imports,
    }
}

/// Reads the paths of a `use` declaration.
struct Tree<'t> {
    tokens: &'t [Token<'t>],
    paths: Vec<(Vec<String>, String)>,
}

impl Tree<'_> {
    /// Reads one branch up to a comma, a closing brace or the semicolon.
    fn read(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        let mut name = None;
        while let Some((token, rest)) = self.tokens.split_first() {
            match token.text {
                "," | "}" | ";" => break,
                "{" => {
                    self.tokens = rest;
                    self.branches(&path);
                    return;
                }
                "as" => name = rest.first().map(|token| token.text.to_owned()),
                "*" => name = Some("*".to_owned()),
                text if token.kind == Kind::Word && name.is_none() => path.push(text.to_owned()),
                _ => {}
            }
            self.tokens = rest;
        }
        // `a::{self}` imports `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if let Some(last) = path.last() {
            let name = name.unwrap_or_else(|| last.clone());
            self.paths.push((path, name));
        }
    }

    /// Reads the branches between braces.
    fn branches(&mut self, prefix: &[String]) {
        while let Some((token, rest)) = self.tokens.split_first() {
            match token.text {
                "}" => {
                    self.tokens = rest;
                    return;
                }
                "," => self.tokens = rest,
                _ => self.read(prefix),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    fn crate_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let product: Vec<_> = files
            .iter()
            .map(|(path, text)| Product {
                source: Source {
                    path: format!("crates/a/src/{path}"),
                    text: (*text).to_owned(),
                },
                test_lines: BTreeSet::new(),
            })
            .collect();
        cycles(&product)
    }

    #[test]
    fn files_that_import_each_other_are_a_group() {
        let found = crate_of(&[
            ("lib.rs", "mod b; mod c; mod d;"),
            ("b.rs", "use crate::c::C; pub struct B;"),
            ("c.rs", "use super::d::{self, D}; pub struct C;"),
            ("d.rs", "use super::{b::B as Other}; pub struct D;"),
        ]);
        let expected = [
            "crates/a/src/b.rs",
            "crates/a/src/c.rs",
            "crates/a/src/d.rs",
        ];
        assert_eq!(found, [expected]);
    }

    #[test]
    fn names_that_are_passed_on_come_from_their_file() {
        let found = crate_of(&[
            ("lib.rs", "mod b; mod c; pub use b::B; pub use c::*;"),
            ("b.rs", "use crate::C; pub struct B;"),
            ("c.rs", "pub struct C;"),
        ]);
        assert_eq!(found, Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_module_and_its_parent_can_be_a_group() {
        let found = crate_of(&[
            ("b/mod.rs", "mod c; use self::c::C; pub struct B;"),
            ("b/c.rs", "use super::B; pub struct C;"),
        ]);
        assert_eq!(found, [["crates/a/src/b/mod.rs", "crates/a/src/b/c.rs"]]);
    }
}
