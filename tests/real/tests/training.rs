//! Short training runs on published data sets: the loss falls.

use burn::tensor::Device;
use synfire::train::{EpochRecord, Observer, RunFolder, TrainConfig, Trainer};
use synfire_data::Framing;
use synfire_real_data::{folder, real};

#[derive(Default)]
struct Losses(Vec<f64>);

impl Observer for Losses {
    fn epoch(&mut self, record: &EpochRecord) {
        self.0.push(record.train_loss);
    }
}

fn train(dataset: &str, change: TrainConfig) {
    let samples = real(dataset).train.len().min(400);
    let config = TrainConfig {
        dataset: dataset.into(),
        net: "8C3-MP2-16C3-AP4-LI4".into(),
        time_steps: 3,
        epochs: 3,
        batch_size: 20,
        train_samples: samples,
        validation: 40,
        data_dir: Some(folder()),
        ..change
    };
    let run = tempfile::tempdir().unwrap();
    let mut losses = Losses::default();
    let mut trainer = Trainer::start(config, RunFolder::new(run.path()), &Device::flex()).unwrap();
    trainer.run(&mut losses).unwrap();
    assert!(losses.0.is_sorted_by(|earlier, later| earlier > later), "{:?}", losses.0);
    let summary = trainer.folder().summary().unwrap();
    assert_eq!((summary.train_samples, summary.validation_samples), (samples - 40, 40));
}

#[test]
#[cfg_attr(not(mnist), ignore = "needs the data set mnist, in a folder that SYNFIRE_DATA names")]
fn mnist() {
    train("mnist", TrainConfig::default());
}

#[test]
#[cfg_attr(not(cifar_10), ignore = "needs the data set cifar-10, in a folder that SYNFIRE_DATA names")]
fn cifar_10() {
    train("cifar-10", TrainConfig::default());
}

#[test]
#[cfg_attr(not(nmnist), ignore = "needs the data set nmnist, in a folder that SYNFIRE_DATA names")]
fn nmnist() {
    for framing in [Framing::Count, Framing::Time] {
        train("nmnist", TrainConfig { framing, ..TrainConfig::default() });
    }
}
