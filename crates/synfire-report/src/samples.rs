//! Samples of the test set: what the network saw of them, the spikes they set off, and which it got wrong.

use crate::chart::RasterLayer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, RgbImage};
use std::io::Cursor;
use synfire::energy::{self, Operations};
use synfire::infer::watch;
use synfire::net::Net;
use synfire::train::{Judged, TrainConfig, TrainError, judge};
use synfire_data::{DataSet, Loader, evenly_spaced};

/// Neurons shown of each layer at most.
const NEURONS: usize = 96;
/// Samples whose spikes are shown: right ones, each of another class, and wrong ones.
const RIGHT: usize = 3;
const WRONG: usize = 2;
/// Wrong answers that are listed at most.
const LISTED: usize = 24;

/// What was seen on samples of the test set.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// How many were judged.
    pub judged: usize,
    /// Some, with their spikes.
    pub scenes: Vec<Scene>,
    /// Those that the network got wrong, the most certain first.
    pub wrong: Vec<Mistake>,
    /// How many it got wrong.
    pub mistakes: usize,
    /// Operations.
    pub operations: Operations,
}

/// A sample and the spikes that it sets off.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Its index in the test set.
    pub index: usize,
    /// Its class and the answer.
    pub label: usize,
    /// The class that the network takes it for.
    pub answer: usize,
    /// What it sees: a picture (a PNG file) for each time step, or one for all.
    pub pictures: Vec<Vec<u8>>,
    /// The spikes of each layer.
    pub layers: Vec<RasterLayer>,
    /// What each class got up to each step, in the mean, `[T][classes]`.
    pub output: Vec<Vec<f32>>,
    /// How certain the answer is after each step.
    pub certainties: Vec<f32>,
}

/// A wrong answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// Its index in the test set.
    pub index: usize,
    /// Its class.
    pub label: usize,
    /// The answer.
    pub answer: usize,
    /// How certain it is.
    pub certainty: f32,
    /// All that the network saw of it in one picture, a PNG file.
    pub picture: Vec<u8>,
}

/// A file in the page itself.
pub fn data_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

impl Samples {
    /// Of so many samples of the test set of `data`, evenly spaced. Spikes are shown of the samples `chosen`, by their indices in the
    /// test set; if these are none, of some that the network got right and some that it got wrong. `keep_going` is told how many are
    /// done, and answers whether to go on; once it says no, there is no result.
    ///
    /// # Errors
    /// If a sample cannot be loaded, or the network computes what is NaN or infinite.
    pub fn of(
        net: &mut Net,
        config: &TrainConfig,
        data: &DataSet,
        samples: usize,
        chosen: &[usize],
        keep_going: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Option<Self>, TrainError> {
        let load_all = |indices| Loader::new(data.test.clone(), indices, config.frames(), config.batch_size);
        let indices = evenly_spaced(samples.min(data.test.len()), data.test.len());
        let Some(judged) = judge(net, &load_all(indices.clone())?, config, keep_going)? else {
            return Ok(None);
        };
        let mut go_on = |_| keep_going(judged.len());
        let counted = evenly_spaced(samples.min(200).min(indices.len()), indices.len());
        let counted = load_all(counted.into_iter().map(|i| indices[i]).collect())?;
        let Some(operations) = energy::count(net, &counted, config, &mut go_on)? else { return Ok(None) };
        let Some(chosen) = judge(net, &load_all(chosen.to_vec())?, config, &mut go_on)? else {
            return Ok(None);
        };
        let mut wrong: Vec<&Judged> =
            judged.iter().filter(|judged| judged.course.class() != judged.label).collect();
        let certainty = |judged: &Judged| judged.course.certainties.last().copied().unwrap_or(0.0);
        wrong.sort_by(|a, b| certainty(b).total_cmp(&certainty(a)));
        let mut shown: Vec<&Judged> = chosen.iter().collect();
        if shown.is_empty() {
            for right in judged.iter().filter(|judged| judged.course.class() == judged.label) {
                if shown.len() < RIGHT && shown.iter().all(|other| other.label != right.label) {
                    shown.push(right);
                }
            }
            shown.extend(wrong.iter().take(WRONG));
        }
        let scenes =
            shown.into_iter().map(|judged| Scene::of(net, config, data, judged)).collect::<Result<_, _>>()?;
        let mistake = |judged: &&Judged| {
            Ok(Mistake {
                index: judged.index,
                label: judged.label,
                answer: judged.course.class(),
                certainty: certainty(judged),
                picture: whole(&load(data, config, judged.index)?, net.plan().input),
            })
        };
        let mistakes = wrong.len();
        let wrong = wrong.iter().take(LISTED).map(mistake).collect::<Result<_, TrainError>>()?;
        Ok(Some(Self { judged: judged.len(), scenes, wrong, mistakes, operations }))
    }

    /// Shows the spikes of these layers alone, each named as a layer of the network (`64C3`: all such) or as a module (`layers.3`).
    ///
    /// # Errors
    /// The first name that no layer of neurons has, and what these are called.
    pub fn show_layers(&mut self, wanted: &[String]) -> Result<(), String> {
        let Some(scene) = self.scenes.first() else { return Ok(()) };
        let has = |layer: &RasterLayer, name: &String| layer.name.split(' ').any(|part| part == name);
        if let Some(unknown) = wanted.iter().find(|name| !scene.layers.iter().any(|layer| has(layer, name))) {
            let known = scene.layers.iter().map(|layer| layer.name.replace(' ', " or ")).collect::<Vec<_>>();
            return Err(format!("no layer of neurons is called {unknown}; there are {}", known.join(", ")));
        }
        for scene in &mut self.scenes {
            scene.layers.retain(|layer| wanted.is_empty() || wanted.iter().any(|name| has(layer, name)));
        }
        Ok(())
    }
}

fn load(data: &DataSet, config: &TrainConfig, index: usize) -> Result<Vec<f32>, TrainError> {
    let mut values = vec![0.0; data.test.sample_len(&config.frames())];
    data.test.load(index, &config.frames(), &mut values)?;
    Ok(values)
}

impl Scene {
    fn of(net: &mut Net, config: &TrainConfig, data: &DataSet, judged: &Judged) -> Result<Self, TrainError> {
        let values = load(data, config, judged.index)?;
        let watched = watch(net, config, &values, judged.index)?;
        let input = net.plan().input;
        let brightest = brightest(&values);
        let frames = values.chunks_exact(input.iter().product());
        let plan = net.plan();
        let layer = |layer: &synfire::infer::WatchedLayer| {
            let all = layer.spikes.len() / config.time_steps;
            let chosen = evenly_spaced(all.min(NEURONS), all);
            let step = |t: usize| {
                chosen.iter().map(move |&neuron| layer.spikes[t * all + neuron] != 0.0).collect::<Vec<_>>()
            };
            RasterLayer {
                name: format!(
                    "{} {}",
                    plan.layer_of(layer.module.trim_start_matches("layers.")),
                    layer.module
                ),
                neurons: chosen.len(),
                fired: (0..config.time_steps).flat_map(step).collect(),
            }
        };
        let classes = plan.classes;
        let mut sum = vec![0.0; classes];
        let so_far = watched.readout.chunks_exact(classes).enumerate().map(|(t, step)| {
            sum.iter_mut().zip(step).for_each(|(sum, value)| *sum += value);
            sum.iter().map(|sum| sum / (t + 1) as f32).collect()
        });
        Ok(Self {
            index: judged.index,
            label: judged.label,
            answer: judged.course.class(),
            pictures: frames.map(|frame| png(&picture(frame, input, brightest), input)).collect(),
            output: so_far.collect(),
            layers: watched.layers.iter().map(layer).collect(),
            certainties: watched.course.certainties,
        })
    }
}

fn brightest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most: f32, value| most.max(*value))
}

