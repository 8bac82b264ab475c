//! What a whole libtorch folder holds, and how one that is not whole is told.
//!
//! Wheels bring a `RECORD` with size and SHA-256 of every file they unpack. Once those were verified, the sizes go into a marker file in the
//! folder, so that each later look takes one `stat` a file and no hashing.
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::place::Variant;
use super::{LIBTORCH_VERSION, version};
use crate::checksum;

/// Written last, removed with the folder.
const MARKER: &str = "complete.txt";

/// What a build or a run touches; the Python part of the wheel may be as it likes.
const PARTS: [&str; 3] = ["torch/lib/", "torch/include/", "nvidia/"];

/// A file as its wheel recorded it.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    path: String,
    size: u64,
    sha256: String,
}

/// What a quick look at a folder tells.
#[derive(Debug, PartialEq)]
pub(super) enum State {
    /// The marker is there, and every file has its size.
    Complete,
    /// The marker is there, and the folder is not what it says: the first thing that is wrong.
    Broken(String),
    /// Files, but no marker: unpacked by hand, or by something else.
    Unmarked,
    /// No folder, or an empty one.
    Absent,
}

/// Compares the folder with its marker: existence and size of every file.
pub(super) fn look(folder: &Path, variant: Variant) -> State {
    match fs::read_to_string(folder.join(MARKER)) {
        Ok(marker) => {
            compare(folder, variant, &marker).map_or_else(State::Broken, |()| State::Complete)
        }
        Err(_) if fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()) => {
            State::Unmarked
        }
        Err(_) => State::Absent,
    }
}

fn compare(folder: &Path, variant: Variant, marker: &str) -> Result<(), String> {
    let lines: Vec<_> = marker.lines().collect();
    let [first, files @ .., last] = lines.as_slice() else {
        return Err(format!("{MARKER} is cut short"));
    };
    if *last != closing(files.len()) || !marker.ends_with('\n') {
        return Err(format!("{MARKER} is cut short"));
    }
    if *first != title(variant) {
        return Err(format!("{MARKER} does not open with \"{}\"", title(variant)));
    }
    for line in files {
        let (size, path) = line.split_once(' ').ok_or_else(|| format!("{MARKER} is damaged"))?;
        match fs::metadata(folder.join(path)) {
            Ok(metadata) if metadata.len().to_string() == size => {}
            Ok(metadata) => {
                return Err(format!("{path} has {} bytes instead of {size}", metadata.len()));
            }
            Err(_) => return Err(format!("{path} is missing")),
        }
    }
    Ok(())
}

/// Compares every file with the size and the SHA-256 that its wheel recorded.
pub(super) fn verify(folder: &Path, variant: Variant) -> Result<Vec<Entry>> {
    let entries = recorded(folder)?;
    for name in required(&entries, variant) {
        let found = entries
            .iter()
            .any(|entry| entry.path.rsplit('/').next().is_some_and(|file| file.starts_with(name)));
        if !found {
            bail!("no wheel in it brings {name}");
        }
    }
    for entry in &entries {
        let size = fs::metadata(folder.join(&entry.path)).map(|metadata| metadata.len());
        match size {
            Ok(size) if size == entry.size => {}
            Ok(size) => bail!("{} has {size} bytes instead of {}", entry.path, entry.size),
            Err(_) => bail!("{} is missing", entry.path),
        }
    }
    let sums: Vec<_> =
        entries.iter().map(|entry| (PathBuf::from(&entry.path), entry.sha256.clone())).collect();
    match checksum::mismatches(folder, &sums)?.as_slice() {
        [] => {}
        [first, ..] => bail!("{} does not match its checksum", first.display()),
    }
    version::check_version(&folder.join("torch"))?;
    Ok(entries)
}

/// The start of the names of the libraries without which nothing loads.
fn required(entries: &[Entry], variant: Variant) -> Vec<&'static str> {
    let mut names = vec!["libtorch_cpu.so", "libc10.so"];
    // A wheel built for CUDA needs these two even on the CPU; one built for the CPU alone names no NVIDIA library.
    if entries.iter().any(|entry| entry.path.ends_with("/libtorch_cuda.so")) {
        names.extend(["libcudart.so", "libcupti.so"]);
        if variant == Variant::Cuda {
            names.extend([
                "libcublas.so",
                "libcudnn.so",
                "libcufft.so",
                "libcusolver.so",
                "libcusparse.so",
                "libcusparseLt.so",
                "libnccl.so",
            ]);
        }
    }
    names
}

/// Writes the marker, under a temporary name first.
pub(super) fn mark(folder: &Path, variant: Variant, entries: &[Entry]) -> Result<()> {
    let mut text = title(variant);
    text.push('\n');
    for entry in entries {
        writeln!(text, "{} {}", entry.size, entry.path)?;
    }
    writeln!(text, "{}", closing(entries.len()))?;
    let temporary = folder.join(format!("{MARKER}.{}", std::process::id()));
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, folder.join(MARKER)))
        .with_context(|| format!("{} cannot be written", folder.join(MARKER).display()))
}

fn title(variant: Variant) -> String {
    format!("libtorch {LIBTORCH_VERSION} {}", variant.name())
}

