//! Files that are whole or absent.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that is written beside its place and takes it when it is whole. If it is dropped before, what was there stands.
pub struct NewFile {
    path: PathBuf,
    output: BufWriter<NamedTempFile>,
}

impl NewFile {
    /// Ends the names of files that are being written, which a killed process leaves behind.
    pub const UNFINISHED: &str = "unfinished";

    /// Begins a file that is to be at `path`.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn create(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let suffix = format!(".{}", Self::UNFINISHED);
        let mut builder = tempfile::Builder::new();
        builder.prefix(".synfire").suffix(&suffix);
        // Others may read it as they may read any new file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
        Ok(Self { path: path.to_owned(), output: BufWriter::with_capacity(1 << 20, file) })
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// When it cannot be written to the end, or put there.
    pub fn put_in_place(self) -> io::Result<()> {
        let file = self.output.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl Seek for NewFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.output.seek(to)
    }
}