/// All frames of a sample in one picture.
fn whole(values: &[f32], input: [usize; 3]) -> Vec<u8> {
    let mut sum = vec![0.0; input.iter().product()];
    values
        .chunks_exact(sum.len())
        .for_each(|frame| sum.iter_mut().zip(frame).for_each(|(sum, value)| *sum += value));
    png(&picture(&sum, input, brightest(&sum)), input)
}

/// `[height, width, 3]` of a frame `[C, H, W]`: a grey or coloured image, or events, on in blue and off in orange.
fn picture(frame: &[f32], [channels, height, width]: [usize; 3], brightest: f32) -> Vec<u8> {
    let pixels = height * width;
    let level = |channel: usize, pixel: usize| frame[channel * pixels + pixel] / brightest.max(1e-12);
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    (0..pixels)
        .flat_map(|pixel| match channels {
            3 => [0, 1, 2].map(|channel| byte(level(channel, pixel))),
            // A few events must be seen beside many.
            2 => {
                let [off, on] = [0, 1].map(|channel| level(channel, pixel).max(0.0).sqrt());
                [byte(off + 0.28 * on), byte(0.5 * off + 0.7 * on), byte(0.16 * off + on)]
            }
            _ => [byte(level(0, pixel)); 3],
        })
        .collect()
}

fn png(rgb: &[u8], [_, height, width]: [usize; 3]) -> Vec<u8> {
    let image = RgbImage::from_raw(width as u32, height as u32, rgb.to_vec()).expect("three bytes a pixel");
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).expect("memory takes all");
    file.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_show_what_the_network_sees() {
        assert_eq!(
            picture(&[0.0, 0.5, 1.0, 2.0], [1, 2, 2], 2.0),
            [[0; 3], [64; 3], [128; 3], [255; 3]].concat()
        );
        // Off, on, neither, both.
        let events = picture(&[4.0, 0.0, 0.0, 1.0, 0.0, 4.0, 0.0, 1.0], [2, 2, 2], 4.0);
        let [off, on, none] = [0, 1, 2].map(|pixel| <[u8; 3]>::try_from(&events[3 * pixel..][..3]).unwrap());
        assert!(off[0] > off[2] && on[2] > on[0] && none == [0; 3], "{events:?}");
        let rgb = picture(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [3, 1, 2], 1.0);
        assert_eq!(rgb, [255, 0, 255, 0, 0, 0]);
        assert!(png(&rgb, [3, 1, 2]).starts_with(b"\x89PNG"));
        assert!(whole(&[0.0, 1.0, 1.0, 1.0], [1, 1, 2]).starts_with(b"\x89PNG"));
        assert!(data_uri(b"abc").ends_with(";base64,YWJj"));
    }
}
