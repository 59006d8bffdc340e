//! What a training run is made of.

use super::error::ConfigError;
use super::learning::{Learning, Voters};
use super::precision::PrecisionChoice;
use super::recipes;
use crate::encode::Encoding;
use crate::loss::Loss;
use crate::net::{LayerSpec, Net, NetSpec, Norm, Plan, Readout, named};
use crate::ops::{Lif, Method};
use crate::optim::{OptimizerKind, Schedule};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use synfire_data::{
    Augment, DataError, DataSet, Downsampling, FrameSize, FrameSpec, FrameValues, Framing, Kind, Polarities,
    Split, evenly_spaced, is_path, validation_split,
};

/// Time steps at most.
pub const MOST_STEPS: usize = 4096;

/// Every setting of a run. The keys are those of configuration files and, with `--`, of the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrainConfig {
    /// Data set.
    pub dataset: String,
    /// Recipe whose values stand where nothing else was said.
    pub recipe: String,
    /// Named network or layer string.
    pub net: String,
    /// stbp, bpsa or bpsta; or ann, without neurons and time.
    #[serde(with = "text")]
    pub method: Learning,
    /// Membrane potential at which a neuron fires.
    pub threshold: f32,
    /// Share of the potential that a step leaves.
    pub decay: f32,
    /// Weight of the error that crosses a spike back in time (bpsta).
    pub alpha: f32,
    /// By which method voting neurons learn; same: as the others.
    #[serde(with = "text")]
    pub voter_method: Voters,
    /// A ReLU stands before each hidden neuron.
    pub relu: bool,
    /// Over which values batch norm takes its statistics.
    #[serde(with = "text")]
    pub norm: Norm,
    /// Where several processes train one network, batch norm takes its statistics over the samples of all, not of each.
    pub sync_norm: bool,
    /// What convolutions multiply.
    #[serde(with = "text")]
    pub precision: PrecisionChoice,
    /// Time steps T.
    pub time_steps: usize,
    /// How events become T frames.
    #[serde(with = "text")]
    pub framing: Framing,
    /// How large frames of events are.
    #[serde(with = "text")]
    pub frame_size: FrameSize,
    /// How frames are made that are smaller than the sensor.
    #[serde(with = "text")]
    pub downsampling: Downsampling,
    /// Whether frames of events tell polarities apart.
    #[serde(with = "text")]
    pub polarities: Polarities,
    /// What the values in frames of events say.
    #[serde(with = "text")]
    pub frame_values: FrameValues,
    /// How still images become T frames.
    #[serde(with = "text")]
    pub encoding: Encoding,
    /// What is minimised.
    #[serde(with = "text")]
    pub loss: Loss,
    /// Which optimiser.
    #[serde(with = "text")]
    pub optimizer: OptimizerKind,
    /// Peak learning rate.
    pub lr: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Momentum (sgd).
    pub momentum: f64,
    /// How the learning rate goes over the epochs.
    #[serde(with = "text")]
    pub schedule: Schedule,
    /// Epochs at most.
    pub epochs: usize,
    /// How many of them train a plain network without neurons first (still images).
    pub ann_epochs: usize,
    /// Samples of a batch.
    pub batch_size: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// Training samples held back to choose the model; 0 for a tenth of them, at most 5,000.
    pub validation: usize,
    /// Training samples used, evenly spaced over the order of the files; 0 for all.
    pub train_samples: usize,
    /// Largest common norm of the gradients; 0 for no limit.
    pub clip_norm: f64,
    /// Epochs without a better validation accuracy after which training stops; 0 for never.
    pub patience: usize,
    /// Augmentation: random shift by up to so many pixels.
    pub shift: u16,
    /// Augmentation: random mirroring left to right.
    pub flip: bool,
    /// Augmentation: random rotation by up to so many degrees.
    pub rotate: f32,
    /// Augmentation of events: some are left out (EventDrop).
    pub event_drop: bool,
    /// Augmentation of events: they are moved by so many pixels, one standard deviation.
    pub jitter: f32,
    /// Augmentation of events: the share of samples that are mixed with another (EventMix).
    pub event_mix: f32,
    /// Folder of data sets; a run writes it down whole, so that it is found from anywhere. Not part of a checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
}

