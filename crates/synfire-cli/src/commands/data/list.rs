//! `synfire data list`.

use super::Error;
use crate::console::Console;
use clap::Args;
use std::path::PathBuf;
use synfire_data::{Locations, names};
use synfire_events::Format;

/// The data sets and where their files are, and the formats of recordings.
#[derive(Args)]
pub(super) struct List {
    /// Folder of data sets, searched before SYNFIRE_DATA and the user's cache folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl List {
    pub(super) fn run(self, console: &Console) -> Result<(), Error> {
        let locations = Locations::new(self.data_dir.as_deref())?;
        console.say("Data sets:");
        for recipe in names() {
            let found = recipe.found(&locations);
            let place = match (recipe.folder, &found) {
                (None, _) => "built in".to_string(),
                (Some(_), Some(folder)) => format!("in {}", folder.display()),
                (Some(folder), None) => {
                    format!(
                        "not here; `synfire data fetch {folder}` downloads it; expected is a folder {folder} with {}",
                        recipe.files
                    )
                }
            };
            console.say(format!("  {:<22} {}\n{:24} {place}", recipe.name, recipe.description, ""));
            console.json(&serde_json::json!({
                "set": recipe.name, "description": recipe.description, "built_in": recipe.folder.is_none(),
                "folder": found, "files": recipe.files,
            }));
        }
        let own = "FOLDER/CLASS/…, or FOLDER/train/CLASS/… and FOLDER/test/CLASS/…";
        console.say(format!("  {:<22} images or recordings of your own\n{:24} {own}", "./FOLDER", ""));
        console.say("\nFormats of recordings:");
        for format in Format::all() {
            console.say(format!("  {:<22} {} (.{})", format.name(), format.title(), format.extension()));
            console.json(&serde_json::json!({
                "format": format.name(), "title": format.title(), "extension": format.extension(),
            }));
        }
        let searched: Vec<_> =
            locations.folders().iter().map(|folder| folder.display().to_string()).collect();
        console.note(format!("\nsearched: {}", searched.join(", ")));
        Ok(())
    }
}
