//! Names in archives, which may be anything.

use std::path::PathBuf;

/// Where an entry of this name goes, seen from the folder that is unpacked to; why it must not be unpacked, if its
/// name could lead out of there on any system.
pub(super) fn inside(name: &[u8]) -> Result<PathBuf, &'static str> {
    let text = std::str::from_utf8(name).map_err(|_| "that is not UTF-8")?;
    if text.starts_with('/') {
        return Err("that is absolute");
    }
    let mut path = PathBuf::new();
    for component in text.split('/').filter(|component| !matches!(*component, "" | ".")) {
        if component == ".." {
            return Err("with ..");
        }
        // A drive, a stream, or the other separator of Windows; an end of the name elsewhere.
        if component.contains([':', '\\', '\0']) {
            return Err("with a colon, a backslash or a zero");
        }
        path.push(component);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Component;

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in
            ["/etc/x", "../x", "a/../../x", "a/..", "C:/x", "C:x", "a\\..\\x", "\\\\host\\x", "a/b\0c"]
        {
            assert!(inside(name.as_bytes()).is_err(), "{name}");
        }
        assert!(inside(b"\xff\xfe").is_err());
        assert_eq!(inside(b"./Train//3/00001.bin").unwrap(), PathBuf::from("Train/3/00001.bin"));
        assert_eq!(inside(b"Train/").unwrap(), PathBuf::from("Train"));
        assert_eq!(inside(b"..x/x..").unwrap(), PathBuf::from("..x/x.."));
    }

    proptest! {
        #[test]
        fn no_name_leads_out(name in "[a./\\\\:~\\PC]{0,20}") {
            if let Ok(path) = inside(name.as_bytes()) {
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{:?}", path);
            }
        }
    }
}
