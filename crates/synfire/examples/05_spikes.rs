//! A picture of a network at work: three digits, the spikes they set off layer by layer, and the readout's potentials.
//!
//! `cargo run --release -p synfire --example 05_spikes [OUT.svg]`

use burn::tensor::{Device, Tensor, TensorData};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::path::PathBuf;
use synfire::net::{Input, Net, Pass, Record};
use synfire::train::{Checkpoint, Observer, RunFolder, TrainConfig, Trainer};
use synfire_data::{FrameSpec, Locations};

/// Time steps shown; the network was trained with four.
const STEPS: usize = 16;
/// Neurons shown of each layer.
const NEURONS: usize = 72;
/// Numbers of the test samples shown.
const SAMPLES: [usize; 3] = [3, 33, 64];
const CLASSES: usize = 10;

struct Quiet;
impl Observer for Quiet {}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What a digit sets off.
struct Scene {
    pixels: Vec<f32>,
    label: usize,
    /// The layer's name, and `[STEPS][values]`.
    layers: Vec<(String, Vec<f32>)>,
    /// `[STEPS][CLASSES]`.
    readout: Vec<f32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args().nth(1).map_or(std::env::temp_dir().join("synfire-spikes.svg"), PathBuf::from);
    let folder = std::env::temp_dir().join(format!("synfire-spikes-{}", std::process::id()));
    let device = Device::flex();
    let config = TrainConfig { net: "16C3-MP2-32C3-AP2-LI10".into(), epochs: 6, ..TrainConfig::default() };
    let mut trainer = Trainer::start(config, RunFolder::new(&folder), &device)?;
    trainer.run(&mut Quiet)?;
    let best = trainer.folder().best();
    let mut net = Checkpoint::read(&best)?.net(&best, &device)?;
    drop(trainer);
    std::fs::remove_dir_all(&folder)?;

    let scenes = SAMPLES.map(|sample| scene(&mut net, sample, &device));
    draw(&out, &scenes.into_iter().collect::<Result<Vec<_>, _>>()?)?;
    println!("{}", out.display());
    Ok(())
}

fn scene(net: &mut Net, sample: usize, device: &Device) -> Result<Scene, Box<dyn Error>> {
    let test = synfire_data::open("digits", &Locations::new(None)?)?.test;
    let mut pixels = vec![0.0; 64];
    test.load(sample, &FrameSpec::default(), &mut pixels)?;
    let image = Tensor::<4>::from_data(TensorData::new(pixels.clone(), [1, 1, 8, 8]), device);
    let mut pass = Pass::inference().recording(Record::Spikes);
    let readout = net.forward(Input::constant(image, STEPS), &mut pass);
    let readout = readout.into_data().try_into_vec()?;
    let layers = pass.recorded.into_iter().map(|layer| {
        let spikes = layer.spikes.expect("spikes were recorded");
        (net.plan().layer_of(&layer.module), spikes.into_data().try_into_vec().expect("f32 spikes"))
    });
    Ok(Scene { pixels, label: test.label(sample), layers: layers.collect(), readout })
}

fn draw(path: &std::path::Path, scenes: &[Scene]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, (960, 170 * scenes.len() as u32 + 30)).into_drawing_area();
    root.fill(&WHITE)?;
    for (row, scene) in root.split_evenly((scenes.len(), 1)).into_iter().zip(scenes) {
        let (image, rest) = row.split_horizontally(160);
        let (rasters, lines) = rest.split_horizontally(520);
        draw_image(&image.margin(30, 10, 10, 10), scene)?;
        for (area, layer) in rasters.split_evenly((1, scene.layers.len())).iter().zip(&scene.layers) {
            draw_raster(area, layer)?;
        }
        draw_readout(&lines, scene)?;
    }
    root.present()?;
    Ok(())
}

fn draw_image(area: &Area, scene: &Scene) -> Result<(), Box<dyn Error>> {
    let side = 15;
    for (i, value) in scene.pixels.iter().enumerate() {
        let (x, y) = (i as i32 % 8 * side, i as i32 / 8 * side);
        let grey = 255 - (value * 255.0) as u8;
        let colour = RGBColor(grey, grey, grey);
        area.draw(&Rectangle::new([(x, y), (x + side, y + side)], colour.filled()))?;
    }
    area.draw(&Rectangle::new([(0, 0), (8 * side, 8 * side)], BLACK.mix(0.3)))?;
    Ok(())
}

/// A time step on the axis.
fn whole(step: &f32) -> String {
    format!("{step:.0}")
}

/// A dot for a spike: time to the right, neurons, evenly taken from the layer, upwards.
fn draw_raster(area: &Area, (name, spikes): &(String, Vec<f32>)) -> Result<(), Box<dyn Error>> {
    let values = spikes.len() / STEPS;
    let rate = spikes.iter().sum::<f32>() / spikes.len() as f32;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{name}, {:.0} % firing", 100.0 * rate), ("sans-serif", 14))
        .margin(8)
        .x_label_area_size(18)
        .build_cartesian_2d(0.5..STEPS as f32 + 0.5, -1.0..NEURONS as f32)?;
    chart.configure_mesh().disable_mesh().disable_y_axis().x_labels(4).x_label_formatter(&whole).draw()?;
    let spike = |t: usize, neuron: usize| spikes[t * values + neuron * values / NEURONS] == 1.0;
    let fired = (0..STEPS).flat_map(|t| (0..NEURONS).map(move |neuron| (t, neuron)));
    chart.draw_series(
        fired
            .filter(|&(t, neuron)| spike(t, neuron))
            .map(|(t, neuron)| Circle::new(((t + 1) as f32, neuron as f32), 1, BLACK.filled())),
    )?;
    Ok(())
}

/// The mean so far of each class's potential; that of the digit's own class is red.
fn draw_readout(area: &Area, scene: &Scene) -> Result<(), Box<dyn Error>> {
    let mut sums = [0.0; CLASSES];
    let mut curves = vec![Vec::new(); CLASSES];
    for (t, step) in scene.readout.chunks(CLASSES).enumerate() {
        for (class, value) in step.iter().enumerate() {
            sums[class] += value;
            curves[class].push((t as f32 + 1.0, sums[class] / (t as f32 + 1.0)));
        }
    }
    let all = || curves.iter().flatten().map(|point| point.1);
    let (low, high) = (all().fold(f32::MAX, f32::min), all().fold(f32::MIN, f32::max));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("readout; red: class {}", scene.label), ("sans-serif", 14))
        .margin(8)
        .x_label_area_size(18)
        .y_label_area_size(28)
        .build_cartesian_2d(0.5..STEPS as f32 + 0.5, low..high)?;
    chart.configure_mesh().disable_mesh().x_labels(4).y_labels(3).x_label_formatter(&whole).draw()?;
    for (class, curve) in curves.into_iter().enumerate() {
        let own = class == scene.label;
        let style = if own { RED.stroke_width(2) } else { BLACK.mix(0.25).stroke_width(1) };
        chart.draw_series(LineSeries::new(curve, style))?;
    }
    Ok(())
}
