//! Lists in columns: coloured and below a header on a terminal, plain and without one where they are piped.

use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};

const HEADER: Style = Style::new().bold();

/// A column: its name, its width in characters, and whether it holds numbers, which end at its right. What is wider moves the rest of its row.
pub struct Column(&'static str, usize, bool);

/// A column of texts.
pub const fn text(name: &'static str, width: usize) -> Column {
    Column(name, width, false)
}

/// A column of numbers.
pub const fn number(name: &'static str, width: usize) -> Column {
    Column(name, width, true)
}

/// What a row has in a column.
pub struct Cell(String, Style);

/// A text without colour.
pub fn cell(text: impl ToString) -> Cell {
    Cell(text.to_string(), Style::new())
}

/// The state or severity of something, in the colour of what it asks for: red needs somebody, yellow may, green is well.
pub fn state(word: &str) -> Cell {
    let colour = match word {
        "dead" | "firing" | "critical" | "error" => AnsiColor::Red,
        "waiting" | "deferred" | "expired" | "unknown" | "stale" | "warning" => AnsiColor::Yellow,
        "acked" | "snoozed" => AnsiColor::Cyan,
        "sent" | "resolved" => AnsiColor::Green,
        _ => return cell(word),
    };
    Cell(word.to_owned(), colour.on_default())
}

/// The columns of a list.
pub struct Table<const N: usize>(pub [Column; N]);

impl<const N: usize> Table<N> {
    /// The line with the names of the columns, on a terminal: what reads a pipe has no line to skip.
    pub fn header(&self) -> Option<String> {
        std::io::stdout().is_terminal().then(|| self.names())
    }

    fn names(&self) -> String {
        self.row(self.0.each_ref().map(|column| Cell(column.0.to_owned(), HEADER)))
    }

    /// A line; nothing follows its last text.
    pub fn row(&self, cells: [Cell; N]) -> String {
        let filled = cells.iter().rposition(|cell| !cell.0.is_empty()).map_or(0, |last| last + 1);
        let mut out = String::new();
        for (i, (Column(_, width, is_number), Cell(text, style))) in self.0.iter().zip(&cells).take(filled).enumerate() {
            let space = " ".repeat(width.saturating_sub(text.chars().count()));
            let (before, after) = if *is_number { (space.as_str(), "") } else { ("", space.as_str()) };
            let after = if i + 1 == filled { "" } else { after };
            let between = if i == 0 { "" } else { "  " };
            out.push_str(&format!("{between}{before}{style}{text}{style:#}{after}"));
        }
        out
    }

    /// The header, all rows and what is said below them, without a last end of line.
    pub fn list(&self, rows: impl Iterator<Item = [Cell; N]>, below: Option<String>) -> String {
        self.header().into_iter().chain(rows.map(|cells| self.row(cells))).chain(below).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_colour_they_have() {
        let table = Table([text("NAME", 6), text("STATE", 8), number("TRIES", 5), text("WHY", 3)]);
        let rows = [
            [cell("ops"), state("dead"), cell(3), cell("it was refused")],
            [cell("longer-name"), state("sent"), cell(12), cell("")],
            [cell(""), state("dropped"), cell(""), cell("")],
        ];
        let coloured = std::iter::once(table.names()).chain(rows.map(|cells| table.row(cells))).collect::<Vec<_>>().join("\n");
        let plain = anstream::adapter::strip_str(&coloured).to_string();
        assert_eq!(plain, "NAME    STATE     TRIES  WHY\nops     dead          3  it was refused\nlonger-name  sent         12\n        dropped");
        let red = AnsiColor::Red.on_default();
        assert!(coloured.contains(&format!("{red}dead{red:#}")) && !coloured.contains(&format!("{red}sent")), "{coloured:?}");
    }

    #[test]
    fn a_header_is_for_a_terminal_and_no_line_is_empty_without_it() {
        let table = Table([text("NAME", 6)]);
        let header = if std::io::stdout().is_terminal() { "NAME\n" } else { "" };
        let listed = |rows: Vec<[Cell; 1]>| anstream::adapter::strip_str(&table.list(rows.into_iter(), Some("more".into()))).to_string();
        assert_eq!(listed(vec![[cell("ops")]]), format!("{header}ops\nmore"));
        assert_eq!(listed(vec![]), format!("{header}more"));
    }
}
