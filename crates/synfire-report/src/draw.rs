//! Charts as SVG.

use crate::chart::{Axis, Chart, Figure, Point, RasterLayer, Row, Series};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;

/// Where a picture is seen: its text and lines have the colours that go with the ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A page, whose styles know whether it is light or dark.
    Page,
    /// White paper.
    Paper,
}

/// Stand-ins, replaced by what the ground asks for.
const INK: RGBColor = RGBColor(0x01, 0x02, 0x03);
const LINE: RGBColor = RGBColor(0x04, 0x05, 0x06);
/// Tell apart on white and on black, and by people who see few colours.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0x2f, 0x7e, 0xd8),
    RGBColor(0xe0, 0x7b, 0x00),
    RGBColor(0x1f, 0x9d, 0x6b),
    RGBColor(0xc2, 0x4d, 0xa0),
    RGBColor(0x8a, 0x6f, 0xd1),
    RGBColor(0xd1, 0x49, 0x5b),
    RGBColor(0x1a, 0x9a, 0xa8),
    RGBColor(0x94, 0x7a, 0x3c),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

const WIDTH: u32 = 480;
/// Of a letter, about.
const LETTER: f64 = 7.0;
const FONT: i32 = 14;

fn colour(i: usize) -> RGBColor {
    COLOURS[i % COLOURS.len()]
}

fn ink<'a>(size: i32, horizontal: HPos) -> TextStyle<'a> {
    TextStyle::from(("sans-serif", size).into_font()).color(&INK).pos(Pos::new(horizontal, VPos::Center))
}

/// `text`, or its beginning and end: names that differ mostly differ there.
fn cut(text: &str, letters: usize) -> String {
    let all = text.chars().count();
    if all <= letters {
        return text.to_string();
    }
    let kept = letters.saturating_sub(1);
    text.chars().take(kept.div_ceil(2)).chain(['…']).chain(text.chars().skip(all - kept / 2)).collect()
}

impl Figure {
    /// The picture.
    ///
    /// # Panics
    /// Never: what is drawn is drawn into memory.
    pub fn svg(&self, ground: Ground) -> String {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH, height(&self.chart))).into_drawing_area();
            if ground == Ground::Paper {
                root.fill(&WHITE).expect("memory takes all");
            }
            draw(&self.chart, &root).and_then(|()| Ok(root.present()?)).expect("memory takes all");
        }
        let (ink, line) = match ground {
            Ground::Page => ("currentColor", "var(--line)"),
            Ground::Paper => ("#1a1a1a", "#d8d8d8"),
        };
        svg.replace("#010203", ink).replace("#040506", line)
    }
}

const ROW: u32 = 26;
const PANEL: u32 = 110;
const CELL_MOST: u32 = 40;

fn height(chart: &Chart) -> u32 {
    match chart {
        Chart::Lines { series, .. } => 280 + 18 * legend(series).len() as u32,
        Chart::Rows { rows, .. } => 50 + ROW * rows.len() as u32,
        Chart::Matrix { names, .. } => 60 + cell(names.len()) * names.len() as u32,
        Chart::Raster { layers, .. } => 30 + PANEL * layers.len() as u32,
    }
}

fn draw(chart: &Chart, root: &Area) -> Drawn {
    match chart {
        Chart::Lines { x, y, series } => lines(root, x, y, series),
        Chart::Rows { axis, rows, bars } => rows_of(root, axis, rows, *bars),
        Chart::Matrix { names, counts } => matrix(root, names, counts),
        Chart::Raster { steps, layers } => raster(root, *steps, layers),
    }
}

/// The numbers of the curves, in lines that fit the width.
fn legend(series: &[Series]) -> Vec<Vec<usize>> {
    let mut lines: Vec<Vec<usize>> = Vec::new();
    let mut left = 0.0;
    for (i, series) in series.iter().enumerate() {
        let width = 34.0 + LETTER * series.name.chars().count() as f64;
        match lines.last_mut() {
            Some(line) if width <= left => line.push(i),
            _ => {
                lines.push(vec![i]);
                left = f64::from(WIDTH) - 20.0;
            }
        }
        left -= width;
    }
    lines
}

