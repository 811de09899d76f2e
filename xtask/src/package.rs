//! Zips as Lambda takes them, of the same bytes for the same binary, and what they come to.

use std::fs;
use std::io::{Cursor, Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use crate::build::Built;
use crate::elf::{self, Arch, Version};

/// The most bytes of a zip: a larger one starts slower.
const MOST: usize = 5 << 20;

/// A zip that was written.
pub(crate) struct Package {
    path: PathBuf,
    binary: usize,
    zip: usize,
    glibc: Version,
    sha256: String,
}

/// Packs a function as `bootstrap`.
pub(crate) fn write(out: &Path, arch: Arch, built: &Built) -> anyhow::Result<Package> {
    let zip = pack(&built.binary)?;
    let path = out.join(format!("{}-{}.zip", built.name, arch.name()));
    ensure!(zip.len() <= MOST, "{} has {} bytes, and may have {MOST}", path.display(), zip.len());
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    fs::write(&path, &zip).with_context(|| format!("cannot write {}", path.display()))?;
    let digest = Sha256::digest(&zip);
    let sha256 = digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect();
    Ok(Package {
        path,
        binary: built.binary.len(),
        zip: zip.len(),
        glibc: elf::glibc(&built.binary)?,
        sha256,
    })
}

fn pack(binary: &[u8]) -> anyhow::Result<Vec<u8>> {
    // No time, no user, no system of the machine.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::default())
        .system(System::Unix)
        .unix_permissions(0o755);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("bootstrap", options)?;
    writer.write_all(binary)?;
    Ok(writer.finish()?.into_inner())
}

/// Prints what was written.
pub(crate) fn report(packages: &[Package]) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{:>9}  {:>9}  {:>5}  {:<64}  zip", "zip", "binary", "glibc", "sha256 of the zip")?;
    for package in packages {
        let Package { path, binary, zip, glibc, sha256 } = package;
        writeln!(out, "{zip:>9}  {binary:>9}  {glibc:>5}  {sha256}  {}", path.display())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_same_binary_is_the_same_zip_and_can_be_run() {
        let binary = b"\x7fELF and so on".repeat(99);
        let zip = pack(&binary).unwrap();
        assert_eq!(zip, pack(&binary).unwrap());
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        let mut file = archive.by_name("bootstrap").unwrap();
        assert_eq!(file.unix_mode().unwrap() & 0o777, 0o755);
        assert_eq!(file.last_modified(), Some(DateTime::default()));
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert_eq!(read, binary);
    }
}
