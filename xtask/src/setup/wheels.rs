//! libtorch out of the torch wheel, by the user's own pip: its index, its proxy, its certificates, and its check of every download.
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::lock::SetupLock;
use super::place::Variant;
use super::{LIBTORCH_VERSION, check_space, megabytes};

/// The wheels are built per Python version, libtorch inside is the same: one version that has a wheel serves whatever Python runs pip.
const WHEEL_PYTHON: [&str; 6] =
    ["--python-version", "3.12", "--implementation", "cp", "--abi", "cp312"];

/// Runs pip such that it ends with us (`prctl(PR_SET_PDEATHSIG, SIGTERM)`): an orphan would fill the disk for nobody.
const PIP: &str = "\
import ctypes, runpy
try:
    ctypes.CDLL(None).prctl(1, 15)
except Exception:
    pass
runpy.run_module('pip', run_name='__main__', alter_sys=True)
";

/// The way around pip, for the messages.
const OWN_LIBTORCH: &str =
    "Or unpack libtorch 2.13.0 from elsewhere and set LIBTORCH to its folder.";

/// Unpacks the wheels side by side into `folder`: `torch/` and `nvidia/`, as their libraries expect each other.
pub(super) fn fetch(folder: &Path, variant: Variant, lock: &SetupLock) -> Result<()> {
    // Wheels and unpacked files are on the disk together for a moment.
    let (download, needed) = match variant {
        Variant::Cpu => ("about 540 MB", 1_900_000_000),
        Variant::Cuda => ("about 2.5 GB", 6_500_000_000),
    };
    let cache = folder.parent().unwrap_or(folder);
    check_space(cache, needed)?;
    let python = find_python()?;
    eprintln!(
        "fetching libtorch {LIBTORCH_VERSION} ({}, {download}) into {}, once for all checkouts",
        variant.name(),
        cache.display()
    );
    pip_install(&python, folder, lock, &["--no-deps", &format!("torch=={LIBTORCH_VERSION}")])?;
    let libraries = libraries_named(&metadata(folder)?, variant);
    if libraries.is_empty() {
        eprintln!("this index serves a torch built for the CPU alone");
        return Ok(());
    }
    let libraries: Vec<&str> = libraries.iter().map(String::as_str).collect();
    pip_install(&python, folder, lock, &libraries)
}

/// The first Python on the path that has pip; a virtual environment may hide the system's with one that has none.
fn find_python() -> Result<String> {
    let mut found = false;
    for python in ["python3", "python", "/usr/bin/python3"] {
        let Ok(output) = Command::new(python).args(["-m", "pip", "--version"]).output() else {
            continue;
        };
        found = true;
        if output.status.success() {
            return Ok(python.to_owned());
        }
    }
    if found {
        bail!(
            "libtorch is fetched by pip, and this Python has none.\n  Install it (`apt install python3-pip`, or `python3 -m ensurepip`).\n  {OWN_LIBTORCH}"
        );
    }
    bail!(
        "libtorch is fetched by `python3 -m pip`, and there is no python3 on the PATH.\n  Install it (`apt install python3 python3-pip`).\n  {OWN_LIBTORCH}"
    );
}

fn metadata(folder: &Path) -> Result<String> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let is_torch = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("torch-") && name.ends_with(".dist-info"));
        if is_torch {
            return Ok(fs::read_to_string(path.join("METADATA"))?);
        }
    }
    bail!("pip unpacked no torch into {}", folder.display())
}

/// The requirements of the wheel that libtorch needs: for CUDA every NVIDIA library, for the CPU the two that `libtorch_cpu.so` links to.
fn libraries_named(metadata: &str, variant: Variant) -> Vec<String> {
    metadata
        .lines()
        .filter_map(|line| line.strip_prefix("Requires-Dist: "))
        .filter(|requirement| !requirement.contains("extra =="))
        .filter_map(|requirement| requirement.split(';').next())
        .map(str::trim)
        .filter_map(|requirement| {
            let toolkit = requirement.strip_prefix("cuda-toolkit");
            match variant {
                Variant::Cuda => (toolkit.is_some() || requirement.starts_with("nvidia-"))
                    .then(|| requirement.to_owned()),
                Variant::Cpu => {
                    Some(format!("cuda-toolkit[cudart,cupti]{}", toolkit?.rsplit(']').next()?))
                }
            }
        })
        .collect()
}