/// The values of `points`, and some room around them.
fn range(values: impl Iterator<Item = f64>, most: f64) -> std::ops::Range<f64> {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let room = if high > low { 0.06 * (high - low) } else { 0.05 * high.abs().max(0.1) };
    low - room
        ..(high + room).min(if high <= most { most.max(high) } else { f64::MAX }).max(low - room + 1e-12)
}

fn lines(root: &Area, x: &Axis, y: &Axis, series: &[Series]) -> Drawn {
    let rows = legend(series);
    let (top, body) = root.split_vertically(18 * rows.len() as u32 + 4);
    for (line, row) in rows.iter().enumerate() {
        let mut at = 10;
        for &i in row {
            let middle = 11 + 18 * line as i32;
            top.draw(&PathElement::new(vec![(at, middle), (at + 18, middle)], colour(i).stroke_width(2)))?;
            top.draw(&marker(i, (at + 9, middle)))?;
            top.draw(&Text::new(series[i].name.clone(), (at + 23, middle), ink(FONT, HPos::Left)))?;
            at += (34.0 + LETTER * series[i].name.chars().count() as f64) as i32;
        }
    }
    let scaled = |axis: &Axis, value: f64| if axis.log { value.max(1e-12).log10() } else { value };
    let place = |point: &Point| (scaled(x, point.x), scaled(y, point.y));
    let whiskers = |point: &Point| [-1.0, 1.0].map(|sign| scaled(y, point.y + sign * point.spread));
    let points = || series.iter().flat_map(|series| &series.points);
    let most = if y.percent { 1.0 } else { f64::MAX };
    let wide = range(points().map(|point| place(point).0), f64::MAX);
    let high = range(points().flat_map(whiskers), most);
    let mut chart = ChartBuilder::on(&body)
        .margin(6)
        .margin_right(14)
        .x_label_area_size(38)
        .y_label_area_size(54)
        .build_cartesian_2d(wide, high)?;
    // Fewer whole numbers than labels would bring labels between them.
    let between = points().map(|point| point.x);
    let (first, last) = between.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let labels = if x.whole && last - first < 6.0 { (last - first).max(0.0) as usize + 1 } else { 6 };
    let written = |axis: &Axis, value: f64| axis.write(if axis.log { 10f64.powf(value) } else { value });
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(LINE)
        .axis_style(LINE)
        .label_style(ink(FONT, HPos::Center))
        .axis_desc_style(ink(FONT, HPos::Center))
        .x_labels(labels)
        .y_labels(5)
        .x_label_formatter(&|value| written(x, *value))
        .y_label_formatter(&|value| written(y, *value))
        .x_desc(x.label.as_str())
        .y_desc(y.label.as_str())
        .draw()?;
    for (i, series) in series.iter().enumerate() {
        let line = series.points.iter().map(place);
        chart.draw_series(LineSeries::new(line, colour(i).stroke_width(2)))?;
        let spread = series.points.iter().filter(|point| point.spread > 0.0);
        chart.draw_series(spread.map(|point| {
            let (x, [low, high]) = (place(point).0, whiskers(point));
            PathElement::new(vec![(x, low), (x, high)], colour(i).stroke_width(1))
        }))?;
        // Many markers would hide the line.
        let every = series.points.len().div_ceil(16).max(1);
        for point in series.points.iter().step_by(every) {
            chart.draw_series([EmptyElement::at(place(point)) + marker(i, (0, 0))])?;
        }
    }
    Ok(())
}

/// The shape that stands for a series: colour is not all that tells them apart.
fn marker(i: usize, (x, y): (i32, i32)) -> Polygon<(i32, i32)> {
    const R: i32 = 3;
    // With the colours that come again after eight, 32 series differ.
    let corners: Vec<(i32, i32)> = match (i + i / COLOURS.len()) % 4 {
        0 => vec![(-R, -R), (R, -R), (R, R), (-R, R)],
        1 => vec![(0, -R - 1), (R + 1, 0), (0, R + 1), (-R - 1, 0)],
        2 => vec![(0, -R - 1), (R + 1, R), (-R - 1, R)],
        _ => vec![(0, R + 1), (R + 1, -R), (-R - 1, -R)],
    };
    Polygon::new(corners.into_iter().map(|(dx, dy)| (x + dx, y + dy)).collect::<Vec<_>>(), colour(i).filled())
}

