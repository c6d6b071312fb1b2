//! The layout of tables: one line for each row, cut to the width of a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The blanks between columns.
const COLUMN_GAP: usize = 2;

/// The narrowest column, in cells of a terminal: enough to recognize a name.
const COLUMN_MIN: usize = 8;

/// Shows that a cell is cut.
const CUT: char = '…';

/// The column to copy from: it is never cut.
const COPIED: &str = "id";

/// The columns of a table.
pub struct Columns {
    widths: Vec<usize>,
}

impl Columns {
    /// Makes the columns as wide as their widest cell. If they do not fit into `width` cells, the
    /// widest ones are cut, except that of the IDs. [`None`] means no limit.
    pub fn fit(header: &[&str], rows: &[Vec<String>], width: Option<usize>) -> Self {
        let count = rows.iter().map(Vec::len).max().unwrap_or_default();
        let count = count.max(header.len());
        let mut widths = vec![0; count];
        for (column, widest) in widths.iter_mut().enumerate() {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let cells = cells.map(|cell| cell.width());
            let title = header.get(column).map_or(0, |title| title.width());
            *widest = cells.max().unwrap_or_default().max(title);
        }
        if let Some(width) = width {
            let gaps = COLUMN_GAP * count.saturating_sub(1);
            cut_widest(&mut widths, header, width.saturating_sub(gaps));
        }
        Self { widths }
    }

    /// Returns the line of a row. `style` decorates a cell after its width is known.
    pub fn line(&self, cells: &[String], style: impl Fn(&str, String) -> String) -> String {
        let mut line = String::new();
        let mut blanks = 0;
        for (cell, width) in cells.iter().zip(&self.widths) {
            let shown = cut(cell, *width);
            line.extend(std::iter::repeat_n(' ', blanks));
            blanks = COLUMN_GAP + width.saturating_sub(shown.width());
            line.push_str(&style(cell, shown));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Cuts the widest columns until all of them fit into `width`.
fn cut_widest(widths: &mut [usize], header: &[&str], width: usize) {
    let is_copied = |column: usize| header.get(column) == Some(&COPIED);
    loop {
        let excess = widths.iter().sum::<usize>().saturating_sub(width);
        let may_cut = |(column, width): &(usize, usize)| !is_copied(*column) && *width > COLUMN_MIN;
        let columns = widths.iter().copied().enumerate().filter(may_cut);
        let Some((column, widest)) = columns.max_by_key(|(_, width)| *width) else {
            return;
        };
        if excess == 0 {
            return;
        }
        // One cell at a time would be slow for a name of a thousand cells.
        let others = widths.iter().copied().enumerate();
        let next = others.filter(|(other, width)| *other != column && *width <= widest);
        let next = next.map(|(_, width)| width).max().unwrap_or_default();
        let floor = next.max(COLUMN_MIN).min(widest - 1);
        widths[column] = widest.saturating_sub(excess).max(floor);
    }
}

/// Cuts a text to `width` cells.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += letter.width().unwrap_or_default();
        if used > width {
            break;
        }
        shown.push(letter);
    }
    shown.push(CUT);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(header: &[&str], rows: &[[&str; 3]], width: Option<usize>) -> Vec<String> {
        let rows: Vec<Vec<_>> = rows
            .iter()
            .map(|row| row.map(str::to_owned).to_vec())
            .collect();
        let columns = Columns::fit(header, &rows, width);
        let lines = rows.iter().map(|row| columns.line(row, |_, shown| shown));
        lines.collect()
    }

    #[test]
    fn the_widest_columns_are_cut_and_ids_are_not() {
        let header = ["name", "use", "id"];
        let id = "0123456789abcdef0123";
        let rows = [["device-number-one", "signs new certificates", id]];
        let all = "device-number-one  signs new certificates  0123456789abcdef0123";
        assert_eq!(lines(&header, &rows, None), [all]);
        assert_eq!(lines(&header, &rows, Some(63)), [all]);
        let cut = "device-number-one  signs new certifi…  0123456789abcdef0123";
        assert_eq!(lines(&header, &rows, Some(59)), [cut]);
        let cut = "device-numb…  signs new c…  0123456789abcdef0123";
        assert_eq!(lines(&header, &rows, Some(48)), [cut]);
        // Nothing useful fits, so the terminal itself wraps.
        let narrow = "device-…  signs n…  0123456789abcdef0123";
        assert_eq!(lines(&header, &rows, Some(3)), [narrow]);
    }

    #[test]
    fn wide_letters_count_as_two_cells() {
        let rows = [["日本語の名前です", "b", "c"], ["x", "b", "c"]];
        assert_eq!(
            lines(&["a", "b", "c"], &rows, Some(17)),
            ["日本語の名…  b  c", "x            b  c"]
        );
    }
}
