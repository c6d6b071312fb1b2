//! Line charts as SVG.
//!
//! Areas are not filled, and each colour differs from white and from black, so that a chart can
//! stand on a page of either colour.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 78.0;
/// The names of the lines stand in the space to the right.
const RIGHT: f64 = 250.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 54.0;
/// Distance between lines of text.
const LINE: f64 = 18.0;

const TEXT: &str = "#7d8590";
/// The first two colours are for SQLite and PostgreSQL, the others for other lines.
pub const COLOURS: [&str; 4] = ["#2f81f7", "#e5534b", "#39a05a", "#b083f0"];

/// The layout of values along an axis.
pub enum Scale {
    /// Equal distances, from zero.
    Linear,
    /// The same distance for each power of ten.
    Logarithmic,
    /// The same distance for each doubling, marked at these values.
    Marked(Vec<f64>),
}

/// An axis, and the format of its marks.
pub struct Axis {
    scale: Scale,
    text: fn(f64) -> String,
}

impl Axis {
    pub fn new(scale: Scale, text: fn(f64) -> String) -> Self {
        Self { scale, text }
    }
}

pub struct Line {
    pub name: String,
    pub colour: &'static str,
    pub is_dashed: bool,
    pub points: Vec<(f64, f64)>,
}

pub struct Chart {
    /// The title, which names the y axis.
    pub title: String,
    /// The name of the x axis.
    pub below: &'static str,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
}

/// An axis with its first and its last value.
struct Laid<'a> {
    axis: &'a Axis,
    from: f64,
    to: f64,
}

impl<'a> Laid<'a> {
    fn new(axis: &'a Axis, values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(f64::NEG_INFINITY, f64::max);
        let (from, to) = match &axis.scale {
            Scale::Linear => (0.0, (most / step(most)).ceil() * step(most)),
            // A value close to a power of ten does not need another decade.
            Scale::Logarithmic => (
                10_f64.powf((least.log10() * 2.0 + 0.1).floor() / 2.0),
                10_f64.powf((most.log10() * 2.0 - 0.1).ceil() / 2.0),
            ),
            Scale::Marked(_) => (least, most),
        };
        let to = if to > from { to } else { from * 2.0 };
        Self { axis, from, to }
    }

    /// Returns the place of a value on the axis, from 0 to 1.
    fn at(&self, value: f64) -> f64 {
        match self.axis.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Logarithmic | Scale::Marked(_) => {
                (value.ln() - self.from.ln()) / (self.to.ln() - self.from.ln())
            }
        }
    }

    fn marks(&self) -> Vec<f64> {
        match &self.axis.scale {
            Scale::Linear => {
                let step = step(self.to);
                (0..)
                    .map(|count| f64::from(count) * step)
                    .take_while(|mark| *mark <= self.to * 1.001)
                    .collect()
            }
            Scale::Logarithmic => (-12..12)
                .map(|power| 10_f64.powi(power))
                .filter(|mark| (self.from * 0.999..=self.to * 1.001).contains(mark))
                .collect(),
            Scale::Marked(marks) => marks.clone(),
        }
    }
}

/// Returns the distance between the marks of an axis up to `most`, with four to ten marks.
fn step(most: f64) -> f64 {
    let decade = 10_f64.powf(most.log10().floor());
    match most / decade {
        small if small < 2.0 => decade / 5.0,
        middle if middle < 5.0 => decade / 2.0,
        _ => decade,
    }
}

impl Chart {
    /// Draws the chart. Returns nothing if every line has fewer than two points.
    pub fn svg(&self) -> Option<String> {
        let lines: Vec<_> = self
            .lines
            .iter()
            .filter(|line| line.points.len() > 1)
            .collect();
        let points = lines.iter().flat_map(|line| line.points.iter());
        points.clone().next()?;
        let x = Laid::new(&self.x, points.clone().map(|(x, _)| *x));
        let y = Laid::new(&self.y, points.map(|(_, y)| *y));
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let place_x = |value: f64| LEFT + x.at(value) * (right - LEFT);
        let place_y = |value: f64| bottom - y.at(value) * (bottom - TOP);

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"system-ui, sans-serif\" \
             font-size=\"13\" fill=\"{TEXT}\">\n"
        );
        let title = format!("font-weight=\"600\" font-size=\"15\">{}", self.title);
        text(&mut svg, LEFT, 22.0, "start", &title);
        for mark in y.marks() {
            let (at, value) = (place_y(mark), format!(">{}", (self.y.text)(mark)));
            rule(&mut svg, (LEFT, at), (right, at));
            text(&mut svg, LEFT - 8.0, at + 4.5, "end", &value);
        }
        for mark in x.marks() {
            let (at, value) = (place_x(mark), format!(">{}", (self.x.text)(mark)));
            rule(&mut svg, (at, TOP), (at, bottom));
            text(&mut svg, at, bottom + 20.0, "middle", &value);
        }
        let (middle, name) = (f64::midpoint(LEFT, right), format!(">{}", self.below));
        text(&mut svg, middle, HEIGHT - 10.0, "middle", &name);

        draw_lines(&mut svg, &lines, place_x, place_y);
        svg.push_str("</svg>\n");
        Some(svg)
    }
}

/// Draws the lines with their points and names.
fn draw_lines(
    svg: &mut String,
    lines: &[&Line],
    place_x: impl Fn(f64) -> f64,
    place_y: impl Fn(f64) -> f64,
) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    // Each name stands beside the end of its line, and lower if the name above needs the space.
    let mut named: Vec<_> = lines
        .iter()
        .map(|line| (place_y(line.points[line.points.len() - 1].1), *line))
        .collect();
    named.sort_by(|one, other| one.0.total_cmp(&other.0));
    // Names at the bottom need space too.
    let mut lowest = bottom + LINE - LINE * named.len() as f64;
    let mut next = TOP + 8.0;
    for (end, line) in named {
        let Line {
            name,
            colour,
            is_dashed,
            points,
        } = line;
        let dashes = if *is_dashed {
            " stroke-dasharray=\"6 4\""
        } else {
            ""
        };
        let mut path = String::new();
        for (x, y) in points {
            let _ = write!(path, "{:.1},{:.1} ", place_x(*x), place_y(*y));
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\" \
             stroke-linejoin=\"round\"{dashes}/>",
            path.trim_end()
        );
        for (x, y) in points {
            let (x, y) = (place_x(*x), place_y(*y));
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
            );
        }
        let at = end.max(next).min(lowest.max(next));
        let name = format!("fill=\"{colour}\">{name}");
        text(svg, right + 14.0, at + 4.5, "start", &name);
        (next, lowest) = (at + LINE, lowest + LINE);
    }
}

fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#808080\" \
         stroke-opacity=\"0.3\"/>",
        from.0, from.1, to.0, to.1
    );
}

/// Writes a text. `rest` has more attributes, a `>`, and the text itself.
fn text(svg: &mut String, x: f64, y: f64, anchor: &str, rest: &str) {
    let space = if rest.starts_with('>') { "" } else { " " };
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{space}{rest}</text>"
    );
}
