//! The lengths of functions.

use super::Product;
use super::lexer::{Kind, Token};

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The path of the file.
    pub path: String,
    /// The name.
    pub name: String,
    /// The line of the keyword `fn`, counted from 1.
    pub line: usize,
    /// The number of lines from the keyword `fn` to the closing brace.
    pub lines: usize,
}

/// Returns the functions of the product, the longest first.
pub fn functions(product: &[Product]) -> Vec<Function> {
    let mut found: Vec<_> = product.iter().flat_map(in_file).collect();
    found.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.path.cmp(&b.path)));
    found
}

fn in_file(file: &Product) -> Vec<Function> {
    let mut tokens = file.tokens();
    tokens.retain(Token::is_code);
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let [keyword, name] = pair else { continue };
        // `fn(u8)` is a type.
        if keyword.text != "fn" || name.kind != Kind::Word {
            continue;
        }
        if let Some(last) = body_end(&tokens[at..]) {
            found.push(Function {
                path: file.source.path.clone(),
                name: name.text.to_owned(),
                line: keyword.line,
                lines: last - keyword.line + 1,
            });
        }
    }
    found
}

/// The line of the closing brace; nothing for a declaration without a body.
fn body_end(tokens: &[Token<'_>]) -> Option<usize> {
    let (mut nested, mut braces) = (0_usize, 0_usize);
    for token in tokens {
        match token.text {
            "(" | "[" => nested += 1,
            ")" | "]" => nested = nested.saturating_sub(1),
            ";" if nested == 0 && braces == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces = braces.checked_sub(1)?;
                if braces == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Source;
    use super::*;

    #[test]
    fn bodies_are_measured_and_declarations_are_not() {
        let text = "trait A { fn a(&self) -> [u8; 2]; }\nfn b(f: fn(u8)) {\n    {}\n}\n";
        let file = Product {
            source: Source {
                path: "a.rs".to_owned(),
                text: text.to_owned(),
            },
            test_lines: BTreeSet::new(),
        };
        let found = functions(&[file]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].name.as_str(), found[0].line, found[0].lines),
            ("b", 2, 3)
        );
    }
}
