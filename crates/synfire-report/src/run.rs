//! The page of one run.

use crate::Report;
use crate::chart::{Axis, Chart, Figure, Row, Series};
use crate::page;
use crate::samples::{Samples, Scene, data_uri};
use crate::text::{duration, percent};
use maud::{Markup, html};
use serde_json::json;
use std::collections::BTreeMap;
use synfire::anytime::Anytime;
use synfire::energy::{FP32, Operations};
use synfire::net::{Plan, module_number};
use synfire::train::{EpochRecord, Summary, TrainConfig};
use synfire_data::thousands;

/// Classes that are listed at most.
const LISTED: usize = 30;

/// What is known of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What it is called: the name of its folder.
    pub name: String,
    /// Its settings.
    pub config: TrainConfig,
    /// Its network.
    pub plan: Plan,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Its epochs.
    pub records: Vec<EpochRecord>,
    /// Its end; none while it is trained.
    pub summary: Option<Summary>,
    /// What was seen on samples; none where the data are not at hand.
    pub samples: Option<Samples>,
    /// What the reader should know, such as that data are simulated.
    pub notes: Vec<String>,
}

impl Run {
    /// The page.
    pub fn report(&self) -> Report {
        let learning = self.learning();
        let time = self.summary.as_ref().map(|summary| self.time(&summary.test_anytime)).unwrap_or_default();
        let classes = self.confusion();
        let inside = self.inside();
        let energy: Vec<Figure> = self.samples.iter().map(|samples| energy(&samples.operations)).collect();
        let rasters: Vec<Figure> = self.samples.iter().flat_map(|samples| self.rasters(samples)).collect();
        let TrainConfig { dataset, method, time_steps, .. } = &self.config;
        let title = format!("{dataset}: {method}, {}", steps(*time_steps));
        let about = format!("{} · {} · seed {}", self.name, self.plan.spec, self.config.seed);
        let body = html! {
            (self.tiles())
            @if !self.notes.is_empty() { ul.about { @for note in &self.notes { li { (note) } } } }
            (page::section("learning", "Learning", "", &page::figures(&learning)))
            (page::section("time", "Time steps", "The network may be asked after each of its time steps. An answer's certainty is the softmax of the mean potentials so far; of voting neurons, the share of the votes.",
                &html! { (page::figures(&time)) (self.exits()) }))
            (page::section("classes", "Classes", "", &page::figures(&classes)))
            (page::section("layers", "Layers", "", &page::figures(&inside)))
            (page::section("energy", "Energy", "Of arithmetic alone, in a 45 nm process (Horowitz, ISSCC 2014), for one sample. Moving data costs more on most machines: this compares algorithms, not devices.",
                &html! { @if let Some(samples) = &self.samples { (page::figures(&energy)) (energy_table(&samples.operations)) } }))
            @if let Some(samples) = &self.samples {
                (page::section("spikes", "Spikes", "What the network saw of some test samples, the spikes that they set off, and what each class got up to the step that is marked.", &viewer(samples, &self.classes)))
                (page::section("mistakes", "Mistakes", &format!("{} of {} test samples were taken for another class; the most certain first.", samples.mistakes, samples.judged), &self.mistakes(samples)))
            }
            (page::section("again", "How to reproduce", "", &self.again()))
        };
        let scenes: &[Scene] = self.samples.as_ref().map_or(&[], |samples| &samples.scenes);
        let data = json!({ "scenes": scenes.iter().map(scene).collect::<Vec<_>>(), "classes": self.classes });
        let html = page::page(&title, &about, &body, &data.to_string());
        Report { html, figures: [learning, time, classes, inside, energy, rasters].concat() }
    }

    fn tiles(&self) -> Markup {
        let mut tiles = Vec::new();
        if let Some(summary) = &self.summary {
            let epoch = format!("epoch {} of {}, chosen by validation", summary.best_epoch, summary.epochs);
            tiles.push((
                "test accuracy",
                percent(summary.test_accuracy),
                format!("{} samples", summary.test_samples),
            ));
            tiles.push(("validation accuracy", percent(summary.validation_accuracy), epoch));
            tiles.push((
                "training",
                duration(summary.train_seconds),
                format!("{} samples", summary.train_samples),
            ));
        } else {
            tiles.push((
                "epochs",
                format!("{} of {}", self.records.len(), self.config.epochs),
                "not finished".into(),
            ));
        }
        if let Some(samples) = self.samples.as_ref().filter(|samples| samples.operations.spikes()) {
            let operations = &samples.operations;
            let of = format!("of {} samples", operations.samples);
            tiles.push(("firing rate", percent(operations.rate()), of.clone()));
            let share = percent(1.0 / operations.energy(FP32).ratio());
            tiles.push((
                "energy",
                share,
                "of the same network's without time, fp32, arithmetic alone".into(),
            ));
        }
        tiles.push(("parameters", thousands(self.plan.parameters()), self.config.net.clone()));
        page::tiles(&tiles)
    }

