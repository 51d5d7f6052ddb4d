//! Colours of a table's cells. The table leaves them out by itself where standard output is not a terminal.

use std::env;
use std::ffi::OsStr;

use comfy_table::{Cell, Color};

use crate::exit::Exit;

/// The cell in the colour of how good or bad it is.
pub(crate) fn coloured(cell: Cell, how: Exit) -> Cell {
    if !are_wanted(env::var_os("NO_COLOR").as_deref(), env::var_os("TERM").as_deref()) {
        return cell;
    }
    cell.fg(match how {
        Exit::NothingLeft => Color::Green,
        Exit::Left => Color::Yellow,
        Exit::Failed => Color::Red,
    })
}

/// <https://no-color.org>, and terminals that know no colours.
pub(crate) fn are_wanted(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && term != Some(OsStr::new("dumb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_can_be_declined() {
        for (no_color, term, wanted) in [
            (None, Some("xterm"), true),
            (None, None, true),
            (Some(""), Some("xterm"), true),
            (Some("1"), Some("xterm"), false),
            (None, Some("dumb"), false),
        ] {
            assert_eq!(are_wanted(no_color.map(OsStr::new), term.map(OsStr::new)), wanted, "{no_color:?} {term:?}");
        }
    }
}
