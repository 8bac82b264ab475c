//! Where the workspace is, and how programs are run in it.
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::failure::ProgramFailed;

/// The workspace that `cargo xtask` was called in.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
}

impl Workspace {
    /// The folder above `xtask/`, as cargo names it at run time: a binary built for one checkout may serve another through a shared target folder.
    pub(crate) fn find() -> Result<Self> {
        let xtask = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = xtask.parent().context("xtask's folder has no parent")?.to_path_buf();
        if !root.join("xtask/Cargo.toml").is_file() {
            bail!("{} is not the workspace; call this as `cargo xtask`", root.display());
        }
        Ok(Self { root })
    }

    /// The link to libtorch that `cargo xtask setup` makes and `.cargo/config.toml` names.
    pub(crate) fn libtorch_link(&self) -> PathBuf {
        self.root.join(".libtorch")
    }

    /// `LIBTORCH`, if the user set it. Cargo sets it to the workspace's own link inside xtask: that counts as unset.
    pub(crate) fn user_libtorch(&self) -> Option<PathBuf> {
        let path = env::var_os("LIBTORCH").filter(|value| !value.is_empty()).map(PathBuf::from)?;
        (!self.is_own_link(&path)).then_some(path)
    }

    fn is_own_link(&self, path: &Path) -> bool {
        let own = self.libtorch_link();
        if path == own {
            return true;
        }
        let same_folder =
            || Some(path.parent()?.canonicalize().ok()? == self.root.canonicalize().ok()?);
        path.file_name() == own.file_name() && same_folder().unwrap_or(false)
    }

    /// Cargo in the workspace's root, with `LIBTORCH` as a shell would hand it on.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        if self.user_libtorch().is_none() {
            cargo.env_remove("LIBTORCH");
        }
        cargo
    }
}

/// Runs a program to its end, its output untouched.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = display(command);
    let status = command.status().with_context(|| format!("`{program}` could not be started"))?;
    if status.success() {
        Ok(())
    } else {
        Err(ProgramFailed { program, code: status.code() }.into())
    }
}

/// Builds with cargo and says where the program that it built is; cargo's own messages are shown.
pub(crate) fn executable(build: &mut Command) -> Result<PathBuf> {
    let program = display(build);
    build.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = build.output().with_context(|| format!("`{program}` could not be started"))?;
    if !output.status.success() {
        return Err(ProgramFailed { program, code: output.status.code() }.into());
    }
    last_executable(&String::from_utf8_lossy(&output.stdout))
        .map(PathBuf::from)
        .with_context(|| format!("`{program}` built no program"))
}

/// The last `"executable":"…"` of cargo's messages, one JSON object a line.
fn last_executable(messages: &str) -> Option<String> {
    let (_, rest) = messages.rsplit_once(r#""executable":""#)?;
    let (path, _) = rest.split_once(r#"","#).or_else(|| rest.split_once(r#""}"#))?;
    Some(path.replace(r"\\", r"\").replace(r#"\""#, r#"""#))
}

/// Whether a program of that name answers to `--version`.
pub(crate) fn answers(program: &mut Command) -> bool {
    program.arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The command line as one would type it; long ones are cut.
pub(crate) fn display(command: &Command) -> String {
    let program =
        Path::new(command.get_program()).file_name().unwrap_or_else(|| command.get_program());
    let words = std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy);
    let line = words.collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 120 { line } else { line.chars().take(119).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Workspace, last_executable};

    #[test]
    fn the_workspaces_own_link_is_not_the_users_libtorch() {
        let workspace = Workspace {
            root: PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("..")
                .canonicalize()
                .expect("the workspace exists"),
        };
        assert!(workspace.is_own_link(&workspace.root.join(".libtorch")));
        assert!(workspace.is_own_link(&workspace.root.join("xtask/../.libtorch")));
        assert!(!workspace.is_own_link(Path::new("/opt/libtorch")));
        assert!(!workspace.is_own_link(Path::new("/opt/.libtorch")));
    }

    #[test]
    fn the_program_is_read_from_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","executable":null,"fresh":true}
{"reason":"compiler-artifact","executable":"/t/release/diffusion","fresh":true}
{"reason":"build-finished","success":true}"#;
        assert_eq!(last_executable(messages).as_deref(), Some("/t/release/diffusion"));
        assert_eq!(last_executable("{}"), None);
    }
}
