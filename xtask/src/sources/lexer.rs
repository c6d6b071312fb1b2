//! Splits Rust text into tokens. Comments and literals are tokens too.

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An identifier, a keyword or a number.
    Word,
    /// A string literal of any form, quotes included.
    Text,
    /// A character literal or a lifetime.
    Tick,
    /// A comment that documents the next item: `///` or `/**`.
    OuterDoc,
    /// A comment that documents the file or the block around it: `//!` or `/*!`.
    InnerDoc,
    /// Another comment.
    Comment,
    /// A single character of punctuation.
    Sign,
}

/// A token.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    /// The kind.
    pub kind: Kind,
    /// The text as it stands in the file.
    pub text: &'a str,
    /// The line of the first character, counted from 1.
    pub line: usize,
}

impl Token<'_> {
    /// Returns true for all tokens that the compiler sees.
    pub fn is_code(&self) -> bool {
        !matches!(self.kind, Kind::OuterDoc | Kind::InnerDoc | Kind::Comment)
    }

    /// The line of the last character, counted from 1.
    pub fn last_line(&self) -> usize {
        self.line + self.text.matches('\n').count()
    }
}

/// Returns the tokens of a file that the compiler accepts.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            line += usize::from(first == '\n');
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = token(rest, first);
        let text = &rest[..length];
        found.push(Token { kind, text, line });
        line += text.matches('\n').count();
        at += length;
    }
    found
}

/// The kind and the length in bytes of the token at the beginning of `rest`.
fn token(rest: &str, first: char) -> (Kind, usize) {
    if rest.starts_with("//") {
        return (comment_kind(rest), rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (comment_kind(rest), block_comment(rest));
    }
    if let Some(length) = string(rest) {
        return (Kind::Text, length);
    }
    if first == '\'' {
        return (Kind::Tick, tick(rest));
    }
    if first.is_alphanumeric() || first == '_' {
        let end = |c: char| !(c.is_alphanumeric() || c == '_');
        return (Kind::Word, rest.find(end).unwrap_or(rest.len()));
    }
    (Kind::Sign, first.len_utf8())
}

fn comment_kind(rest: &str) -> Kind {
    // Four slashes are a plain comment (Rust reference, "Comments").
    let is_outer = (rest.starts_with("///") && !rest.starts_with("////"))
        || (rest.starts_with("/**") && !rest.starts_with("/***") && !rest.starts_with("/**/"));
    if is_outer {
        Kind::OuterDoc
    } else if rest.starts_with("//!") || rest.starts_with("/*!") {
        Kind::InnerDoc
    } else {
        Kind::Comment
    }
}

/// The length of a block comment. Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of a string literal, if one begins here: `"…"`, `r#"…"#`, each also with `b` or `c`.
fn string(rest: &str) -> Option<usize> {
    let prefix = rest
        .bytes()
        .take(3)
        .position(|byte| matches!(byte, b'"' | b'#'))?;
    let raw = match &rest[..prefix] {
        "" | "b" | "c" => false,
        "r" | "br" | "cr" => true,
        _ => return None,
    };
    if !raw {
        return rest[prefix..]
            .starts_with('"')
            .then(|| prefix + quoted(&rest[prefix..], '"'));
    }
    let hashes = rest[prefix..].bytes().take_while(|b| *b == b'#').count();
    let body = prefix + hashes + 1;
    if rest.as_bytes().get(body - 1) != Some(&b'"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let length = rest[body..].find(&end).map(|at| body + at + end.len());
    Some(length.unwrap_or(rest.len()))
}

/// The length of a literal between quotes in which a backslash escapes the next character.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character literal or of a lifetime.
fn tick(rest: &str) -> usize {
    let mut following = rest[1..].chars();
    match (following.next(), following.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        _ => {
            let end = |c: char| !(c.is_alphanumeric() || c == '_');
            rest[1..].find(end).map_or(rest.len(), |length| length + 1)
        }
    }
}

/// The value of a string literal: escapes that SQL has are replaced, a backslash at the end of a
/// line joins it with the next.
pub fn value(literal: &str) -> String {
    let Some(start) = literal.find('"') else {
        return String::new();
    };
    let hashes = literal[..start].matches('#').count();
    let end = literal.len() - 1 - hashes;
    let inner = literal.get(start + 1..end).unwrap_or_default();
    if literal[..start].contains('r') {
        return inner.to_owned();
    }
    let mut value = String::with_capacity(inner.len());
    let mut characters = inner.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '\\' {
            value.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => value.push('\n'),
            Some('t') => value.push('\t'),
            Some('\n') => while characters.next_if(|c| c.is_whitespace()).is_some() {},
            Some(other) => value.push(other),
            None => {}
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        tokens(text).iter().map(|t| (t.kind, t.text)).collect()
    }

    #[test]
    fn comments_and_literals_are_single_tokens() {
        let text = "/// a \"b\"\nfn f<'a>() -> &'a str { r#\"x \"y\" // z\"# } // end";
        let found = kinds(text);
        assert_eq!(found[0], (Kind::OuterDoc, "/// a \"b\""));
        assert!(found.contains(&(Kind::Tick, "'a")));
        assert!(found.contains(&(Kind::Text, "r#\"x \"y\" // z\"#")));
        assert_eq!(found[found.len() - 1], (Kind::Comment, "// end"));
    }

    #[test]
    fn quotes_of_characters_open_no_string() {
        assert_eq!(
            kinds(r#"'"' '\'' b"\"" x"#),
            [
                (Kind::Tick, r#"'"'"#),
                (Kind::Tick, r"'\''"),
                (Kind::Text, r#"b"\"""#),
                (Kind::Word, "x"),
            ]
        );
    }

    #[test]
    fn block_comments_nest_and_lines_are_counted() {
        let found = tokens("/* a /* b */\n c */\nx");
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].text, found[1].line), ("x", 3));
    }

    #[test]
    fn values_have_no_escapes() {
        assert_eq!(value("\"a \\\n   b\\\"\""), "a b\"");
        assert_eq!(value("r#\"a\\n\"#"), "a\\n");
    }
}