    fn over_epochs(&self, name: &str, of: impl Fn(&EpochRecord) -> Option<f64>) -> Series {
        Series::new(name, self.records.iter().filter_map(|record| Some((record.epoch as f64, of(record)?))))
    }

    fn learning(&self) -> Vec<Figure> {
        let lines = |y, series| Chart::Lines { x: Axis::whole("epoch"), y, series };
        let chosen = self
            .summary
            .as_ref()
            .map_or(String::new(), |summary| format!(" Epoch {} was chosen.", summary.best_epoch));
        vec![
            Figure {
                name: "loss".into(),
                title: "Loss".into(),
                caption: format!(
                    "{}, mean over the samples; those of training as they were seen.",
                    self.config.loss
                ),
                chart: lines(
                    Axis::of("loss"),
                    vec![
                        self.over_epochs("training", |record| Some(record.train_loss)),
                        self.over_epochs("validation", |record| Some(record.validation_loss)),
                    ],
                ),
            },
            Figure {
                name: "accuracy".into(),
                title: "Accuracy".into(),
                caption: format!("Samples whose class was right.{chosen}"),
                chart: lines(
                    Axis::percent("accuracy, %"),
                    vec![
                        self.over_epochs("training", |record| Some(record.train_accuracy)),
                        self.over_epochs("validation", |record| Some(record.validation_accuracy)),
                    ],
                ),
            },
        ]
    }

    fn time(&self, anytime: &Anytime) -> Vec<Figure> {
        if anytime.accuracy.len() < 2 {
            return Vec::new();
        }
        let over = |name: &str, values: &[f64]| {
            Series::new(name, values.iter().enumerate().map(|(t, value)| (t as f64 + 1.0, *value)))
        };
        let exits = Series::new(
            "stopped once certain",
            anytime.exits.iter().map(|exit| (exit.mean_steps, exit.accuracy)),
        );
        vec![
            Figure {
                name: "anytime".into(),
                title: "After each time step".into(),
                caption: "Of the test samples, whose answer is right after so many steps, and how certain the answers are.".into(),
                chart: Chart::Lines {
                    x: Axis::whole("time steps"),
                    y: Axis::percent("%"),
                    series: vec![over("accuracy", &anytime.accuracy), over("certainty", &anytime.certainty)],
                },
            },
            Figure {
                name: "exits".into(),
                title: "Stopped early".into(),
                caption: "Accuracy where each sample is stopped at the first step whose answer is certain enough, against the steps that takes in the mean.".into(),
                chart: Chart::Lines {
                    x: Axis::of("mean time steps"),
                    y: Axis::percent("accuracy, %"),
                    series: vec![exits, over("all stopped at the same step", &anytime.accuracy)],
                },
            },
        ]
    }

    fn exits(&self) -> Markup {
        let Some(anytime) = self.summary.as_ref().map(|summary| &summary.test_anytime) else {
            return html! {};
        };
        if anytime.accuracy.len() < 2 {
            return html! {};
        }
        let head = ["certain to", "accuracy", "mean time steps"].map(str::to_string);
        let row = |exit: &synfire::anytime::Exit| {
            vec![
                format!("{} %", 100.0 * exit.certainty),
                percent(exit.accuracy),
                format!("{:.2}", exit.mean_steps),
            ]
        };
        page::table("stopped early", &head, &anytime.exits.iter().map(row).collect::<Vec<_>>())
    }

