//! The conditions of statements, and those that a plan of SQLite uses.

use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    Equal,
    Lower,
    Upper,
}

/// Reads `a=? AND b>? AND (c,d)<(?,?)`.
pub fn used_columns(conditions: &str) -> Vec<(String, Bound)> {
    let one = |condition: &str| {
        let place = condition.find(['=', '<', '>'])?;
        let bound = match &condition[place..=place] {
            "=" => Bound::Equal,
            ">" => Bound::Lower,
            _ => Bound::Upper,
        };
        let columns = condition[..place].trim_matches(['(', ')']);
        let first = columns.split(',').next()?;
        Some((first.to_owned(), bound))
    };
    conditions.split(" AND ").filter_map(one).collect()
}

/// The columns of a table that a statement compares with something that is not a column of another
/// table: those comparisons depend on the order in which tables are read.
pub fn conditions(text: &str, table: &str, columns: &[String]) -> BTreeSet<(String, Bound)> {
    let tokens = tokens(text);
    let column_of = |token: &str| -> Option<String> {
        let token = token.replace('"', "");
        let name = match token.split_once('.') {
            Some((of, name)) if of == table => name,
            Some(_) => return None,
            None => &token,
        };
        columns
            .iter()
            .find(|column| *column == name)
            .map(|column| column.to_owned())
    };
    let is_column_of_any = |token: &str| {
        token.contains('.') && token.starts_with(|first: char| first.is_ascii_alphabetic())
    };
    let mut found = BTreeSet::new();
    // One entry for each open parenthesis: whether its inside is a condition.
    let mut in_condition = vec![false];
    for (place, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" => in_condition.push(in_condition.last().copied().unwrap_or_default()),
            ")" => {
                in_condition.pop();
            }
            "WHERE" | "ON" => *in_condition.last_mut().unwrap() = true,
            "SELECT" | "SET" | "ORDER" | "FROM" | "RETURNING" | "VALUES" | "LIMIT" => {
                *in_condition.last_mut().unwrap() = false;
            }
            _ => {}
        }
        let bounds: &[Bound] = match token.as_str() {
            "=" | "IN" => &[Bound::Equal],
            ">" | ">=" => &[Bound::Lower],
            "<" | "<=" => &[Bound::Upper],
            "BETWEEN" => &[Bound::Lower, Bound::Upper],
            _ => continue,
        };
        if !in_condition.last().copied().unwrap_or_default() || place == 0 {
            continue;
        }
        let other = tokens
            .get(place + 1)
            .map(String::as_str)
            .unwrap_or_default();
        if token == "=" && is_column_of_any(other) {
            continue;
        }
        let left = match tokens[place - 1].as_str() {
            // `(a, b) > (?1, ?2)`: the first column decides.
            ")" => {
                let open = tokens[..place].iter().rposition(|token| token == "(");
                open.and_then(|open| tokens.get(open + 1))
            }
            // `a + 0 > ?1`: no index serves it, so it shows as a column that is not used.
            _ if place > 2 && ["+", "-", "*"].contains(&tokens[place - 2].as_str()) => {
                tokens.get(place - 3)
            }
            _ => tokens.get(place - 1),
        };
        if let Some(column) = left.and_then(|left| column_of(left)) {
            found.extend(bounds.iter().map(|bound| (column.clone(), *bound)));
        }
    }
    found
}

pub fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character.is_alphanumeric() || "_.\"?$".contains(character) {
            word.push(character);
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if character.is_whitespace() {
            continue;
        }
        let mut token = String::from(character);
        if "<>".contains(character)
            && let Some(next) = characters.next_if(|next| "<>=".contains(*next))
        {
            token.push(next);
        }
        tokens.push(token);
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}
