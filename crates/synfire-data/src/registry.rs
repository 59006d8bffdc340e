//! The table of data sets.

use std::path::{Path, PathBuf};

use crate::fetch::Remote;
use crate::sets::{
    cifar10, cifar10_dvs, cifar10_dvs_simulated, cifar100, digits, dvs128_gesture, fashion_mnist, gestures,
    mnist, nmnist, nmnist_simulated,
};
use crate::{DataError, DataSet, Locations, folder};

/// The data sets there are, in the order they are listed to the user.
static RECIPES: &[Recipe] = &[
    digits::RECIPE,
    gestures::RECIPE,
    mnist::RECIPE,
    fashion_mnist::RECIPE,
    cifar10::RECIPE,
    cifar100::RECIPE,
    nmnist::RECIPE,
    nmnist_simulated::RECIPE,
    dvs128_gesture::RECIPE,
    cifar10_dvs::RECIPE,
    cifar10_dvs::STRATIFIED,
    cifar10_dvs_simulated::RECIPE,
];

/// How to open a data set.
pub struct Recipe {
    /// The data set's name.
    pub name: &'static str,
    /// What it is, in one line.
    pub description: &'static str,
    /// The files its folder should hold; empty for a set that is built in.
    pub files: &'static str,
    /// The name of its folder, which may be that of the set it is made of; none for a set that is built in.
    pub folder: Option<&'static str>,
    /// Where its files are published; none for a set that is built in.
    pub remote: Option<&'static Remote>,
    pub(crate) open: fn(&Locations) -> Result<DataSet, DataError>,
}

impl Recipe {
    /// Where its files are, as far as their folder is there.
    #[must_use]
    pub fn found(&self, locations: &Locations) -> Option<PathBuf> {
        locations.holding(self.folder?)
    }
}

/// The data sets there are.
#[must_use]
pub fn names() -> &'static [Recipe] {
    RECIPES
}

/// The data set of this name; case, hyphens and underscores do not matter (`CIFAR10` is `cifar-10`).
///
/// # Errors
/// When there is no such set.
pub fn find(name: &str) -> Result<&'static Recipe, DataError> {
    let wanted = canonical(name);
    let known = || RECIPES.iter().map(|recipe| recipe.name);
    RECIPES
        .iter()
        .find(|recipe| canonical(recipe.name) == wanted)
        .ok_or_else(|| unknown(name, known().collect()))
}

/// What can be fetched, in the order it is listed to the user.
pub fn remotes() -> impl Iterator<Item = &'static Remote> {
    RECIPES.iter().filter(|recipe| recipe.folder == Some(recipe.name)).filter_map(|recipe| recipe.remote)
}

/// What the data set of this name is fetched from; for a set that is made of another one, the other one.
///
/// # Errors
/// When there is no such set, or it is built in.
pub fn find_remote(name: &str) -> Result<&'static Remote, DataError> {
    let recipe = find(name)?;
    let known = || remotes().map(|remote| remote.set).collect();
    recipe.remote.ok_or_else(|| DataError::BuiltIn { set: recipe.name, known: known() })
}

fn unknown(name: &str, known: Vec<&'static str>) -> DataError {
    let suggestion = closest(&canonical(name), &known).map(str::to_owned);
    let folder = Path::new(name).is_dir();
    DataError::UnknownSet { name: name.to_owned(), suggestion, known, folder }
}

/// Whether a name is the path of a folder of one's own, not the name of a set: it has a separator, or begins with a dot.
#[must_use]
pub fn is_path(name: &str) -> bool {
    name.starts_with('.') || name.contains(std::path::is_separator)
}

/// Opens the data set of this name, as [`find`] finds it, or the folder of one's own at this path
/// ([`is_path`]; see [`folder`](crate::folder)), which may also have been moved into one of the locations.
///
/// # Errors
/// When there is no such set, its folder is in none of the locations, or its files are missing or malformed. Event
/// recordings are read when they are loaded, so that errors in them come later.
pub fn open(name: &str, locations: &Locations) -> Result<DataSet, DataError> {
    if is_path(name) {
        let path = Path::new(name);
        // A folder that was moved is found by its name, as sets are.
        let moved = || locations.holding(path.file_name()?.to_str()?);
        let found = if path.is_dir() { None } else { moved() };
        return folder::open(found.as_deref().unwrap_or(path));
    }
    (find(name)?.open)(locations)
}

fn canonical(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// The name a misspelt one was probably meant to be.
fn closest(wanted: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|&name| (edit_distance(wanted, &canonical(name)), name))
        .filter(|&(distance, name)| distance <= name.len() / 3 + 1)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance: the insertions, deletions and substitutions that make `b` of `a`.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances_of_known_words() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("mnist", "mnist"), 0);
    }

    #[test]
    fn misspelt_names_get_a_suggestion_and_distant_ones_none() {
        let known: Vec<_> = RECIPES.iter().map(|recipe| recipe.name).collect();
        let closest = |name| closest(name, &known);
        assert_eq!(closest("mnits"), Some("mnist"));
        assert_eq!(closest("cifar"), Some("cifar-10"));
        assert_eq!(closest("imagenet"), None);
    }
}