/// The marker's last line: without it the marker itself is not whole.
fn closing(n_files: usize) -> String {
    format!("files {n_files}")
}

/// Every file of the parts that count, by the `RECORD`s of all wheels in the folder.
fn recorded(folder: &Path) -> Result<Vec<Entry>> {
    let mut seen = BTreeSet::new();
    let mut entries = Vec::new();
    for file in
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?
    {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "dist-info") {
            let record = path.join("RECORD");
            let text = fs::read_to_string(&record)
                .with_context(|| format!("{} cannot be read", record.display()))?;
            // Two wheels may bring the same file, an `__init__.py` say.
            entries.extend(
                parse_record(&text)?.into_iter().filter(|entry| seen.insert(entry.path.clone())),
            );
        }
    }
    Ok(entries)
}

/// Lines `PATH,sha256=BASE64URL,SIZE`; those without a sum (the record itself) are left out, and so is what no build or run touches.
fn parse_record(text: &str) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for line in text.lines().filter(|line| PARTS.iter().any(|part| line.starts_with(part))) {
        let mut fields = line.rsplitn(3, ',');
        let (size, sum, path) = (fields.next(), fields.next(), fields.next());
        let (Some(size), Some(sum), Some(path)) = (size, sum, path) else {
            bail!("a RECORD has the damaged line \"{line}\"")
        };
        let Some(sum) = sum.strip_prefix("sha256=") else { continue };
        let sha256 = base64_to_hex(sum)
            .with_context(|| format!("a RECORD has the damaged line \"{line}\""))?;
        let size =
            size.parse().with_context(|| format!("a RECORD has the damaged line \"{line}\""))?;
        entries.push(Entry { path: path.to_owned(), size, sha256 });
    }
    Ok(entries)
}

/// A SHA-256 in URL-safe Base64 without padding, as `RECORD`s have it, in lower-case hexadecimal, as tools have it.
fn base64_to_hex(text: &str) -> Option<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut hex = String::new();
    let (mut bits, mut n_bits) = (0_u32, 0);
    for byte in text.bytes() {
        let value = ALPHABET.iter().position(|&letter| letter == byte)?;
        bits = (bits << 6) | u32::try_from(value).ok()?;
        n_bits += 6;
        while n_bits >= 4 {
            n_bits -= 4;
            hex.push(char::from_digit((bits >> n_bits) & 0xF, 16)?);
        }
        bits &= 0xF;
    }
    // 43 letters carry 258 bits: 64 digits and two bits of filling.
    (text.len() == 43 && hex.len() == 64).then_some(hex)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{Entry, MARKER, State, Variant, base64_to_hex, look, mark, parse_record};

    /// SHA-256 of "abc" in both notations.
    const ABC: (&str, &str) = (
        "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );

    #[test]
    fn a_record_gives_paths_sizes_and_sums() {
        let text = format!(
            "torch/lib/libc10.so,sha256={},3\ntorch/version.py,sha256={},3\nnvidia/__init__.py,,\n",
            ABC.0, ABC.0
        );
        let entry = Entry { path: "torch/lib/libc10.so".into(), size: 3, sha256: ABC.1.into() };
        assert_eq!(parse_record(&text).expect("the record is well formed"), [entry]);
        assert!(parse_record("torch/lib/libc10.so,sha256=short,3\n").is_err());
        assert_eq!(base64_to_hex("*"), None);
    }

    #[test]
    fn every_way_of_not_being_whole_is_told() {
        let folder = std::env::temp_dir().join(format!("xtask-contents-{}", std::process::id()));
        let library = folder.join("torch/lib/libtorch_cpu.so");
        let state = || look(&folder, Variant::Cpu);
        let broken = |reason: &str| State::Broken(reason.into());
        assert_eq!(state(), State::Absent);
        fs::create_dir_all(library.parent().expect("it has one"))
            .expect("a temporary folder can be made");
        fs::write(&library, "abc").expect("a file can be written");
        assert_eq!(state(), State::Unmarked);

        let entry =
            Entry { path: "torch/lib/libtorch_cpu.so".into(), size: 3, sha256: ABC.1.into() };
        mark(&folder, Variant::Cpu, &[entry]).expect("the marker can be written");
        assert_eq!(state(), State::Complete);
        assert!(matches!(look(&folder, Variant::Cuda), State::Broken(_)));
        fs::write(&library, "ab").expect("a file can be written");
        assert_eq!(state(), broken("torch/lib/libtorch_cpu.so has 2 bytes instead of 3"));
        fs::remove_file(&library).expect("it exists");
        assert_eq!(state(), broken("torch/lib/libtorch_cpu.so is missing"));

        fs::write(&library, "abc").expect("a file can be written");
        let marker: PathBuf = folder.join(MARKER);
        let whole = fs::read_to_string(&marker).expect("it exists");
        for length in 0..whole.len() {
            fs::write(&marker, &whole[..length]).expect("a file can be written");
            assert!(matches!(state(), State::Broken(_)), "a marker cut after {length} bytes");
        }
        fs::remove_dir_all(&folder).expect("the temporary folder can be removed");
    }
}
