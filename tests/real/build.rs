//! Finds out which published data sets this machine has, so that tests of the others count as ignored.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=SYNFIRE_DATA");
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = env::var_os("SYNFIRE_DATA").map_or_else(beside, PathBuf::from);
    println!("cargo::rustc-env=SYNFIRE_REAL_DATA={}", folder.display());
    for set in ["mnist", "cifar-10", "nmnist", "events"] {
        let name = set.replace('-', "_");
        println!("cargo::rustc-check-cfg=cfg({name})");
        println!("cargo::rerun-if-changed={}", folder.join(set).display());
        // An empty folder is what an archive that was never unpacked leaves.
        if folder.join(set).read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            println!("cargo::rustc-cfg={name}");
        }
    }
}
