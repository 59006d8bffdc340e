//! What a figure shows, apart from how it is drawn: the same numbers become a picture and a table.

use crate::text::quoted;

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What its file is called, without an ending.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// What is to be seen, in a sentence or two.
    pub caption: String,
    /// What it shows.
    pub chart: Chart,
}

/// What a figure shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Chart {
    /// Curves.
    Lines {
        /// To the right.
        x: Axis,
        /// Upwards.
        y: Axis,
        /// The curves.
        series: Vec<Series>,
    },
    /// A value for each of several things, with the single ones that it is the mean of.
    Rows {
        /// What the values are.
        axis: Axis,
        /// The things, from above.
        rows: Vec<Row>,
        /// Bars from zero; else points.
        bars: bool,
    },
    /// How often one thing was taken for another.
    Matrix {
        /// Names of both.
        names: Vec<String>,
        /// `[true][taken for]`.
        counts: Vec<Vec<usize>>,
    },
    /// Spikes over time.
    Raster {
        /// Time steps.
        steps: usize,
        /// The layers of neurons.
        layers: Vec<RasterLayer>,
    },
}

/// What is along an axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Axis {
    /// What it is, with its unit.
    pub label: String,
    /// Values are fractions and shown in percent.
    pub percent: bool,
    /// Equal factors are equally far apart.
    pub log: bool,
    /// There is nothing between whole numbers.
    pub whole: bool,
}

impl Axis {
    /// Numbers.
    pub fn of(label: &str) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// Whole numbers.
    pub fn whole(label: &str) -> Self {
        Self { whole: true, ..Self::of(label) }
    }

    /// Fractions.
    pub fn percent(label: &str) -> Self {
        Self { percent: true, ..Self::of(label) }
    }

    /// Positive numbers of many magnitudes.
    pub fn log(label: &str) -> Self {
        Self { log: true, ..Self::of(label) }
    }

    /// A value as it is shown.
    pub fn write(&self, value: f64) -> String {
        match self {
            Self { percent: true, .. } => rounded(100.0 * value),
            Self { log: true, .. } if !(1e-3..1e4).contains(&value) => format!("{value:.1e}"),
            _ => rounded(value),
        }
    }
}

/// With as many digits as say something, and no more zeros than that.
fn rounded(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (2 - value.abs().log10().floor() as i32).clamp(0, 6) as usize };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

/// A curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is of.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<Point>,
}

impl Series {
    /// A curve without spread.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let point = |(x, y)| Point { x, y, spread: 0.0 };
        Self { name: name.into(), points: points.into_iter().map(point).collect() }
    }
}

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Upwards.
    pub y: f64,
    /// Standard deviation of what `y` is the mean of; 0 where there is none.
    pub spread: f64,
}

/// A thing with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Standard deviation of what the value is the mean of; 0 where there is none.
    pub spread: f64,
    /// What the value is the mean of; may be empty.
    pub single: Vec<f64>,
    /// Rows with the same number have the same colour.
    pub kind: usize,
}

/// Spikes of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct RasterLayer {
    /// What it is.
    pub name: String,
    /// How many neurons are shown.
    pub neurons: usize,
    /// `[steps][neurons]`.
    pub fired: Vec<bool>,
}

impl Figure {
    /// The numbers, as comma-separated values with a header.
    pub fn csv(&self) -> String {
        let mut lines: Vec<Vec<String>> = Vec::new();
        match &self.chart {
            Chart::Lines { x, y, series } => {
                lines.push(["series", &x.label, &y.label, "standard deviation"].map(str::to_string).into());
                for series in series {
                    for Point { x, y, spread } in &series.points {
                        lines.push(
                            [vec![series.name.clone()], [x, y, spread].map(|v| v.to_string()).into()]
                                .concat(),
                        );
                    }
                }
            }
            Chart::Rows { axis, rows, .. } => {
                lines.push(
                    ["", &axis.label, "standard deviation", "single values"].map(str::to_string).into(),
                );
                for row in rows {
                    let single = row.single.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
                    lines.push(vec![row.name.clone(), row.value.to_string(), row.spread.to_string(), single]);
                }
            }
            Chart::Matrix { names, counts } => {
                lines.push([&["true / answered".to_string()], &names[..]].concat());
                for (name, row) in names.iter().zip(counts) {
                    lines.push([vec![name.clone()], row.iter().map(usize::to_string).collect()].concat());
                }
            }
            Chart::Raster { layers, .. } => {
                lines.push(["layer", "time step", "neuron shown"].map(str::to_string).into());
                for layer in layers {
                    for (place, _) in layer.fired.iter().enumerate().filter(|(_, fired)| **fired) {
                        let (step, neuron) = (place / layer.neurons + 1, place % layer.neurons + 1);
                        lines.push(vec![layer.name.clone(), step.to_string(), neuron.to_string()]);
                    }
                }
            }
        }
        lines
            .iter()
            .map(|cells| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\n")
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_the_digits_that_say_something() {
        let axis = Axis::of("");
        assert_eq!(
            [0.0, 12.0, 1234.5, 0.05, 3.1234, 2e-4].map(|v| axis.write(v)),
            ["0", "12", "1234", "0.05", "3.12", "0.0002"]
        );
        assert_eq!(Axis::percent("").write(0.98611), "98.6");
        assert_eq!([0.000123, 0.316, 1.0].map(|v| Axis::log("").write(v)), ["1.2e-4", "0.316", "1"]);
    }

    #[test]
    fn figures_are_tables_too() {
        let of =
            |chart| Figure { name: String::new(), title: String::new(), caption: String::new(), chart }.csv();
        let series = vec![Series::new("a, b", [(1.0, 0.5)])];
        let lines = Chart::Lines { x: Axis::of("epoch"), y: Axis::of("loss"), series };
        assert_eq!(of(lines), "series,epoch,loss,standard deviation\n\"a, b\",1,0.5,0\n");
        let names = ["x", "y"].map(str::to_string).to_vec();
        let matrix = Chart::Matrix { names, counts: vec![vec![1, 2], vec![3, 4]] };
        assert_eq!(of(matrix), "true / answered,x,y\nx,1,2\ny,3,4\n");
        let layer = RasterLayer { name: "l".into(), neurons: 2, fired: vec![false, true, true, false] };
        assert_eq!(
            of(Chart::Raster { steps: 2, layers: vec![layer] }),
            "layer,time step,neuron shown\nl,1,2\nl,2,1\n"
        );
    }
}
