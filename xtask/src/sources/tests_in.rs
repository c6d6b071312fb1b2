//! Finds the tests inside a file of the product.

use std::collections::BTreeSet;

use super::lexer::{Kind, Token};

/// The tests in a file.
pub(super) struct Tests {
    /// The lines of items with `#[cfg(test)]`, comments before them included.
    pub lines: BTreeSet<usize>,
    /// The names of modules in files of their own that exist for tests only.
    pub modules: Vec<String>,
}

/// Finds the items with `#[cfg(test)]` or `#[cfg(all(test, …))]`.
pub(super) fn tests_in(tokens: &[Token<'_>]) -> Tests {
    let mut tests = Tests {
        lines: BTreeSet::new(),
        modules: Vec::new(),
    };
    let mut at = 0;
    while at < tokens.len() {
        if !is_test_attribute(&tokens[at..]) {
            at += 1;
            continue;
        }
        let (end, module) = item_end(tokens, at);
        tests.modules.extend(module);
        let documentation = tokens[..at]
            .iter()
            .rev()
            .take_while(|token| token.kind == Kind::OuterDoc)
            .count();
        let last = tokens[end].last_line();
        tests.lines.extend(tokens[at - documentation].line..=last);
        at = end + 1;
    }
    tests
}

fn is_test_attribute(tokens: &[Token<'_>]) -> bool {
    let begins = |expected: &[&str]| {
        tokens.len() > expected.len()
            && tokens
                .iter()
                .zip(expected)
                .all(|(token, text)| token.text == *text)
    };
    begins(&["#", "[", "cfg", "(", "test", ")", "]"])
        || begins(&["#", "[", "cfg", "(", "all", "(", "test"])
}

/// The index of the last token of the item whose attribute begins at `at`, and the module's name if
/// the item is `mod x;`.
fn item_end(tokens: &[Token<'_>], at: usize) -> (usize, Option<String>) {
    let mut depth = 0_usize;
    // The attribute itself, and more of them.
    let mut in_attribute = false;
    let mut words: Vec<&str> = Vec::new();
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.text {
            "#" if depth == 0 => in_attribute = true,
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return (index.saturating_sub(1), None),
            ")" | "]" | "}" => {
                depth -= 1;
                if depth == 0 && in_attribute && token.text == "]" {
                    in_attribute = false;
                } else if depth == 0 && token.text == "}" {
                    return (index, None);
                }
            }
            ";" if depth == 0 => {
                let module = match words[..] {
                    ["mod", name] | [.., "mod", name] => Some(name.to_owned()),
                    _ => None,
                };
                return (index, module);
            }
            // A field or a variant has no keyword.
            "," if depth == 0 && !words.iter().any(|word| is_item_keyword(word)) => {
                return (index, None);
            }
            text if depth == 0 && token.kind == Kind::Word => words.push(text),
            _ => {}
        }
    }
    (tokens.len() - 1, None)
}

fn is_item_keyword(word: &str) -> bool {
    let keywords = [
        "fn", "mod", "struct", "enum", "impl", "trait", "use", "const", "static", "type", "let",
    ];
    keywords.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokens;
    use super::*;

    #[test]
    fn modules_functions_and_fields_for_tests_are_found() {
        let text = "\
fn a() {}
/// For tests.
#[cfg(test)]
fn b<A, B>() {
}
struct C {
    d: u8,
    #[cfg(test)]
    e: u8,
}
#[cfg(test)]
mod more;
#[cfg(feature = \"x\")]
mod other;
#[cfg(test)]
mod tests {
    use super::*;
}
";
        let tests = tests_in(&tokens(text));
        let expected = [2, 3, 4, 5, 8, 9, 11, 12, 15, 16, 17, 18];
        assert_eq!(tests.lines.into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(tests.modules, ["more"]);
    }
}
