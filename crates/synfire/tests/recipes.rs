//! The recipes of the paper's figures: each is read, its network is built for the data set's shape, and its first steps run on made-up
//! samples of that shape.

mod common;

use burn::tensor::Device;
use common::{random, tensor};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use synfire::net::{Input, Net, Pass};
use synfire::optim::Optimizer;
use synfire::train::{Step, TrainConfig};

fn recipes() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The set a recipe is for: channels, height and width of what the network sees, classes, and whether it is of events.
fn shape(dataset: &str) -> ([usize; 3], usize, bool) {
    match dataset {
        "mnist" => ([1, 28, 28], 10, false),
        "cifar-10" => ([3, 32, 32], 10, false),
        "nmnist" => ([2, 34, 34], 10, true),
        "dvs128-gesture" => ([2, 64, 64], 11, true),
        "cifar10-dvs" => ([2, 64, 64], 10, true),
        other => panic!("a recipe for {other}: add its shape here"),
    }
}

#[test]
fn every_published_figure_has_a_recipe_whose_first_steps_run() {
    let mut sets = BTreeSet::new();
    for path in recipes() {
        let config = TrainConfig::resolve(Some(&path), toml::Table::new()).unwrap();
        config.validate().unwrap();
        assert_eq!((&*config.recipe, config.weight_decay, config.lr), ("paper", 1e-4, 1e-3), "{path:?}");
        sets.insert(config.dataset.clone());
        let (input, classes, events) = shape(&config.dataset);
        let plan = config.plan(input, classes).unwrap();
        let mut net = Net::new(plan, config.lif(), config.seed, &Device::flex());
        net.norm = config.norm;
        let mut optimizer = Optimizer::new(config.optimizer, config.weight_decay, config.momentum);
        // The whole batch would take the time of the whole test; the time steps are the recipe's, or two of them for deep networks.
        let steps = if config.net == "resnet34" { 2 } else { config.time_steps };
        let (batch, [c, h, w]) = (2, input);
        for step in 0..2 {
            let input = if events {
                let counts = random(step, steps * batch * c * h * w)
                    .into_iter()
                    .map(|x| (4.0 * x - 2.0).max(0.0).round());
                Input::frames(tensor(&counts.collect::<Vec<_>>(), [steps, batch, c, h, w]))
            } else {
                let pixels: Vec<f32> = random(step, batch * c * h * w).into_iter().map(f32::abs).collect();
                Input::constant(tensor(&pixels, [batch, c, h, w]), steps)
            };
            let taken = Step::run(&mut net, input, &[1, 7], config.loss, &mut Pass::training(None)).unwrap();
            assert!(
                taken.loss > 0.0 && taken.norms.iter().any(|norm| *norm > 0.0),
                "{path:?}: {}",
                taken.loss
            );
            optimizer.step(&mut net, taken.gradients, config.lr);
        }
        net.check().unwrap();
    }
    let expected = ["cifar-10", "cifar10-dvs", "dvs128-gesture", "mnist", "nmnist"];
    assert_eq!(sets.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(recipes().len(), 6);
}