    fn confusion(&self) -> Vec<Figure> {
        let Some(counts) =
            self.summary.as_ref().map(|summary| &summary.test_confusion).filter(|c| !c.is_empty())
        else {
            return Vec::new();
        };
        let row = |(label, row): (usize, &Vec<usize>)| Row {
            name: self.class(label),
            value: row[label] as f64 / row.iter().sum::<usize>().max(1) as f64,
            spread: 0.0,
            single: Vec::new(),
            kind: 0,
        };
        let mut classes: Vec<Row> = counts.iter().enumerate().map(row).collect();
        let all = classes.len();
        if all > LISTED {
            classes.sort_by(|a, b| a.value.total_cmp(&b.value));
            classes.truncate(LISTED);
        }
        let only = if all > LISTED { format!(" The {LISTED} worst of {all}.") } else { String::new() };
        vec![
            Figure {
                name: "confusion".into(),
                title: "What was taken for what".into(),
                caption: "Test samples of each class (rows) by the answer (columns).".into(),
                chart: Chart::Matrix {
                    names: (0..counts.len()).map(|i| self.class(i)).collect(),
                    counts: counts.clone(),
                },
            },
            Figure {
                name: "class-accuracy".into(),
                title: "Right answers by class".into(),
                caption: format!("Share of each class's test samples whose answer is right.{only}"),
                chart: Chart::Rows { axis: Axis::percent("accuracy, %"), rows: classes, bars: false },
            },
        ]
    }

    fn class(&self, label: usize) -> String {
        self.classes.get(label).cloned().unwrap_or_else(|| label.to_string())
    }

    /// Firing rates and gradient norms of the layers over the epochs.
    fn inside(&self) -> Vec<Figure> {
        let over = |of: fn(&EpochRecord) -> &BTreeMap<String, f64>, keep: fn(&f64) -> bool| -> Vec<Series> {
            let mut modules: Vec<&String> =
                self.records.iter().flat_map(|record| of(record).keys()).collect();
            modules.sort_by_key(|module| (module_number(module), module.as_str()));
            modules.dedup();
            let series = |module: &&String| {
                let name = format!("{} {module}", self.plan.layer_of(module.trim_start_matches("layers.")));
                self.over_epochs(&name, |record| of(record).get(*module).copied().filter(keep))
            };
            modules.iter().map(series).filter(|series| !series.points.is_empty()).collect()
        };
        let figure = |name: &str, title: &str, caption: &str, y, series: Vec<Series>| {
            let chart = Chart::Lines { x: Axis::whole("epoch"), y, series };
            Figure { name: name.into(), title: title.into(), caption: caption.into(), chart }
        };
        let rates = over(|record| &record.firing_rates, |_| true);
        let norms = over(|record| &record.gradient_norms, |norm| *norm > 0.0);
        let silent = self.over_epochs("all samples", |record| record.silent_voters);
        let mut figures = Vec::new();
        if !rates.is_empty() {
            let caption = "Spikes per neuron and time step on the validation samples.";
            figures.push(figure(
                "firing-rates",
                "Firing rates",
                caption,
                Axis::percent("firing rate, %"),
                rates,
            ));
        }
        if !norms.is_empty() {
            let caption = "Norm of the gradient of each module's parameters, mean over the epoch's batches.";
            figures.push(figure("gradient-norms", "Gradients", caption, Axis::log("gradient norm"), norms));
        }
        if !silent.points.is_empty() {
            let caption = "Training samples of whose class no voting neuron fired: under bpsa and bpsta no error passes to such neurons.";
            figures.push(figure(
                "silent-voters",
                "Silent voters",
                caption,
                Axis::percent("samples, %"),
                vec![silent],
            ));
        }
        figures
    }

    fn rasters(&self, samples: &Samples) -> Vec<Figure> {
        let figure = |(i, scene): (usize, &Scene)| Figure {
            name: format!("spikes-{}", i + 1),
            title: format!("Spikes of test sample {}", scene.index),
            caption: format!("Class {}, taken for {}.", self.class(scene.label), self.class(scene.answer)),
            chart: Chart::Raster { steps: scene.certainties.len(), layers: scene.layers.clone() },
        };
        samples.scenes.iter().filter(|scene| !scene.layers.is_empty()).enumerate().map(figure).collect()
    }

    fn mistakes(&self, samples: &Samples) -> Markup {
        html! {
            @if !samples.wrong.is_empty() {
                ul.mistakes { @for mistake in &samples.wrong { li {
                    img src=(data_uri(&mistake.picture)) loading="lazy"
                        alt={ "Test sample " (mistake.index) ", class " (self.class(mistake.label)) };
                    (self.class(mistake.label)) " → " strong { (self.class(mistake.answer)) }
                    div.about { "sample " (mistake.index) ", certain to " (format!("{:.0} %", 100.0 * mistake.certainty)) }
                } } }
            }
        }
    }

