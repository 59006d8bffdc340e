//! What the tests of the command share: a folder to run it in, and data sets small enough to write.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use synfire_events::{Event, Format, Recording, Sensor, to_bytes};

/// Settings of a run that takes a fraction of a second.
pub(crate) const TINY: &[&str] =
    &["--train-samples", "200", "--validation", "40", "--epochs", "2", "--net", "4C3-AP2-LI2"];

/// A temporary folder in which the command runs, with no settings from the environment.
pub(crate) struct Sandbox(tempfile::TempDir);

/// What a command did.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_synfire"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.env_remove("SYNFIRE_DATA").env_remove("SYNFIRE_ISA").env_remove("RAYON_NUM_THREADS");
        command.env("XDG_CACHE_HOME", self.path("no-cache")).env("HOME", self.path("no-home"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// Runs what must succeed; its standard output.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}\n{}\n{}", ran.out, ran.err);
        ran.out
    }

    /// A tiny run on the digits in folder `out`.
    #[track_caller]
    pub(crate) fn train(&self, out: &str, more: &[&str]) -> String {
        self.ok(&[&["train", "--out", out], TINY, more].concat())
    }

    /// Runs what must fail with `code` and a message that holds all of `told`.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], code: i32, told: &[&str]) {
        self.run(arguments).failed(code, told, &format!("{arguments:?}"));
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Asserts that two runs ended in the same bytes.
    #[track_caller]
    pub(crate) fn assert_same_checkpoints(&self, a: &str, b: &str) {
        for name in ["last", "best"] {
            let of = |run: &str| self.bytes(&format!("{run}/checkpoints/{name}.safetensors"));
            assert!(of(a) == of(b), "{name}.safetensors of {a} and {b} differ");
        }
    }
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn failed(&self, code: i32, told: &[&str], what: &str) {
        let Self { out, err, .. } = self;
        assert_eq!(self.code, code, "{what}\n{out}\n{err}");
        assert!(!err.contains("panicked"), "{what}\n{err}");
        assert!(err.starts_with("error: ") || err.contains("\nerror: "), "{what}\n{err}");
        for part in told {
            assert!(err.contains(part), "{what}: no `{part}` in\n{err}");
        }
    }
}

/// A recording of a 34x34 sensor: a bar that wanders to the right from column `x`.
pub(crate) fn recording(x: u16, shift: u16) -> Recording {
    let event = |i: u16| Event {
        t: i64::from(i) * 500,
        x: x + i % 5,
        y: (shift + i / 4) % 34,
        on: i.is_multiple_of(3),
    };
    Recording { sensor: Sensor { width: 34, height: 34 }, events: (0..120).map(event).collect() }
}

/// A set in N-MNIST's layout: threes to the left, sevens to the right; 8 to train on and 2 to test on of each.
pub(crate) fn write_nmnist(sandbox: &Sandbox, folder: &str) {
    for (digit, x) in [(3, 2), (7, 24)] {
        for i in 1..=10 {
            let part = if i <= 8 { "Train" } else { "Test" };
            let bytes = to_bytes(Format::Nmnist, &recording(x, i)).unwrap();
            sandbox.write(&format!("{folder}/nmnist/{part}/{digit}/{i:05}.bin"), bytes);
        }
    }
}

/// Settings for [`write_nmnist`]'s set.
pub(crate) const TINY_NMNIST: &[&str] =
    &["nmnist", "--validation", "4", "--epochs", "2", "--net", "4C3-AP2-LI1", "-T", "4", "-b", "4"];

/// The four files of MNIST, uncompressed: 30 images to train on and 10 to test on.
pub(crate) fn write_mnist(sandbox: &Sandbox, folder: &str) {
    for (part, n) in [("train", 30u32), ("t10k", 10)] {
        let sizes = [0x803, n, 28, 28].map(u32::to_be_bytes).concat();
        let pixels = (0..n * 784).map(|i| if i % 784 / 78 == i / 784 % 10 { 255 } else { 0 });
        sandbox.write(
            &format!("{folder}/mnist/{part}-images-idx3-ubyte"),
            sizes.into_iter().chain(pixels).collect::<Vec<u8>>(),
        );
        let labels = (0..n).map(|i| (i % 10) as u8);
        let head = [0x801, n].map(u32::to_be_bytes).concat();
        sandbox.write(
            &format!("{folder}/mnist/{part}-labels-idx1-ubyte"),
            head.into_iter().chain(labels).collect::<Vec<u8>>(),
        );
    }
}

/// Golden file of the repository.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// The lines of standard output, each of which must be JSON.
#[track_caller]
pub(crate) fn json_lines(out: &str) -> Vec<serde_json::Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    out.lines().map(parse).collect()
}
