//! The plots, and the figures that they show.

use super::figures::{Database, Figure, Figures, Measure};
use super::svg::{Axis, COLOURS, Chart, Line, Scale};
use super::units::{seconds, thousands};

/// Returns the file name, the description and the SVG of each chart that has figures.
pub fn all(figures: &Figures) -> Vec<(&'static str, &'static str, String)> {
    let charts = [
        (
            "pages.svg",
            "Time of a page against its depth",
            pages(figures),
        ),
        (
            "issuing.svg",
            "Certificates issued in a second against clients",
            issuing(figures),
        ),
        (
            "sizes.svg",
            "Time of a page against the size of the zone",
            Some(sizes(figures)),
        ),
        (
            "revocation.svg",
            "OCSP answers and lists per second against the size of the zone",
            Some(served(figures)),
        ),
    ];
    charts
        .into_iter()
        .filter_map(|(file, words, chart)| Some((file, words, chart?.svg()?)))
        .collect()
}

const DATABASES: [(Database, &str); 2] = [
    (Database::Sqlite, COLOURS[0]),
    (Database::Postgres, COLOURS[1]),
];

/// Formats a time on an axis, without zeros at the end of the fraction.
fn time(value: f64) -> String {
    match seconds(value).split_once(' ') {
        Some((_, _)) if value == 0.0 => "0".to_owned(),
        Some((digits, unit)) if digits.contains('.') => {
            format!(
                "{} {unit}",
                digits.trim_end_matches('0').trim_end_matches('.')
            )
        }
        _ => seconds(value),
    }
}

/// Returns the line of the figures of one database for which `x` returns a place.
fn line(
    figures: &Figures,
    database: Database,
    name: &str,
    (colour, is_dashed): (&'static str, bool),
    x: impl Fn(&Figure) -> Option<u64>,
) -> Line {
    let found = figures
        .figures
        .iter()
        .filter(|figure| figure.database == database);
    let mut points: Vec<_> = found
        .filter_map(|figure| Some((x(figure)? as f64, figure.value)))
        .collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    Line {
        name: format!("{name}, {}", database.name()),
        colour,
        is_dashed,
        points,
    }
}

/// Returns the size of the largest zone that has figures of a measure.
fn largest(figures: &Figures, what: Measure) -> Option<u64> {
    let of_kind = figures.figures.iter().filter(|figure| figure.what == what);
    of_kind.map(|figure| figure.certificates).max()
}

/// Returns the lines of two measures on each database, in the zone of one size: by page, or by
/// clients.
fn in_zone(figures: &Figures, size: u64, measures: [(Measure, &str, bool); 2]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (database, colour) in DATABASES {
        for (what, name, is_dashed) in measures {
            let is_wanted = |figure: &Figure| (figure.what, figure.certificates) == (what, size);
            let x = |figure: &Figure| figure.at.filter(|_| is_wanted(figure));
            lines.push(line(figures, database, name, (colour, is_dashed), x));
        }
    }
    lines
}

/// Returns the place of a figure on an axis of sizes, if it is of this measure and variant.
fn size_of<'w>(what: Measure, which: &'w str) -> impl Fn(&Figure) -> Option<u64> + 'w {
    move |figure| {
        let is_wanted = figure.what == what && figure.which.as_deref() == Some(which);
        is_wanted.then_some(figure.certificates)
    }
}

fn pages(figures: &Figures) -> Option<Chart> {
    let largest = largest(figures, Measure::SqlPage)?;
    let measures = [
        (Measure::StorePage, "certgate", false),
        (Measure::SqlPage, "OFFSET and COUNT", true),
    ];
    Some(Chart {
        title: format!(
            "Median time of a page of 20 and the total, of {} certificates",
            thousands(largest as f64)
        ),
        below: "page",
        x: Axis::new(Scale::Logarithmic, thousands),
        y: Axis::new(Scale::Logarithmic, time),
        lines: in_zone(figures, largest, measures),
    })
}

fn issuing(figures: &Figures) -> Option<Chart> {
    let largest = largest(figures, Measure::Issue)?;
    let measures = [
        (Measure::Issue, "issued", false),
        (Measure::RecordAlone, "one commit each", true),
    ];
    let lines = in_zone(figures, largest, measures);
    let points = lines.iter().flat_map(|line| &line.points);
    let mut marks: Vec<_> = points.map(|(x, _)| *x).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    Some(Chart {
        title: "Durable certificates in a second".to_owned(),
        below: "clients that wait at a time",
        x: Axis::new(Scale::Marked(marks), thousands),
        y: Axis::new(Scale::Linear, thousands),
        lines,
    })
}

fn sizes(figures: &Figures) -> Chart {
    let mut lines = Vec::new();
    for (database, colour) in DATABASES {
        for (which, is_dashed) in [("page 1", false), ("last pages", true)] {
            let x = size_of(Measure::HttpPage, which);
            lines.push(line(figures, database, which, (colour, is_dashed), x));
        }
    }
    Chart {
        title: "Median time of a page of 20 over HTTP, one client".to_owned(),
        below: "certificates in the zone",
        x: Axis::new(Scale::Logarithmic, thousands),
        y: Axis::new(Scale::Linear, time),
        lines,
    }
}

fn served(figures: &Figures) -> Chart {
    let kinds = [
        (
            Measure::Ocsp,
            "asked again",
            "OCSP, asked again",
            COLOURS[2],
        ),
        (Measure::Ocsp, "signed for each", "OCSP, signed", COLOURS[3]),
        (
            Measure::ServeCrl,
            "one of 128 shards",
            "list (shard)",
            COLOURS[0],
        ),
    ];
    let mut lines = Vec::new();
    for (what, which, name, colour) in kinds {
        for (database, _) in DATABASES {
            let is_dashed = database == Database::Postgres;
            let x = size_of(what, which);
            lines.push(line(figures, database, name, (colour, is_dashed), x));
        }
    }
    Chart {
        title: "Revocation: answers in a second, 64 clients".to_owned(),
        below: "certificates in the zone",
        x: Axis::new(Scale::Logarithmic, thousands),
        y: Axis::new(Scale::Linear, thousands),
        lines,
    }
}
