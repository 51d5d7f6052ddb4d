//! Bars day by day, as the template draws them.

use crate::page::grouped;
use crate::summary::Day;

/// The size of a drawing, in its own units; a page scales it.
const WIDTH: usize = 640;
const HEIGHT: usize = 220;
/// Where the bars stand.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 636.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 194.0;
/// So many days have their names below them at most.
const MOST_NAMES: usize = 7;
/// So many lines of the scale are above its foot at most.
const MOST_LINES: usize = 5;

/// A drawing.
pub(super) struct Chart {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) lines: Vec<Line>,
    pub(super) columns: Vec<Column>,
    pub(super) keys: Vec<&'static str>,
}

/// A line of the scale.
pub(super) struct Line {
    pub(super) y: String,
    pub(super) text: String,
}

/// A day.
pub(super) struct Column {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) bars: Vec<Bar>,
    pub(super) title: String,
    /// Its name, where there is room, and the place of that.
    pub(super) name: Option<(String, String)>,
}

pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: String,
    pub(super) y: String,
    pub(super) width: String,
    pub(super) height: String,
}

/// How the parts of a day stand.
enum Stand {
    OnEachOther,
    Beside,
}

impl Chart {
    /// What stood unsolved at the end of each day.
    pub(super) fn unsolved(days: &[Day]) -> Self {
        let keys = ["open", "held", "failed"];
        Self::of(days, keys, Stand::OnEachOther, |day| [day.open_at_end, day.held_at_end, day.failed_at_end])
    }

    /// What was found, fixed and taken back on each day.
    pub(super) fn work(days: &[Day]) -> Self {
        Self::of(days, ["found", "fixed", "undone"], Stand::Beside, |day| [day.found, day.fixed, day.undone])
    }

    fn of<const N: usize>(
        days: &[Day],
        keys: [&'static str; N],
        stand: Stand,
        parts: impl Fn(&Day) -> [usize; N],
    ) -> Self {
        let highest = days.iter().map(|day| match stand {
            Stand::OnEachOther => parts(day).iter().sum(),
            Stand::Beside => parts(day).into_iter().max().unwrap_or_default(),
        });
        let highest = highest.max().unwrap_or_default();
        let step = round_step(highest);
        let lines = highest.div_ceil(step).max(1);
        let scale = (BOTTOM - TOP) / as_float(step.saturating_mul(lines));
        let line = |number: usize| {
            let value = step.saturating_mul(number);
            Line { y: place(BOTTOM - as_float(value) * scale), text: grouped(value) }
        };
        let wide = (RIGHT - LEFT) / as_float(days.len().max(1));
        let inner = (wide * 0.72).min(44.0);
        let every = days.len().div_ceil(MOST_NAMES).max(1);
        let column = |(number, day): (usize, &Day)| {
            let (start, parts) = (LEFT + wide * as_float(number), parts(day));
            let (first, mut foot) = (start + (wide - inner) / 2.0, BOTTOM);
            let told: Vec<_> =
                keys.iter().zip(&parts).map(|(key, count)| format!("{} {key}", grouped(*count))).collect();
            let bar = |(of, (class, count)): (usize, (&&'static str, &usize))| {
                let height = as_float(*count) * scale;
                let (x, width) = match stand {
                    Stand::OnEachOther => (first, inner),
                    Stand::Beside => (first + inner / as_float(N) * as_float(of), inner / as_float(N)),
                };
                let y = match stand {
                    Stand::OnEachOther => {
                        foot -= height;
                        foot
                    }
                    Stand::Beside => BOTTOM - height,
                };
                Bar { class, x: place(x), y: place(y), width: place(width), height: place(height) }
            };
            let bars = keys.iter().zip(&parts).enumerate().map(bar).collect();
            let name = day.day.strftime("%b %-d").to_string();
            Column {
                x: place(start),
                width: place(wide),
                bars,
                title: format!("{}: {}", day.day, told.join(", ")),
                name: number.is_multiple_of(every).then(|| (place(start + wide / 2.0), name)),
            }
        };
        Self {
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            right: RIGHT,
            lines: (0..=lines).map(line).collect(),
            columns: days.iter().enumerate().map(column).collect(),
            keys: keys.into(),
        }
    }
}

/// The step of a scale of which five reach `highest`: 1, 2 or 5 with noughts.
fn round_step(highest: usize) -> usize {
    let least = highest.div_ceil(MOST_LINES).max(1);
    let mut power = 1_usize;
    loop {
        for step in [1, 2, 5].map(|digit| power.saturating_mul(digit)) {
            if step >= least {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// A count of findings is far below where a float loses one.
fn as_float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn place(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_reaches_the_highest_with_round_steps() {
        for (highest, step) in
            [(0, 1), (5, 1), (6, 2), (10, 2), (11, 5), (41, 10), (1_900, 500), (usize::MAX, usize::MAX)]
        {
            let found = round_step(highest);
            assert!(found.saturating_mul(MOST_LINES) >= highest);
            assert!(found == step || highest == usize::MAX, "{highest}: {found}");
        }
    }

    #[test]
    fn parts_stand_on_each_other_or_beside_each_other() {
        let day = Day {
            day: "2026-01-02".parse().unwrap(),
            found: 8,
            fixed: 4,
            undone: 0,
            open_at_end: 2,
            held_at_end: 4,
            failed_at_end: 2,
        };
        let bars = |chart: Chart| -> Vec<(f64, f64)> {
            let bars = chart.columns.into_iter().flat_map(|column| column.bars);
            bars.map(|bar| (bar.y.parse().unwrap(), bar.height.parse().unwrap())).collect()
        };
        let unsolved = bars(Chart::unsolved(&[day]));
        assert_eq!(unsolved, [(148.0, 46.0), (56.0, 92.0), (10.0, 46.0)]);
        assert_eq!(bars(Chart::work(&[day])), [(10.0, 184.0), (102.0, 92.0), (194.0, 0.0)]);
        assert_eq!(Chart::unsolved(&[day]).columns[0].title, "2026-01-02: 2 open, 4 held, 2 failed");
        assert!(Chart::work(&[]).columns.is_empty());
    }
}
