//! The tables of what is fetched.

use std::collections::HashSet;
use std::fs;

use synfire_data::fetch::{FetchError, Options, Then, fetch, find, remotes};
use synfire_data::{DataError, Locations, names};

#[test]
fn every_file_has_a_hash_and_an_address() {
    let sets: Vec<&str> = remotes().map(|remote| remote.set).collect();
    assert_eq!(
        sets,
        ["mnist", "fashion-mnist", "cifar-10", "cifar-100", "nmnist", "dvs128-gesture", "cifar10-dvs"]
    );
    let mut hashes = HashSet::new();
    for remote in remotes() {
        for file in remote.files {
            let named = format!("{} {}", remote.set, file.name);
            assert!(file.md5.is_some_and(|md5| is_hex(md5, 32) && hashes.insert(md5)), "{named}");
            assert!(file.sha256.is_none_or(|sha256| is_hex(sha256, 64) && hashes.insert(sha256)), "{named}");
            assert_eq!(file.mirrors.is_empty(), remote.by_hand.is_some(), "{named}");
            assert!(file.urls().iter().all(|url| url.starts_with("http")), "{named}");
            assert!(file.urls().first().is_none_or(|url| url.starts_with("https://")), "{named}");
            if let (Then::Unpack(unpack), Some(size)) = (&file.then, file.size) {
                assert!(unpack.most_bytes > size && unpack.count > 0, "{named}");
            }
        }
    }
    let mnist = find("mnist").unwrap();
    let image = "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz";
    assert_eq!(mnist.files[0].urls()[0], image);
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn sets_are_found_by_name() {
    assert_eq!(find("Cifar10_DVS").unwrap().set, "cifar10-dvs");
    assert_eq!(find("nmnist-simulated").unwrap().set, "mnist", "what it is made of");
    let built_in = find("digits").unwrap_err().to_string();
    assert!(built_in.starts_with("digits is built in: there is nothing to fetch; sets to fetch are mnist, "));
    assert!(matches!(find("gestures"), Err(DataError::BuiltIn { .. })));
    let unknown = find("dvs128gestures").unwrap_err().to_string();
    assert!(unknown.contains("did you mean dvs128-gesture?"), "{unknown}");
    assert!(names().iter().all(|recipe| recipe.remote.is_some() == recipe.folder.is_some()));
}

#[test]
fn a_set_to_be_downloaded_by_hand_says_how() {
    let root = tempfile::tempdir().unwrap();
    let remote = find("dvs128-gesture").unwrap();
    let error = fetch(remote, root.path(), &Options::default(), &mut |_| ()).unwrap_err();
    let place = root.path().join("dvs128-gesture").join("DvsGesture.tar.gz");
    let text = error.to_string();
    for part in ["https://ibm.ent.box.com/", "MD5 8a5c71fb11e24e5ca5b11866ca6c00a1", place.to_str().unwrap()]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(place.parent().unwrap().is_dir(), "where a person is to put it");
    // What is put there is checked.
    fs::write(&place, "another file").unwrap();
    let error = fetch(remote, root.path(), &Options::default(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, FetchError::Other { .. }), "{error}");
    assert!(error.to_string().contains("expected MD5 8a5c71fb11e24e5ca5b11866ca6c00a1, found "), "{error}");
}

#[test]
fn the_first_folder_that_can_be_written_is_taken() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let (within, free) = (file.join("data"), root.path().join("new/data"));
    let locations = Locations::from_folders(vec![within.clone(), free.clone()]);
    assert_eq!(locations.first_writable().unwrap(), free);
    assert_eq!(fs::read_dir(&free).unwrap().count(), 0, "the trial is removed");
    let error = Locations::from_folders(vec![within.clone()]).first_writable().unwrap_err().to_string();
    assert!(error.contains(within.to_str().unwrap()) && error.contains("--data-dir"), "{error}");
}