fn pip_install(python: &str, folder: &Path, lock: &SetupLock, requirements: &[&str]) -> Result<()> {
    // pip downloads and unpacks beside the result: the system's temporary folder may be small, and a move across disks copies.
    let scratch = folder.join("tmp");
    fs::create_dir_all(&scratch)?;
    let mut pip = Command::new(python);
    pip.args(["-c", PIP, "install", "--target"]).arg(folder).args([
        "--only-binary",
        ":all:",
        "--no-compile",
        "--no-warn-conflicts",
    ]);
    pip.args(WHEEL_PYTHON).args(requirements).current_dir(&scratch).env("TMPDIR", &scratch);
    // The user's own settings that would clash with --target.
    pip.env("PIP_USER", "0")
        .env("PIP_REQUIRE_VIRTUALENV", "0")
        .env_remove("PIP_PREFIX")
        .env_remove("PIP_ROOT");
    pip.env("PIP_ROOT_USER_ACTION", "ignore")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .env("PIP_NO_INPUT", "1");
    // pip draws its progress on stdout; ours is not for progress.
    pip.stdin(lock.share()).stdout(std::io::stderr()).stderr(Stdio::piped());

    let mut child = pip.spawn().with_context(|| format!("`{python}` could not be started"))?;
    let errors = child.stderr.take().context("pip's stderr is a pipe")?;
    let listener = thread::spawn(move || {
        let lines = BufReader::new(errors).lines().map_while(Result::ok);
        lines.inspect(|line| eprintln!("{line}")).collect::<Vec<_>>().join("\n")
    });
    let status = wait(&mut child, folder)?;
    let errors = listener.join().map_err(|_| anyhow!("the thread that listens to pip panicked"))?;
    drop(fs::remove_dir_all(&scratch));
    if status.success() { Ok(()) } else { Err(explain(&errors)) }
}

/// Waits for pip. Without a terminal it draws no progress bar: then one line every ten seconds says how much has come.
fn wait(child: &mut Child, folder: &Path) -> Result<ExitStatus> {
    if std::io::stderr().is_terminal() {
        return Ok(child.wait()?);
    }
    let interval = Duration::from_secs(10);
    let started = Instant::now();
    let mut next = interval;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(100));
        if started.elapsed() >= next {
            eprintln!(
                "  {} on disk after {} s",
                megabytes(bytes_below(folder)),
                started.elapsed().as_secs()
            );
            next += interval;
        }
    }
}

/// Files come and go while pip works: what cannot be read counts as nothing.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(files) = fs::read_dir(folder) else { return 0 };
    let size = |file: fs::DirEntry| match file.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&file.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    files.flatten().map(size).sum()
}

/// pip's many ways of failing, as the few that a user can mend.
fn explain(errors: &str) -> anyhow::Error {
    let has = |words: &[&str]| words.iter().any(|word| errors.contains(word));
    let network = [
        "Failed to establish a new connection",
        "Temporary failure in name resolution",
        "NewConnectionError",
        "ProxyError",
        "ConnectTimeout",
        "ReadTimeout",
        "SSLError",
        "Read timed out",
        "Connection aborted",
        "Max retries exceeded",
    ];
    if has(&["No space left on device", "Disk quota exceeded"]) {
        anyhow!("the disk is full; make room, or set DIFFUSION_CACHE to a folder on a larger disk")
    } else if has(&network) {
        anyhow!(
            "pip could not reach its package index.\n  \
             Check the network, the proxy (HTTPS_PROXY) and the index that pip uses (`python3 -m pip config list`), then run this again.\n  {OWN_LIBTORCH}"
        )
    } else if has(&["No matching distribution found"]) {
        anyhow!(
            "the package index that pip uses has no wheel of torch {LIBTORCH_VERSION} for this machine, or this pip is too old to see it.\n  \
             Upgrade pip (`python3 -m pip install --upgrade pip`; 20.3 at least), or let it use an index that has the wheel.\n  {OWN_LIBTORCH}"
        )
    } else {
        anyhow!("pip failed; its message is above.\n  {OWN_LIBTORCH}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Variant, explain, libraries_named};

    const METADATA: &str = "\
Name: torch
Requires-Dist: filelock
Requires-Dist: cuda-toolkit[cublas,cudart,cupti]==13.0.3; platform_system == \"Linux\"
Requires-Dist: cuda-bindings<14,>=13.0.3; platform_system == \"Linux\"
Requires-Dist: nvidia-nccl-cu13==2.29.7; platform_system == \"Linux\"
Requires-Dist: triton==3.7.1; platform_system == \"Linux\"
Requires-Dist: nvidia-extra==1; extra == \"more\"
";

    #[test]
    fn the_cpu_needs_two_libraries_and_cuda_all_of_nvidias() {
        assert_eq!(libraries_named(METADATA, Variant::Cpu), ["cuda-toolkit[cudart,cupti]==13.0.3"]);
        assert_eq!(
            libraries_named(METADATA, Variant::Cuda),
            ["cuda-toolkit[cublas,cudart,cupti]==13.0.3", "nvidia-nccl-cu13==2.29.7"]
        );
        assert!(libraries_named("Requires-Dist: filelock\n", Variant::Cuda).is_empty());
    }

    #[test]
    fn pips_failures_are_told_apart() {
        let explained = |errors: &str| explain(errors).to_string();
        assert!(
            explained("OSError: [Errno 28] No space left on device").contains("the disk is full")
        );
        let unreachable = "WARNING: NewConnectionError: Failed to establish a new connection\nERROR: No matching distribution found for torch==2.13.0";
        assert!(explained(unreachable).contains("could not reach"));
        assert!(
            explained("ERROR: No matching distribution found for torch==2.13.0")
                .contains("no wheel of torch")
        );
        assert!(explained("Killed").contains("pip failed"));
    }
}
