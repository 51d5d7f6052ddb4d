//! Pauses, a row each.

use remediation::Pause;

use crate::print::table::{Cell, Table};
use crate::print::time;

/// The table of these pauses.
pub(crate) fn table(pauses: &[&Pause]) -> Table {
    let mut table = Table::new(["id", "paused", "by", "since", "until", "reason"]);
    for Pause { id, stops, reason, by, at, until } in pauses {
        let until = until.map_or_else(|| "resumed".to_owned(), time::shown);
        table.row([
            Cell::text(id),
            Cell::text(stops.to_string()),
            Cell::text(by),
            Cell::text(time::shown(*at)),
            Cell::text(until),
            Cell::text(reason),
        ]);
    }
    table
}
