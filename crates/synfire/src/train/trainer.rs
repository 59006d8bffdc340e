//! The training loop.

use super::checkpoint::{Best, Checkpoint, DataMark, Position};
use super::config::TrainConfig;
use super::error::TrainError;
use super::evaluate::{Evaluation, evaluate, input, rows};
use super::memory::{Training, check_training, smaller_batch};
use super::observer::{BatchReport, Observer, Outcome};
use super::run::{EpochRecord, RunFolder, Summary};
use super::step::Step;
use crate::anytime::first_largest;
use crate::device;
use crate::encode::Encoding;
use crate::file::FileError;
use crate::loss::mean_over_time;
use crate::net::{Net, NonFinite, Pass, Plan, Readout};
use crate::optim::{self, Optimizer};
use crate::parallel::{self, Group, Lost, Team};
use burn::tensor::{Device, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synfire_data::{Batch, Cache, DataError, DataSet, Kind, Loader, Locations, Split, random};

/// How often within an epoch a checkpoint is written.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(300);
/// What this process does for an epoch.
struct Work {
    start: Instant,
    /// Samples trained on before.
    before: usize,
    /// Seconds of training, without validation, and those of them that it waited for batches.
    training: f64,
    waiting: f64,
}

/// A run: network, data and where it stands.
pub struct Trainer {
    config: TrainConfig,
    data: DataSet,
    split: Split,
    net: Net,
    optimizer: Optimizer,
    position: Position,
    folder: RunFolder,
    device: Device,
    cache: Option<Cache>,
    /// The ranks that train the network together.
    group: Option<Arc<dyn Group>>,
    /// Somebody wants to stop; the ranks do at the same place.
    stop: bool,
}

impl Trainer {
    /// A new run in `folder`.
    ///
    /// # Errors
    /// If a setting is out of range, the data set cannot be opened or the folder holds a run.
    pub fn start(config: TrainConfig, folder: RunFolder, device: &Device) -> Result<Self, TrainError> {
        Self::start_in(None, config, None, folder, device)
    }

    /// A new run in `folder` on these data, whatever set the settings name. It cannot be resumed where that set is not these data.
    ///
    /// # Errors
    /// If a setting is out of range or the folder holds a run.
    pub fn start_on(
        config: TrainConfig,
        data: DataSet,
        folder: RunFolder,
        device: &Device,
    ) -> Result<Self, TrainError> {
        Self::start_in(None, config, Some(data), folder, device)
    }

    /// A new run as one of the ranks of `group`, on these data or those that the settings name: all ranks train the network together.
    /// Rank 0 writes to the folder, the others read there what it wrote.
    ///
    /// # Errors
    /// As [`start`](Self::start), and if a rank was given something else.
    pub fn start_in(
        group: Option<Arc<dyn Group>>,
        mut config: TrainConfig,
        data: Option<DataSet>,
        folder: RunFolder,
        device: &Device,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        let data = data.map_or_else(|| open(&config), Ok)?;
        config.settle(&data, device)?;
        config.validate_for(&data)?;
        let net = fresh_net(&config, &data, group.as_deref(), device)?;
        let split = config.split(&data)?;
        let mut trainer = Self::assemble(config, (data, split), net, folder, device);
        trainer.join(group)?;
        trainer.folder.begin(&trainer.config)?;
        if let Some(group) = &trainer.group {
            // It may have got a number.
            let path = group.of(0, trainer.folder.path().to_string_lossy().as_bytes())?;
            trainer.folder.follow(&String::from_utf8_lossy(&path));
            // What the others cannot see here they could not read at the end.
            let unseen = trainer.folder.config()?.is_none();
            let place = trainer.folder.path().display();
            at_one(
                &**group,
                unseen.then(|| format!("it does not see the run's folder {place}, which rank 0 has made")),
            )?;
        }
        Ok(trainer)
    }

    /// Joins the ranks of `group`, of whom all have to train the same.
    fn join(&mut self, group: Option<Arc<dyn Group>>) -> Result<(), TrainError> {
        let Some(group) = group.filter(|group| group.size() > 1) else { return Ok(()) };
        let Self { config, data, split, position, .. } = self;
        let config = TrainConfig { data_dir: None, ..config.clone() };
        let kind = device::name(&self.device).runtime;
        let mark = format!(
            "version {}\ndevice = {kind}\ndata = {}\n",
            env!("CARGO_PKG_VERSION"),
            DataMark::of(data, split)
        );
        let own = format!("{mark}{}epoch {} batch {}\n", config.to_toml(), position.epoch, position.batch);
        let first = group.of(0, own.as_bytes())?;
        let first = String::from_utf8_lossy(&first);
        let lines = || own.lines().map(Some).chain([None]);
        let differs = lines().zip(first.lines().map(Some).chain([None])).find(|(own, first)| own != first);
        let difference = differs.map(|(own, first)| {
            format!("`{}` here, `{}` there", own.unwrap_or_default(), first.unwrap_or_default())
        });
        at_one(&*group, difference)?;
        if group.rank() > 0 {
            let folder = std::mem::replace(&mut self.folder, RunFolder::new(""));
            self.folder = folder.following();
        }
        self.group = Some(group);
        Ok(())
    }

    /// The run in `folder` where its last checkpoint left it. `data_dir` replaces the folder it was started with.
    ///
    /// # Errors
    /// If the folder holds no run, its checkpoint is missing, damaged or of other settings or data, or the data set
    /// cannot be opened.
    pub fn resume(
        folder: RunFolder,
        data_dir: Option<std::path::PathBuf>,
        device: &Device,
    ) -> Result<Self, TrainError> {
        Self::resume_in(None, folder, data_dir, device)
    }

    /// The same as one of the ranks of `group`, whose number need not be what it was. All read the folder.
    ///
    /// # Errors
    /// As [`resume`](Self::resume), and if a rank was given something else.
    pub fn resume_in(
        group: Option<Arc<dyn Group>>,
        mut folder: RunFolder,
        data_dir: Option<std::path::PathBuf>,
        device: &Device,
    ) -> Result<Self, TrainError> {
        if group.as_ref().is_some_and(|group| group.rank() > 0) {
            folder = folder.following();
        }
        let mut config = folder.take_up()?;
        if data_dir.is_some() {
            config.data_dir = data_dir;
        }
        config.validate()?;
        config.check_precision(device)?;
        let data = open(&config)?;
        config.validate_for(&data)?;
        let path = folder.last();
        if !folder.has_checkpoint()? {
            let epochs = folder.epochs()?;
            // A process may end after it wrote its first epoch down and before its first checkpoint, not later.
            if epochs > 1 {
                let problem = format!(
                    "is missing, though metrics.jsonl tells of {epochs} epochs: put it back, or begin a run with \
                     another --out"
                );
                return Err(FileError::content(&path, problem).into());
            }
            folder.keep_epochs(0)?;
            let net = fresh_net(&config, &data, group.as_deref(), device)?;
            let split = config.split(&data)?;
            let mut trainer = Self::assemble(config, (data, split), net, folder, device);
            trainer.join(group)?;
            return Ok(trainer);
        }
        let checkpoint = Checkpoint::read(&path)?;
        if let Some(difference) = checkpoint.header.config.difference(&config) {
            let problem = format!("its settings are not those of config.toml beside it: {difference}");
            return Err(FileError::content(&path, problem).into());
        }
        plan(&config, &data, group.as_deref(), device)?;
        let split = checkpoint.header.split(&path, &data)?;
        let net = checkpoint.net(&path, device)?;
        let mut trainer = Self::assemble(config, (data, split), net, folder, device);
        checkpoint.restore_optimizer(&path, &mut trainer.net, &mut trainer.optimizer)?;
        trainer.position = checkpoint.header.position.clone();
        trainer.join(group)?;
        trainer.folder.keep_epochs(trainer.position.epoch)?;
        Ok(trainer)
    }

    fn assemble(
        config: TrainConfig,
        (data, split): (DataSet, Split),
        net: Net,
        folder: RunFolder,
        device: &Device,
    ) -> Self {
        let optimizer = Optimizer::new(config.optimizer, config.weight_decay, config.momentum);
        let position = Position::default();
        let device = device.clone();
        Self {
            config,
            data,
            split,
            net,
            optimizer,
            position,
            folder,
            device,
            cache: None,
            group: None,
            stop: false,
        }
    }

    /// The same run with the frames of its recordings in a cache. It makes a run faster and changes nothing else.
    #[must_use]
    pub fn with_cache(self, cache: Option<Cache>) -> Self {
        Self { cache, ..self }
    }

    /// Its settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Its data set.
    pub fn data(&self) -> &DataSet {
        &self.data
    }

    /// Which training samples are trained on and which choose the model.
    pub fn split(&self) -> &Split {
        &self.split
    }

    /// Its network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Where it stands.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Its folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Whether it was trained and tested, so that its summary says all.
    ///
    /// # Errors
    /// If its folder cannot be looked into.
    pub fn is_finished(&self) -> Result<bool, FileError> {
        Ok(self.position.finished && self.folder.has_summary()?)
    }

    /// Trains to the end or until the observer stops it, then tests the best epoch once.
    ///
    /// # Errors
    /// If a sample cannot be loaded, a file cannot be written, a value becomes NaN or infinite or the device's memory is full.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        device::unless_full(|| self.go(observer)).unwrap_or_else(|full| {
            let training = training_of(&self.config, &self.data, &self.device);
            let ranks = self.group.as_ref().map_or(1, |group| group.size());
            let fits = smaller_batch(self.net.plan(), &training, ranks, &self.device);
            Err(TrainError::Full { full, batch: training.batch, steps: training.steps, fits })
        })
    }

    fn go(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        if self.is_finished()? {
            return Ok(Outcome::Finished(Box::new(self.folder.summary()?)));
        }
        self.stop = false;
        if !self.frame(observer)? {
            return self.stopped();
        }
        let train = Loader::new(
            self.data.train.clone(),
            self.split.train.clone(),
            self.config.frames(),
            self.config.batch_size,
        )?
        .with_augment(self.config.augment());
        let train = self.of_rank(train);
        let validation = self.evaluation_loader(self.data.train.clone(), self.split.validation.clone())?;
        self.folder.open()?;
        let mut warned = BTreeMap::new();
        while self.position.epoch < self.config.epochs && self.patience_left() {
            let before = self.position.sums.samples;
            let mut work = Work { start: Instant::now(), before, training: 0.0, waiting: 0.0 };
            if !self.train_epoch(&train, &mut work, observer)? {
                return self.stopped();
            }
            work.training = work.start.elapsed().as_secs_f64();
            let ann = self.ann();
            let result = self.evaluate(None, &validation, ann, observer);
            let result = result.map_err(|error| match error {
                TrainError::NonFinite(found) => self.non_finite(found, self.position.epoch + 1, None),
                other => other,
            });
            let Some(result) = result? else { return self.stopped() };
            self.end_epoch(&result, &work, &mut warned, observer)?;
        }
        if !self.patience_left() {
            let waited = self.config.patience;
            observer.note(&format!("no better validation accuracy for {waited} epochs: stopped early"));
        }
        self.finish(observer)
    }

    /// This rank's part of the loader's batches.
    fn of_rank(&self, loader: Loader) -> Loader {
        match &self.group {
            Some(group) => loader.of_process(group.rank(), group.size()),
            None => loader,
        }
    }

    /// What a network, else the present one, says of the samples of `loader`, of which each rank asks its part; none once somebody
    /// wants to stop.
    fn evaluate(
        &mut self,
        net: Option<&mut Net>,
        loader: &Loader,
        ann: bool,
        observer: &mut dyn Observer,
    ) -> Result<Option<Evaluation>, TrainError> {
        let Self { config, group, stop, .. } = self;
        let net = net.unwrap_or(&mut self.net);
        let Some(group) = group else {
            return evaluate(net, loader, config, ann, &mut |samples| observer.evaluated(samples));
        };
        // Whoever stopped here would leave the others waiting.
        let mut go_on = |samples| {
            *stop |= !observer.evaluated(samples * group.size());
            true
        };
        let Some(own) = evaluate(net, loader, config, ann, &mut go_on)? else { return Ok(None) };
        let all = own.of_all(&**group, if ann { 1 } else { config.time_steps })?;
        Ok((!anybody(&**group, *stop)?).then_some(all))
    }

    /// Has the cache make the frames that it lacks; `false` if somebody stopped it.
    fn frame(&mut self, observer: &mut dyn Observer) -> Result<bool, TrainError> {
        let Some(group) = self.group.clone() else { return self.frame_here(observer) };
        // Rank 0 first: the others find its files, where they are on the same machine.
        let mut go_on = true;
        for turn in [group.rank() == 0, group.rank() > 0] {
            go_on = go_on && (!turn || self.frame_here(observer)?);
            go_on = !anybody(&*group, !go_on)?;
        }
        Ok(go_on)
    }

    /// The same of this process alone.
    fn frame_here(&mut self, observer: &mut dyn Observer) -> Result<bool, TrainError> {
        let Some(cache) = &self.cache else { return Ok(true) };
        let frames = self.config.frames();
        let mut trained = [&self.split.train[..], &self.split.validation].concat();
        trained.sort_unstable();
        let tested = (0..self.data.test.len()).collect();
        let parts = [(&mut self.data.train, "train", trained), (&mut self.data.test, "test", tested)];
        for (part, name, samples) in parts {
            let name = format!("{} {name}", self.data.name);
            let mut progress = |done, of| observer.framed(&name, done, of);
            match cache.frames(part, &samples, &name, &frames, &mut progress) {
                Ok(cached) => *part = cached,
                Err(DataError::Stopped) => return Ok(false),
                // A run does not depend on it.
                Err(error @ DataError::Write { .. }) => {
                    observer.warning(&format!("goes on without a cache of frames: {error}"));
                    return Ok(true);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Whether the best epoch is recent enough to go on.
    fn patience_left(&self) -> bool {
        match &self.position.best {
            Some(best) if self.config.patience > 0 => {
                self.position.epoch - 1 - best.epoch < self.config.patience
            }
            _ => true,
        }
    }

    /// What ends a run that met `found` in batch `batch` of epoch `epoch` (from 1 both), or after all of them.
    fn non_finite(&self, found: NonFinite, epoch: usize, batch: Option<usize>) -> TrainError {
        match self.folder.has_checkpoint() {
            Ok(there) => {
                let checkpoint = there.then(|| self.folder.last());
                TrainError::NonFiniteAt { found, epoch, batch, checkpoint }
            }
            Err(error) => error.into(),
        }
    }

    /// Whether the present epoch trains without neurons.
    fn ann(&self) -> bool {
        self.config.is_ann() || self.position.epoch < self.config.ann_epochs
    }

    fn evaluation_loader(
        &self,
        source: std::sync::Arc<dyn synfire_data::Source>,
        indices: Vec<usize>,
    ) -> Result<Loader, TrainError> {
        // No larger than training's batches, so that it takes no more memory than training.
        let loader = Loader::new(source, indices, self.config.frames(), self.config.batch_size)?;
        Ok(self.of_rank(loader))
    }

    fn stopped(&mut self) -> Result<Outcome, TrainError> {
        self.checkpoint()?;
        Ok(Outcome::Stopped { epoch: self.position.epoch, batch: self.position.batch })
    }

    fn checkpoint(&mut self) -> Result<(), TrainError> {
        let Self { config, data, split, position, net, optimizer, .. } = self;
        // The last batch's step may have been too large. What cannot be resumed from replaces no checkpoint.
        let checkpoint = Checkpoint::new(config, data, split, position, net, Some(optimizer));
        let checkpoint = checkpoint.map_err(|found| match self.position {
            Position { epoch, batch: 0, .. } => self.non_finite(found, epoch, None),
            Position { epoch, batch, .. } => self.non_finite(found, epoch + 1, Some(batch)),
        })?;
        Ok(self.folder.keep(&self.folder.last(), &checkpoint)?)
    }

    /// Trains the rest of the present epoch; `false` if the observer stopped it.
    fn train_epoch(
        &mut self,
        loader: &Loader,
        work: &mut Work,
        observer: &mut dyn Observer,
    ) -> Result<bool, TrainError> {
        let epoch = self.position.epoch;
        let order = loader.epoch_order(self.config.seed, epoch as u64);
        let batches = loader.batches();
        let mut saved = Instant::now();
        let mut loaded = loader.iter(&order, self.position.batch);
        loop {
            let asked = Instant::now();
            let Some(batch) = loaded.next() else { return Ok(true) };
            let started = Instant::now();
            work.waiting += (started - asked).as_secs_f64();
            let batch = batch?;
            self.train_batch(&batch)?;
            self.position.batch += 1;
            let report = BatchReport {
                epoch,
                batch: self.position.batch,
                batches,
                sums: &self.position.sums,
                samples: batch.share.of,
                time: started.elapsed(),
            };
            let stop = !observer.batch(&report);
            // Ranks stop at the same place: the next batch tells the others.
            if std::mem::replace(&mut self.stop, stop) || (stop && self.group.is_none()) {
                return Ok(false);
            }
            if saved.elapsed() >= CHECKPOINT_EVERY {
                self.checkpoint()?;
                saved = Instant::now();
            }
        }
    }

    fn train_batch(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let Position { epoch, batch: index, .. } = self.position;
        let (seed, ann) = (self.config.seed, self.ann());
        let input = input(batch, &self.config, ann, ("encoding", epoch as u64), &self.device);
        let mut dropout = random::stream("dropout", seed, epoch as u64, index as u64);
        let mut pass = Pass::training(Some(&mut dropout)).as_ann(ann).of_share(batch.share);

        let team = self.group.as_ref().map(|group| Team {
            group: group.clone(),
            sync_norm: self.config.sync_norm,
            weight: batch.share.counted as f64 / batch.share.of as f64,
        });
        let (net, loss) = (&mut self.net, self.config.loss);
        let step =
            parallel::caught(|| parallel::during(team, || Step::run(net, input, batch, loss, &mut pass)))?;
        let Step { readout, loss, mut gradients, norms } =
            step.map_err(|found| self.non_finite(found.among(&batch.indices), epoch + 1, Some(index + 1)))?;
        self.add(batch, loss, mean_over_time(readout), &norms)?;
        if self.config.clip_norm > 0.0 {
            gradients = optim::clip(gradients, &norms, self.config.clip_norm);
        }
        let rate = self.config.schedule.rate(self.config.lr, epoch, self.config.epochs);
        self.optimizer.step(&mut self.net, gradients, rate);
        self.position.steps += 1;
        Ok(())
    }

    fn add(&mut self, batch: &Batch, loss: f64, output: Tensor<2>, norms: &[f64]) -> Result<(), TrainError> {
        let outputs = rows(output);
        let counted = batch.share.counted;
        let labelled = || batch.labels.iter().copied().zip(&outputs).take(counted);
        let correct = labelled().filter(|(label, output)| *label == first_largest(output)).count();
        // Voters give 0 only where they never fire, and then no error passes to them but under stbp.
        let silent = labelled().filter(|(label, output)| output[*label] == 0.0).count();
        let stop = f64::from(u8::from(self.stop));
        let mut of_batch = [counted as f64, loss * counted as f64, correct as f64, silent as f64, stop];
        if let Some(group) = &self.group {
            group.sum(&mut of_batch)?;
            self.average_statistics()?;
        }
        let [samples, loss, correct, silent, stop] = of_batch;
        self.stop = stop > 0.0;
        let sums = &mut self.position.sums;
        sums.samples += samples as usize;
        sums.loss += loss;
        sums.correct += correct as usize;
        sums.silent += silent as usize;
        let mut modules = BTreeMap::<String, f64>::new();
        for (parameter, norm) in self.net.parameters().into_iter().zip(norms) {
            *modules.entry(parameter.module().to_string()).or_default() += norm * norm;
        }
        for (module, square) in modules {
            *sums.gradient_norms.entry(module).or_default() += square.sqrt();
        }
        Ok(())
    }

    /// Makes sure that the ranks still have the same network.
    fn compare_weights(&mut self) -> Result<(), TrainError> {
        let Some(group) = &self.group else { return Ok(()) };
        let state = self.net.state();
        let bytes = state.values().flat_map(|tensor| &tensor.values).flat_map(|value| value.to_le_bytes());
        let own = crc32c::crc32c(&bytes.collect::<Vec<_>>()).to_le_bytes();
        let differs = group.of(0, &own)? != own;
        at_one(
            &**group,
            differs.then(|| format!("its weights are others in epoch {}", self.position.epoch + 1)),
        )
    }

    /// Where each rank's batch norms have statistics of their own, the running ones become the mean of all: the network stays one.
    fn average_statistics(&mut self) -> Result<(), TrainError> {
        let Some(group) = self.group.as_ref().filter(|_| !self.config.sync_norm) else { return Ok(()) };
        let mut buffers = self.net.buffers();
        let values = buffers.iter().map(|buffer| buffer.value.to_data());
        let mut all: Vec<f64> = values.flat_map(|data| data.iter::<f64>().collect::<Vec<_>>()).collect();
        group.sum(&mut all)?;
        let mut rest = all.as_slice();
        for buffer in &mut buffers {
            let (own, others) = rest.split_at(buffer.value.dims()[0]);
            let mean: Vec<f32> = own.iter().map(|sum| (sum / group.size() as f64) as f32).collect();
            buffer.value = Tensor::from_floats(mean.as_slice(), &self.device);
            rest = others;
        }
        Ok(())
    }

    fn end_epoch(
        &mut self,
        validation: &Evaluation,
        work: &Work,
        warned: &mut BTreeMap<String, &'static str>,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let (epoch, ann) = (self.position.epoch, self.ann());
        let sums = std::mem::take(&mut self.position.sums);
        let steps = self.position.batch.max(1) as f64;
        let samples = sums.samples.max(1) as f64;
        let here = sums.samples.saturating_sub(work.before) as f64;
        let record = EpochRecord {
            epoch: epoch + 1,
            ann,
            learning_rate: self.config.schedule.rate(self.config.lr, epoch, self.config.epochs),
            train_loss: sums.loss / samples,
            train_accuracy: sums.correct as f64 / samples,
            validation_loss: validation.loss,
            validation_accuracy: validation.accuracy,
            firing_rates: validation.firing_rates.clone(),
            silent_voters: (!ann && self.net.plan().readout() == Readout::Vote)
                .then_some(sums.silent as f64 / samples),
            gradient_norms: sums.gradient_norms.into_iter().map(|(name, sum)| (name, sum / steps)).collect(),
            samples_per_s: here / work.training.max(1e-9),
            data_wait: work.waiting / work.training.max(1e-9),
            seconds: work.start.elapsed().as_secs_f64(),
        };
        for (module, &rate) in &record.firing_rates {
            let Some(state) = out_of_order(rate) else { continue };
            if warned.insert(module.clone(), state) != Some(state) {
                let layer = self.net.plan().layer_of(module.strip_prefix("layers.").unwrap_or(module));
                observer.warning(&format!("neuron layer {module} ({layer}), rate {rate:.4}, is {state}"));
            }
        }
        // Before anything is kept of them.
        self.compare_weights()?;
        let best = self.position.best.as_ref();
        let better =
            best.is_none_or(|best| (validation.accuracy, -validation.loss) > (best.accuracy, -best.loss));
        self.folder.record(&record)?;
        self.position.epoch += 1;
        self.position.batch = 0;
        // Epochs without neurons warm a spiking network up; the model is chosen among those with.
        if better && ann == self.config.is_ann() {
            self.position.best = Some(Best { epoch, accuracy: validation.accuracy, loss: validation.loss });
            let Self { config, data, split, position, net, .. } = self;
            let checkpoint = Checkpoint::new(config, data, split, position, net, None)?;
            self.folder.keep(&self.folder.best(), &checkpoint)?;
        }
        self.checkpoint()?;
        observer.epoch(&record);
        Ok(())
    }

    /// Tests the best epoch and writes the summary.
    fn finish(&mut self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        if let Some(group) = &self.group {
            // The best network is written before another rank reads it.
            group.sum(&mut [])?;
        }
        let path = self.folder.best();
        let checkpoint = Checkpoint::read(&path)?;
        checkpoint.header.check_fits(&path, &self.data)?;
        let mut best = checkpoint.net(&path, &self.device)?;
        let all = (0..self.data.test.len()).collect();
        let loader = self.evaluation_loader(self.data.test.clone(), all)?;
        let Some(test) = self.evaluate(Some(&mut best), &loader, self.config.is_ann(), observer)? else {
            return self.stopped();
        };
        let Some(chosen) = self.position.best.clone() else {
            return Err(FileError::content(&self.folder.last(), "it knows of no best epoch").into());
        };
        let records = self.folder.records()?;
        let summary = Summary {
            dataset: self.config.dataset.clone(),
            net: self.config.layers().to_string(),
            method: self.config.method.to_string(),
            time_steps: self.config.time_steps,
            seed: self.config.seed,
            parameters: self.net.plan().parameters(),
            train_samples: self.split.train.len(),
            validation_samples: self.split.validation.len(),
            test_samples: test.samples,
            split: self.split.checksum(),
            epochs: self.position.epoch,
            best_epoch: chosen.epoch + 1,
            validation_accuracy: chosen.accuracy,
            test_accuracy: test.accuracy,
            test_loss: test.loss,
            test_firing_rates: test.firing_rates,
            test_confusion: test.confusion,
            test_anytime: test.anytime,
            train_seconds: records.iter().map(|record| record.seconds).sum(),
            version: env!("CARGO_PKG_VERSION").to_string(),
        };
        self.folder.finish(&summary)?;
        self.position.finished = true;
        self.checkpoint()?;
        Ok(Outcome::Finished(Box::new(summary)))
    }
}

/// Whether any rank says so.
fn anybody(group: &dyn Group, own: bool) -> Result<bool, Lost> {
    let mut says = [f64::from(u8::from(own))];
    group.sum(&mut says)?;
    Ok(says[0] > 0.0)
}

/// Tells all ranks, in the same words, what the first that is not at one with rank 0 says.
fn at_one(group: &dyn Group, difference: Option<String>) -> Result<(), TrainError> {
    let mut others = vec![0.0; group.size()];
    others[group.rank()] = f64::from(u8::from(difference.is_some()));
    group.sum(&mut others)?;
    let Some(rank) = others.iter().position(|other| *other > 0.0) else { return Ok(()) };
    let text = group.of(rank, difference.unwrap_or_default().as_bytes())?;
    Err(TrainError::Ranks { rank, difference: String::from_utf8_lossy(&text).into_owned() })
}

/// What is wrong with a layer whose neurons fire at this rate.
fn out_of_order(rate: f64) -> Option<&'static str> {
    match rate {
        ..0.002 => Some("dead: its neurons hardly fire, and little error passes through it"),
        0.9.. => Some("saturated: its neurons fire at nearly every step"),
        _ => None,
    }
}

/// The network of `config`, sized for `data`; an error if it cannot be trained in the memory that there is.
fn plan(
    config: &TrainConfig,
    data: &DataSet,
    group: Option<&dyn Group>,
    device: &Device,
) -> Result<Plan, TrainError> {
    let plan = config.plan(data.shape(&config.frames()), data.classes)?;
    check_training(&plan, &training_of(config, data, device), group.map_or(1, Group::size), device)?;
    Ok(plan)
}

/// What decides over the memory of a training step.
pub(crate) fn training_of(config: &TrainConfig, data: &DataSet, device: &Device) -> Training {
    Training {
        optimizer: config.optimizer,
        batch: config.batch_size.min(data.train.len()),
        steps: config.time_steps,
        precision: config.precision.on(device),
        still: data.kind == Kind::Still && config.encoding == Encoding::Direct,
    }
}

fn fresh_net(
    config: &TrainConfig,
    data: &DataSet,
    group: Option<&dyn Group>,
    device: &Device,
) -> Result<Net, TrainError> {
    Ok(config.build(plan(config, data, group, device)?, config.seed, device))
}

fn open(config: &TrainConfig) -> Result<DataSet, TrainError> {
    Ok(synfire_data::open(&config.dataset, &Locations::new(config.data_dir.as_deref())?)?)
}

#[cfg(test)]
mod tests {
    use super::out_of_order;

    #[test]
    fn layers_that_hardly_or_always_fire_are_out_of_order() {
        assert!([0.0, 0.0019].iter().all(|&rate| out_of_order(rate).unwrap().starts_with("dead")));
        assert!([0.91, 1.0].iter().all(|&rate| out_of_order(rate).unwrap().starts_with("saturated")));
        assert!([0.002, 0.3, 0.89].iter().all(|&rate| out_of_order(rate).is_none()));
    }
}