fn rows_of(root: &Area, axis: &Axis, rows: &[Row], bars: bool) -> Drawn {
    let longest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let letters = longest.min(34);
    let names = (LETTER * letters as f64) as i32 + 16;
    let end = WIDTH as i32 - 64;
    let all = rows
        .iter()
        .flat_map(|row| row.single.iter().copied().chain([row.value - row.spread, row.value + row.spread]));
    let most = if axis.percent { 1.0 } else { f64::MAX };
    let range = if bars { range(all.chain([0.0]), f64::MAX) } else { range(all, most) };
    let start = if bars { 0.0 } else { range.start };
    let at = |value: f64| names + ((value - start) / (range.end - start) * f64::from(end - names)) as i32;
    let foot = (rows.len() as u32 * ROW) as i32 + 6;
    for value in ticks(start, range.end, if axis.percent { 100.0 } else { 1.0 }) {
        root.draw(&PathElement::new(vec![(at(value), 2), (at(value), foot)], LINE))?;
        root.draw(&Text::new(axis.write(value), (at(value), foot + 12), ink(FONT, HPos::Center)))?;
    }
    root.draw(&Text::new(axis.label.clone(), ((names + end) / 2, foot + 31), ink(FONT, HPos::Center)))?;
    for (i, row) in rows.iter().enumerate() {
        let middle = (i as u32 * ROW + ROW / 2) as i32 + 2;
        root.draw(&Text::new(cut(&row.name, letters), (names - 8, middle), ink(FONT, HPos::Right)))?;
        if bars {
            let bar = Rectangle::new(
                [(at(0.0), middle - 8), (at(row.value), middle + 8)],
                colour(row.kind).filled(),
            );
            root.draw(&bar)?;
        } else {
            let line = colour(row.kind).stroke_width(2);
            let ends = vec![(at(row.value - row.spread), middle), (at(row.value + row.spread), middle)];
            root.draw(&PathElement::new(ends, line))?;
            for &single in &row.single {
                root.draw(&Circle::new((at(single), middle), 3, colour(row.kind).mix(0.45).filled()))?;
            }
            root.draw(&marker(row.kind, (at(row.value), middle)))?;
        }
        let after = if bars { at(row.value) + 6 } else { end + 8 };
        root.draw(&Text::new(axis.write(row.value), (after, middle), ink(FONT, HPos::Left)))?;
    }
    Ok(())
}

/// About five round numbers from `low` to `high`; they are round times `scale`.
fn ticks(low: f64, high: f64, scale: f64) -> Vec<f64> {
    let rough = scale * (high - low) / 4.0;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * magnitude).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough) / scale;
    let count = |value: f64| value / step;
    let (first, last) = (count(low).ceil() as i64, count(high).floor() as i64);
    (first..=last.min(first + 10)).map(|i| i as f64 * step).collect()
}

/// Side of a cell of a matrix of so many.
fn cell(n: usize) -> u32 {
    ((WIDTH - 110) / n.max(1) as u32).clamp(1, CELL_MOST)
}

/// Cells at least so large hold their numbers.
const READABLE: u32 = 22;

