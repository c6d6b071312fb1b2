//! SQL statements that two engines of the store repeat.

use std::collections::BTreeSet;

use super::Product;
use super::lexer::{self, Kind, Token};

/// The folders of the two engines of the store.
pub const ENGINES: [&str; 2] = ["crates/store/src/sqlite/", "crates/store/src/postgres/"];

/// The first words of statements.
const BEGINNINGS: [&str; 12] = [
    "ALTER ", "ANALYZE", "CREATE ", "DELETE ", "DROP ", "EXPLAIN ", "INSERT ", "REPLACE ",
    "SELECT ", "UPDATE ", "VALUES ", "WITH ",
];

/// Returns the statements that stand below both folders of the repository, normalised.
pub fn in_both(product: &[Product], one: &str, other: &str) -> BTreeSet<String> {
    let below = |folder: &str| -> BTreeSet<String> {
        product
            .iter()
            .filter(|file| file.source.path.starts_with(folder))
            .flat_map(statements)
            .collect()
    };
    below(one).intersection(&below(other)).cloned().collect()
}

/// The statements of a file, normalised.
fn statements(file: &Product) -> BTreeSet<String> {
    let mut tokens = file.tokens();
    tokens.retain(Token::is_code);
    literals(&tokens)
        .iter()
        .map(|literal| normalised(literal))
        .filter(|text| {
            BEGINNINGS
                .iter()
                .any(|beginning| text.starts_with(beginning))
        })
        .collect()
}

/// The values of string literals. Those in one `concat!` are one value, and what stands between
/// them is left out.
fn literals(tokens: &[Token<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_concat =
            tokens[at].text == "concat" && tokens.get(at + 1).is_some_and(|t| t.text == "!");
        let end = if is_concat {
            closing(tokens, at + 2)
        } else {
            at
        };
        let text: String = tokens[at..=end]
            .iter()
            .filter(|token| token.kind == Kind::Text)
            .map(|token| lexer::value(token.text))
            .collect();
        if !text.is_empty() {
            found.push(text);
        }
        at = end + 1;
    }
    found
}

/// The index of the bracket that closes the one at `open`.
fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len() - 1
}

/// The text with one space for each run of whitespace, and `?` for `?1` and `$1`.
fn normalised(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '?' | '$' => {
                normal.push('?');
                while characters.next_if(char::is_ascii_digit).is_some() {}
            }
            c if c.is_whitespace() => {
                if !normal.ends_with(' ') {
                    normal.push(' ');
                }
            }
            c => normal.push(c),
        }
    }
    normal.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_whitespace_and_pieces_make_no_difference() {
        let of = |text: &str| -> Vec<String> {
            literals(&lexer::tokens(text))
                .iter()
                .map(|t| normalised(t))
                .collect()
        };
        let one = of("f(\"SELECT a FROM b WHERE c = ?12 \\\n    AND d = ?2\")");
        let other = of("concat!(\"SELECT a\\n FROM b \", \"WHERE c = $1 AND d = $2\")");
        assert_eq!(one, other);
        assert_eq!(one, ["SELECT a FROM b WHERE c = ? AND d = ?"]);
    }
}
