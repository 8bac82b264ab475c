//! No file names a place that only one machine has: a home folder, or a folder beside the checkout.
use std::path::Path;

use super::Finding;

/// Spelled in two parts, so that this file passes.
const BESIDE_THE_CHECKOUT: &str = concat!("../", "shared");
const HOMES: [&str; 3] = [concat!("/home", "/"), concat!("/Users", "/"), concat!("/root", "/")];

pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            Some(Finding::error(
                path,
                index + 1,
                format!("names {}, which other machines do not have", place(line)?),
            ))
        })
        .collect()
}

/// The first such place that a line names.
fn place(line: &str) -> Option<String> {
    if line.contains(BESIDE_THE_CHECKOUT) {
        return Some(format!("`{BESIDE_THE_CHECKOUT}`"));
    }
    HOMES.into_iter().find_map(|home| {
        line.match_indices(home).find_map(|(start, _)| {
            // `$DIR/home/…` and `a/root/b` are no absolute paths.
            let absolute = !line[..start]
                .ends_with(|letter: char| letter.is_alphanumeric() || "}_-.)>".contains(letter));
            let user: String = line[start + home.len()..]
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || "._-".contains(*letter))
                .collect();
            (absolute && !user.is_empty()).then(|| format!("`{home}{user}`"))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{BESIDE_THE_CHECKOUT, HOMES, check};

    #[test]
    fn places_of_one_machine_are_found_with_their_line() {
        let path = Path::new("README.md");
        for text in [
            format!("cp {BESIDE_THE_CHECKOUT}/x ."),
            format!("see {}ada/x", HOMES[0]),
            format!("\"{}cargo\"", HOMES[2]),
        ] {
            let found = check(path, &format!("first\n{text}\n"));
            assert_eq!(
                (found.len(), found.first().map(|finding| finding.line)),
                (1, Some(2)),
                "{text}"
            );
        }
    }

    #[test]
    fn paths_that_every_machine_has_pass() {
        let text = format!(
            "$HOME/.cache and ~/x and ${{DIR}}{}x and /usr/lib and {} alone",
            HOMES[0], HOMES[2]
        );
        assert!(check(Path::new("README.md"), &text).is_empty());
    }
}
