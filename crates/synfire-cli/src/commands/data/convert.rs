//! `synfire data convert`.

use super::edits::EditArguments;
use super::{Error, FormatArgument, Pieces, must_be_new, tell_untold, thousands};
use crate::console::Console;
use clap::Args;
use std::path::PathBuf;
use synfire_events::{EventError, Origin, Writer};

/// Write a recording in another format, or a part of it.
///
/// What kind of file FILE is, is seen from its content; files of any size are converted in little memory. `synfire data list`
/// names the formats. Without --format the name of the new file decides by its ending; where several formats share one, the first
/// that the list names.
#[derive(Args)]
pub(super) struct Convert {
    /// Recording.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The new file.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    format: FormatArgument,
    /// Of a damaged recording, such as one that a full disk cut off, write the events before the damage.
    #[arg(long)]
    keep_readable: bool,
    /// Replace what is at the new file's place.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    edits: EditArguments,
}

impl Convert {
    pub(super) fn run(self, console: &Console) -> Result<(), Error> {
        let format = self.format.of(&self.output)?;
        must_be_new(&self.output, self.force)?;
        let open = || Pieces::open(&self.file, self.keep_readable);
        let mut edits = self.edits.of(&self.file, open()?)?;
        let sensor = edits.sensor();
        let mut pieces = open()?;
        let origin = Origin { sensor, simulated: pieces.reader.simulated() };
        let mut writer = Writer::create(&self.output, format, origin)?;
        let (mut read, mut events) = (0, 0);
        let mut kept = Vec::new();
        while let Some(more) = pieces.next_events()? {
            read += more.len() as u64;
            kept.clear();
            kept.extend_from_slice(more);
            edits.apply(&mut kept);
            writer.write(&kept).map_err(|error| self.with_advice(error))?;
            events += kept.len() as u64;
        }
        if events == 0 {
            return Err(Error::failed(format!(
                "{}: no event is left of {}",
                self.file.display(),
                thousands(read)
            )));
        }
        writer.finish()?;
        let from = pieces.reader.format();
        let damage = pieces.damage.as_ref().map(ToString::to_string);
        if let Some(damage) = &damage {
            console.note(format!("warning: {damage}; what is before that was kept"));
        }
        let notes = tell_untold(&self.output, format, origin, console)?;
        console.say(format!(
            "{}{} events of a {sensor} sensor, from {from} to {format}: {}",
            thousands(events),
            if events == read { String::new() } else { format!(" of {}", thousands(read)) },
            self.output.display()
        ));
        console.json(&serde_json::json!({
            "events": events, "read": read, "from": from.name(), "format": format.name(), "width": sensor.width,
            "height": sensor.height, "output": self.output, "damage": damage, "notes": notes,
        }));
        Ok(())
    }

    /// A time that a format has no room for has it where the clock begins with the recording.
    fn with_advice(&self, error: EventError) -> Error {
        match &error {
            EventError::Unwritable { expected, .. }
                if expected.starts_with("a time") && !self.edits.from_zero =>
            {
                Error::failed(format!("{error}; --from-zero lets times begin at 0"))
            }
            _ => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use synfire_events::Format;

    #[test]
    fn every_ending_means_a_format() {
        let format = FormatArgument { format: None };
        for known in Format::all() {
            let meant = format.of(Path::new(&format!("a.{}", known.extension()))).unwrap();
            assert_eq!(meant.extension(), known.extension());
        }
        assert!(format.of(Path::new("a.xyz")).is_err());
    }
}