    fn again(&self) -> Markup {
        let split = self.summary.as_ref().map(|summary| {
            format!(" The split into training and validation samples has the checksum {}.", summary.split)
        });
        html! {
            p { "Save the settings as " code { "config.toml" } " and run the command. Whatever is random comes from the seed."
                @if let Some(split) = split { (split) } }
            pre tabindex="0" { "synfire train --config config.toml" }
            details open { summary { "config.toml" } pre tabindex="0" { (self.config.to_toml()) } }
        }
    }
}

/// Time steps in words.
pub(crate) fn steps(time_steps: usize) -> String {
    if time_steps == 1 { "1 time step".into() } else { format!("{time_steps} time steps") }
}

fn scene(scene: &Scene) -> serde_json::Value {
    let layer = |layer: &crate::chart::RasterLayer| {
        let fired: String = layer.fired.iter().map(|fired| if *fired { '1' } else { '0' }).collect();
        json!({ "name": layer.name, "neurons": layer.neurons, "fired": fired })
    };
    json!({
        "label": scene.label, "output": scene.output, "certainties": scene.certainties,
        "pictures": scene.pictures.iter().map(|picture| data_uri(picture)).collect::<Vec<_>>(),
        "layers": scene.layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

fn viewer(samples: &Samples, classes: &[String]) -> Markup {
    let name = |scene: &Scene| {
        let right = if scene.label == scene.answer { "" } else { ", taken for " };
        let answer = if right.is_empty() { "" } else { &classes[scene.answer] };
        format!("sample {}: {}{right}{answer}", scene.index, classes[scene.label])
    };
    html! {
        @if samples.scenes.iter().any(|scene| !scene.layers.is_empty()) {
            div #viewer {
                div.controls {
                    label { "Test " select #scene { @for (i, scene) in samples.scenes.iter().enumerate() { option value=(i) { (name(scene)) } } } }
                    button #play type="button" { "Play" }
                    input #step type="range" min="1" max="1" value="1" aria-label="time step";
                    span #now {}
                }
                fieldset #shown { legend { "Layers" } }
                div #stage {
                    div { img #input alt="What the network sees at this step"; div #output {} }
                    div #rasters {}
                }
                span #probe hidden {}
                noscript { p { "The spikes are drawn by a script." } }
            }
        }
    }
}

fn energy(operations: &Operations) -> Figure {
    let row = |name: String, value: f64, kind| Row {
        name,
        value: value / 1e3,
        spread: 0.0,
        single: Vec::new(),
        kind,
    };
    let [whole, part] = match operations.spikes() {
        true => ["without time", "spiking"],
        false => ["all products", "without zeros"],
    };
    let of = operations.energies().into_iter().flat_map(|(by, energy)| {
        [
            row(format!("{whole}, {by}"), energy.ann, 0),
            row(format!("{part}, {by}"), energy.snn + energy.neurons, 1),
        ]
    });
    let rows: Vec<Row> = of.collect();
    Figure {
        name: "energy".into(),
        title: "Energy of a sample".into(),
        caption: format!(
            "Mean of {} test samples, beside a network of the same shape without time that skips no zeros.",
            operations.samples
        ),
        chart: Chart::Rows { axis: Axis::of("energy, nJ"), rows, bars: true },
    }
}

fn energy_table(operations: &Operations) -> Markup {
    let count = |n: f64| thousands(n.round() as u64);
    let head = ["layer", "dense", "effective", "as", "inputs not 0"].map(str::to_string);
    let row = |layer: &synfire::energy::LayerOperations| {
        let kind = if layer.binary { "ACs" } else { "MACs" };
        vec![
            layer.module.clone(),
            count(layer.dense),
            count(layer.effective),
            kind.into(),
            percent(layer.density),
        ]
    };
    let layers: Vec<Vec<String>> = operations.layers.iter().map(row).collect();
    let ratio = |(by, energy): &(&str, synfire::energy::Energy)| {
        let nj = |pj: f64| format!("{:.1}", pj / 1e3);
        vec![
            by.to_string(),
            nj(energy.ann),
            nj(energy.snn),
            nj(energy.neurons),
            format!("{:.2}", energy.ratio()),
        ]
    };
    let energy_head =
        ["counted with", "without time, nJ", "spiking, nJ", "neurons, nJ", "ratio"].map(str::to_string);
    let ratios: Vec<Vec<String>> =
        operations.energies().iter().filter(|_| operations.spikes()).map(ratio).collect();
    html! {
        (page::table("energies", &energy_head, &ratios))
        (page::table("operations", &head, &layers))
    }
}
