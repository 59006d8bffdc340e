//! A whole run through the library: settings, an observer, the summary.
//!
//! `cargo run --release -p synfire --example 03_train`

use burn::tensor::Device;
use synfire::train::{EpochRecord, Observer, Outcome, RunFolder, TrainConfig, TrainError, Trainer};

struct Print;

impl Observer for Print {
    fn note(&mut self, text: &str) {
        println!("{text}");
    }

    fn epoch(&mut self, record: &EpochRecord) {
        println!("epoch {}: validation accuracy {:.3}", record.epoch, record.validation_accuracy);
    }
}

fn main() -> Result<(), TrainError> {
    // The default recipe of the built-in digits, shortened.
    let config = TrainConfig { net: "16C3-MP2-32C3-AP2-LI10".into(), epochs: 5, ..TrainConfig::default() };
    let folder = std::env::temp_dir().join(format!("synfire-example-{}", std::process::id()));
    let mut trainer = Trainer::start(config, RunFolder::new(&folder), &Device::flex())?;
    if let Outcome::Finished(summary) = trainer.run(&mut Print)? {
        println!(
            "test accuracy {:.3} after {:.1} s, in {}",
            summary.test_accuracy,
            summary.train_seconds,
            folder.display()
        );
    }
    Ok(())
}