impl Default for TrainConfig {
    /// The default recipe of the built-in data set.
    fn default() -> Self {
        recipes::recipe("default", "digits").expect("the built-in set has a default recipe")
    }
}

/// Values that are written as their `Display` and read by their `FromStr`.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl TrainConfig {
    /// Resolves a run: the recipe's values, over them those of a configuration file, over them `given`.
    ///
    /// # Errors
    /// If the file cannot be read, a key is unknown, a value is of the wrong kind, one of the file is out of range, or
    /// the recipe does not exist.
    pub fn resolve(file: Option<&Path>, given: toml::Table) -> Result<Self, ConfigError> {
        let mut settings = match file {
            Some(path) => Self::settings_in(path)?,
            None => toml::Table::new(),
        };
        settings.extend(given.clone());
        let name = |key: &str, default: &str| {
            settings.get(key).and_then(toml::Value::as_str).unwrap_or(default).to_string()
        };
        let recipe = recipes::recipe(&name("recipe", "default"), &name("dataset", "digits"))?;
        let mut table = toml::Table::try_from(&recipe).expect("a configuration is a table");
        settings.remove("dataset");
        table.extend(settings.clone());
        // The steps of a file are those of the method there.
        let steps = if given.contains_key("method") { &given } else { &settings };
        if !steps.contains_key("time-steps")
            && table.get("method").and_then(toml::Value::as_str) == Some("ann")
        {
            table.insert("time-steps".into(), 1.into());
        }
        let config: Self = table.try_into().map_err(|e: toml::de::Error| ConfigError::File {
            path: file.unwrap_or(Path::new("command line")).to_path_buf(),
            problem: e.message().to_string(),
        })?;
        match (file, config.validate()) {
            // A value given over the file's is not the file's fault.
            (Some(path), Err(wrong)) if !wrong.key().is_some_and(|key| given.contains_key(key)) => {
                Err(ConfigError::File { path: path.to_path_buf(), problem: wrong.to_string() })
            }
            _ => Ok(config),
        }
    }

    /// The settings that a configuration file gives.
    ///
    /// # Errors
    /// If it cannot be read, a key is unknown or a value is of the wrong kind.
    pub fn settings_in(path: &Path) -> Result<toml::Table, ConfigError> {
        let error = |problem: String| ConfigError::File { path: path.to_path_buf(), problem };
        let text = std::fs::read_to_string(path).map_err(|e| error(format!("cannot be read: {e}")))?;
        // Read as a whole configuration first, for errors that name the line.
        toml::from_str::<Self>(&text).map_err(|e| error(e.to_string().trim_end().to_string()))?;
        toml::from_str(&text).map_err(|e| error(e.to_string()))
    }

    /// Numbers of the training samples in use, of the `available` ones.
    fn used(&self, available: usize) -> Vec<usize> {
        let n = if self.train_samples == 0 { available } else { self.train_samples.min(available) };
        evenly_spaced(n, available)
    }

    /// Puts values in place of what depends on the data set, the processor and the working directory, so that what
    /// is written down says all.
    ///
    /// # Errors
    /// If the path of the data sets is no UTF-8.
    pub(super) fn settle(&mut self, data: &DataSet, device: &Device) -> Result<(), ConfigError> {
        self.check_precision(device)?;
        if self.validation == 0 {
            self.validation = ((self.used(data.train.len()).len() + 5) / 10).clamp(1, 5000);
        }
        self.precision = PrecisionChoice::Fixed(self.precision.on(device));
        self.data_dir = self.data_dir.as_deref().map(|folder| whole("data-dir", folder)).transpose()?;
        if is_path(&self.dataset) {
            self.dataset = whole("dataset", Path::new(&self.dataset))?.to_string_lossy().into_owned();
        }
        Ok(())
    }

    /// Checks that `device` has the precision.
    ///
    /// # Errors
    /// If it has not.
    pub(super) fn check_precision(&self, device: &Device) -> Result<(), ConfigError> {
        if self.precision.fits(device) {
            return Ok(());
        }
        let (key, found) = ("precision", self.precision.to_string());
        Err(ConfigError::Value {
            key,
            found,
            expected:
                "f32 or auto, since the device has no bf16 (a run goes on in the precision it was begun with)"
                    .into(),
        })
    }

    /// Which samples of `data.train` are trained on and which choose the model.
    ///
    /// # Errors
    /// If no sample would be left to train on.
    pub fn split(&self, data: &DataSet) -> Result<Split, DataError> {
        let used = self.used(data.train.len());
        let labels: Vec<usize> = used.iter().map(|&sample| data.train.label(sample)).collect();
        let Split { train, validation } = validation_split(&labels, self.validation, self.seed)?;
        let samples = |list: Vec<usize>| list.into_iter().map(|i| used[i]).collect();
        Ok(Split { train: samples(train), validation: samples(validation) })
    }

    /// The text of `config.toml`.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration is a table")
    }

    /// The first setting that is another in `other`, with both values; the folder of data sets may be any.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let table = |config: &Self| toml::Table::try_from(config).expect("a configuration is a table");
        let (own, other) = (table(self), table(other));
        let mut settings = own.iter().filter(|(key, _)| *key != "data-dir");
        let (key, value) = settings.find(|(key, value)| other.get(*key) != Some(*value))?;
        Some(format!("{key} = {value} here, {} there", other[key]))
    }

    /// The first setting that a run which was begun with these has otherwise, with both values. What a run settles when it begins may be
    /// anything here.
    pub(crate) fn unlike(&self, run: &Self) -> Option<String> {
        let mut own = self.clone();
        if own.validation == 0 {
            own.validation = run.validation;
        }
        if own.precision == PrecisionChoice::Auto {
            own.precision = run.precision;
        }
        own.difference(run)
    }

    /// The neuron.
    pub fn lif(&self) -> Lif {
        let method = match self.method {
            Learning::Spiking(method) => method,
            Learning::Ann => Method::default(),
        };
        Lif { method, threshold: self.threshold, decay: self.decay, alpha: self.alpha }
    }

    /// The network has no neurons.
    pub fn is_ann(&self) -> bool {
        self.method == Learning::Ann
    }

    /// Frames of an event recording.
    pub fn frames(&self) -> FrameSpec {
        FrameSpec {
            steps: self.time_steps,
            framing: self.framing,
            polarities: self.polarities,
            values: self.frame_values,
            size: self.frame_size,
            downsampling: self.downsampling,
        }
    }

    /// Augmentation of the training samples.
    pub fn augment(&self) -> Augment {
        Augment {
            shift: self.shift,
            flip: self.flip,
            rotate: self.rotate,
            event_drop: self.event_drop,
            jitter: self.jitter,
            event_mix: self.event_mix,
        }
    }

    /// The network's layer string: that of a named network, or `net` itself.
    pub fn layers(&self) -> &str {
        named(&self.net).map_or(&self.net, |net| net.layers)
    }

    /// The network for inputs `[C, H, W]`.
    ///
    /// # Errors
    /// If the layer string is wrong or does not fit the input.
    pub fn plan(&self, input: [usize; 3], classes: usize) -> Result<Plan, ConfigError> {
        let spec: NetSpec = self.layers().parse()?;
        Ok(Plan::new(&spec, input, classes, self.relu)?)
    }

    /// A fresh network of these settings.
    pub fn build(&self, plan: Plan, seed: u64, device: &Device) -> Net {
        let mut net = Net::new(plan, self.lif(), seed, device);
        if let Voters::By(method) = self.voter_method {
            net.voters = Lif { method, ..net.lif };
        }
        net.norm = self.norm;
        net.precision = self.precision.on(device);
        net
    }

    /// Checks every value that does not need the data.
    ///
    /// # Errors
    /// The first value out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let value = |ok: bool, key: &'static str, found: &dyn ToString, expected: &str| {
            if ok {
                Ok(())
            } else {
                Err(ConfigError::Value { key, found: found.to_string(), expected: expected.into() })
            }
        };
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let not_negative = |x: f64| x.is_finite() && x >= 0.0;
        value(self.time_steps >= 1, "time-steps", &self.time_steps, "at least 1")?;
        let most = format!("at most {MOST_STEPS}");
        value(self.time_steps <= MOST_STEPS, "time-steps", &self.time_steps, &most)?;
        let timeless = !self.is_ann() || self.time_steps == 1;
        value(timeless, "time-steps", &self.time_steps, "1, as the method `ann` knows no time")?;
        let direct = !self.is_ann() || self.encoding == Encoding::Direct;
        value(direct, "encoding", &self.encoding, "direct, as the method `ann` knows no spikes")?;
        let all_events = !(self.is_ann() && matches!(self.framing, Framing::Duration(_)));
        value(
            all_events,
            "framing",
            &self.framing,
            "count or time, as the method `ann` sees all events in one frame",
        )?;
        value(self.epochs >= 1, "epochs", &self.epochs, "at least 1")?;
        value(self.batch_size >= 1, "batch-size", &self.batch_size, "at least 1")?;
        value(
            self.seed <= i64::MAX as u64,
            "seed",
            &self.seed,
            "at most 2^63 - 1, what a TOML file can hold",
        )?;
        value(positive(self.lr), "lr", &self.lr, "a number above 0")?;
        value(not_negative(self.weight_decay), "weight-decay", &self.weight_decay, "a number of at least 0")?;
        value((0.0..1.0).contains(&self.momentum), "momentum", &self.momentum, "from 0 to below 1")?;
        value(not_negative(self.clip_norm), "clip-norm", &self.clip_norm, "a number of at least 0")?;
        let spiking = self.ann_epochs < self.epochs;
        value(spiking, "ann-epochs", &self.ann_epochs, &format!("fewer than the {} epochs", self.epochs))?;
        value(
            self.threshold.is_finite() && self.threshold > 0.0,
            "threshold",
            &self.threshold,
            "a number above 0",
        )?;
        value((0.0..=1.0).contains(&self.decay), "decay", &self.decay, "from 0 to 1")?;
        value(not_negative(self.alpha.into()), "alpha", &self.alpha, "a number of at least 0")?;
        value((0.0..=180.0).contains(&self.rotate), "rotate", &self.rotate, "from 0 to 180")?;
        value((0.0..=100.0).contains(&self.jitter), "jitter", &self.jitter, "from 0 to 100")?;
        value((0.0..=1.0).contains(&self.event_mix), "event-mix", &self.event_mix, "from 0 to 1")?;
        self.data_dir.as_deref().map(|folder| whole("data-dir", folder)).transpose()?;
        // What is left is the layer string.
        let spec = self.layers().parse::<NetSpec>()?;
        let votes = matches!(spec.layers.last(), Some(LayerSpec::Readout { kind: Readout::Vote, .. }));
        let learns = self.voter_method == Voters::Same || (votes && !self.is_ann());
        value(learns, "voter-method", &self.voter_method, "same, as this network has no voting neurons")
    }

    /// Checks what depends on the data set.
    ///
    /// # Errors
    /// The first value that does not fit it.
    pub fn validate_for(&self, data: &DataSet) -> Result<(), ConfigError> {
        let only_for = |kind: Kind, ok: bool, key: &'static str, found: &dyn ToString| {
            if ok || data.kind == kind {
                Ok(())
            } else {
                let events = data.kind == Kind::Events;
                Err(ConfigError::WrongKind { key, found: found.to_string(), events, set: data.name.clone() })
            }
        };
        only_for(Kind::Still, self.ann_epochs == 0, "ann-epochs", &self.ann_epochs)?;
        only_for(Kind::Still, self.encoding == Encoding::Direct, "encoding", &self.encoding)?;
        let (frames, usual) = (self.frames(), FrameSpec::new(self.time_steps));
        let events_only = |ok, key, found: &dyn ToString| only_for(Kind::Events, ok, key, found);
        events_only(frames.framing == usual.framing, "framing", &self.framing)?;
        events_only(frames.size == usual.size, "frame-size", &self.frame_size)?;
        events_only(frames.polarities == usual.polarities, "polarities", &self.polarities)?;
        events_only(frames.values == usual.values, "frame-values", &self.frame_values)?;
        events_only(!self.event_drop, "event-drop", &self.event_drop)?;
        events_only(self.jitter == 0.0, "jitter", &self.jitter)?;
        events_only(self.event_mix == 0.0, "event-mix", &self.event_mix)?;
        let [_, sensor_height, sensor_width] = data.shape(&usual);
        let [_, height, width] = data.shape(&frames);
        if data.kind == Kind::Events && (height > sensor_height || width > sensor_width) {
            return Err(ConfigError::Value {
                key: "frame-size",
                found: self.frame_size.to_string(),
                expected: format!(
                    "at most {sensor_width}x{sensor_height}, as the sensor of {} is",
                    data.name
                ),
            });
        }
        let value = |ok: bool, key: &'static str, found: usize, expected: String| {
            if ok { Ok(()) } else { Err(ConfigError::Value { key, found: found.to_string(), expected }) }
        };
        let (shift, smaller) = (usize::from(self.shift), height.min(width));
        value(shift < smaller, "shift", shift, format!("less than the {height}x{width} pixels of an image"))?;
        let available = data.train.len();
        let expected = format!("at most the {available} training samples there are");
        value(self.train_samples <= available, "train-samples", self.train_samples, expected)?;
        let used = self.used(available).len();
        let expected = format!("fewer than the {used} training samples");
        value(self.validation < used, "validation", self.validation, expected)
    }
}

