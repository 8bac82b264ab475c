//! `.libtorch`: the link at the workspace's root through which cargo, binaries and tests find libtorch.
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Makes `link` point to `target`, by one rename. Does nothing when it already does.
pub(super) fn point(link: &Path, target: &Path) -> Result<()> {
    match fs::symlink_metadata(link) {
        Ok(metadata) if !metadata.is_symlink() => {
            bail!(
                "{} is in the way: it is to be a link to {}; remove or rename it",
                link.display(),
                target.display()
            );
        }
        Ok(_) if fs::read_link(link).is_ok_and(|existing| existing == target) => return Ok(()),
        _ => {}
    }
    let fresh = link.with_file_name(format!(".libtorch.{}", std::process::id()));
    make_link(target, &fresh).and_then(|()| fs::rename(&fresh, link)).with_context(|| {
        format!("the link {} to {} cannot be made", link.display(), target.display())
    })
}

#[cfg(unix)]
fn make_link(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn make_link(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::point;

    #[test]
    fn a_missing_wrong_or_dangling_link_is_remade_and_a_folder_is_not_touched() {
        let folder = std::env::temp_dir().join(format!("xtask-link-{}", std::process::id()));
        fs::create_dir_all(folder.join("real/torch")).expect("a temporary folder can be made");
        let (link, target) = (folder.join(".libtorch"), folder.join("real/torch"));

        point(&link, &target).expect("a missing link is made");
        fs::remove_file(&link).expect("it is a link");
        std::os::unix::fs::symlink("nowhere", &link).expect("a dangling link can be made");
        point(&link, &target).expect("a dangling link is remade");
        point(&link, &target).expect("a right link is left alone");
        let read: PathBuf = fs::read_link(&link).expect("it is a link");

        fs::remove_file(&link).expect("it is a link");
        fs::create_dir(&link).expect("a folder can be made in its place");
        let refused = point(&link, &target);
        fs::remove_dir_all(&folder).expect("the temporary folder can be removed");
        assert_eq!(read, target);
        assert!(refused.expect_err("a folder is in the way").to_string().contains("is in the way"));
    }
}