fn matrix(root: &Area, names: &[String], counts: &[Vec<usize>]) -> Drawn {
    let side = cell(names.len()) as i32;
    let (left, top) = (100, 20);
    let letters = 13;
    for (i, (name, row)) in names.iter().zip(counts).enumerate() {
        let y = top + i as i32 * side;
        if side >= FONT {
            root.draw(&Text::new(cut(name, letters), (left - 6, y + side / 2), ink(FONT, HPos::Right)))?;
        }
        let all: usize = row.iter().sum();
        for (j, &count) in row.iter().enumerate() {
            let x = left + j as i32 * side;
            let share = count as f64 / all.max(1) as f64;
            let kind = if i == j { colour(0) } else { colour(5) };
            // What is wrong is rare: the square root lets it be seen.
            let fill = kind.mix(if count == 0 { 0.04 } else { 0.12 + 0.68 * share.sqrt() });
            // Small cells touch, and those of many classes are not drawn for nothing.
            let gap = i32::from(side >= 8);
            if gap == 1 || count > 0 {
                let corners = [(x + gap, y + gap), (x + side - gap, y + side - gap)];
                root.draw(&Rectangle::new(corners, fill.filled()))?;
            }
            if side as u32 >= READABLE && count > 0 {
                root.draw(&Text::new(
                    count.to_string(),
                    (x + side / 2, y + side / 2),
                    ink(11, HPos::Center),
                ))?;
            }
        }
    }
    let foot = top + side * names.len() as i32;
    if side as u32 >= READABLE {
        for (i, name) in names.iter().enumerate() {
            let x = left + i as i32 * side + side / 2;
            root.draw(&Text::new(cut(name, side as usize / 6), (x, foot + 10), ink(11, HPos::Center)))?;
        }
    }
    let middle = left + side * names.len() as i32 / 2;
    root.draw(&Text::new("class", (left - 6, 8), ink(FONT, HPos::Right)))?;
    root.draw(&Text::new("answer", (middle, foot + 28), ink(FONT, HPos::Center)))?;
    Ok(())
}