/// A folder as a configuration file can hold it, the same from any working directory.
fn whole(key: &'static str, folder: &Path) -> Result<PathBuf, ConfigError> {
    match std::path::absolute(folder) {
        Ok(whole) if whole.to_str().is_some() => Ok(whole),
        _ => Err(ConfigError::Value {
            key,
            found: folder.display().to_string(),
            expected: "a path in UTF-8, as TOML files are".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> toml::Table {
        text.parse().unwrap()
    }

    #[test]
    fn the_command_line_stands_over_the_file_over_the_recipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, "epochs = 7\nlr = 0.5\nmethod = \"stbp\"\n").unwrap();
        let config = TrainConfig::resolve(Some(&path), given("epochs = 9")).unwrap();
        assert_eq!((config.epochs, config.lr, config.method), (9, 0.5, Learning::Spiking(Method::Stbp)));
        assert_eq!(config.net, TrainConfig::default().net);
    }

    #[test]
    fn a_network_without_neurons_has_one_step() {
        let config = TrainConfig::resolve(None, given("method = \"ann\"")).unwrap();
        assert_eq!((config.time_steps, config.is_ann(), config.validate().is_ok()), (1, true, true));
        let steps = TrainConfig { time_steps: 2, ..config.clone() };
        assert!(steps.validate().unwrap_err().to_string().contains("knows no time"));
        let rate = TrainConfig { encoding: Encoding::Rate, ..config.clone() };
        assert!(rate.validate().unwrap_err().to_string().contains("knows no spikes"));
        let first = TrainConfig { framing: "1ms".parse().unwrap(), ..config };
        assert!(first.validate().unwrap_err().to_string().contains("all events"));
        // The file of a spiking run becomes that of the network to compare it with.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, TrainConfig::default().to_toml()).unwrap();
        assert!(TrainConfig::resolve(Some(&path), given("method = \"ann\"")).unwrap().validate().is_ok());
    }

    #[test]
    fn a_written_configuration_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let config = TrainConfig { seed: 12, data_dir: Some("d".into()), ..TrainConfig::default() };
        std::fs::write(&path, config.to_toml()).unwrap();
        assert_eq!(TrainConfig::resolve(Some(&path), toml::Table::new()).unwrap(), config);
    }

    #[test]
    fn a_set_has_its_recipe_however_its_name_is_spelt() {
        let config = TrainConfig::resolve(None, given("dataset = \"CIFAR10\"")).unwrap();
        assert_eq!(config, recipes::recipe("default", "cifar-10").unwrap());
        assert_eq!(config.dataset, "cifar-10");
        // A set that does not exist keeps the name that was given, for the error.
        assert_eq!(TrainConfig::resolve(None, given("dataset = \"x\"")).unwrap().dataset, "x");
    }

    #[test]
    fn a_part_of_the_samples_is_evenly_spaced() {
        let config = TrainConfig { train_samples: 4, ..TrainConfig::default() };
        assert_eq!(config.used(10), [0, 2, 5, 7]);
        assert_eq!(config.used(3), [0, 1, 2]);
        assert_eq!(TrainConfig::default().used(3), [0, 1, 2]);
    }

    #[test]
    fn a_value_out_of_range_names_the_file_that_brought_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, "epochs = 0\n").unwrap();
        let text = TrainConfig::resolve(Some(&path), toml::Table::new()).unwrap_err().to_string();
        assert!(text.contains("run.toml: epochs = 0"), "{text}");
        assert!(TrainConfig::resolve(Some(&path), given("epochs = 3")).is_ok());
        let config = TrainConfig::resolve(Some(&path), given("epochs = 3\nlr = -1.0")).unwrap();
        assert!(config.validate().unwrap_err().to_string().starts_with("lr = -1"));
    }

    #[test]
    fn the_first_setting_that_differs_is_told() {
        let config = TrainConfig { data_dir: Some("d".into()), ..TrainConfig::default() };
        assert_eq!(config.difference(&TrainConfig::default()), None);
        let other = TrainConfig { seed: 8, ..config.clone() };
        assert_eq!(config.difference(&other).unwrap(), "seed = 0 here, 8 there");
    }

    #[test]
    fn an_unknown_key_names_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, "epochs = 7\nepoch = 3\n").unwrap();
        let text = TrainConfig::resolve(Some(&path), toml::Table::new()).unwrap_err().to_string();
        assert!(text.contains("line 2") && text.contains("unknown field `epoch`"), "{text}");
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let problem = |edit: fn(&mut TrainConfig)| {
            let mut config = TrainConfig::default();
            edit(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(problem(|c| c.time_steps = 0).contains("time-steps = 0"));
        assert!(problem(|c| c.lr = f64::NAN).contains("lr = NaN"));
        assert!(problem(|c| c.threshold = 0.0).contains("threshold"));
        assert!(problem(|c| c.ann_epochs = c.epochs).contains("ann-epochs"));
        assert!(problem(|c| c.net = "12Q3-LI1".into()).contains("12Q3"));
        assert!(problem(|c| c.voter_method = Voters::By(Method::Stbp)).contains("no voting neurons"));
        assert!(
            TrainConfig::resolve(None, given("recipe = \"no\"")).unwrap_err().to_string().contains("paper")
        );
        let text = TrainConfig::resolve(None, given("method = \"no\"")).unwrap_err().to_string();
        assert!(text.contains("no"), "{text}");
    }
}
