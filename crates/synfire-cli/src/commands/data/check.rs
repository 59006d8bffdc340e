//! `synfire data check`.

use super::{Error, thousands};
use crate::console::Console;
use clap::Args;
use std::path::PathBuf;
use synfire_data::{Checked, DataSet, Locations, Source, check};

/// Read every sample of a data set, and tell what is there and what is damaged.
///
/// Counts samples of each class, events and durations; compares files with their published hashes where there are any. Exit code 1
/// where something is damaged. SET is a name (`synfire data list`) or a folder of one's own.
#[derive(Args)]
pub(super) struct Check {
    /// Data set, or folder with a subfolder for each class.
    #[arg(value_name = "SET|FOLDER")]
    set: String,
    /// Folder of data sets, searched before SYNFIRE_DATA and the user's cache folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Tell of every recording that may have a problem, not of the first three.
    #[arg(long)]
    all: bool,
}

impl Check {
    pub(super) fn run(self, console: &Console) -> Result<(), Error> {
        let locations = Locations::new(self.data_dir.as_deref())?;
        let set = synfire_data::open(&self.set, &locations)?;
        let place = set.folder.as_ref().map_or("built in".to_string(), |folder| folder.display().to_string());
        console.say(format!("{}: {place}", set.name));
        set.notes.iter().for_each(|note| console.say(format!("  {note}")));
        let mut damaged = compare(&set, &locations, console)?;
        for (name, part) in [("train", &set.train), ("test", &set.test)] {
            let checked = read(&**part, name, set.classes, console);
            self.tell(name, &set, &checked, console);
            damaged += checked.damaged.len();
        }
        match damaged {
            0 => {
                console.note("nothing is damaged");
                Ok(())
            }
            n => Err(Error::failed(format!("{}: {n} damaged files or samples", set.name))),
        }
    }

    fn tell(&self, name: &str, set: &DataSet, checked: &Checked, console: &Console) {
        let samples: usize = checked.of_class.iter().sum();
        let mut line = format!("  {name}: {} samples", thousands(samples as u64));
        if let (Some([fewest, most]), Some([shortest, longest])) =
            (checked.events_each, checked.duration_each)
        {
            let seconds = |microseconds: u64| microseconds as f64 / 1e6;
            line += &format!(
                ", {} events, {} to {} each, in {:.3} to {:.3} s",
                thousands(checked.events),
                thousands(fewest),
                thousands(most),
                seconds(shortest),
                seconds(longest)
            );
        }
        console.say(line);
        let (fewest, most) = (checked.of_class.iter().min(), checked.of_class.iter().max());
        let of_class = match (fewest, most) {
            (Some(fewest), Some(most)) if fewest == most => format!("{} each", thousands(*fewest as u64)),
            _ => {
                let classes = set.class_names.iter().zip(&checked.of_class);
                classes.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
            }
        };
        console.say(format!("    classes: {of_class}"));
        checked
            .damaged
            .iter()
            .for_each(|(i, problem)| console.say(format!("    damaged: sample {i}: {problem}")));
        let shown = if self.all { usize::MAX } else { 3 };
        for (i, problem) in checked.doubtful.iter().take(shown) {
            console.say(format!("    sample {i}: {problem}"));
        }
        let more = checked.doubtful.len().saturating_sub(shown);
        if more > 0 {
            console.say(format!("    {more} more recordings may have problems (--all)"));
        }
        console.json(&serde_json::json!({
            "part": name, "samples": samples, "of_class": checked.of_class, "events": checked.events,
            "events_each": checked.events_each, "duration_us_each": checked.duration_each,
            "damaged": checked.damaged, "doubtful": checked.doubtful,
        }));
    }
}

/// Compares files with their published hashes; how many differ.
fn compare(set: &DataSet, locations: &Locations, console: &Console) -> Result<usize, Error> {
    let recipe = synfire_data::find(&set.name).ok();
    let published = recipe.and_then(|recipe| Some((recipe.remote?, recipe.found(locations)?)));
    let Some((remote, folder)) = published else { return Ok(0) };
    let mut differ = 0;
    for (file, problem) in remote.compare(&folder)? {
        let problem = problem.map(|reason| reason.to_string());
        console
            .json(&serde_json::json!({ "file": file, "as_published": problem.is_none(), "found": problem }));
        match problem {
            None => console.say(format!("  {file}: as published")),
            Some(problem) => {
                differ += 1;
                console.say(format!("  {file}: not as published: {problem}"));
            }
        }
    }
    Ok(differ)
}

fn read(part: &dyn Source, name: &str, classes: usize, console: &Console) -> Checked {
    let bar = console.bar(part.len() as u64, &format!("reading {name} {{bar:40}} {{pos}}/{{len}}"));
    let checked = check(part, classes, &mut |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    checked
}
