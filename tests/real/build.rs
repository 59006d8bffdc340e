//! Finds out which published data sets this machine has, and whether a browser, so that tests of what is absent count as ignored.

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
    println!("cargo::rustc-check-cfg=cfg(chromium)");
    println!("cargo::rerun-if-env-changed=PATH");
    let path = env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut browsers = env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    let browser = browsers.find(|file| file.is_file());
    if browser.is_some() {
        println!("cargo::rustc-cfg=chromium");
    }
    println!("cargo::rustc-env=SYNFIRE_BROWSER={}", browser.unwrap_or_default().display());
}
