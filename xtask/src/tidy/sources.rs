//! What every Rust file keeps to: an opening paragraph, no `unsafe` outside of `diffusion-torch`, no printing in libraries, a telling name, a length that
//! one can read.
use std::path::Path;

use super::Finding;
use super::mask::{Source, has_word};

/// Above this many lines outside of tests a file is likely two.
const LONG: usize = 400;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];

/// The one crate that speaks to C++.
const UNSAFE_CRATE: &str = "crates/diffusion-torch";

/// The crates that are programs, and print.
const PRINTING: [&str; 3] = ["crates/diffusion-cli", "xtask", "benches"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let checks = [
        opens_with_a_paragraph,
        has_a_telling_name,
        keeps_unsafe_in_its_crate,
        leaves_nothing_undone,
        prints_only_in_programs,
        is_short,
    ];
    checks.iter().flat_map(|check| check(source)).collect()
}

fn opens_with_a_paragraph(source: &Source) -> Vec<Finding> {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![Finding::error(
        &source.path,
        1,
        "does not open with a `//!` paragraph: what lives here, and why here",
    )]
}

fn has_a_telling_name(source: &Source) -> Vec<Finding> {
    let parts = source.path.with_extension("");
    let empty = parts.iter().find(|part| EMPTY_NAMES.iter().any(|name| part == name));
    empty
        .map(|part| {
            Finding::error(
                &source.path,
                1,
                format!("`{}` says nothing about what is inside", part.display()),
            )
        })
        .into_iter()
        .collect()
}

fn keeps_unsafe_in_its_crate(source: &Source) -> Vec<Finding> {
    if source.path.starts_with(UNSAFE_CRATE) {
        return Vec::new();
    }
    let allows = |code: &str| {
        has_word(code, "unsafe_code") && (has_word(code, "allow") || has_word(code, "expect"))
    };
    let lines = source.numbered_code().filter(|(_, code)| has_word(code, "unsafe") || allows(code));
    lines
        .map(|(line, _)| {
            Finding::error(&source.path, line, format!("`unsafe` belongs in {UNSAFE_CRATE} alone"))
        })
        .collect()
}

fn leaves_nothing_undone(source: &Source) -> Vec<Finding> {
    let macros = ["todo!", "unimplemented!"];
    let lines = source.numbered_code().filter_map(|(line, code)| {
        Some((line, macros.into_iter().find(|name| calls(code, name))?))
    });
    lines
        .map(|(line, name)| {
            Finding::error(&source.path, line, format!("`{name}` is left in the code"))
        })
        .collect()
}

fn prints_only_in_programs(source: &Source) -> Vec<Finding> {
    let is_library =
        source.path.starts_with("crates") && source.path.iter().any(|part| part == "src");
    // Support for tests says there what it skipped.
    let is_test_support = source.path.file_stem().is_some_and(|stem| stem == "testing");
    if !is_library
        || is_test_support
        || PRINTING.iter().any(|program| source.path.starts_with(program))
    {
        return Vec::new();
    }
    let macros = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];
    let lines = source.code_outside_tests().filter_map(|(line, code)| {
        Some((line, macros.into_iter().find(|name| calls(code, name))?))
    });
    lines
        .map(|(line, name)| {
            Finding::error(&source.path, line, format!("`{name}` in a library: the caller prints"))
        })
        .collect()
}

fn is_short(source: &Source) -> Vec<Finding> {
    let is_test = source.path.iter().any(|part| part == "tests");
    let n_lines = source.in_tests.iter().filter(|in_tests| !**in_tests).count();
    if is_test || n_lines <= LONG {
        return Vec::new();
    }
    vec![Finding::note(
        Path::new(&source.path),
        1,
        format!("{n_lines} lines outside of tests, more than {LONG}: a sign to split"),
    )]
}

/// Whether the macro `name!` is called, and not one whose name ends like it.
fn calls(code: &str, name: &str) -> bool {
    let part_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(name).any(|(start, _)| !code[..start].ends_with(part_of_word))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Finding, Severity};
    use super::{LONG, Source, check};

    fn findings(path: &str, text: &str) -> Vec<Finding> {
        check(&Source::new(Path::new(path), text))
    }

    /// The one finding's line and a part of its message.
    fn assert_finds(path: &str, text: &str, line: usize, message: &str) {
        let found = findings(path, text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].line, found[0].severity), (line, Severity::Error));
        assert!(found[0].message.contains(message), "{found:?}");
    }

    #[test]
    fn a_file_without_an_opening_paragraph_is_found() {
        assert_finds("crates/diffusion-math/src/a.rs", "use b;\n", 1, "`//!`");
        assert_finds("crates/diffusion-math/src/a.rs", "\n//! Late.\n", 1, "`//!`");
        assert!(findings("crates/diffusion-math/src/a.rs", "//! Here.\n").is_empty());
    }

    #[test]
    fn unsafe_outside_of_its_crate_is_found_and_in_a_comment_it_is_not() {
        let text = "//! A.\n// unsafe in words\nfn f() {\n    unsafe { g() }\n}\n";
        assert_finds("crates/diffusion-math/src/a.rs", text, 4, "unsafe");
        assert_finds("xtask/src/a.rs", "//! A.\n#![allow(unsafe_code)]\n", 2, "unsafe");
        assert!(findings("crates/diffusion-torch/src/a.rs", text).is_empty());
    }

    #[test]
    fn unfinished_code_is_found() {
        assert_finds("crates/diffusion-cli/src/a.rs", "//! A.\nfn f() { todo!() }\n", 2, "todo!");
        assert_finds(
            "crates/diffusion-cli/src/a.rs",
            "//! A.\nfn f() { unimplemented!(\"x\") }\n",
            2,
            "unimplemented!",
        );
        assert!(
            findings("crates/diffusion-cli/src/a.rs", "//! A.\nfn f() { my_todo!() } // todo!()\n")
                .is_empty()
        );
    }

    #[test]
    fn printing_in_a_library_is_found_and_in_its_tests_or_a_program_it_is_not() {
        let text = "//! A.\nfn f() { eprintln!(\"x\"); }\n";
        assert_finds("crates/diffusion-train/src/a.rs", text, 2, "eprintln!");
        assert!(findings("crates/diffusion-cli/src/a.rs", text).is_empty());
        assert!(findings("crates/diffusion-train/build.rs", text).is_empty());
        assert!(findings("crates/diffusion-torch/src/testing.rs", text).is_empty());
        assert!(
            findings(
                "crates/diffusion-train/src/a.rs",
                "//! A.\n#[cfg(test)]\nmod tests {\n    fn f() { println!(); }\n}\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        assert_finds("crates/diffusion-math/src/utils.rs", "//! A.\n", 1, "utils");
        assert_finds("crates/diffusion-math/tests/common/mod.rs", "//! A.\n", 1, "common");
        assert!(findings("crates/diffusion-math/src/common_noise.rs", "//! A.\n").is_empty());
    }

    #[test]
    fn a_long_file_is_noted_and_long_tests_are_not() {
        let long = format!("//! A.\n{}", "fn f() {}\n".repeat(LONG));
        let found = findings("crates/diffusion-math/src/a.rs", &long);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Note));
        assert!(found[0].message.contains("401 lines"));
        let tests =
            format!("//! A.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(LONG));
        assert!(findings("crates/diffusion-math/src/a.rs", &tests).is_empty());
    }
}