fn raster(root: &Area, steps: usize, layers: &[RasterLayer]) -> Drawn {
    let (left, right) = (100, WIDTH as i32 - 10);
    let width = f64::from(right - left) / steps as f64;
    for (i, layer) in layers.iter().enumerate() {
        let top = (i as u32 * PANEL) as i32 + 6;
        let high = PANEL as i32 - 14;
        root.draw(&Text::new(cut(&layer.name, 14), (left - 8, top + high / 2 - 8), ink(FONT, HPos::Right)))?;
        let rate =
            layer.fired.iter().filter(|fired| **fired).count() as f64 / layer.fired.len().max(1) as f64;
        let rate = format!("{:.1} %", 100.0 * rate);
        root.draw(&Text::new(rate, (left - 8, top + high / 2 + 8), ink(FONT, HPos::Right)))?;
        root.draw(&Rectangle::new([(left, top), (right, top + high)], LINE))?;
        let row = f64::from(high) / layer.neurons.max(1) as f64;
        for (place, _) in layer.fired.iter().enumerate().filter(|(_, fired)| **fired) {
            let (step, neuron) = (place / layer.neurons, place % layer.neurons);
            let x = f64::from(left) + width * step as f64;
            let y = f64::from(top) + row * neuron as f64;
            let corners = [(x + 0.2 * width, y), (x + 0.8 * width, y + row.max(1.0))];
            let [(left, top), (right, bottom)] = corners.map(|(x, y)| (x.round() as i32, y.round() as i32));
            // However short a step is, its spikes are seen.
            let corners = [(left, top), (right.max(left + 1), bottom.max(top + 1))];
            root.draw(&Rectangle::new(corners, colour(i).filled()))?;
        }
    }
    let foot = (layers.len() as u32 * PANEL) as i32 + 4;
    let every = steps.div_ceil(16).max(1);
    for step in (0..steps).step_by(every) {
        let x = f64::from(left) + width * (step as f64 + 0.5);
        root.draw(&Text::new((step + 1).to_string(), (x as i32, foot), ink(11, HPos::Center)))?;
    }
    root.draw(&Text::new("time step", ((left + right) / 2, foot + 16), ink(FONT, HPos::Center)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(chart: Chart) -> Figure {
        Figure { name: "f".into(), title: String::new(), caption: String::new(), chart }
    }

    fn charts() -> Vec<Chart> {
        let series = |n: usize| {
            (0..n)
                .map(|i| Series::new(format!("curve {i}"), (1..5).map(|x| (x as f64, 1.0 / (x + i) as f64))))
                .collect()
        };
        let row = |i: usize| Row {
            name: format!("row {i}"),
            value: 0.5 + i as f64,
            spread: 0.1,
            single: vec![0.4, 0.6],
            kind: i,
        };
        let layer = RasterLayer {
            name: "layer".into(),
            neurons: 3,
            fired: vec![true, false, true, false, true, true],
        };
        vec![
            Chart::Lines { x: Axis::of("x"), y: Axis::percent("y, %"), series: series(2) },
            Chart::Lines { x: Axis::log("x"), y: Axis::log("y"), series: series(40) },
            // Nothing, one point, and values that are all the same.
            Chart::Lines { x: Axis::of("x"), y: Axis::of("y"), series: vec![] },
            Chart::Lines {
                x: Axis::of("x"),
                y: Axis::of("y"),
                series: vec![Series::new("one", [(1.0, 0.0)])],
            },
            Chart::Lines {
                x: Axis::of("x"),
                y: Axis::of("y"),
                series: vec![Series::new("nan", [(1.0, f64::NAN)])],
            },
            Chart::Rows { axis: Axis::of("v"), rows: (0..3).map(row).collect(), bars: true },
            Chart::Rows { axis: Axis::percent("v, %"), rows: (0..3).map(row).collect(), bars: false },
            Chart::Rows { axis: Axis::of("v"), rows: vec![], bars: false },
            Chart::Matrix { names: vec!["a".into(), "b".into()], counts: vec![vec![3, 1], vec![0, 0]] },
            Chart::Matrix { names: vec!["c".into(); 120], counts: vec![vec![1; 120]; 120] },
            Chart::Raster { steps: 2, layers: vec![layer] },
        ]
    }

    #[test]
    fn every_chart_is_drawn_for_both_grounds() {
        for chart in charts() {
            let figure = figure(chart);
            let (page, paper) = (figure.svg(Ground::Page), figure.svg(Ground::Paper));
            for svg in [&page, &paper] {
                assert!(
                    svg.starts_with("<svg ") && svg.contains("viewBox") && svg.trim_end().ends_with("</svg>")
                );
                assert!(
                    !svg.contains("#010203") && !svg.contains("#040506") && !svg.contains("NaN"),
                    "{svg}"
                );
            }
            assert!(!paper.contains("currentColor") && !paper.contains("var("));
        }
    }

    #[test]
    fn what_is_drawn_is_what_is_told() {
        let svg = figure(charts().swap_remove(0)).svg(Ground::Page);
        assert!(["curve 0", "curve 1", "y, %"].iter().all(|text| svg.contains(text)), "{svg}");
        let svg = figure(charts().swap_remove(8)).svg(Ground::Page);
        assert!(svg.contains(">\n3\n<") || svg.contains(">3<"), "{svg}");
        // As many marks as spikes, and the frame.
        let svg = figure(charts().swap_remove(10)).svg(Ground::Page);
        assert_eq!(svg.matches("<rect").count(), 4 + 1);
    }

    #[test]
    fn names_that_are_cut_keep_their_ends() {
        assert_eq!(cut("abcdefghij", 5), "ab…ij");
        assert_eq!([cut("abc", 3), cut("abcd", 1), cut("ab", 0)], ["abc", "…", "…"]);
    }

    #[test]
    fn every_spike_of_many_steps_is_seen() {
        let layer = RasterLayer { name: "layer".into(), neurons: 1, fired: vec![true; 1000] };
        let svg = figure(Chart::Raster { steps: 1000, layers: vec![layer] }).svg(Ground::Paper);
        assert!(!svg.contains(r#"width="0""#) && svg.matches("<rect").count() >= 1000);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(0.0, 11_843.0, 1.0), [0.0, 5000.0, 10_000.0]);
        assert_eq!(ticks(0.0, 8.0, 1.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        let found = ticks(0.912, 1.0, 100.0);
        assert!(found.len() == 3 && (found[1] - 0.95).abs() <= 1e-12 || found.len() == 4, "{found:?}");
        assert!(ticks(0.0, 1e-12, 1.0).len() <= 11);
    }

    #[test]
    fn legends_fit_the_width() {
        let series: Vec<Series> =
            (0..9).map(|i| Series::new(format!("a rather long name {i}"), [])).collect();
        let lines = legend(&series);
        assert!(lines.len() >= 4 && lines.concat() == (0..9).collect::<Vec<_>>(), "{lines:?}");
    }
}
