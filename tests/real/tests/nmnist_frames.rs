//! Frames of N-MNIST are those that NumPy counts: the hashes are what `nmnist_frames.py` prints.

use sha2::{Digest, Sha256};
use synfire_data::{FrameSpec, Framing, Locations, open};
use synfire_real_data::folder;

#[test]
#[cfg_attr(not(nmnist), ignore = "needs the folder nmnist in a folder that SYNFIRE_DATA names")]
fn all_frames_are_numpys() {
    let set = open("nmnist", &Locations::from_folders(vec![folder()])).unwrap();
    if (set.train.len(), set.test.len()) != (850, 100) {
        // The hashes are of the 950 recordings that continuous integration has.
        eprintln!("not compared: there are {} and {} recordings", set.train.len(), set.test.len());
        return;
    }
    for (framing, expected) in [
        (Framing::Count, "fedff908802f2554fe5d8292d7622028daf7d4397feba3f54b25a6f4dfdf0502"),
        (Framing::Time, "a7732e7262381eeef480a4b2a8471828753f75538b03a3261f8182cf83be1b85"),
    ] {
        let frames = FrameSpec { framing, ..FrameSpec::default() };
        let mut out = vec![f32::NAN; set.train.sample_len(&frames)];
        let mut hash = Sha256::new();
        for part in [&set.train, &set.test] {
            for i in 0..part.len() {
                part.load(i, &frames, &mut out).unwrap();
                out.iter().for_each(|value| hash.update(value.to_le_bytes()));
            }
        }
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, expected, "{framing}");
    }
}
