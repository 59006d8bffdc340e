//! `synfire data cache`.

use super::{Error, size, thousands};
use crate::console::Console;
use clap::{Args, Subcommand};
use synfire_data::Cache;

/// The frames of recordings that training keeps, so that it counts their events once and not in every epoch.
///
/// There is a file for each part of a data set and each way of framing. Changed recordings get another file, so that a stale one is
/// never read; what is damaged is made again.
#[derive(Args)]
pub(super) struct CacheArguments {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Subcommand)]
enum CacheCommand {
    /// What is in it, and how large that is.
    List,
    /// Remove all of it. Training makes again what it needs.
    Clear,
}

impl CacheArguments {
    pub(super) fn run(self, console: &Console) -> Result<(), Error> {
        let Some(cache) = Cache::of_user() else {
            return Err(Error::failed("there is no cache: neither XDG_CACHE_HOME nor HOME is set"));
        };
        match self.command {
            CacheCommand::List => {
                let files = cache.list()?;
                for file in &files {
                    let content = file.content.as_deref().unwrap_or("damaged");
                    let samples = thousands(file.samples as u64);
                    console.say(format!("{:>9}  {samples:>7} samples  {content}", size(file.bytes)));
                    console.json(&serde_json::json!({
                        "file": file.path, "content": file.content, "samples": file.samples,
                        "bytes": file.bytes,
                    }));
                }
                let all = files.iter().map(|file| file.bytes).sum();
                console.note(format!("{} in {}", size(all), cache.folder().display()));
            }
            CacheCommand::Clear => {
                let bytes = cache.clear()?;
                console.say(format!("removed {} from {}", size(bytes), cache.folder().display()));
                console.json(&serde_json::json!({ "removed_bytes": bytes, "folder": cache.folder() }));
            }
        }
        Ok(())
    }
}
